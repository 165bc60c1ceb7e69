// Package forward carries packets between the radio and the reports: what a
// concentrator received becomes a witness report or a LoRaWAN uplink
// ([Receiver]), and a downlink goes out in the first receive window that can
// still be met ([Sender]).
//
// [Receiver] is pure. It never invents a time: a packet that was received before
// the hotspot knows UTC waits, within bounds, and is stamped from the
// concentrator's counter when the time is known.
package forward
