package timing

import (
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/radio"
)

const base = int64(1_790_000_000_000_000_000)

// trip is a round trip when UTC = base + mono.
func trip(sent, there, back time.Duration) Sample {
	return Sample{Sent: sent, Received: sent + there + back, Oracle: base + int64(sent+there)}
}

func TestUnknownBeforeFirstSample(t *testing.T) {
	now := Instant{Mono: time.Second, System: base}
	if w := New(Config{}).At(now); w.Known() {
		t.Errorf("time is %v without any source", w)
	}
	w := New(Config{TrustSystem: true, SystemBound: 20 * time.Millisecond}).At(now)
	if w.UnixNano != base || w.Bound < 20*time.Millisecond || w.Bound > 21*time.Millisecond {
		t.Errorf("trusted system clock gives %v", w)
	}
}

func TestBoundIsHalfTheRoundTripPlusDrift(t *testing.T) {
	e := New(Config{DriftPPM: 100})
	if err := e.Add(trip(time.Second, 30*time.Millisecond, 10*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	end := time.Second + 40*time.Millisecond
	for _, age := range []time.Duration{0, time.Minute, time.Hour} {
		w := e.At(Instant{Mono: end + age})
		want := 20*time.Millisecond + age/10_000
		if w.Bound < want || w.Bound > want+2*time.Microsecond {
			t.Errorf("after %v the bound is %v, want %v", age, w.Bound, want)
		}
		if off := w.UnixNano - base - int64(end+age); off < int64(-w.Bound) || off > int64(w.Bound) {
			t.Errorf("after %v the time is off by %d ns, more than %v", age, off, w.Bound)
		}
	}
}

func TestSamplesNarrowEachOther(t *testing.T) {
	e := New(Config{})
	for i, s := range []Sample{
		trip(0, 40*time.Millisecond, 0), // all the delay on the way there
		trip(time.Second, 0, 40*time.Millisecond),
	} {
		if err := e.Add(s); err != nil {
			t.Fatal(i, err)
		}
	}
	w := e.At(Instant{Mono: 2 * time.Second})
	if w.Bound > 200*time.Microsecond {
		t.Errorf("bound %v: two trips with opposite delays should pin the offset", w.Bound)
	}
}

func TestStepOfTheOracleReplacesThePast(t *testing.T) {
	e := New(Config{})
	_ = e.Add(trip(0, time.Millisecond, time.Millisecond))
	s := trip(time.Second, time.Millisecond, time.Millisecond)
	s.Oracle += int64(time.Hour)
	if err := e.Add(s); err != nil {
		t.Fatal(err)
	}
	w := e.At(Instant{Mono: time.Second})
	if off := w.UnixNano - base - int64(time.Second+time.Hour); off < int64(-w.Bound) || off > int64(w.Bound) {
		t.Errorf("off by %d ns after a step", off)
	}
	if e.Jumps() != 1 {
		t.Errorf("%d jumps counted, want 1", e.Jumps())
	}
}

func TestOracleWinsOverLyingSystemClock(t *testing.T) {
	e := New(Config{TrustSystem: true, SystemBound: time.Millisecond})
	_ = e.Add(trip(0, 5*time.Millisecond, 5*time.Millisecond))
	at := 10 * time.Millisecond
	good := Instant{Mono: at, System: base + int64(at)}
	if w := e.At(good); w.Bound > 2*time.Millisecond || e.Contradicts(System, good) {
		t.Errorf("agreeing system clock: %v, contradicts %v", w, e.Contradicts(System, good))
	}
	bad := Instant{Mono: at, System: base + int64(time.Hour)}
	if w := e.At(bad); w.UnixNano > base+int64(time.Second) || !e.Contradicts(System, bad) {
		t.Errorf("lying system clock: %v, contradicts %v", w, e.Contradicts(System, bad))
	}
}

func TestImplausibleSamples(t *testing.T) {
	e := New(Config{})
	for _, s := range []Sample{
		{Sent: 2, Received: 1, Oracle: base},
		{Sent: 0, Received: MaxRoundTrip + 1, Oracle: base},
		{Sent: 0, Received: 1, Oracle: 0},
		{Sent: 0, Received: 1, Oracle: -base},
	} {
		if e.Add(s) == nil || e.Synced() {
			t.Errorf("%+v was taken", s)
		}
	}
}

// TestTruthStaysInside runs a crystal that is off by up to the configured drift
// and delays drawn at random: the true time must never leave the bound.
func TestTruthStaysInside(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		ppm := rnd.Int64N(199) - 99
		truth := func(m time.Duration) int64 { return base + int64(m) + int64(m)/1_000_000*ppm }
		e, mono := New(Config{}), time.Duration(0)
		for range 50 {
			mono += time.Duration(rnd.Int64N(int64(10 * time.Minute)))
			there, back := time.Duration(rnd.Int64N(int64(time.Second))), time.Duration(rnd.Int64N(int64(time.Second)))
			if err := e.Add(Sample{Sent: mono, Received: mono + there + back, Oracle: truth(mono + there)}); err != nil {
				t.Fatal(err)
			}
			mono += there + back
			look := mono + time.Duration(rnd.Int64N(int64(time.Hour)))
			w := e.At(Instant{Mono: look})
			if off := w.UnixNano - truth(look); off < int64(-w.Bound) || off > int64(w.Bound) {
				t.Fatalf("drift %d ppm: off by %d ns, bound %v", ppm, off, w.Bound)
			}
		}
		if e.Jumps() != 0 {
			t.Fatalf("drift %d ppm: %d jumps", ppm, e.Jumps())
		}
	}
}

func TestTicks(t *testing.T) {
	p := Pair{Tick: 5_000_000, UTC: radio.WallTime{UnixNano: base, Bound: time.Millisecond}, Bound: 2 * time.Millisecond}
	w := p.Time(8_000_000)
	if w.UnixNano != base+3e9 || w.Bound < 3*time.Millisecond || w.Bound > 3*time.Millisecond+100*time.Microsecond {
		t.Errorf("3 s later: %v", w)
	}
	if tick, bound, ok := p.TickAt(base - 4e9); !ok || tick != 1_000_000 || bound < 3*time.Millisecond {
		t.Errorf("4 s earlier: tick %d bound %v ok %v", tick, bound, ok)
	}
	if _, _, ok := p.TickAt(base - 6e9); ok {
		t.Error("an instant before the counter's start has a tick")
	}
	if w := (Pair{Tick: 1}).Time(2); w.Known() {
		t.Error("a pair without UTC tells the time")
	}
}
