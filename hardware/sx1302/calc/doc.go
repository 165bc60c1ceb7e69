// Package calc holds the arithmetic of an SX1302 or SX1303 concentrator: every
// number that a driver (or a simulator) derives rather than reads. It touches no
// bus, keeps no state beyond what a caller holds, and reads no clock.
//
// The specification is the SX1302 driver writer's specification of this project;
// each function names the section that it restates (a transport, c bring-up, d
// receive, e transmit, g board peripherals, h microcontroller images). Results
// equal the vendor's library bit by bit where testdata has vectors for it.
// Integers are used where the vendor uses integers; floats only for physics: the
// temperature curve of the RSSI, the phase of the DC notch and the crystal's
// error in fine timestamps.
//
// Deliberate differences from the vendor:
//
//   - The carrier offset is exact integer arithmetic; the vendor multiplies by a
//     constant of nine digits, which lands 1 Hz off at a few register values.
//   - Time on air for accounting is package airtime's; [VendorAirMS] is only for
//     comparing logs, because it assumes low data rate optimisation for SF11 and
//     SF12 at every bandwidth. The same slip makes its fine-mode packet times
//     late by whole symbols at three service-channel rates: [FineCorrection]
//     against [VendorFineCorrection].
//   - [ChooseGain] says when even the weakest entry is stronger than what was
//     asked for, instead of quietly sending louder.
//   - [PPS.Nanos] takes the measured second, so that no packet just before a pulse
//     is lost on a crystal that runs fast.
//   - [Counter] is 64 bits wide and is checked against the host's clock; a
//     counter that stands still, jumps or runs backwards is an error.
package calc

import "heliograph/radio"

// FrontEnd is the kind of radio behind a concentrator's RF chain.
type FrontEnd uint8

// The front ends that an SX1302 can drive.
const (
	SX1250 FrontEnd = 1
	SX1255 FrontEnd = 2 // 400..510 MHz
	SX1257 FrontEnd = 3 // 860..1000 MHz
)

// String prints the part's name.
func (f FrontEnd) String() string {
	switch f {
	case SX1250:
		return "SX1250"
	case SX1255:
		return "SX1255"
	case SX1257:
		return "SX1257"
	}
	return "unknown front end"
}

// xtalHz is the concentrator's clock: counter, bit clocks and synthesizers.
const xtalHz = 32_000_000

// bandwidthFactor is 1, 2 or 4 for 125, 250 and 500 kHz (d.5's k), and 0 for any
// other bandwidth.
func bandwidthFactor(bw radio.Hertz) int64 {
	switch bw {
	case 125 * radio.KHz:
		return 1
	case 250 * radio.KHz:
		return 2
	case 500 * radio.KHz:
		return 4
	}
	return 0
}
