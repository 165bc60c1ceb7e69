package gnss

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/radio"
	"pgregory.net/rapid"
)

// sky is a receiver and a concentrator: what is true, and what they say of it.
type sky struct {
	r       Reference
	s       Scanner
	ppm     float64
	start   Count
	gps     int64 // the true GPS second at start
	leap    int64 // GPS - UTC
	says    func(unix, gps int64) []byte
	rng     *rand.Rand
	seconds int64
	jitter  int64 // of the pulses, in counts either way
}

func newSky(ppm float64, says func(unix, gps int64) []byte) *sky {
	return &sky{ppm: ppm, start: 1 << 33, gps: 1_400_000_000, leap: 18, says: says, rng: rand.New(rand.NewPCG(1, 2))}
}

// count is the counter at a time after start.
func (k *sky) count(after time.Duration) Count {
	return k.start + Count(math.Round(float64(after)*0.032*(1+k.ppm/1e6)))
}

func (k *sky) now() Count {
	return k.count(time.Duration(k.seconds)*time.Second + 300*time.Millisecond)
}

// second lets one pass, with a pulse and the messages that follow it, or not.
func (k *sky) second(pulse, talk bool) {
	k.seconds++
	if pulse {
		k.r.Pulse(k.count(time.Duration(k.seconds)*time.Second) + Count(k.rng.Int64N(2*k.jitter+1)-k.jitter))
	}
	if talk {
		gps := k.gps + k.seconds
		k.s.Feed(k.says(gps+radio.GPSEpoch-k.leap, gps), func(m Message) { k.r.Message(m, k.now()) })
	}
}

func rmc(unix, _ int64) []byte {
	return append(sentence("GNRMC,"+time.Unix(unix, 0).UTC().Format("150405.00,A,,,,,,,020106,,,A")), "\r\n"...)
}

func ubx(_, gps int64) []byte { return timeGPS(gps, 18) }

func both(unix, gps int64) []byte { return append(rmc(unix, gps), ubx(unix, gps)...) }

// check compares a time at and around now with the truth.
func (k *sky) check(t testing.TB, far time.Duration) {
	t.Helper()
	after := time.Duration(k.seconds)*time.Second + far
	w := k.r.UTC(k.count(after), k.now())
	want := (k.gps+radio.GPSEpoch-k.leap)*1_000_000_000 + int64(after)
	if !w.Known() || time.Duration(math.Abs(float64(w.UnixNano-want))) > w.Bound {
		t.Errorf("second %d%+v: %v, want %v", k.seconds, far, w, radio.WallTime{UnixNano: want})
	}
	c, bound, ok := k.r.CountAtUTC(want, k.now())
	off := time.Duration(int64(c)-int64(k.count(after))) * 125 / 4
	if !ok || off.Abs() > bound+time.Microsecond {
		t.Errorf("second %d%+v: the counter at that UTC is %v off, bound %v, %v", k.seconds, far, off, bound, ok)
	}
}

func TestReferenceLocksInThreeSeconds(t *testing.T) {
	for name, says := range map[string]func(int64, int64) []byte{"rmc": rmc, "ubx": ubx, "both": both} {
		for _, ppm := range []float64{-15, 0, 2.5} {
			k := newSky(ppm, says)
			for i := range 3 {
				if s := k.r.State(k.now()); s != Acquiring || k.r.UTC(k.now(), k.now()).Known() {
					t.Fatalf("%s: %v after %d pulses", name, s, i)
				}
				k.second(true, true)
			}
			if s := k.r.State(k.now()); s != Locked || k.r.Stats().Locks != 1 {
				t.Fatalf("%s: %v, %+v", name, s, k.r.Stats())
			}
			for range 100 {
				k.second(true, true)
				for _, far := range []time.Duration{-100 * time.Second, 0, 123_456_789, 128 * time.Second} {
					k.check(t, far)
				}
			}
			if ppb, ok := k.r.CrystalPPB(); !ok || math.Abs(float64(ppb)-ppm*1000) > 3 {
				t.Errorf("%s: crystal %d ppb, is %v ppm", name, ppb, ppm)
			}
			if st := k.r.Stats(); st.Aberrant != 0 || st.Pairs != 103 || st.Locks != 1 {
				t.Errorf("%s: %+v", name, st)
			}
		}
	}
}

func TestGPSTime(t *testing.T) {
	k := newSky(7, ubx)
	for range 70 {
		k.second(true, true)
	}
	when := time.Duration(k.gps+k.seconds+128) * time.Second
	c, ok := k.r.CountAtGPS(when, k.now())
	want := k.count(time.Duration(k.seconds+128) * time.Second)
	if d := int64(c) - int64(want); !ok || d > 32 || d < -32 {
		t.Errorf("counter at a beacon: off by %d counts, %v", d, ok)
	}
	if tick, ok := k.r.TickAtGPS(when, k.now()); !ok || tick.Sub(radio.Tick((want+16)/32)) > 1 {
		t.Errorf("tick %d", tick)
	}
	back, bound, ok := k.r.GPS(c, k.now())
	if d := back - when; !ok || d > 32 || d < -32 || bound < 2*time.Microsecond || bound > time.Millisecond {
		t.Errorf("back and forth: %v, bound %v, %v", d, bound, ok)
	}
	if w := k.r.UTCOf(radio.Tick(c/32), k.now()); w.UnixNano/1000-(int64(when)/1000+(radio.GPSEpoch-18)*1_000_000) > 1 {
		t.Errorf("UTC of the tick: %v", w)
	}
	for _, bad := range []time.Duration{when + time.Hour, when - time.Hour, math.MaxInt64, math.MinInt64} {
		if _, ok := k.r.CountAtGPS(bad, k.now()); ok {
			t.Errorf("counter at %v", bad)
		}
	}
	for _, bad := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
		if _, _, ok := k.r.CountAtUTC(bad, k.now()); ok {
			t.Errorf("counter at %d ns of Unix time", bad)
		}
	}
	n := newSky(7, rmc)
	for range 5 {
		n.second(true, true)
	}
	if _, _, ok := n.r.GPS(n.now(), n.now()); ok {
		t.Error("UTC sentences alone give GPS time")
	}
	if _, ok := n.r.CountAtGPS(when, n.now()); ok {
		t.Error("UTC sentences alone give a counter at GPS time")
	}
}

func TestPulsesLostAndFoundAgain(t *testing.T) {
	k := newSky(3, both)
	for range 70 {
		k.second(true, true)
	}
	var last State
	for s := 1; s <= 140; s++ {
		k.second(false, true) // the receiver goes on talking
		want := Locked
		switch {
		case s >= 135:
			want = Acquiring
		case s >= 30:
			want = Holdover
		}
		if last = k.r.State(k.now()); last != want {
			t.Fatalf("%v after %d s without a pulse, want %v", last, s, want)
		}
		if want != Acquiring {
			k.check(t, 0)
		} else if k.r.UTC(k.now(), k.now()).Known() {
			t.Fatal("a time without a reference")
		}
	}
	if k.r.Stats().Unpaired == 0 {
		t.Error("times without pulses are not counted")
	}
	for range 3 {
		if k.r.State(k.now()) != Acquiring {
			t.Fatal("locked too soon")
		}
		k.second(true, true)
	}
	k.check(t, 0)
	if s := k.r.State(k.now()); s != Locked || k.r.Stats().Locks != 2 {
		t.Errorf("%v, %+v", s, k.r.Stats())
	}
	for range 60 { // a short gap needs no new start
		k.second(false, false)
	}
	k.second(true, true)
	if s := k.r.State(k.now()); s != Locked || k.r.Stats().Locks != 2 {
		t.Errorf("after a minute's gap: %v, %+v", s, k.r.Stats())
	}
}

func TestOneWrongSecondIsIgnoredThreeAreBelieved(t *testing.T) {
	k := newSky(1, ubx)
	for range 20 {
		k.second(true, true)
	}
	k.gps += 7
	k.second(true, true)
	k.second(true, true)
	k.gps -= 7
	k.check(t, 0)
	k.second(true, true)
	if st := k.r.Stats(); st.Aberrant != 2 || st.Locks != 1 {
		t.Errorf("%+v", st)
	}
	k.check(t, 0)
	k.gps += 604800 // a receiver that found out about its week
	for range 3 {
		k.second(true, true)
	}
	k.check(t, 0)
	if st := k.r.Stats(); st.Locks != 2 {
		t.Errorf("%+v", st)
	}
}

func TestStrayPulse(t *testing.T) {
	k := newSky(1, ubx)
	for range 20 {
		k.second(true, true)
	}
	k.r.Pulse(k.count(time.Duration(k.seconds)*time.Second + 400*time.Millisecond))
	k.second(false, false)
	k.r.Pulse(5) // a latch that ran backwards
	k.r.Pulse(k.count(time.Duration(k.seconds)*time.Second + 123*time.Millisecond))
	k.second(true, true)
	k.check(t, 0)
	if st := k.r.Stats(); st.Locks != 1 {
		t.Errorf("%+v", st)
	}
}

func TestLeapSecondInBothScales(t *testing.T) {
	// The leap second of 2016-12-31 23:59:60 is GPS second 1167264017.
	const leapSecond = 1_167_264_017
	says := func(gps int64) (unix int64, clock string, leap int8) {
		switch {
		case gps < leapSecond:
			unix, leap = gps+radio.GPSEpoch-17, 17
		case gps == leapSecond:
			return gps + radio.GPSEpoch - 17, "235960.00,A,,,,,,,311216,,,A", 17
		default:
			unix, leap = gps+radio.GPSEpoch-18, 18
		}
		return unix, time.Unix(unix, 0).UTC().Format("150405.00,A,,,,,,,020106,,,A"), leap
	}
	for _, mode := range []string{"rmc", "ubx", "both", "ubx without leap"} {
		k := newSky(0, nil)
		k.gps = leapSecond - 30
		k.says = func(_, gps int64) (b []byte) {
			_, clock, leap := says(gps)
			if mode != "ubx" {
				b = append(append(b, sentence("GNRMC,"+clock)...), "\r\n"...)
				b = append(append(b, sentence("GNRMC,"+clock)...), "\r\n"...) // twice
			}
			if mode == "ubx without leap" {
				leap = 0
			}
			if mode != "rmc" {
				b = append(b, timeGPS(gps, leap)...)
			}
			return b
		}
		for i := range 60 {
			k.second(true, true)
			gps := k.gps + k.seconds
			want, _, _ := says(gps)
			w := k.r.UTC(k.count(time.Duration(k.seconds)*time.Second), k.now())
			if mode == "ubx without leap" && (i < 6 || gps > leapSecond && gps < leapSecond+4) {
				continue // not known yet; or not yet sure
			}
			if i >= 3 && (w.UnixNano+500_000_000)/1_000_000_000 != want {
				t.Errorf("%s, GPS second %d%+d: %v, want %v", mode, leapSecond, gps-leapSecond, w, time.Unix(want, 0).UTC())
			}
		}
		if st := k.r.Stats(); st.Locks != 1 || st.Aberrant != 0 {
			t.Errorf("%s: %+v", mode, st)
		}
		past := k.r.UTC(k.count(time.Duration(25)*time.Second), k.now())
		if want, _, _ := says(k.gps + 25); mode != "ubx without leap" && (past.UnixNano+500_000_000)/1_000_000_000 != want {
			t.Errorf("%s: before the leap second: %v, want %v", mode, past, time.Unix(want, 0).UTC())
		}
	}
}

func TestReset(t *testing.T) {
	k := newSky(0, ubx)
	for range 10 {
		k.second(true, true)
	}
	k.r.Reset()
	k.start -= 1 << 32 // the counter starts anew
	if k.r.State(k.now()) != Acquiring {
		t.Error("Reset keeps the reference")
	}
	for range 3 {
		k.second(true, true)
	}
	k.check(t, 0)
	for s, name := range map[State]string{Locked: "locked", Holdover: "holdover", Acquiring: "acquiring", 0: "unknown"} {
		if s.String() != name {
			t.Errorf("%d is %q", s, s)
		}
	}
}

func TestGPSReceiverAppearsLater(t *testing.T) {
	k := newSky(4, rmc)
	for range 10 {
		k.second(true, true)
	}
	k.says = both
	for range 5 {
		k.second(true, true)
	}
	if _, _, ok := k.r.GPS(k.now(), k.now()); !ok {
		t.Errorf("no GPS time: %+v", k.r.Stats())
	}
	k.check(t, 0)
	k.says = rmc // and goes again
	for range 160 {
		k.second(true, true)
	}
	k.check(t, 0)
}

// Whatever order of pulses, silences and truthful messages: a time that is given is
// true within its bound.
func TestNeverWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		says := rapid.SampledFrom([]func(int64, int64) []byte{rmc, ubx, both}).Draw(t, "says")
		k := newSky(rapid.Float64Range(-18, 18).Draw(t, "ppm"), says)
		k.jitter = rapid.Int64Range(0, 30).Draw(t, "jitter")
		for range rapid.IntRange(1, 60).Draw(t, "runs") {
			pulse, talk := rapid.Bool().Draw(t, "pulse"), rapid.Bool().Draw(t, "talk")
			for range rapid.IntRange(1, 40).Draw(t, "seconds") {
				k.second(pulse, talk)
			}
			after := time.Duration(k.seconds)*time.Second + time.Duration(rapid.Int64Range(-2e9, 60e9).Draw(t, "far"))
			w := k.r.UTC(k.count(after), k.now())
			want := (k.gps+radio.GPSEpoch-k.leap)*1_000_000_000 + int64(after)
			if d := time.Duration(w.UnixNano - want); w.Known() && (d > w.Bound || d < -w.Bound) {
				t.Fatalf("second %d: %v is off by %v", k.seconds, w, d)
			}
		}
	})
}

// Hostile input: nothing panics, and the memory stays bounded.
func FuzzReference(f *testing.F) {
	f.Add(append(ubx(0, 1_400_000_000), rmc(1_700_000_000, 0)...), uint64(1<<40), int64(1))
	f.Fuzz(func(t *testing.T, line []byte, start uint64, step int64) {
		var r Reference
		var s Scanner
		now := Count(start)
		for i := range 70 {
			now = Count(int64(now) + step + countHz)
			r.Pulse(now)
			s.Feed(line, func(m Message) { r.Message(m, now+Count(i)) })
			r.UTC(Count(start), now)
			r.GPS(now+countHz, now)
			r.CountAtGPS(time.Duration(step), now)
			r.CrystalPPB()
		}
		if len(r.good) > window || len(r.maybe) >= agree {
			t.Fatalf("%d good, %d in doubt", len(r.good), len(r.maybe))
		}
	})
}
