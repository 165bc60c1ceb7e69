package txqueue

import (
	"reflect"
	"testing"

	"heliograph/radio"
	"pgregory.net/rapid"
)

// span is one packet as a radio sent it, or may have.
type span struct {
	id       ID
	from, to radio.Tick
}

// model is a radio that sends, fails, answers late or never, and an accountant
// that knows what the queue promised.
type model struct {
	q   *Queue
	cfg Config
	now radio.Tick

	accepted map[ID]Request
	reported map[ID]Report
	handed   map[ID]radio.Tick
	onAir    []span
	held     ID // in the radio
	answer   radio.TxStatus
	answerAt radio.Tick // 0: never
	again    int        // packets that were taken back to be sent later
	trace    []any
}

func newModel(t *rapid.T) *model {
	cfg := Config{
		Depth: rapid.IntRange(1, 8).Draw(t, "depth"), MinLead: radio.Micros(rapid.SampledFrom([]int{0, 6000, 20000}).Draw(t, "min lead")),
		MaxAdvance: 20_000_000,
		Ahead:      radio.Micros(rapid.SampledFrom([]int{0, 40_000, 47_000, 1_000_000, 10_000_000}).Draw(t, "ahead of time")),
	}
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	start := radio.Tick(rapid.SampledFrom([]uint64{0, 1<<32 - 1_000_000, 1 << 50}).Draw(t, "start"))
	return &model{
		q: q, cfg: q.cfg, now: start,
		accepted: map[ID]Request{}, reported: map[ID]Report{}, handed: map[ID]radio.Tick{},
	}
}

func (m *model) push(t *rapid.T) {
	r := Request{Packet: packet(radio.SpreadingFactor(rapid.IntRange(7, 10).Draw(t, "sf")), rapid.IntRange(1, 40).Draw(t, "n"))}
	r.Class = Class(rapid.SampledFrom([]int{1, 1, 1, 2, 3, 4}).Draw(t, "class"))
	if rapid.IntRange(0, 3).Draw(t, "immediate") == 0 {
		r.Packet.When = radio.Immediate
	} else {
		r.Tick = m.now.Add(radio.Micros(rapid.IntRange(-1_000, 22_000_000).Draw(t, "ahead")))
		if rapid.Bool().Draw(t, "near") {
			r.Tick = m.now.Add(radio.Micros(rapid.IntRange(0, 400_000).Draw(t, "near ahead")))
		}
	}
	if m.now == 0 && int64(r.Tick) < 0 {
		r.Tick = 0
	}
	id, status := m.q.Push(r, m.now)
	m.trace = append(m.trace, id, status)
	if (id != 0) != (status == radio.TxOK) {
		t.Fatalf("ID %d with %v", id, status)
	}
	if id != 0 {
		if _, twice := m.accepted[id]; twice {
			t.Fatalf("ID %d is given twice", id)
		}
		m.accepted[id] = r
	}
}

func (m *model) poll(t *rapid.T) {
	if m.held != 0 && m.answerAt != 0 && m.now >= m.answerAt {
		before := m.q.Len()
		if !m.q.Done(m.held, radio.TxResult{Status: m.answer}) {
			t.Fatalf("Done(%d) is not wanted", m.held)
		}
		if m.q.Len() != before {
			t.Fatalf("Done(%d) makes %d of %d", m.held, m.q.Len(), before)
		}
		if m.q.index(m.held) >= 0 { // taken back: it may come again
			delete(m.handed, m.held)
			m.again++
		}
		m.held = 0
	}
	s := m.q.Next(m.now)
	m.trace = append(m.trace, s.Reports, s.Abort, s.Wake)
	for _, r := range s.Reports {
		if _, twice := m.reported[r.ID]; twice {
			t.Fatalf("%d is reported twice", r.ID)
		}
		if _, known := m.accepted[r.ID]; !known {
			t.Fatalf("%d was never accepted", r.ID)
		}
		if _, sent := m.handed[r.ID]; r.Result.Status == radio.TxOK && !sent {
			t.Fatalf("%d is said to be sent and was never handed over", r.ID)
		}
		m.reported[r.ID] = r
		if r.ID == m.held { // given up
			m.held = 0
		}
	}
	if s.Abort != 0 {
		if s.Abort != m.held {
			t.Fatalf("abort of %d, the radio holds %d", s.Abort, m.held)
		}
		if rapid.Bool().Draw(t, "abort works") {
			m.answer, m.answerAt = radio.TxFailed, m.now
			if i := len(m.onAir) - 1; i >= 0 && m.onAir[i].id == s.Abort {
				if m.onAir[i].to = min(m.onAir[i].to, m.now); m.onAir[i].to <= m.onAir[i].from {
					m.onAir = m.onAir[:i] // stopped before it began
				}
			}
		}
	}
	if s.Wake != 0 && s.Wake <= m.now || s.Wake == 0 && m.q.Len() > 0 {
		t.Fatalf("wake at %d, now %d, %d left", s.Wake, m.now, m.q.Len())
	}
	if s.Program != nil {
		m.program(t, s.Program)
	}
}

func (m *model) program(t *rapid.T, p *Program) {
	start := p.Packet.Tick
	switch lead := start.Sub(m.now); {
	case m.held != 0:
		t.Fatalf("%d is programmed over %d", p.ID, m.held)
	case m.handed[p.ID] != 0 || m.reported[p.ID].ID != 0:
		t.Fatalf("%d is programmed after its end, or twice", p.ID)
	case lead > m.cfg.Ahead || lead < m.cfg.Start+m.cfg.Margin+m.cfg.Bus:
		t.Fatalf("%d is programmed %d µs ahead", p.ID, lead)
	case p.Until.Sub(m.now) < m.cfg.Margin+m.cfg.Bus || p.Until != start.Add(-m.cfg.Start):
		t.Fatalf("%d must be programmed until %d, now %d", p.ID, p.Until, m.now)
	case p.Packet.When == radio.Immediate || p.Class != m.accepted[p.ID].Class:
		t.Fatalf("program %+v", p)
	case m.accepted[p.ID].Packet.When == radio.AtTick && start != m.accepted[p.ID].Tick:
		t.Fatalf("%d was asked for %d and starts at %d", p.ID, m.accepted[p.ID].Tick, start)
	}
	e, _ := m.q.admit(m.accepted[p.ID], 0)
	end := start.Add(e.air)
	m.held, m.handed[p.ID] = p.ID, start
	m.answer, m.answerAt = radio.TxOK, 0
	switch rapid.IntRange(0, 9).Draw(t, "fate") {
	case 0: // could not be programmed
		m.answer, m.answerAt = rapid.SampledFrom([]radio.TxStatus{radio.TxBusy, radio.TxFailed}).Draw(t, "why"), m.now
		return
	case 1: // sent, and never heard of again
	case 2: // the driver is sure before the end
		m.answerAt = m.now + 1
	default:
		m.answerAt = end.Add(radio.Micros(rapid.IntRange(0, 15_000).Draw(t, "tardy")))
	}
	for _, o := range m.onAir {
		if start < o.to && o.from < end {
			t.Fatalf("%d is on air %d..%d over %d..%d", p.ID, start, end, o.from, o.to)
		}
	}
	m.onAir = append(m.onAir, span{p.ID, start, end})
}

func (m *model) cancel(t *rapid.T) {
	id := ID(rapid.IntRange(0, len(m.accepted)+1).Draw(t, "id"))
	ok := m.q.Cancel(id)
	m.trace = append(m.trace, ok)
	_, known := m.accepted[id]
	if _, ended := m.reported[id]; ok && (!known || ended) {
		t.Fatalf("Cancel(%d) worked", id)
	}
}

// settle lets time pass until all that was accepted must have ended.
func (m *model) settle(t *rapid.T) {
	for range 6000 {
		m.now = m.now.Add(10_000)
		m.poll(t)
		if m.q.Len() == 0 {
			break
		}
	}
	if len(m.reported) != len(m.accepted) || m.q.Len() != 0 {
		t.Fatalf("%d accepted, %d reported, %d in the queue", len(m.accepted), len(m.reported), m.q.Len())
	}
}

func (m *model) run(t *rapid.T) {
	for range rapid.IntRange(1, 60).Draw(t, "ops") {
		switch rapid.SampledFrom([]string{"push", "push", "poll", "poll", "poll", "cancel", "stall", "wake", "flush"}).Draw(t, "op") {
		case "push":
			m.push(t)
		case "poll":
			m.now = m.now.Add(radio.Micros(rapid.IntRange(0, 12_000).Draw(t, "dt")))
			m.poll(t)
		case "stall":
			m.now = m.now.Add(radio.Micros(rapid.IntRange(0, 3_000_000).Draw(t, "dt")))
			m.poll(t)
		case "wake":
			if w := m.q.wake(m.now); w != 0 && w.Sub(m.now) < 30_000_000 {
				m.now = w
			}
			m.poll(t)
		case "cancel":
			m.cancel(t)
		case "flush":
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				m.q.Flush()
				m.q.advance(m.now)
				m.held, m.onAir = 0, nil // the radio was reset
			}
		}
		if n := m.q.Len(); n > m.cfg.Depth || n != len(m.accepted)-len(m.reported) {
			t.Fatalf("%d accepted, %d reported, but the queue holds %d of %d", len(m.accepted), len(m.reported), n, m.cfg.Depth)
		}
		m.noOverlapWaiting(t)
	}
	m.settle(t)
}

// noOverlapWaiting checks what was promised: no two accepted packets collide.
func (m *model) noOverlapWaiting(t *rapid.T) {
	if h := &m.q.inRadio; h.id != 0 {
		if waits := m.q.index(h.id) >= 0; waits != (!h.settled && h.ends == end{}) {
			t.Fatalf("%d is in the radio, settled %v, ends %v, among the entries %v", h.id, h.settled, h.ends, waits)
		}
		for i := range m.q.entries {
			if h.settled && m.q.collide(&h.entry, &m.q.entries[i]) {
				t.Fatalf("%d collides with %d in the radio", m.q.entries[i].id, h.id)
			}
		}
	}
	for i := range m.q.entries {
		if i > 0 && m.q.entries[i-1].start > m.q.entries[i].start {
			t.Fatal("the queue is out of order")
		}
		for j := range i {
			if m.q.collide(&m.q.entries[i], &m.q.entries[j]) {
				t.Fatalf("%d and %d collide", m.q.entries[i].id, m.q.entries[j].id)
			}
		}
	}
}

// Accepted = transmitted + reported; never two at once; never late programming.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newModel(t).run(t) })
}

func FuzzConservation(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { newModel(t).run(t) }))
}

// The same calls give the same answers, whatever the host does in between.
func TestDeterministic(t *testing.T) {
	g := rapid.Custom(func(t *rapid.T) []any {
		m := newModel(t)
		m.run(t)
		return m.trace
	})
	for seed := range 50 {
		if a, b := g.Example(seed), g.Example(seed); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}
