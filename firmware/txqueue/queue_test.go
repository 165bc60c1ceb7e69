package txqueue

import (
	"math/rand/v2"
	"testing"

	"heliograph/radio"
)

const (
	ms  = radio.Micros(1000)
	t0  = radio.Tick(1 << 40) // far beyond what 32 bits hold
	gap = DefaultStart + DefaultLead + DefaultMargin
)

func packet(sf radio.SpreadingFactor, n int) radio.TxPacket {
	return radio.TxPacket{
		Payload: make([]byte, n), Frequency: 868_300_000, DataRate: radio.LoRaRate(sf, 125*radio.KHz),
		Coding: 1, Power: 1400, InvertIQ: true, NoCRC: true, When: radio.AtTick,
	}
}

// air7 is how long packet(7, 12) lasts: (8 + 4.25 + 8 + 20) symbols of 1024 µs.
const air7 = radio.Micros(41216)

func at(class Class, tick radio.Tick) Request {
	return Request{Packet: packet(7, 12), Class: class, Tick: tick}
}

func asSoon() Request {
	r := at(ClassC, 0)
	r.Packet.When = radio.Immediate
	return r
}

func newQueue(t testing.TB, cfg Config) *Queue {
	t.Helper()
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func push(t testing.TB, q *Queue, r Request, now radio.Tick) ID {
	t.Helper()
	id, status := q.Push(r, now)
	if status != radio.TxOK {
		t.Fatalf("push at %d: %v", r.Tick.Sub(now), status)
	}
	return id
}

func TestNotice(t *testing.T) {
	for _, tt := range []struct {
		class  Class
		notice radio.Micros
		want   radio.TxStatus
	}{
		{ClassA, 42_500, radio.TxTooLate}, {ClassA, 42_501, radio.TxOK}, {ClassA, 0, radio.TxTooLate},
		{ClassA, -3_000_000, radio.TxTooLate}, // the vendor says too early
		{ClassA, 512_000_000, radio.TxOK}, {ClassA, 512_000_001, radio.TxTooEarly},
		{ClassB, 512_000_001, radio.TxTooEarly}, {Beacon, 384_000_000, radio.TxOK},
		{Beacon, 42_000, radio.TxTooLate}, {0, 50_000, radio.TxFailed}, {5, 50_000, radio.TxFailed},
	} {
		q := newQueue(t, Config{})
		id, got := q.Push(at(tt.class, t0.Add(tt.notice)), t0)
		if got != tt.want || (id != 0) != (got == radio.TxOK) || (q.Len() == 1) != (got == radio.TxOK) {
			t.Errorf("class %d, %d µs ahead: %v (id %d), want %v", tt.class, tt.notice, got, id, tt.want)
		}
	}
	q := newQueue(t, Config{})
	for name, p := range map[string]radio.TxPacket{
		"none": {}, "rate": func() radio.TxPacket { p := packet(13, 1); return p }(),
		"long": packet(7, 256), "when": func() radio.TxPacket { p := packet(7, 1); p.When = 9; return p }(),
	} {
		if _, got := q.Push(Request{Packet: p, Class: ClassA, Tick: t0.Add(50 * ms)}, t0); got != radio.TxFailed {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMinLead(t *testing.T) {
	q := newQueue(t, Config{MinLead: 10 * ms})
	id := push(t, q, at(ClassA, 10_001), 0) // also: the counter has just started
	s := q.Next(0)
	if s.Program == nil || s.Program.ID != id || s.Program.Until != 8_501 {
		t.Errorf("step %+v", s)
	}
	if _, status := q.Push(at(ClassA, 10_000), 0); status != radio.TxTooLate {
		t.Error(status)
	}
}

func TestCollisionWindow(t *testing.T) {
	for _, tt := range []struct {
		d    radio.Micros // second packet's start less the first one's
		want radio.TxStatus
	}{
		{0, radio.TxCollisionPacket},
		{air7 + gap, radio.TxCollisionPacket}, {air7 + gap + 1, radio.TxOK},
		{-air7 - gap, radio.TxCollisionPacket}, {-air7 - gap - 1, radio.TxOK},
	} {
		q := newQueue(t, Config{})
		first := t0.Add(10_000 * ms)
		push(t, q, at(ClassA, first), t0)
		if _, got := q.Push(at(ClassB, first.Add(tt.d)), t0); got != tt.want {
			t.Errorf("%d µs apart: %v, want %v", tt.d, got, tt.want)
		}
	}
}

func TestBeaconRules(t *testing.T) {
	b := t0.Add(20_000 * ms)
	for _, tt := range []struct {
		name  string
		class Class
		start radio.Tick
		want  radio.TxStatus
	}{
		{"A inside the guard", ClassA, b.Add(-1000 * ms), radio.TxOK},
		{"A just before", ClassA, b.Add(-gap - air7 - 1), radio.TxOK},
		{"A too close for the hand-over", ClassA, b.Add(-gap - air7), radio.TxCollisionBeacon},
		{"C timed, inside the guard", ClassC, b.Add(-1000 * ms), radio.TxOK},
		{"B inside the guard", ClassB, b.Add(-1000 * ms), radio.TxCollisionBeacon},
		{"B before the guard", ClassB, b.Add(-3000*ms - gap - air7 - 1), radio.TxOK},
		{"A in the reserved time", ClassA, b.Add(2120 * ms), radio.TxCollisionBeacon},
		{"A after it", ClassA, b.Add(2120*ms + gap + 1), radio.TxOK},
		{"another beacon", Beacon, b.Add(3000 * ms), radio.TxCollisionBeacon},
		{"the same beacon", Beacon, b, radio.TxCollisionBeacon},
	} {
		q := newQueue(t, Config{})
		push(t, q, at(Beacon, b), t0)
		if _, got := q.Push(at(tt.class, tt.start), t0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBeaconEvicts(t *testing.T) {
	q := newQueue(t, Config{})
	b := t0.Add(20_000 * ms)
	far := push(t, q, at(ClassA, b.Add(-5000*ms)), t0)
	inGuard := push(t, q, at(ClassB, b.Add(-2000*ms)), t0)
	under := push(t, q, at(ClassA, b.Add(100*ms)), t0)
	beacon := push(t, q, at(Beacon, b), t0)
	s := q.Next(t0)
	if len(s.Reports) != 2 || s.Reports[0].ID != inGuard || s.Reports[1].ID != under ||
		s.Reports[0].Reason != Evicted || s.Reports[0].Result.Status != radio.TxCollisionBeacon {
		t.Errorf("reports %+v", s.Reports)
	}
	if s.Wake != b.Add(-5000*ms-DefaultAhead) || q.Len() != 2 {
		t.Errorf("wake %d, %d left; far %d, beacon %d", s.Wake, q.Len(), far, beacon)
	}
}

func TestBeaconDoesNotEvictWhatIsInTheRadio(t *testing.T) {
	q := newQueue(t, Config{})
	start := t0.Add(60 * ms)
	push(t, q, at(ClassA, start), t0)
	if s := q.Next(start.Add(-30 * ms)); s.Program == nil {
		t.Fatal("not handed over")
	}
	if _, got := q.Push(at(Beacon, start.Add(70*ms)), start.Add(-29*ms)); got != radio.TxCollisionPacket {
		t.Errorf("beacon over a programmed packet: %v", got)
	}
}

func TestAsSoonAsPossible(t *testing.T) {
	q := newQueue(t, Config{})
	c1 := push(t, q, asSoon(), t0)
	c2 := push(t, q, asSoon(), t0)
	a := push(t, q, at(ClassA, t0.Add(100*ms)), t0) // right on top of c1
	want := map[ID]radio.Tick{
		a:  t0.Add(100 * ms),
		c2: t0.Add(80*ms + air7 + gap + 1), // was first behind c1
		c1: 0,
	}
	want[c2] = t0.Add(100*ms + air7 + gap + 1)
	want[c1] = want[c2].Add(air7 + gap + 1)
	got := drive(t, q, t0, 5*ms, 1000)
	seen := map[radio.Tick]bool{}
	for id, r := range got {
		if r.Result.Status != radio.TxOK {
			t.Errorf("%d: %+v", id, r)
		}
		seen[r.Result.Tick] = true
	}
	for _, tick := range want {
		if !seen[tick] {
			t.Errorf("nothing starts at %d; got %+v", tick.Sub(t0), got)
		}
	}
}

func TestAsSoonFirstGap(t *testing.T) {
	q := newQueue(t, Config{})
	push(t, q, at(ClassA, t0.Add(90*ms)), t0)
	push(t, q, at(ClassA, t0.Add(90*ms+2*(air7+gap+1)-1)), t0) // a gap one too narrow
	push(t, q, at(ClassA, t0.Add(1000*ms)), t0)                // a wide one
	c := push(t, q, asSoon(), t0)
	got := drive(t, q, t0, 5*ms, 2000)
	if want := t0.Add(90*ms + 3*(air7+gap+1) - 1); got[c].Result.Tick != want {
		t.Errorf("starts at %d, want %d", got[c].Result.Tick.Sub(t0), want.Sub(t0))
	}
}

func TestAsSoonHasADeadline(t *testing.T) {
	q := newQueue(t, Config{MaxAdvance: 500 * ms})
	for i := range 3 {
		push(t, q, at(ClassA, t0.Add(100*ms+radio.Micros(i)*100*ms)), t0)
	}
	c := push(t, q, asSoon(), t0)
	push(t, q, at(ClassA, t0.Add(420*ms)), t0) // where c would have gone
	s := q.Next(t0)
	if len(s.Reports) != 1 || s.Reports[0].ID != c || s.Reports[0].Reason != NoSlot {
		t.Errorf("reports %+v", s.Reports)
	}
	if _, got := q.Push(asSoon(), t0); got != radio.TxCollisionPacket {
		t.Errorf("one more: %v", got)
	}
}

// drive polls the queue with a radio that sends whatever it is given, and returns
// the reports.
func drive(t testing.TB, q *Queue, now radio.Tick, every radio.Micros, polls int) map[ID]Report {
	t.Helper()
	got := map[ID]Report{}
	var p *Program
	var end radio.Tick
	for range polls {
		if p != nil && now >= end {
			q.Done(p.ID, radio.TxResult{Status: radio.TxOK, Tick: p.Packet.Tick})
			p = nil
		}
		s := q.Next(now)
		for _, r := range s.Reports {
			if _, twice := got[r.ID]; twice {
				t.Fatalf("%d is reported twice", r.ID)
			}
			got[r.ID] = r
		}
		if s.Program != nil {
			if p != nil {
				t.Fatalf("%d is handed over on top of %d", s.Program.ID, p.ID)
			}
			p, end = s.Program, s.Program.Packet.Tick.Add(air7)
			if p.Packet.When == radio.Immediate || now > p.Until {
				t.Fatalf("handed over %+v at %d", p, now)
			}
		}
		now = now.Add(every)
	}
	return got
}

func TestMissedIsReported(t *testing.T) {
	q := newQueue(t, Config{})
	id := push(t, q, at(ClassA, t0.Add(100*ms)), t0)
	next := push(t, q, at(ClassA, t0.Add(300*ms)), t0)
	latest := t0.Add(100*ms - DefaultStart - DefaultMargin - DefaultBus)
	if s := q.Next(latest.Add(1)); s.Program != nil || len(s.Reports) != 1 || s.Reports[0] != (Report{
		ID: id, Result: radio.TxResult{Status: radio.TxTooLate}, Reason: Missed,
	}) || s.Wake != t0.Add(200*ms) {
		t.Errorf("step %+v", s)
	}
	if s := q.Next(t0.Add(200 * ms)); s.Program == nil || s.Program.ID != next {
		t.Errorf("the next one is not handed over: %+v", s)
	}
	q = newQueue(t, Config{})
	push(t, q, at(ClassA, t0.Add(100*ms)), t0)
	if s := q.Next(latest); s.Program == nil {
		t.Error("not handed over at the last moment")
	}
}

func TestStalledAsSoonIsPlacedAnew(t *testing.T) {
	q := newQueue(t, Config{})
	c := push(t, q, asSoon(), t0)
	if s := q.Next(t0.Add(400 * ms)); len(s.Reports) != 0 || s.Program == nil || s.Program.ID != c || s.Program.Packet.Tick != t0.Add(480*ms) {
		t.Errorf("after a stall: %+v", s)
	}
}

func TestSilentRadioIsAbortedThenGivenUp(t *testing.T) {
	q := newQueue(t, Config{})
	start := t0.Add(50 * ms)
	a := push(t, q, at(ClassA, start), t0)
	b := push(t, q, at(ClassA, start.Add(200*ms)), t0)
	s := q.Next(t0.Add(10 * ms))
	if s.Program == nil || s.Program.ID != a || s.Wake != start.Add(air7+DefaultGrace) {
		t.Fatalf("step %+v", s)
	}
	s = q.Next(s.Wake)
	if s.Abort != a || s.Program != nil {
		t.Fatalf("overdue: %+v", s)
	}
	abort := start.Add(air7 + DefaultGrace)
	if s = q.Next(start.Add(199 * ms)); len(s.Reports) != 1 || s.Reports[0].ID != b || s.Reports[0].Reason != Missed {
		t.Errorf("the next packet: %+v", s)
	}
	if s.Wake != abort.Add(DefaultAbortTime) || s.Abort != 0 {
		t.Errorf("step %+v", s)
	}
	s = q.Next(s.Wake)
	if len(s.Reports) != 1 || s.Reports[0].ID != a || s.Reports[0].Reason != Stuck || s.Wake != 0 {
		t.Errorf("given up: %+v", s)
	}
	if q.Done(a, radio.TxResult{Status: radio.TxOK}) {
		t.Error("a late Done counts")
	}
}

func TestEarlyDoneKeepsTheAirReserved(t *testing.T) {
	q := newQueue(t, Config{})
	start := t0.Add(50 * ms)
	a := push(t, q, at(ClassA, start), t0)
	q.Next(t0.Add(10 * ms))
	if !q.Done(a, radio.TxResult{Status: radio.TxOK}) {
		t.Fatal("not done")
	}
	if _, got := q.Push(at(ClassA, start.Add(air7+gap)), t0.Add(20*ms)); got != radio.TxCollisionPacket {
		t.Errorf("over the packet on air: %v", got)
	}
	b := push(t, q, at(ClassA, start.Add(air7+gap+1)), t0.Add(20*ms))
	c := push(t, q, asSoon(), t0.Add(20*ms))
	got := drive(t, q, t0.Add(20*ms), 10*ms, 100)
	if got[b].Result.Status != radio.TxOK || got[c].Result.Status != radio.TxOK {
		t.Errorf("reports %+v", got)
	}
}

func TestFailureFreesTheAir(t *testing.T) {
	q := newQueue(t, Config{})
	a := push(t, q, at(ClassA, t0.Add(50*ms)), t0)
	q.Next(t0.Add(10 * ms))
	q.Done(a, radio.TxResult{Status: radio.TxBusy})
	push(t, q, at(ClassA, t0.Add(60*ms)), t0.Add(12*ms))
	s := q.Next(t0.Add(21 * ms))
	if len(s.Reports) != 1 || s.Reports[0].Result.Status != radio.TxBusy || s.Reports[0].Reason != FromRadio || s.Program == nil {
		t.Errorf("step %+v", s)
	}
}

func TestCancel(t *testing.T) {
	q := newQueue(t, Config{})
	a := push(t, q, at(ClassA, t0.Add(50*ms)), t0)
	b := push(t, q, at(ClassA, t0.Add(500*ms)), t0)
	if q.Cancel(0) || q.Cancel(99) || !q.Cancel(b) || q.Cancel(b) {
		t.Error("Cancel of a waiting packet")
	}
	s := q.Next(t0.Add(10 * ms))
	if len(s.Reports) != 1 || s.Reports[0].ID != b || s.Reports[0].Reason != Cancelled || s.Program == nil {
		t.Errorf("step %+v", s)
	}
	if !q.Cancel(a) {
		t.Error("Cancel of the packet in the radio")
	}
	if s = q.Next(t0.Add(11 * ms)); s.Abort != a {
		t.Errorf("no abort: %+v", s)
	}
	if s = q.Next(t0.Add(12 * ms)); s.Abort != 0 {
		t.Errorf("aborted twice: %+v", s)
	}
	q.Done(a, radio.TxResult{})
	if s = q.Next(t0.Add(13 * ms)); len(s.Reports) != 1 || s.Reports[0].Reason != Cancelled || s.Reports[0].Result.Status != radio.TxFailed {
		t.Errorf("report %+v", s.Reports)
	}
}

func TestFullAndFlush(t *testing.T) {
	q := newQueue(t, Config{})
	for i := range DefaultDepth {
		push(t, q, at(ClassA, t0.Add(100*ms+radio.Micros(i)*100*ms)), t0)
	}
	if _, got := q.Push(asSoon(), t0); got != radio.TxBusy {
		t.Errorf("a full queue: %v", got)
	}
	q.Next(t0.Add(60 * ms)) // one is in the radio
	q.Flush()
	if _, got := q.Push(asSoon(), 0); got != radio.TxBusy {
		t.Errorf("unreported packets do not count: %v", got)
	}
	s := q.Next(0) // the counter starts anew
	if len(s.Reports) != DefaultDepth || s.Wake != 0 || q.Len() != 0 {
		t.Errorf("%d reports, %d left", len(s.Reports), q.Len())
	}
	for _, r := range s.Reports {
		if r.Reason != Flushed || r.Result.Status != radio.TxNoRadio {
			t.Errorf("report %+v", r)
		}
	}
	push(t, q, asSoon(), 5)
}

func TestPushCopies(t *testing.T) {
	q := newQueue(t, Config{})
	r := at(ClassA, t0.Add(50*ms))
	r.Packet.Payload[0] = 1
	push(t, q, r, t0)
	r.Packet.Payload[0] = 2
	if s := q.Next(t0.Add(10 * ms)); s.Program.Packet.Payload[0] != 1 {
		t.Error("the queue holds the caller's bytes")
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"depth": {Depth: -1}, "margin": {Margin: -1}, "lead": {Lead: 3 * ms}, "ahead": {Ahead: 39 * ms}, "ahead of the wrap": {Ahead: MaxAhead + 1}, "recall": {Recall: -1}, "min lead": {MinLead: 1 * ms},
		"as soon": {AsSoon: 20 * ms}, "advance": {MaxAdvance: 10 * ms}, "absurd": {MaxAdvance: 1 << 41},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if Reason(0).String() != "unknown" || Reason(200).String() != "unknown" || Missed.String() != "missed" || Flushed.String() == "" {
		t.Error("names of reasons")
	}
}

// The budget of issue 3: a loop that polls every 10 ms, downlinks with 50 ms of
// lead, random phases, and stalls as a garbage collector or a slow bus makes them.
func TestTenThousandDownlinksWithFiftyMillisecondsOfLead(t *testing.T) {
	for _, stall := range []radio.Micros{0, 25 * ms} { // beyond the poll's own 10 ms
		r := rand.New(rand.NewPCG(7, uint64(stall)))
		q := newQueue(t, Config{})
		now, sent, tightest := t0, 0, DefaultAhead
		arrival, polled := now.Add(5*ms), now
		var p *Program
		for sent < 10_000 {
			// Whatever comes first: a downlink from the network, or a poll.
			if arrival < polled {
				if _, status := q.Push(at(ClassA, arrival.Add(50*ms)), arrival); status != radio.TxOK {
					t.Fatalf("downlink %d: %v", sent, status)
				}
				arrival = arrival.Add(air7 + gap + 1 + radio.Micros(r.Int64N(int64(60*ms))))
				continue
			}
			now = polled
			if p != nil && now >= p.Packet.Tick.Add(air7) {
				q.Done(p.ID, radio.TxResult{Status: radio.TxOK})
				p = nil
			}
			s := q.Next(now)
			for _, rep := range s.Reports {
				if rep.Result.Status != radio.TxOK {
					t.Fatalf("stalls of %d µs: downlink %d: %v (%v)", stall, rep.ID, rep.Result.Status, rep.Reason)
				}
				sent++
			}
			if s.Program != nil {
				p = s.Program
				tightest = min(tightest, p.Until.Sub(now))
			}
			polled = now.Add(10*ms + radio.Micros(r.Int64N(int64(stall+1))))
		}
		t.Logf("stalls up to %d µs: %d sent, tightest programming %d µs before the trigger", stall, sent, tightest)
	}
}
