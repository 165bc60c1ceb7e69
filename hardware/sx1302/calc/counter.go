package calc

import (
	"errors"
	"time"

	"heliograph/radio"
)

// Cycles is an instant on the concentrator's 32 MHz counter, widened to 64 bits:
// the low 32 are what the chip shows.
type Cycles uint64

// CyclesPerMicro is the counter's rate.
const CyclesPerMicro = 32

// Tick is the instant in whole microseconds, rounded down.
func (c Cycles) Tick() radio.Tick { return radio.Tick(c / CyclesPerMicro) }

// CyclesOf is the first cycle of a tick.
func CyclesOf(t radio.Tick) Cycles { return Cycles(t) * CyclesPerMicro }

// Limits of a [Counter].
const (
	// counterSlack is how far host and counter may disagree: scheduling delays
	// and the time that a bus transaction takes.
	counterSlack = 500 * time.Millisecond

	// counterDrift divides the time between two readings: both crystals together
	// are far better than one in a thousand.
	counterDrift = 1000

	// anchorAge is when the reading that later ones are judged by is renewed.
	anchorAge = 10 * time.Second

	// futureCycles is how far after the last reading a stamp may lie: events are
	// fetched before the counter is read, but not always in that order.
	futureCycles = 2_000_000 * CyclesPerMicro
)

// ErrCounter: the counter's reading cannot be true. A chip whose supply collapsed
// or that was reset behind the driver's back does that; start it again.
var ErrCounter = errors.New("calc: counter reading contradicts the host's clock")

// Counter widens the 32-bit counter, which wraps every 134.2 s, to 64 bits (d.4).
// Unlike the vendor's it is fed with the host's monotonic time, so that it also
// survives a pause longer than a wrap, and notices a counter that stands still,
// jumps or runs backwards. The zero value has seen nothing. It is not safe for
// concurrent use.
type Counter struct {
	known    bool
	last     Cycles
	at       time.Duration // host time of last
	anchor   Cycles
	anchorAt time.Duration
}

// Read takes in a reading of the free-running counter made at a moment of the
// host's monotonic clock (since any fixed start). It returns the widened instant,
// or [ErrCounter], which leaves the counter as it was.
func (c *Counter) Read(raw uint32, at time.Duration) (Cycles, error) {
	if !c.known {
		*c = Counter{known: true, last: Cycles(raw), at: at, anchor: Cycles(raw), anchorAt: at}
		return c.last, nil
	}
	since := at - c.anchorAt
	if at < c.at || since < 0 || since > 365*24*time.Hour {
		return 0, ErrCounter // the host's clock is not monotonic
	}
	expected := c.anchor + Cycles(since.Nanoseconds()*4/125)
	now := nearest(raw, expected)
	slack := int64((counterSlack + since/counterDrift).Nanoseconds() * 4 / 125)
	if d := int64(now - expected); now < c.last || d > slack || d < -slack {
		return 0, ErrCounter
	}
	c.last, c.at = now, at
	if since >= anchorAge {
		c.anchor, c.anchorAt = now, at
	}
	return now, nil
}

// nearest is the instant with raw as its low bits that is closest to c, at or
// after the counter's start.
func nearest(raw uint32, c Cycles) Cycles {
	diff := int64(int32(raw - uint32(c)))
	if diff < 0 && Cycles(-diff) > c {
		return Cycles(raw)
	}
	return Cycles(int64(c) + diff)
}

// Last is the last good reading; ok is false before the first.
func (c *Counter) Last() (now Cycles, ok bool) { return c.last, c.known }

// Stamp widens the stamp of something that has happened: a packet, a PPS. It is
// right for events from 132 s before the last reading to 2 s after it. ok is
// false before the first reading.
func (c *Counter) Stamp(raw uint32) (Cycles, bool) {
	if !c.known {
		return 0, false
	}
	limit := c.last + futureCycles
	back := Cycles(uint32(limit) - raw) // 0..2^32-1 before the limit
	if back > limit {
		return Cycles(raw), true // the stamp precedes the first reading's epoch
	}
	return limit - back, true
}
