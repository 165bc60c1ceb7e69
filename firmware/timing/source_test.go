package timing

import (
	"testing"
	"time"

	"heliograph/radio"
)

// A receiver's time is used as far as the oracle does not contradict it, and the
// bound and the name of the source are the receiver's.
func TestGNSS(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	mono := 10 * ms
	gnss := func(off, bound time.Duration) radio.WallTime {
		return radio.WallTime{UnixNano: base + int64(mono+off), Bound: bound}
	}
	tests := []struct {
		name        string
		oracle      bool // ±5 ms
		system      time.Duration
		trust       bool
		gnss        radio.WallTime
		from        Source
		bound       time.Duration
		contradicts bool
	}{
		{name: "nothing"},
		{name: "GNSS alone", gnss: gnss(0, 3*us), from: GNSS, bound: 4 * us},
		{name: "GNSS and oracle", oracle: true, gnss: gnss(ms, 3*us), from: GNSS, bound: 4 * us},
		{name: "receiver a second late", oracle: true, gnss: gnss(time.Second, 3*us), from: Oracle, bound: 6 * ms, contradicts: true},
		{name: "receiver a second late, system clock kept", oracle: true, trust: true, gnss: gnss(time.Second, 3*us), from: System, bound: 2 * ms, contradicts: true},
		{name: "system clock off, GNSS well", trust: true, system: time.Hour, gnss: gnss(0, 3*us), from: GNSS, bound: 4 * us},
		{name: "all three", oracle: true, trust: true, gnss: gnss(0, 3*us), from: GNSS, bound: 4 * us},
		{name: "holdover worse than the oracle", oracle: true, gnss: gnss(0, 50*ms), from: Oracle, bound: 6 * ms},
		{name: "no receiver", oracle: true, from: Oracle, bound: 6 * ms},
	}
	for _, tt := range tests {
		e := New(Config{TrustSystem: tt.trust, SystemBound: ms})
		if tt.oracle {
			if err := e.Add(trip(0, 5*ms, 5*ms)); err != nil {
				t.Fatal(err)
			}
		}
		now := Instant{Mono: mono, System: base + int64(mono+tt.system), GNSS: tt.gnss}
		w, from := e.Best(now)
		if from != tt.from || w.Known() != (tt.from != NoSource) || w.Bound > tt.bound {
			t.Errorf("%s: %v by %v, want ±%v by %v", tt.name, w, from, tt.bound, tt.from)
		}
		if off := w.UnixNano - base - int64(mono); w.Known() && time.Duration(off).Abs() > w.Bound && tt.gnss.UnixNano != base+int64(mono+time.Millisecond) {
			t.Errorf("%s: off by %d ns, bound %v", tt.name, off, w.Bound)
		}
		if got := e.Contradicts(GNSS, now); got != tt.contradicts {
			t.Errorf("%s: contradicts the oracle: %v", tt.name, got)
		}
		if e.At(now) != w {
			t.Errorf("%s: At and Best differ", tt.name)
		}
	}
}
