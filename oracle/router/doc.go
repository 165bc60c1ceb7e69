// Package router carries LoRaWAN uplinks from hotspots to network servers and
// downlinks back. It looks a packet's route up by DevAddr range or JoinEUI/DevEUI
// pair, buys a bounded number of copies of each packet, journals what it bought
// before it forwards, and speaks Semtech UDP (package radio/gwmp) to the servers
// from one socket per hotspot.
package router
