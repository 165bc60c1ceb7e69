package sx1302

import (
	"context"
	"log/slog"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302/calc"
)

// Pins are the outputs of an SPI board. Reset is needed on every board, because a
// chip that was not reset cannot be started a second time; leave it nil only where
// something else pulses it. The others are nil where the board lacks them.
type Pins struct {
	PowerEnable bus.Pin // high: the concentrator has power
	Reset       bus.Pin // high: the concentrator is in reset
	SX1261Reset bus.Pin // low: the SX1261 is in reset
	DACReset    bus.Pin // low: the AD5338R of full-duplex boards is in reset
}

const (
	pinSettle = 100 * time.Millisecond
	spiBurst  = 1024 // data bytes of a frame, so that it fits spidev's buffer
)

// spiTransport is the concentrator on the host's own SPI bus.
type spiTransport struct {
	chip, lbt bus.SPI
	pins      Pins
	clock     Clock
	log       *slog.Logger
	sensor    *sensor
}

func (t *spiTransport) burst() int { return spiBurst }

func (t *spiTransport) open(ctx context.Context) error {
	steps := []struct {
		pin  bus.Pin
		high bool
	}{
		{t.pins.PowerEnable, true},
		{t.pins.Reset, true}, {t.pins.Reset, false},
		{t.pins.SX1261Reset, false}, {t.pins.SX1261Reset, true},
		{t.pins.DACReset, false}, {t.pins.DACReset, true},
	}
	for _, s := range steps {
		if s.pin == nil {
			continue
		}
		if err := s.pin.Set(ctx, s.high); err != nil {
			return fault(FaultPins, err, "reset and power pins")
		}
		if err := t.clock.Sleep(ctx, pinSettle); err != nil {
			return err
		}
	}
	if t.sensor != nil {
		return t.sensor.start(ctx, t.log)
	}
	return nil
}

// send carries all frames or, when ctx has ended before, none: half of a group would
// leave the chip in a state that nobody meant, or lose what was taken out of the FIFO.
func (t *spiTransport) send(ctx context.Context, frames []frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, f := range frames {
		if i == 1 {
			ctx = context.WithoutCancel(ctx)
		}
		target := t.chip
		if f.sx1261 {
			if target = t.lbt; target == nil {
				return fault(FaultLBT, nil, "the SX1261 has no SPI device")
			}
		}
		if err := target.Tx(ctx, f.w, f.r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault(FaultBus, err, "SPI transfer of %d bytes", len(f.w))
		}
	}
	return nil
}

// rest holds the chip in reset.
func (t *spiTransport) rest(ctx context.Context) error {
	if t.pins.Reset == nil {
		return nil
	}
	if err := t.pins.Reset.Set(ctx, true); err != nil {
		return fault(FaultPins, err, "reset pin")
	}
	return nil
}

// close does nothing: the bus is the caller's.
func (t *spiTransport) close() error { return nil }

func (t *spiTransport) celsius(ctx context.Context) (float64, bool, error) {
	if t.sensor == nil {
		return 0, false, nil
	}
	return t.sensor.read(ctx)
}

// sensor is an STTS751 on a board's I2C bus (g). A board without one is no error.
type sensor struct {
	bus  bus.I2C
	addr uint16 // 0: none found
}

// start looks for the sensor. One that cannot be set up is as good as none: the
// radio works without, only its levels are less exact.
func (s *sensor) start(ctx context.Context, log *slog.Logger) error {
	s.addr = 0
	for _, addr := range []uint16{0x39, 0x3B, 0x38} {
		var id [1]byte
		if err := s.bus.Tx(ctx, addr, []byte{0xFE}, id[:]); err != nil || id[0] != 0x53 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // nobody answers there, or something else
		}
		if err := s.setUp(ctx, addr); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			log.WarnContext(ctx, "temperature sensor not used", "error", err)
			continue
		}
		s.addr = addr
		return nil
	}
	return nil
}

// setUp asks for no event output, 12 bits, and one conversion a second.
func (s *sensor) setUp(ctx context.Context, addr uint16) error {
	for _, w := range [...][]byte{{0x03, 0x8C}, {0x04, 0x04}} {
		if err := s.bus.Tx(ctx, addr, w, nil); err != nil {
			return fault(FaultBus, err, "temperature sensor at %#x", addr)
		}
	}
	return nil
}

// read reads the whole degrees before their fraction, as the vendor's.
func (s *sensor) read(ctx context.Context) (float64, bool, error) {
	if s.addr == 0 {
		return 0, false, nil
	}
	var t [2]byte
	for i, reg := range [...]byte{0x00, 0x02} {
		if err := s.bus.Tx(ctx, s.addr, []byte{reg}, t[i:i+1]); err != nil {
			return 0, false, fault(FaultBus, err, "temperature sensor at %#x", s.addr)
		}
	}
	return calc.STTS751Celsius(t[0], t[1]), true, nil
}
