// Package forwarder lets existing Semtech UDP packet forwarders, versions 1 and
// 2, attach to a hotspot. It is a concentrator to the rest of the firmware.
//
// # Several forwarders
//
// Each forwarder, known by its gateway identifier and IP address, gets a slot.
// Every slot has a counter and so ticks of its own: RxPacket.Board tells the
// slot in its upper four bits (and the forwarder's own board in the lower four),
// and TxPacket.Board sends a downlink back to the forwarder that heard the
// uplink. With one forwarder of one board, Board is 0.
//
// # What a forwarder is trusted with
//
// Semtech UDP has no authentication: whoever reaches the port can invent
// packets. Listen on the loopback address unless the forwarders stand on other
// machines of a network that is trusted. A forwarder subtracts the antenna_gain
// of its configuration from the power it is asked for; that gain must be 0
// there, because the hotspot has taken it into account already.
package forwarder
