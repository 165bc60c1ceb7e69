package timing

import (
	"time"

	"heliograph/radio"
)

// TickDrift is how far a concentrator's crystal may run off, in parts per
// million (SX1302 boards carry a TCXO of 2 ppm; boards without one are sold too).
const TickDrift = 20

// Pair is a moment seen on the concentrator's counter and in UTC.
type Pair struct {
	Tick  radio.Tick
	UTC   radio.WallTime // of that tick, from [Estimator.At]; may be unknown
	Bound time.Duration  // how far the reading of the counter may be off
}

// Time is UTC at another tick; unknown when the pair's UTC is.
func (p Pair) Time(t radio.Tick) radio.WallTime {
	if !p.UTC.Known() {
		return radio.WallTime{}
	}
	d := t.Sub(p.Tick).Duration()
	w := radio.WallTime{UnixNano: p.UTC.UnixNano + int64(d), Bound: p.bound(d)}
	if w.UnixNano <= 0 {
		return radio.WallTime{}
	}
	return w
}

// TickAt is the tick nearest to an instant in UTC, and by how much that may be
// wrong. ok is false when the pair's UTC is unknown or the instant lies before
// the counter's start.
func (p Pair) TickAt(unixNano int64) (t radio.Tick, bound time.Duration, ok bool) {
	if !p.UTC.Known() {
		return 0, 0, false
	}
	d := time.Duration(unixNano - p.UTC.UnixNano)
	m := radio.MicrosOf(d)
	if m < 0 && p.Tick < radio.Tick(-m) {
		return 0, 0, false
	}
	return p.Tick.Add(m), p.bound(d), true
}

func (p Pair) bound(d time.Duration) time.Duration {
	if d < 0 {
		d = -d
	}
	return wholeMicros(p.UTC.Bound + p.Bound + time.Microsecond + time.Duration(drift(d, TickDrift)))
}
