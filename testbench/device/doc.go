// Package device is a simulated LoRaWAN end device of class A: TS001-1.0.4
// (LoRaWAN L2 1.0.4), over-the-air activation, regional parameters from package
// radio/region.
//
// [Machine] decides, a pure step machine: time and what the radio heard go in,
// transmissions and the next wake-up come out. [Device] runs a machine on a radio
// of package testbench/ether.
//
// What a real device does is done: a new DevNonce for each join-request, RX1 and
// RX2 opened at the instant and with the parameters that the regional plan gives,
// integrity checked before anything is believed, frame counters that never repeat,
// confirmed uplinks sent again until they are acknowledged, and the time on air
// kept within the duty cycle of each sub-band. What is left out: MAC commands in a
// downlink are not executed (the device is one that does not do ADR), and class B
// and C.
package device
