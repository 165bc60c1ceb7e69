package sx1302

import (
	"context"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// Pulse is the last pulse per second that the chip latched, and the moment at
// which it was asked. Both are on the 32 MHz counter since [Concentrator.Start].
type Pulse struct {
	Seen  bool          // a pulse has come since the chip was started
	At    calc.Cycles   // the counter at the last one; meaningful when Seen
	Now   calc.Cycles   // the counter at the reading
	Since time.Duration // from the last pulse to the reading, or from the start when none was seen
}

// Pulse reads the latch of the pulse per second, in the same burst as the counter:
// 8 bytes on the bus. Nothing asks for it but callers, who need it once a second;
// while the latch is read that often, Receive leaves its own reading of the counter
// out. The latch holds one pulse only, so one that nobody asked for within its
// second is not seen. It fails with ctx's error or with an [*Error].
func (c *Concentrator) Pulse(ctx context.Context) (p Pulse, err error) {
	err = c.withTurn(ctx, func() error {
		if !c.started {
			return fault(FaultNoChip, nil, "the concentrator is not started")
		}
		if err := c.readCounter(ctx); err != nil {
			return err
		}
		now := c.clock.Now()
		if c.cfg.Fine == FineOff && now.Before(c.heat) {
			c.due = now.Add(counterEvery)
		}
		p = c.pulse(now)
		return nil
	})
	return p, err
}

// pulse is what the last reading of the counter says.
func (c *Concentrator) pulse(now time.Time) Pulse {
	p := Pulse{Seen: c.watch.pulseSeen, At: c.watch.pulse}
	p.Now, _ = c.count.Last()
	p.Since = now.Sub(c.watch.lastPPS)
	if p.Seen && p.Now >= p.At {
		// Exact, where the moment of the reading only bounds it.
		p.Since = time.Duration((p.Now - p.At) * 125 / 4)
	}
	return p
}

// Lost is an [*Error] that says how long no pulse has come, when that is longer
// than [PPSLost]; nil otherwise.
func (p Pulse) Lost() error {
	switch since := p.Since.Round(time.Second); {
	case p.Since <= PPSLost:
		return nil
	case p.Seen:
		return fault(FaultPPS, nil, "the last one came %v ago", since)
	default:
		return fault(FaultPPS, nil, "none has come in the %v since the start", since)
	}
}

// latched takes in the latch's value together with a reading of the counter. What
// it holds at the start may be of any age, so the first change is the first pulse.
func (c *Concentrator) latched(raw uint32, now time.Time) {
	if !c.pps.Add(raw) || c.pps.Seen() < 2 {
		return
	}
	c.watch.lastPPS, c.watch.pulseSeen = now, true
	c.watch.pulse, _ = c.count.Stamp(raw)
}
