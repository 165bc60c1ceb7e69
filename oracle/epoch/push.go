package epoch

import (
	"context"
	"slices"
	"sync"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// tooLate is how short before it is due a challenge is still worth delivering.
const tooLate = 500 * time.Millisecond

// pusher delivers challenges shortly before they are due, to whatever session
// the hotspot has then.
type pusher struct {
	cfg Config

	mu    sync.Mutex
	epoch poc.Epoch
	set   bool
	queue []poc.Challenge // ascending by instant, not delivered yet
}

func newPusher(c Config) *pusher { return &pusher{cfg: c} }

func (p *pusher) armed(e poc.Epoch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set && p.epoch == e
}

// arm replaces the queue by an epoch's challenges. What is left of the epoch
// before is over.
func (p *pusher) arm(e poc.Epoch, all []poc.Challenge) {
	queue := slices.Clone(all)
	slices.SortFunc(queue, func(a, b poc.Challenge) int {
		switch {
		case a.UnixNano != b.UnixNano:
			return int(min(max(a.UnixNano-b.UnixNano, -1), 1))
		default:
			return slices.Compare(a.Hotspot[:], b.Hotspot[:])
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch, p.set, p.queue = e, true, queue
}

// pushEvery is the grain of delivery.
const pushEvery = 100 * time.Millisecond

func (p *pusher) run(ctx context.Context) {
	t := time.NewTicker(pushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.deliver(p.cfg.Now())
		case <-ctx.Done():
			return
		}
	}
}

// deliver pushes what is due within the delivery time. A challenge whose hotspot
// has no session stays until it is too late: the hotspot may come back.
func (p *pusher) deliver(now time.Time) {
	p.mu.Lock()
	due := 0
	for due < len(p.queue) && p.queue[due].UnixNano <= now.Add(p.cfg.Deliver).UnixNano() {
		due++
	}
	todo, rest := p.queue[:due], p.queue[due:]
	e := p.epoch
	p.mu.Unlock()
	if due == 0 {
		return
	}
	var wait []poc.Challenge
	for _, c := range todo {
		switch {
		case c.UnixNano < now.Add(tooLate).UnixNano():
			p.cfg.Metrics.challenges.WithLabelValues("not_delivered").Inc()
		case p.send(c):
			p.cfg.Metrics.challenges.WithLabelValues("delivered").Inc()
		default:
			wait = append(wait, c)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == e {
		p.queue = append(wait, rest...)
	}
}

func (p *pusher) send(c poc.Challenge) bool {
	b, err := poc.SignChallenge(c, p.cfg.Key)
	if err != nil {
		p.cfg.Logger.Error("sign a challenge failed", "error", err)
		return false
	}
	return p.cfg.Push(c.Hotspot, &pb.ToHotspot{Message: &pb.ToHotspot_Challenge{Challenge: &pb.Challenge{Challenge: b}}})
}

// announce queues the verdicts of an epoch for everybody who is connected.
func (m *Manager) announce(res Result) {
	seen := make(map[identity.HotspotID]bool)
	for _, v := range res.Verdicts {
		if !seen[v.Hotspot] {
			seen[v.Hotspot] = true
			m.SessionReady(v.Hotspot)
		}
	}
}

// SessionReady tells the manager that a hotspot has a session: it gets the
// verdicts of the newest judged epoch. It does not block.
func (m *Manager) SessionReady(id identity.HotspotID) {
	select {
	case m.ready <- id:
	default: // the hotspot asks again with its next session
	}
}

// pushVerdicts sends verdicts, hotspot by hotspot.
func (m *Manager) pushVerdicts(ctx context.Context) {
	for {
		var id identity.HotspotID
		select {
		case id = <-m.ready:
		case <-ctx.Done():
			return
		}
		e, verdicts, err := m.LastVerdicts(ctx, id)
		if err != nil {
			m.cfg.Logger.Warn("read verdicts failed", "error", err)
			continue
		}
		for _, v := range verdicts {
			if !m.pushVerdict(ctx, e, v) {
				break
			}
		}
	}
}

// Pace of verdicts towards a hotspot whose queue is full.
const (
	verdictTries = 20
	verdictPause = 50 * time.Millisecond
)

func (m *Manager) pushVerdict(ctx context.Context, e poc.Epoch, v poc.Verdict) bool {
	msg := &pb.ToHotspot{Message: &pb.ToHotspot_Verdict{Verdict: &pb.Verdict{
		ReportId: v.Report[:], Epoch: uint32(e), Reason: uint32(v.Reason), Weight: v.Weight, Got: v.Got, Limit: v.Limit}}}
	for range verdictTries {
		if m.cfg.Push(v.Hotspot, msg) {
			return true
		}
		t := time.NewTimer(verdictPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
	return false
}
