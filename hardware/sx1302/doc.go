// Package sx1302 drives Semtech's SX1302 and SX1303 LoRa concentrators, with
// SX1250, SX1255 or SX1257 front ends, over SPI or over the USB bridge of
// CoreCell-style boards, without any C.
//
// [New] takes the wires (package bus), a [Config] and the microcontroller images;
// [Concentrator.Start] resets and configures the chip; then [Concentrator.Receive],
// [Concentrator.Send] and [Concentrator.Now] are the radio. [Concentrator.Health]
// looks for the ways in which the chip is known to fail silently.
//
// The letters in comments (c.14, e.2 ...) name sections of the driver writer's
// specification that this package was written from; values without another source
// are those that Semtech's sx1302_hal V2.1.0 writes. Where the driver differs on
// purpose, differences.go says how and why.
//
// # Frequency offset
//
// The chip and Semtech's "foff" count a channel's frequency less the carrier's;
// [radio.RxPacket] counts the carrier's less the channel's, so the driver turns the
// sign, and package radio/gwmp turns it back. The rounding of a channel's IF
// register is corrected as the vendor does it; [calc.FrequencyOffset] says why that
// is right.
//
// # Less work on the bus
//
// The driver keeps a copy of every configuration register. A field is set in the
// copy; a flush then writes all changed bytes in as few frames as possible. So
// there are no read-modify-write cycles, and the whole channelizer and demodulator
// configuration goes out in a few bursts. What has an effect when it is written
// (reset, clock selection, microcontroller control and mailboxes, triggers) is
// never delayed or reordered.
package sx1302
