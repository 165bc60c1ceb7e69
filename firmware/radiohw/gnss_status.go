package radiohw

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"heliograph/hardware/gnss"
	"heliograph/hardware/sx1302"
)

// GNSSStatus is what is known of a GNSS receiver and of the time that it gives.
type GNSSStatus struct {
	Receiver   string `json:"receiver"`
	State      string `json:"state"`       // locked, holdover or acquiring
	BoundNanos int64  `json:"bound_ns"`    // of UTC at a tick; 0 without a reference
	CrystalPPB int64  `json:"crystal_ppb"` // that the concentrator's crystal runs fast
	Satellites int    `json:"satellites"`  // in use

	Locks    uint64 `json:"locks"`    // references made
	Unlocks  uint64 `json:"unlocks"`  // and lost
	Pulses   uint64 `json:"pulses"`   // seen
	Pairs    uint64 `json:"pairs"`    // pulses and times that agreed
	Aberrant uint64 `json:"aberrant"` // and that did not
	Unpaired uint64 `json:"unpaired"` // times without a pulse in the second before

	Messages  uint64 `json:"messages"` // of use
	NoFix     uint64 `json:"no_fix"`
	Damaged   uint64 `json:"damaged"`
	JunkBytes uint64 `json:"junk_bytes"`

	Problem string `json:"problem,omitempty"` // with its remedy
}

// status is nil without a receiver.
func (k *timekeeper) status() *GNSSStatus {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, up := k.follow()
	state := gnss.Acquiring
	if up {
		state = k.ref.State(now)
	}
	st, c := k.ref.Stats(), k.line.count
	s := &GNSSStatus{
		Receiver: k.cfg.Name, State: state.String(),
		Locks: st.Locks, Unlocks: k.unlocks, Pulses: st.Pulses, Pairs: st.Pairs, Aberrant: st.Aberrant, Unpaired: st.Unpaired,
		Messages: c.Messages, NoFix: c.NoFix, Damaged: c.Damaged, JunkBytes: c.JunkBytes, Problem: k.line.problem,
	}
	s.CrystalPPB, _ = k.ref.CrystalPPB()
	if k.position != nil {
		s.Satellites = k.position.Satellites
	}
	if state != gnss.Acquiring {
		s.BoundNanos = int64(k.ref.UTC(now, now).Bound)
	}
	return s
}

// collect shows the status to Prometheus.
func (s *GNSSStatus) collect(send func(prometheus.ValueType, string, string, float64, ...string), counter func(string, string, uint64, ...string)) {
	for _, state := range []gnss.State{gnss.Locked, gnss.Holdover, gnss.Acquiring} {
		v := 0.0
		if s.State == state.String() {
			v = 1
		}
		send(prometheus.GaugeValue, "gnss_state", "1 for the state that GNSS time is in.", v, "state", state.String())
	}
	send(prometheus.GaugeValue, "gnss_bound_seconds", "How far GNSS time may be off; 0 without.", float64(s.BoundNanos)/1e9)
	send(prometheus.GaugeValue, "gnss_satellites", "Satellites in use.", float64(s.Satellites))
	send(prometheus.GaugeValue, "crystal_ppb", "How much the concentrator's crystal runs fast.", float64(s.CrystalPPB))
	counter("gnss_locks", "Times that GNSS time was found.", s.Locks)
	counter("gnss_unlocks", "Times that GNSS time was lost.", s.Unlocks)
	counter("gnss_pulses", "Pulses per second seen.", s.Pulses)
	for result, n := range map[string]uint64{"agreed": s.Pairs, "aberrant": s.Aberrant, "unpaired": s.Unpaired} {
		counter("gnss_times", "Times that the receiver told, by how they fit its pulses.", n, "result", result)
	}
	for result, n := range map[string]uint64{"used": s.Messages, "no_fix": s.NoFix, "damaged": s.Damaged} {
		counter("gnss_messages", "Messages of the receiver.", n, "result", result)
	}
	counter("gnss_junk_bytes", "Bytes of the receiver outside any message.", s.JunkBytes)
}

// noteState logs and counts what became of the reference. k.mu is held.
func (k *timekeeper) noteState(now gnss.Count) {
	s := k.ref.State(now)
	if s == k.state {
		return
	}
	was := k.state
	k.state = s
	ppb, _ := k.ref.CrystalPPB()
	switch {
	case s == gnss.Acquiring:
		k.unlocks++
		k.radio.warn(gnssUnlocked, "radiohw: GNSS time is lost: no pulse and message agreed for "+gnss.Lost.String()+
			": check the receiver's antenna, and its pulse's way to the concentrator")
	default:
		k.radio.log.Info("GNSS time", "state", s.String(), "before", was.String(), "crystal_ppb", ppb)
	}
}

// pulses says whether pulses are expected.
func (r *Radio) pulses() bool {
	return r.cfg.PPS || r.time != nil || r.cfg.Board.Config.Fine != sx1302.FineOff
}

// watchPulse reports pulses that cease, or never come. Reception goes on without.
func (r *Radio) watchPulse(ctx context.Context) {
	p, err := r.chip.Pulse(ctx)
	if err != nil {
		r.report(err)
		return
	}
	lost := p.Lost()
	r.mu.Lock()
	before := r.status.PulseLost
	r.status.PulseLost, r.status.pulseProblem = lost != nil, ""
	if lost != nil {
		r.status.pulseProblem = lost.Error()
	}
	r.mu.Unlock()
	switch {
	case lost != nil && !before:
		r.warn(sx1302.FaultPPS.String(), lost.Error())
	case lost == nil && before:
		r.log.Info("pulse per second is back")
	}
}
