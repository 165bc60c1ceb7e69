package router

import (
	"net/netip"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/gwmp"
)

const (
	maxPending  = 1 << 16          // downlinks that wait for their result
	answerAfter = 30 * time.Second // covers the longest RX delay, 16 s, and the way back
)

// downlink is one that a hotspot was asked to send.
type downlink struct {
	gateway *gateway
	server  netip.AddrPort
	resp    gwmp.PullResp
	asked   time.Time
}

// answer tells the server what really happened. Version 1 has no such message.
func (d downlink) answer(s radio.TxStatus, power radio.CentiDBm) {
	if d.resp.Version == gwmp.V1 {
		return
	}
	ack := gwmp.TxAck{Version: d.resp.Version, Token: d.resp.Token, MAC: d.gateway.mac, Status: s}
	if s == radio.TxOK && power != 0 && power != d.resp.TxPK.Power {
		ack.Power, ack.HasPower = power, true
	}
	if err := d.gateway.send(ack, d.server); err != nil {
		d.gateway.router.cfg.Logger.Debug("answer a downlink failed", "server", d.server.String(), "error", err)
	}
}

// downlink hands a server's packet to the hotspot. The answer is given when the
// hotspot reports the result, or at once when it cannot be asked.
func (r *Router) downlink(g *gateway, from netip.AddrPort, resp gwmp.PullResp) {
	now := r.cfg.Now()
	d := downlink{gateway: g, server: from, resp: resp, asked: now}
	windows, status := r.windows(g, resp.TxPK, now)
	if status != radio.TxOK {
		d.answer(status, 0)
		r.metrics.downlinks.WithLabelValues(status.String()).Inc()
		return
	}
	id, ok := r.remember(d)
	if !ok {
		d.answer(radio.TxBusy, 0)
		r.metrics.downlinks.WithLabelValues("busy").Inc()
		return
	}
	m := &pb.Downlink{Id: id, Phy: resp.TxPK.Payload, Windows: windows}
	if r.cfg.Push(g.id, &pb.ToHotspot{Message: &pb.ToHotspot_Downlink{Downlink: m}}) {
		return
	}
	if _, still := r.take(id); still {
		d.answer(radio.TxNoRadio, 0)
		r.metrics.downlinks.WithLabelValues("no_session").Inc()
	}
}

// rx2After is how much later than the first window the second one opens.
const rx2After = radio.Micros(1_000_000)

// windows are the chances to send. A server that speaks Semtech UDP names one.
// When that is not on the parameters of the region's second window, it is the
// first, and the second is offered too, one second later.
func (r *Router) windows(g *gateway, t gwmp.TxPK, now time.Time) ([]*pb.TxWindow, radio.TxStatus) {
	w := &pb.TxWindow{FrequencyHz: uint32(t.Frequency), DataRate: t.DataRate.String(), EirpCdbm: int32(t.Power)}
	switch t.When {
	case radio.Immediate:
		w.Immediate = true
		return []*pb.TxWindow{w}, radio.TxOK
	case radio.AtGPS:
		return nil, radio.TxGPSUnlocked // class B: the oracle does not know the hotspot's GPS time
	}
	tick := radio.Widen(t.Tmst, g.near(now))
	w.Tick = uint64(tick)
	out := []*pb.TxWindow{w}
	if r.cfg.RX2 == nil {
		return out, radio.TxOK
	}
	if freq, rate, ok := r.cfg.RX2(g.id); ok && (freq != t.Frequency || rate != t.DataRate) {
		out = append(out, &pb.TxWindow{Tick: uint64(tick.Add(rx2After)), FrequencyHz: uint32(freq), DataRate: rate.String()})
	}
	return out, radio.TxOK
}

func (r *Router) remember(d downlink) (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) >= maxPending {
		return 0, false
	}
	r.nextID++
	r.pending[r.nextID] = d
	return r.nextID, true
}

func (r *Router) take(id uint64) (downlink, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.pending[id]
	delete(r.pending, id)
	return d, ok
}

func (r *Router) takeOverdue(now time.Time) (out []downlink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, d := range r.pending {
		if now.Sub(d.asked) > answerAfter {
			delete(r.pending, id)
			out = append(out, d)
		}
	}
	return out
}

// Result takes a hotspot's word on what became of a downlink. Another hotspot's
// downlink, and one that was answered already, are ignored.
func (r *Router) Result(id identity.HotspotID, m *pb.DownlinkResult) {
	r.mu.Lock()
	d, ok := r.pending[m.GetId()]
	if ok && d.gateway.id == id {
		delete(r.pending, m.GetId())
	}
	r.mu.Unlock()
	if !ok || d.gateway.id != id {
		r.metrics.downlinks.WithLabelValues("unasked_result").Inc()
		return
	}
	s := radio.TxStatus(min(m.GetStatus(), 255))
	if s < radio.TxOK || s > radio.TxFailed {
		s = radio.TxFailed
	}
	d.answer(s, radio.CentiDBm(max(min(m.GetPowerCdbm(), 10_000), -10_000)))
	r.metrics.downlinks.WithLabelValues(s.String()).Inc()
}
