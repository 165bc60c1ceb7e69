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

// Serial is a tty in raw mode, 8 data bits, no parity, one stop bit, no flow
// control, that no other program uses. It implements bus.Serial.
type Serial struct {
	f      *os.File
	path   string
	closed atomic.Bool
}

// OpenSerial opens a tty at a baud rate, which means nothing to a USB device.
func OpenSerial(path string, baud int) (*Serial, error) {
	f, err := kindTTY.own(path)
	if err != nil {
		return nil, err
	}
	if err := setUp(f, path, baud); err != nil {
		return nil, errors.Join(fmt.Errorf("linuxbus: open %s at %d baud: %w", path, baud, err), f.Close())
	}
	return &Serial{f: f, path: path}, nil
}

// setUp has tarm/serial configure the tty, which keeps the settings as long as f is
// open. Its Port is not what carries the bytes: it blocks where nothing comes or
// nobody takes what is written, without a deadline and beyond Close.
func setUp(f *os.File, path string, baud int) error {
	port, err := serial.OpenPort(&serial.Config{Name: path, Baud: baud})
	if err != nil {
		return err
	}
	if err := port.Close(); err != nil {
		return err
	}
	return exclude(f) // after tarm's own opening
}

// SetReadDeadline bounds this and later Reads; see bus.Serial.
func (s *Serial) SetReadDeadline(t time.Time) error {
	return s.failed("set up", s.f.SetReadDeadline(t))
}

// SetWriteDeadline bounds this and later Writes; see bus.Serial.
func (s *Serial) SetWriteDeadline(t time.Time) error {
	return s.failed("set up", s.f.SetWriteDeadline(t))
}

// Read waits for one byte or more; see bus.Serial. A device that was unplugged is
// [io.ErrUnexpectedEOF].
func (s *Serial) Read(b []byte) (int, error) {
	n, err := s.f.Read(b)
	return n, s.failed("read", err)
}

// Write sends b; see bus.Serial.
func (s *Serial) Write(b []byte) (int, error) {
	n, err := s.f.Write(b)
	return n, s.failed("write", err)
}

// failed words an error of the tty.
func (s *Serial) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case s.closed.Load():
		return ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF):
		return fmt.Errorf("linuxbus: %s has been unplugged: %w", s.path, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("linuxbus: %s %s: %w", what, s.path, err)
}

// Close gives the tty back, at once: what has not been sent by then is dropped, and
// a Read or Write that waits ends with [ErrClosed].
func (s *Serial) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	_ = discard(s.f) // fails for a device that is gone, where nothing is left to drop
	return s.f.Close()
}
