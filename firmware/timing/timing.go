// Package timing keeps a hotspot's idea of UTC and how wrong it may be. A Pi
// boots in 1970 and its counter of microseconds starts anywhere, so UTC is not
// read but estimated: from round trips to the oracle, each of which bounds the
// offset between monotonic time and UTC by an interval (as RFC 5905 section 11
// does with correctness intervals, and Marzullo's algorithm before it), and from
// a GNSS receiver or a system clock that something keeps, where there is one.
//
// Everything here is pure: instants of the host's monotonic clock and of its
// system clock are arguments. An [Estimator] is not safe for concurrent use.
package timing

import (
	"fmt"
	"time"

	"heliograph/radio"
)

// DefaultDrift is how far a crystal of the host may run off, in parts per
// million. Pi crystals are within 50 ppm; the double leaves room for heat.
const DefaultDrift = 100

// MaxRoundTrip is the longest round trip that says anything about the time.
const MaxRoundTrip = 30 * time.Second

// Config of an [Estimator].
type Config struct {
	DriftPPM int64 // of the host's crystal; 0 is [DefaultDrift]

	// TrustSystem says that something (NTP, a GNSS receiver) keeps the system
	// clock within SystemBound of UTC. Without it, the system clock is ignored.
	TrustSystem bool
	SystemBound time.Duration // 0 is 100 ms
}

// Instant is one moment on the two clocks of the host.
type Instant struct {
	Mono   time.Duration // monotonic, since any fixed start
	System int64         // system clock, unix nanoseconds; used only when it is trusted

	// GNSS is UTC of this instant by a GNSS receiver; unknown without one, and
	// while it has no fix or no pulses.
	GNSS radio.WallTime
}

// Sample is one round trip to the oracle.
type Sample struct {
	Sent, Received time.Duration // monotonic, around the question and the answer
	Oracle         int64         // the oracle's clock in between, unix nanoseconds
}

// Estimator turns samples into wall time with an error bound. The zero value is
// not usable; call [New].
type Estimator struct {
	cfg Config

	// The offset UTC - monotonic lies in [lo, hi] nanoseconds, as of the
	// monotonic instant at; later it may have drifted by cfg.DriftPPM.
	known  bool
	lo, hi int64
	at     time.Duration

	jumps uint64
}

// New makes an estimator that knows nothing yet.
func New(cfg Config) *Estimator {
	if cfg.DriftPPM <= 0 {
		cfg.DriftPPM = DefaultDrift
	}
	if cfg.SystemBound <= 0 {
		cfg.SystemBound = 100 * time.Millisecond
	}
	return &Estimator{cfg: cfg}
}

// Add takes a round trip in. Samples must come in the order of Received. It
// refuses one that cannot be: answered before it was sent, over [MaxRoundTrip],
// or an oracle in 1970.
//
// A sample that contradicts what was known replaces it: either the oracle's
// clock was set or the host slept, and both make the past worthless.
func (e *Estimator) Add(s Sample) error {
	rtt := s.Received - s.Sent
	if rtt < 0 || rtt > MaxRoundTrip || s.Oracle <= int64(MaxRoundTrip) {
		return fmt.Errorf("timing: add sample: round trip %v to an oracle at %d ns: not plausible", rtt, s.Oracle)
	}
	lo, hi := s.Oracle-int64(s.Received), s.Oracle-int64(s.Sent)
	if e.known {
		oldLo, oldHi := e.bounds(s.Received)
		if newLo, newHi := max(lo, oldLo), min(hi, oldHi); newLo <= newHi {
			lo, hi = newLo, newHi
		} else {
			e.jumps++
		}
	}
	e.known, e.lo, e.hi, e.at = true, lo, hi, s.Received
	return nil
}

// Jumps counts the samples that contradicted what was known.
func (e *Estimator) Jumps() uint64 { return e.jumps }

// Synced says whether a round trip to the oracle has been seen.
func (e *Estimator) Synced() bool { return e.known }

// bounds is the interval of the offset at the monotonic instant t.
func (e *Estimator) bounds(t time.Duration) (lo, hi int64) {
	age := t - e.at
	if age < 0 {
		age = -age
	}
	d := drift(age, e.cfg.DriftPPM)
	return e.lo - d, e.hi + d
}

// drift is age times ppm, rounded up, without overflow for ages of centuries.
func drift(age time.Duration, ppm int64) int64 {
	return int64(age)/1_000_000*ppm + ppm
}

// wholeMicros rounds a bound up to what reports can state.
func wholeMicros(d time.Duration) time.Duration {
	return (d + time.Microsecond - 1).Truncate(time.Microsecond)
}
