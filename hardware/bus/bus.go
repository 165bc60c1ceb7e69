// Package bus says what a driver needs of the wires between host and chip:
// SPI, I2C, single pins and byte streams. The interfaces have one to three
// methods, so that a Linux device, a USB bridge, a simulated chip and a recorded
// transcript fit behind them alike. Package linuxbus implements them on Linux,
// package bustest records and replays them.
//
// All implementations are safe for concurrent use unless they say otherwise:
// one call is one transaction, and transactions do not interleave.
package bus

import (
	"context"
	"io"
	"time"
)

// SPI is one chip select on a bus.
type SPI interface {
	// Tx clocks len(w) bytes out and the same number in, in one frame with the
	// chip select held. r is nil, or has the length of w and receives what came
	// in. The two may be the same slice. When ctx has ended nothing is clocked;
	// a frame that has begun is finished.
	Tx(ctx context.Context, w, r []byte) error
}

// I2C is one bus with 7-bit addresses.
type I2C interface {
	// Tx writes w to the device at addr, then, with a repeated start, reads
	// len(r) bytes. Either may be empty. A device that does not answer is an
	// error.
	Tx(ctx context.Context, addr uint16, w, r []byte) error
}

// Pin is an output of the host.
type Pin interface {
	// Set drives the pin high or low.
	Set(ctx context.Context, high bool) error
}

// Serial is a byte stream with deadlines, such as a tty.
//
// Read returns as soon as it has one byte or more; Write returns when all bytes are
// with the operating system, or with the number of those that are and an error.
// After its deadline either fails with [os.ErrDeadlineExceeded], and Close ends both
// where they wait. One goroutine may read while another writes.
type Serial interface {
	io.ReadWriteCloser

	// SetReadDeadline bounds this and later Reads; the zero time means never.
	SetReadDeadline(t time.Time) error

	// SetWriteDeadline bounds this and later Writes; the zero time means never.
	SetWriteDeadline(t time.Time) error
}
