package linuxbus

import (
	"context"
	"fmt"
	"sync"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2creg"
)

// I2C is an i2c-dev bus. It implements bus.I2C.
type I2C struct {
	mu  sync.Mutex
	bus i2c.BusCloser
}

// OpenI2C opens a device such as /dev/i2c-1.
func OpenI2C(path string) (*I2C, error) {
	f, err := kindI2C.open(path)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil { // periph opens it itself
		return nil, fmt.Errorf("linuxbus: close %s: %w", path, err)
	}
	if err := drivers(); err != nil {
		return nil, err
	}
	b, err := i2creg.Open(kernelName(path))
	if err != nil {
		return nil, fmt.Errorf("linuxbus: open %s: %w", path, err)
	}
	return &I2C{bus: b}, nil
}

// Tx is one transaction; see bus.I2C.
func (b *I2C) Tx(ctx context.Context, addr uint16, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bus == nil {
		return ErrClosed
	}
	if err := b.bus.Tx(addr, w, r); err != nil {
		return fmt.Errorf("linuxbus: I2C device %#02x: %w", addr, err)
	}
	return nil
}

// Close gives the device back.
func (b *I2C) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bus == nil {
		return nil
	}
	c := b.bus
	b.bus = nil
	return c.Close()
}
