package chip

import (
	"context"

	"heliograph/hardware/bus"
)

type pin struct {
	chip *Chip
	name uint16
	set  func(high bool)
}

// Numbers of the pins in a transcript: those of the bridge, port<<8 | pin (a.2).
const (
	pinPower       = 0x0001
	pinReset       = 0x0002
	pinListenReset = 0x0008
)

// ResetPin is the SX1302's reset line, active high.
func (c *Chip) ResetPin() bus.Pin { return pin{c, pinReset, c.setReset} }

// PowerPin switches the board's supply, active high. It is on to begin with.
func (c *Chip) PowerPin() bus.Pin { return pin{c, pinPower, c.setPower} }

// ListenResetPin is the SX1261's reset line, active low.
func (c *Chip) ListenResetPin() bus.Pin { return pin{c, pinListenReset, c.setListenReset} }

// Set implements [bus.Pin].
func (p pin) Set(ctx context.Context, high bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.chip.drive(p, high)
	return nil
}

func (c *Chip) drive(p pin, high bool) {
	c.lock()
	defer c.unlock()
	level := byte(0)
	if high {
		level = 1
	}
	c.note("pin", -1, p.name, []byte{level}, nil)
	p.set(high)
}

func (c *Chip) setReset(high bool) {
	if c.inReset && !high || !c.inReset && high {
		c.reset()
	}
	c.inReset = high
}

func (c *Chip) setPower(high bool) {
	if c.powered != high {
		c.reset()
		c.lbt.reset()
	}
	c.powered = high
}

func (c *Chip) setListenReset(high bool) {
	if !high {
		c.lbt.reset()
	}
	c.lbt.held = !high
}
