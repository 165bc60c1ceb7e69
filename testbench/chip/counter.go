package chip

import (
	"math/big"
	"time"
)

// secondTicks is the nominal rate of the counter.
const secondTicks = 32_000_000

// count is the 32 MHz counter at t, without faults.
func (c *Chip) count(t time.Time) uint32 {
	return c.cfg.CounterAt + uint32(c.elapsed(t))
}

// elapsed is the number of ticks since the counter started. It is negative
// before that.
func (c *Chip) elapsed(t time.Time) int64 {
	ns := t.Sub(c.started).Nanoseconds()
	ticks := ns * 4 / 125
	if ns*4%125 < 0 {
		ticks-- // towards minus infinity
	}
	return ticks + ticks/1e9*c.cfg.CrystalPPB + ticks%1e9*c.cfg.CrystalPPB/1e9
}

// when is the first instant, not before from, at which the counter has gone at
// least the given number of ticks beyond its value there.
func (c *Chip) when(from time.Time, ticks uint32) time.Time {
	// Nanoseconds = ticks * 31.25 / (1 + ppb/1e9), rounded up, then corrected
	// for the rounding of elapsed.
	n := new(big.Int).Mul(big.NewInt(int64(ticks)), big.NewInt(125*1e9))
	n.Div(n, big.NewInt(4*(1e9+c.cfg.CrystalPPB)))
	t := from.Add(time.Duration(n.Int64()))
	target := c.elapsed(from) + int64(ticks)
	for c.elapsed(t) < target {
		t = t.Add(time.Nanosecond)
	}
	for t.After(from) && c.elapsed(t.Add(-time.Nanosecond)) >= target {
		t = t.Add(-time.Nanosecond)
	}
	return t
}

// shown is the counter as the host reads it now.
func (c *Chip) shown() uint32 {
	switch {
	case c.faults[CounterStopped]:
		return c.freeze
	case c.faults[CounterBackwards]:
		return c.freeze - (c.count(c.now) - c.count(c.frozen))
	}
	return c.count(c.now)
}

// latchPPS copies the counter at the last pulse, if there was one since the
// last look.
func (c *Chip) latchPPS() {
	if c.reg[regGPS]&1 == 0 || c.cfg.NoGNSS || c.faults[NoPPS] {
		return
	}
	pulse := c.lastPulse(c.now)
	if pulse.After(c.ppsFrom) {
		c.pps = c.count(pulse)
		c.ppsFrom = pulse
	}
}

// lastPulse is the time of the last PPS edge up to t; the edge comes PPSLate
// after each whole second of UTC.
func (c *Chip) lastPulse(t time.Time) time.Time {
	return t.Add(-c.cfg.PPSLate).Truncate(time.Second).Add(c.cfg.PPSLate)
}

// readTime is one byte of the two timestamps. They are latched when a frame
// begins: all bytes of one frame belong together, unless CounterTorn is on.
func (c *Chip) readTime(addr uint16) byte {
	c.latchPPS()
	v, i := c.pps, addr-regPPS
	if addr >= regCounter {
		v, i = c.shown(), addr-regCounter
		if c.faults[CounterTorn] && i == 0 {
			if c.torn = !c.torn; c.torn {
				return byte(v>>24) + 1 // the carry arrived between two bytes
			}
		}
	}
	return byte(v >> (24 - 8*i))
}
