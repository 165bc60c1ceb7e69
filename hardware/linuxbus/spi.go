package linuxbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/conn/v3/spi/spireg"
	_ "periph.io/x/host/v3/sysfs" // spidev, i2c-dev
)

// ErrClosed is the error of a device that was closed.
var ErrClosed = errors.New("linuxbus: device is closed")

// SPI is one chip select of a spidev bus. It implements bus.SPI.
type SPI struct {
	mu   sync.Mutex
	hold *os.File // locks the device
	port spi.PortCloser
	conn spi.Conn
	none []byte // received bytes that nobody wants
}

// OpenSPI opens a device such as /dev/spidev0.0 in mode 0 with 8 bits a word, at a
// clock of hz (a frame of an SX1302 may use 2,000,000 safely).
func OpenSPI(path string, hz int64) (*SPI, error) {
	if hz <= 0 || hz > 100_000_000 {
		return nil, fmt.Errorf("linuxbus: SPI clock of %d Hz is outside 1..100000000", hz)
	}
	hold, err := kindSPI.own(path)
	if err != nil {
		return nil, err
	}
	s := &SPI{hold: hold}
	if err := s.connect(path, physic.Frequency(hz)*physic.Hertz); err != nil {
		return nil, errors.Join(err, s.shut())
	}
	return s, nil
}

func (s *SPI) connect(path string, clock physic.Frequency) (err error) {
	if err := drivers(); err != nil {
		return err
	}
	if s.port, err = spireg.Open(kernelName(path)); err != nil {
		return fmt.Errorf("linuxbus: open %s: %w", path, err)
	}
	if s.conn, err = s.port.Connect(clock, spi.Mode0, 8); err != nil {
		return fmt.Errorf("linuxbus: set up %s: %w", path, err)
	}
	return nil
}

// Tx is one frame; see bus.SPI. It fails for frames longer than spidev's buffer
// (4096 bytes unless the kernel was told otherwise).
func (s *SPI) Tx(ctx context.Context, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return ErrClosed
	}
	if r == nil {
		if len(s.none) < len(w) {
			s.none = make([]byte, len(w))
		}
		r = s.none[:len(w)]
	}
	if err := s.conn.Tx(w, r); err != nil {
		return fmt.Errorf("linuxbus: SPI frame of %d bytes: %w", len(w), err)
	}
	return nil
}

// Close gives the device back.
func (s *SPI) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	s.conn = nil
	return s.shut()
}

// shut closes what is open; the lock goes last.
func (s *SPI) shut() error {
	var err error
	if s.port != nil {
		err = s.port.Close()
	}
	return errors.Join(err, s.hold.Close())
}
