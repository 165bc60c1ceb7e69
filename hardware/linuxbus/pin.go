package linuxbus

import (
	"context"
	"fmt"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
)

// Pin is a GPIO line used as an output. It implements bus.Pin.
type Pin struct{ p gpio.PinIO }

// OpenPin finds a GPIO line by its name, such as GPIO17 or 17 on a Raspberry Pi.
// The line does not change before the first Set.
func OpenPin(name string) (*Pin, error) {
	if err := drivers(); err != nil {
		return nil, err
	}
	p := gpioreg.ByName(name)
	if p == nil {
		return nil, fmt.Errorf("linuxbus: no GPIO line %q: check the board's pin numbers, and that the user is in group gpio", name)
	}
	return &Pin{p: p}, nil
}

// Set drives the line; see bus.Pin.
func (p *Pin) Set(ctx context.Context, high bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.p.Out(gpio.Level(high)); err != nil {
		return fmt.Errorf("linuxbus: GPIO line %s: %w", p.p.Name(), err)
	}
	return nil
}
