package chip

import (
	"context"
	"errors"
	"math"

	"heliograph/hardware/bus"
)

// Addresses on the I2C bus (section g).
const (
	sensorAddress = 0x39 // STTS751
	dacAddress    = 0x0C // AD5338R
)

var errNoDevice = errors.New("chip: i2c transfer: no such device or address")

type i2cPort struct{ chip *Chip }

// I2C is the board's bus with the temperature sensor, an STTS751 at 0x39, and
// the AD5338R converter of full-duplex boards at 0x0C, which only acknowledges.
func (c *Chip) I2C() bus.I2C { return i2cPort{c} }

// Tx implements [bus.I2C].
func (p i2cPort) Tx(ctx context.Context, addr uint16, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.chip.i2c(addr, w, r)
}

func (c *Chip) i2c(addr uint16, w, r []byte) error {
	c.lock()
	defer c.unlock()
	c.stats.I2C++
	switch {
	case !c.powered, addr == sensorAddress && c.faults[NoSensor]:
		return errNoDevice
	case addr == dacAddress:
		return nil
	case addr != sensorAddress:
		return errNoDevice
	}
	if len(w) == 0 {
		return nil
	}
	for i := range r {
		r[i] = c.sensor(w[0] + byte(i))
	}
	return nil
}

// sensor is a register of the STTS751: temperature in 1/256 °C and identity.
func (c *Chip) sensor(reg byte) byte {
	t := int16(math.Round(c.cfg.Temperature*16)) * 16 // 12 bits
	switch reg {
	case 0x00:
		return byte(t >> 8)
	case 0x02:
		return byte(t)
	case 0xFE:
		return 0x53
	case 0xFF:
		return 0x01
	}
	return 0
}
