package radiohw

import (
	"context"
	"sync/atomic"

	"heliograph/hardware/bus"
)

// sensorBus is a board's I2C bus. It notices whether anything on it answers: the
// driver takes a usual temperature where no sensor does.
type sensorBus struct {
	bus      bus.I2C // nil: the board has none
	answered atomic.Bool
	said     bool // only by the loop that starts the chip
}

// Tx implements bus.I2C.
func (s *sensorBus) Tx(ctx context.Context, addr uint16, w, r []byte) error {
	err := s.bus.Tx(ctx, addr, w, r)
	if err == nil && len(r) > 0 {
		s.answered.Store(true)
	}
	return err
}

// judge reports, once, a sensor that is missing.
func (s *sensorBus) judge(r *Radio) {
	if s.bus == nil || s.answered.Load() || s.said {
		return
	}
	s.said = true
	r.warn(noSensor, "radiohw: no temperature sensor answers on the I2C bus, so levels are worked out for 25 °C: name the right bus, or none")
}
