// Package chip is a Semtech SX1302 or SX1303 concentrator simulated at register
// level, with the chips around it: two SX1250 or SX1255/SX1257 front ends, an
// SX1261 for listen-before-talk, an STTS751 temperature sensor, and the STM32
// bridge of USB boards.
//
// What it must do is Part 2 of the project's SX1302 specification; sections
// cited in comments (c.5, d.2, ...) are of that text. Where the specification
// is silent the simulator does the simplest thing that a driver could notice,
// and the comment says so.
//
// A [Chip] hands out the wires that a board has: [Chip.SPI], [Chip.ResetPin],
// [Chip.I2C] and so on implement the interfaces of hardware/bus. [Chip.ServeUSB]
// speaks the bridge protocol over a byte stream and [ServePTY] offers that as a
// terminal device, which any program for a USB concentrator can open.
//
// Nothing in the simulator waits: time comes from a [Clock], which is the
// machine's or a [ManualClock] that only the test moves. A [Sky] joins chips on
// a ManualClock through testbench/ether; [Chip.Join] joins a chip to a live
// ether. [Chip.Break] switches a [Fault] on, [Chip.Mend] off.
//
// Registers that nothing in the simulator reads are plain memory with the reset
// value and the writable bits of registers.csv. The table's note on its origin
// is in testdata/README.
package chip
