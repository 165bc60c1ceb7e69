package linuxbus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/tarm/serial"
)

// The tty itself wakes a blocked read every serialTick, which is how precise
// deadlines and Close are.
const (
	serialTick = 100 * time.Millisecond

	// hangUps is how many reads in a row have to end at once, with nothing and
	// without waiting for the tick, until the device counts as gone.
	hangUps = 3
)

// Serial is a tty in raw mode, 8 data bits, no parity, one stop bit, no flow
// control. It implements bus.Serial, with deadlines that are up to 100 ms late.
type Serial struct {
	port     io.ReadWriteCloser
	path     string
	deadline atomic.Int64 // Unix nanoseconds, 0 for none
	closed   atomic.Bool
}

// OpenSerial opens a tty at a baud rate, which means nothing to a USB device.
func OpenSerial(path string, baud int) (*Serial, error) {
	if err := kindTTY.check(path); err != nil {
		return nil, err
	}
	port, err := serial.OpenPort(&serial.Config{Name: path, Baud: baud, ReadTimeout: serialTick})
	if err != nil {
		return nil, fmt.Errorf("linuxbus: open %s at %d baud: %w", path, baud, err)
	}
	return &Serial{port: port, path: path}, nil
}

// SetReadDeadline bounds this and later Reads; see bus.Serial.
func (s *Serial) SetReadDeadline(t time.Time) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if t.IsZero() {
		s.deadline.Store(0)
	} else {
		s.deadline.Store(t.UnixNano())
	}
	return nil
}

// Read waits for one byte or more; see bus.Serial. A device that was unplugged is
// [io.ErrUnexpectedEOF].
func (s *Serial) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for quick := 0; ; {
		if s.closed.Load() {
			return 0, ErrClosed
		}
		if d := s.deadline.Load(); d != 0 && time.Now().UnixNano() >= d {
			return 0, os.ErrDeadlineExceeded
		}
		began := time.Now()
		n, err := s.port.Read(b)
		switch {
		case n > 0:
			return n, nil
		case err != nil && !errors.Is(err, io.EOF):
			if s.closed.Load() {
				return 0, ErrClosed
			}
			return 0, fmt.Errorf("linuxbus: read %s: %w", s.path, err)
		}
		// Nothing within the tick is no error; nothing at once is a hang-up.
		if time.Since(began) >= serialTick/2 {
			quick = 0
		} else if quick++; quick >= hangUps {
			return 0, fmt.Errorf("linuxbus: %s has been unplugged: %w", s.path, io.ErrUnexpectedEOF)
		}
	}
}

// Write sends b.
func (s *Serial) Write(b []byte) (int, error) {
	if s.closed.Load() {
		return 0, ErrClosed
	}
	n, err := s.port.Write(b)
	if err != nil {
		return n, fmt.Errorf("linuxbus: write %s: %w", s.path, err)
	}
	return n, nil
}

// Close gives the tty back. A Read that blocks ends within the tick.
func (s *Serial) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.port.Close()
}
