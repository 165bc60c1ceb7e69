package txqueue

import (
	"maps"
	"slices"
	"testing"

	"heliograph/radio"
	"pgregory.net/rapid"
)

// programmed is a queue with one packet in the radio, a after t0, handed over at t0.
func programmed(t testing.TB, cfg Config, r Request) (*Queue, ID) {
	t.Helper()
	q := newQueue(t, cfg)
	id := push(t, q, r, t0)
	if s := q.Next(t0); s.Program == nil || s.Program.ID != id {
		t.Fatalf("not programmed at once: %+v", s)
	}
	return q, id
}

func TestHandedOverAhead(t *testing.T) {
	q := newQueue(t, Config{})
	start := t0.Add(500 * ms)
	id := push(t, q, at(ClassA, start), t0)
	if s := q.Next(start.Add(-DefaultAhead - 1)); s.Program != nil || s.Wake != start.Add(-DefaultAhead) {
		t.Errorf("before: %+v", s)
	}
	s := q.Next(start.Add(-DefaultAhead))
	if s.Program == nil || s.Program.ID != id || s.Program.Packet.Tick != start || s.Wake != start.Add(air7+DefaultGrace) {
		t.Errorf("then: %+v", s)
	}
	if q.Len() != 1 {
		t.Errorf("the queue holds %d", q.Len())
	}
	// Settled, it is no longer an entry; nothing else changes.
	if s = q.Next(start.Add(-DefaultLead)); s.Program != nil || s.Abort != 0 || !q.inRadio.settled || q.Len() != 1 {
		t.Errorf("settled: %+v", s)
	}
}

// An earlier packet is pushed: the radio gives the later one back, sends the
// earlier, and the later one again.
func TestEarlierPacketGoesFirst(t *testing.T) {
	later := t0.Add(800 * ms)
	q, a := programmed(t, Config{Ahead: 1000 * ms}, at(ClassA, later))
	now := t0.Add(100 * ms)
	b := push(t, q, at(ClassA, now.Add(50*ms)), now)
	s := q.Next(now)
	if s.Abort != a || s.Program != nil || s.Wake != now.Add(50*ms-DefaultStart-DefaultMargin-DefaultBus+1) {
		t.Fatalf("step %+v", s)
	}
	if s = q.Next(now.Add(1)); s.Abort != 0 || s.Program != nil {
		t.Errorf("asked twice, or programmed over it: %+v", s)
	}
	if !q.Done(a, radio.TxResult{Status: radio.TxFailed}) || q.Len() != 2 {
		t.Fatal("not given back")
	}
	if s = q.Next(now.Add(2 * ms)); s.Program == nil || s.Program.ID != b || len(s.Reports) != 0 {
		t.Fatalf("step %+v", s)
	}
	q.Done(b, radio.TxResult{Status: radio.TxOK})
	end := now.Add(50*ms + air7)
	if s = q.Next(end.Add(-1)); s.Program != nil || len(s.Reports) != 1 || s.Wake != end {
		t.Fatalf("while the first is on air: %+v", s)
	}
	if s = q.Next(end); s.Program == nil || s.Program.ID != a || s.Program.Packet.Tick != later {
		t.Fatalf("the later one again: %+v", s)
	}
	q.Done(a, radio.TxResult{Status: radio.TxOK})
	if s = q.Next(later); len(s.Reports) != 1 || s.Reports[0].ID != a || s.Reports[0].Result.Status != radio.TxOK || q.Len() != 0 {
		t.Errorf("the end: %+v", s)
	}
}

func TestTooLateToGoFirst(t *testing.T) {
	cfg := Config{Ahead: 1000 * ms, MinLead: DefaultStart + DefaultMargin + DefaultBus}
	least := cfg.MinLead + DefaultRecall
	for _, tt := range []struct {
		notice radio.Micros
		want   radio.TxStatus
	}{{least, radio.TxTooLate}, {least + 1, radio.TxOK}, {cfg.MinLead + 1, radio.TxTooLate}} {
		q, _ := programmed(t, cfg, at(ClassA, t0.Add(500*ms)))
		if _, got := q.Push(at(ClassA, t0.Add(tt.notice)), t0); got != tt.want {
			t.Errorf("%d µs of notice: %v, want %v", tt.notice, got, tt.want)
		}
	}
	// One to be sent as soon as possible waits that long.
	cfg.AsSoon = cfg.MinLead
	q, _ := programmed(t, cfg, at(ClassA, t0.Add(500*ms)))
	c := push(t, q, asSoon(), t0)
	if q.entries[0].id != c || q.entries[0].start != t0.Add(least+1) {
		t.Errorf("placed %d µs ahead", q.entries[0].start.Sub(t0))
	}
}

func TestSettledStays(t *testing.T) {
	start := t0.Add(100 * ms)
	q, _ := programmed(t, Config{}, at(ClassA, start))
	now := start.Add(-DefaultLead)
	if _, got := q.Push(at(Beacon, start.Add(50*ms)), now); got != radio.TxCollisionPacket {
		t.Errorf("a beacon over a settled packet: %v", got)
	}
	if s := q.Next(now); s.Abort != 0 {
		t.Errorf("step %+v", s)
	}
}

func TestBeaconEvictsFromTheRadio(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer radio.TxStatus
		want   Report
		missed bool // the beacon
	}{
		{"stopped", radio.TxFailed, Report{Result: radio.TxResult{Status: radio.TxCollisionBeacon}, Reason: Evicted}, false},
		{"sent all the same", radio.TxOK, Report{Result: radio.TxResult{Status: radio.TxOK}, Reason: FromRadio}, true},
	} {
		start := t0.Add(100 * ms)
		q, a := programmed(t, Config{}, at(ClassA, start))
		b := push(t, q, at(Beacon, start.Add(30*ms)), t0.Add(1*ms))
		s := q.Next(t0.Add(1 * ms))
		if s.Abort != a || len(s.Reports) != 0 || q.Len() != 2 {
			t.Fatalf("%s: step %+v", tt.name, s)
		}
		q.Done(a, radio.TxResult{Status: tt.answer})
		s = q.Next(t0.Add(2 * ms))
		tt.want.ID = a
		if len(s.Reports) != 1 || s.Reports[0] != tt.want {
			t.Errorf("%s: reports %+v", tt.name, s.Reports)
		}
		if tt.missed {
			s = q.Next(start.Add(30 * ms))
			if len(s.Reports) != 1 || s.Reports[0].ID != b || s.Reports[0].Reason != Missed {
				t.Errorf("%s: the beacon: %+v", tt.name, s)
			}
		} else if s = q.Next(start.Add(-DefaultLead)); s.Program == nil && q.inRadio.id != b {
			t.Errorf("%s: the beacon: %+v", tt.name, s)
		}
	}
}

// A packet without a time makes room for a timed one, out of the radio.
func TestAsSoonLeavesTheRadio(t *testing.T) {
	q, c := programmed(t, Config{}, asSoon()) // for 80 ms
	now := t0.Add(10 * ms)
	a := push(t, q, at(ClassA, now.Add(75*ms)), now)
	if s := q.Next(now); s.Abort != c {
		t.Fatalf("step %+v", s)
	}
	q.Done(c, radio.TxResult{Status: radio.TxFailed})
	got := drive(t, q, now, 5*ms, 100)
	if r := got[a].Result; r.Status != radio.TxOK || r.Tick != now.Add(75*ms) {
		t.Errorf("the timed packet: %+v", r)
	}
	if r := got[c].Result; r.Status != radio.TxOK || r.Tick != now.Add(75*ms+air7+gap+1) {
		t.Errorf("the other: %+v", r)
	}
}

func TestWhileItIsGivenBack(t *testing.T) {
	ask := func() (*Queue, ID, ID) {
		q, a := programmed(t, Config{Ahead: 1000 * ms}, at(ClassA, t0.Add(800*ms)))
		b := push(t, q, at(ClassA, t0.Add(50*ms)), t0)
		if s := q.Next(t0); s.Abort != a {
			t.Fatalf("step %+v", s)
		}
		return q, a, b
	}
	reports := func(q *Queue, now radio.Tick) map[ID]Reason {
		got := map[ID]Reason{}
		for _, r := range q.Next(now).Reports {
			got[r.ID] = r.Reason
		}
		return got
	}
	q, a, b := ask() // cancelled meanwhile
	q.Cancel(a)
	q.Done(a, radio.TxResult{Status: radio.TxFailed})
	if got := reports(q, t0.Add(1*ms)); got[a] != Cancelled || len(got) != 1 || q.inRadio.id != b {
		t.Errorf("cancelled: %v", got)
	}
	q, a, b = ask() // the cause is gone: it is programmed again
	q.Cancel(b)
	q.Done(a, radio.TxResult{Status: radio.TxFailed})
	if got := reports(q, t0.Add(1*ms)); got[b] != Cancelled || len(got) != 1 || q.inRadio.id != a {
		t.Errorf("for nothing: %v", got)
	}
	q, a, b = ask() // the radio never answers
	if got := reports(q, t0.Add(60*ms)); got[b] != Missed || len(got) != 1 {
		t.Errorf("in vain: %v", got)
	}
	if got := reports(q, t0.Add(DefaultAbortTime)); got[a] != Stuck || q.Len() != 0 {
		t.Errorf("without an answer: %v", got)
	}
	q, a, b = ask() // a stall: both are too late
	q.Done(a, radio.TxResult{Status: radio.TxFailed})
	if got := reports(q, t0.Add(797*ms)); got[a] != Missed || got[b] != Missed || q.Len() != 0 {
		t.Errorf("after a stall: %v", got)
	}
	q, a, b = ask() // the radio could not have sent it in any case
	q.Done(a, radio.TxResult{Status: radio.TxBusy})
	if got := reports(q, t0.Add(1*ms)); got[a] != FromRadio || q.inRadio.id != b {
		t.Errorf("refused: %v", got)
	}
	q, a, b = ask()
	q.Flush()
	if got := reports(q, 0); got[a] != Flushed || got[b] != Flushed || q.Len() != 0 {
		t.Errorf("flushed: %v", got)
	}
}

// rig is a queue with a perfect radio.
type rig struct {
	q       *Queue
	p       *Program
	reports map[ID]Report
	aborts  int
}

func newRig(t testing.TB, ahead radio.Micros) *rig {
	return &rig{q: newQueue(t, Config{Depth: 8, Ahead: ahead}), reports: map[ID]Report{}}
}

// step brings the rig to now and returns when it wants to be called again.
func (r *rig) step(now radio.Tick) radio.Tick {
	for {
		if r.p != nil && now >= r.p.Packet.Tick {
			r.q.Done(r.p.ID, radio.TxResult{Status: radio.TxOK, Tick: r.p.Packet.Tick})
			r.p = nil
		}
		s := r.q.Next(now)
		for _, rep := range s.Reports {
			r.reports[rep.ID] = rep
		}
		if s.Program != nil {
			r.p = s.Program
		}
		if s.Abort != 0 {
			r.aborts++
			r.q.Done(s.Abort, radio.TxResult{Status: radio.TxFailed})
			r.p = nil
			continue
		}
		if r.p != nil && (s.Wake == 0 || r.p.Packet.Tick < s.Wake) {
			return max(r.p.Packet.Tick, now+1)
		}
		return s.Wake
	}
}

// aheadChangesNothing: programming ahead is invisible. Whoever pushes gets the same
// answers, and every packet ends at the same tick with the same reason, as in a queue
// that programs when a packet is settled and never takes one back.
func aheadChangesNothing(t *rapid.T) int {
	late := newRig(&testing.T{}, DefaultLead)
	early := newRig(&testing.T{}, radio.Micros(rapid.SampledFrom([]int{0, 50_000, 400_000, 3_000_000, int(MaxAhead)}).Draw(t, "ahead")))
	now := t0
	var ids []ID
	for range rapid.IntRange(1, 40).Draw(t, "ops") {
		until := now.Add(radio.Micros(rapid.IntRange(0, 80_000).Draw(t, "dt")))
		for {
			a, b := late.step(now), early.step(now)
			next := min(orNever(a), orNever(b))
			if next > until {
				break
			}
			now = next
		}
		now = until
		late.step(now)
		early.step(now)
		if len(ids) > 0 && rapid.IntRange(0, 7).Draw(t, "cancel") == 0 {
			id := rapid.SampledFrom(ids).Draw(t, "id")
			late.q.Cancel(id)
			early.q.Cancel(id)
			continue
		}
		r := Request{Packet: packet(radio.SpreadingFactor(rapid.IntRange(5, 9).Draw(t, "sf")), rapid.IntRange(1, 20).Draw(t, "n"))}
		r.Class = Class(rapid.SampledFrom([]int{1, 1, 1, 1, 2, 3, 4}).Draw(t, "class"))
		r.Tick = now.Add(radio.Micros(rapid.IntRange(30_000, 600_000).Draw(t, "notice")))
		if rapid.IntRange(0, 3).Draw(t, "as soon") == 0 {
			r.Packet.When = radio.Immediate
		}
		id, got := early.q.Push(r, now)
		if want, status := late.q.Push(r, now); id != want || got != status {
			t.Fatalf("at %d, %d µs of notice: %v, and %v when programmed late", now, r.Tick.Sub(now), got, status)
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	for {
		next := min(orNever(late.step(now)), orNever(early.step(now)))
		if next == ^radio.Tick(0) {
			break
		}
		now = next
	}
	if !maps.Equal(late.reports, early.reports) || len(late.reports) != len(ids) || early.q.Len() != 0 {
		t.Fatalf("ahead: %+v\nlate: %+v", sorted(early.reports), sorted(late.reports))
	}
	if late.aborts > len(ids) {
		t.Fatalf("%d aborts of settled packets", late.aborts)
	}
	return early.aborts
}

func orNever(t radio.Tick) radio.Tick {
	if t == 0 {
		return ^radio.Tick(0)
	}
	return t
}

func sorted(m map[ID]Report) []Report {
	var out []Report
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}

func TestAheadChangesNothing(t *testing.T) {
	aborts := 0
	rapid.Check(t, func(t *rapid.T) { aborts += aheadChangesNothing(t) })
	if aborts == 0 {
		t.Error("no packet was ever taken back: the test tests nothing")
	}
}
