package timing

import (
	"time"

	"heliograph/radio"
)

// Source is the clock that UTC comes from.
type Source uint8

// The sources. Which one it is decides nothing by itself: the error bound does.
const (
	NoSource Source = 0 // UTC is not known
	Oracle   Source = 1 // round trips to the oracle
	System   Source = 2 // the host's clock, because the owner says that it is kept
	GNSS     Source = 3 // a receiver's messages and pulses
)

// String is the source's name in status and metrics.
func (s Source) String() string {
	switch s {
	case Oracle:
		return "oracle"
	case System:
		return "system"
	case GNSS:
		return "gnss"
	}
	return "none"
}

// interval holds the offset UTC - monotonic, in nanoseconds.
type interval struct{ lo, hi int64 }

func (i interval) width() int64 { return i.hi - i.lo }

// meet is what two intervals have in common; false when that is nothing.
func (i interval) meet(j interval) (interval, bool) {
	m := interval{max(i.lo, j.lo), min(i.hi, j.hi)}
	return m, m.lo <= m.hi
}

// others are the sources that can be asked at any time, the best first.
func (e *Estimator) others(now Instant) (out []Source) {
	if now.GNSS.Known() {
		out = append(out, GNSS)
	}
	if e.cfg.TrustSystem {
		out = append(out, System)
	}
	return out
}

// says is the offset by one of the others.
func (e *Estimator) says(s Source, now Instant) interval {
	at, bound := now.System, int64(e.cfg.SystemBound)
	if s == GNSS {
		at, bound = now.GNSS.UnixNano, int64(now.GNSS.Bound)
	}
	return interval{at - bound - int64(now.Mono), at + bound - int64(now.Mono)}
}

// At is UTC at the given moment; see [Estimator.Best].
func (e *Estimator) At(now Instant) radio.WallTime {
	w, _ := e.Best(now)
	return w
}

// Best is UTC at the given moment and the source whose bound is the narrowest. It
// is unknown before the first sample, unless there is GNSS time or the
// configuration trusts the system clock. The sources are taken together as long as
// they do not contradict each other. Who contradicts the oracle is left out, because
// it is the oracle that will judge: a receiver can be spoofed, or name the wrong
// second. A system clock that contradicts GNSS is left out too.
func (e *Estimator) Best(now Instant) (radio.WallTime, Source) {
	var all interval
	var from Source
	width := int64(0)
	if e.known {
		lo, hi := e.bounds(now.Mono)
		all, from = interval{lo, hi}, Oracle
		width = all.width()
	}
	for _, s := range e.others(now) {
		i := e.says(s, now)
		if from == NoSource {
			all, from, width = i, s, i.width()
			continue
		}
		m, ok := all.meet(i)
		if !ok {
			continue
		}
		if all = m; i.width() < width {
			from, width = s, i.width()
		}
	}
	if from == NoSource {
		return radio.WallTime{}, NoSource
	}
	mid := all.lo + all.width()/2
	w := radio.WallTime{UnixNano: mid + int64(now.Mono), Bound: wholeMicros(time.Duration((all.width()+1)/2 + 1))}
	if w.UnixNano <= 0 { // before 1970: no clock says so
		return radio.WallTime{}, NoSource
	}
	return w, from
}

// Contradicts says whether a source lies outside what the oracle's answers allow:
// a trusted system clock that nobody keeps, a receiver that is spoofed or whose
// messages come a second late. A source that says nothing contradicts nobody.
func (e *Estimator) Contradicts(s Source, now Instant) bool {
	for _, o := range e.others(now) {
		if o == s && e.known {
			lo, hi := e.bounds(now.Mono)
			_, ok := interval{lo, hi}.meet(e.says(s, now))
			return !ok
		}
	}
	return false
}
