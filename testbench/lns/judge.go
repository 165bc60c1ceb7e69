package lns

import (
	"heliograph/radio"
	"heliograph/radio/lorawan"
)

// maxFCntGap is how many uplinks may get lost in a row (TS001-1.0.4 leaves it to
// the network; 1.0.3 called it MAX_FCNT_GAP).
const maxFCntGap = 16384

// member is a registered device and its session.
type member struct {
	Device
	addr lorawan.DevAddr

	nonces    bool   // a join was accepted before
	lastNonce uint16 // its DevNonce
	joinNonce uint32 // of the last join-accept

	active   bool
	keys     lorawan.SessionKeys
	nextUp   uint32 // least counter that a new uplink may have
	nextDown uint32
	lastAck  bool // the last uplink was a confirmed one
}

// judge decides about an uplink whose copies are gathered, and gives the frame
// that answers it, nil for none, with its delay from the end of the uplink.
func (c *Core) judge(g *gather) ([]byte, radio.Micros) {
	r := g.record
	f, err := lorawan.Parse(r.First.Payload)
	switch {
	case err == nil && f.Kind == lorawan.JoinRequest:
		return c.judgeJoin(r, f), c.cfg.Plan.Delays.JoinAccept1
	case err == nil && f.Kind == lorawan.DataUp:
		return c.judgeData(r, f), c.cfg.Plan.Delays.RX1
	}
	r.Verdict = NotUplink
	return nil, 0
}

func (c *Core) judgeJoin(r *Record, f lorawan.Frame) []byte {
	m := c.devices[f.DevEUI]
	switch {
	case m == nil || m.JoinEUI != f.JoinEUI:
		r.Verdict = UnknownDevice
		return nil
	case !lorawan.VerifyJoinRequestMIC(f.Raw, m.AppKey):
		r.Verdict = BadMIC
		return nil
	case m.nonces && f.DevNonce <= m.lastNonce:
		r.Verdict = OldNonce
		return nil
	}
	accept := lorawan.JoinAcceptBody{
		JoinNonce: m.joinNonce + 1, NetID: c.cfg.NetID, DevAddr: m.addr, RX2DR: uint8(c.cfg.Plan.RX2Default.DR),
		RXDelay: uint8(c.cfg.Plan.Delays.RX1 / 1_000_000),
	}
	phy, err := lorawan.BuildJoinAccept10(accept, m.AppKey)
	if err != nil {
		r.Verdict = Unanswerable
		return nil
	}
	m.joinNonce++
	m.nonces, m.lastNonce = true, f.DevNonce
	m.active, m.nextUp, m.nextDown, m.lastAck = true, 0, 0, false
	m.keys = lorawan.DeriveSession10(m.AppKey, accept.JoinNonce, accept.NetID, f.DevNonce)
	c.sessions[m.addr] = m
	c.stats.Accepts++
	r.Verdict, r.DevEUI = Join, m.DevEUI
	return phy
}

func (c *Core) judgeData(r *Record, f lorawan.Frame) []byte {
	m := c.sessions[f.DevAddr]
	if m == nil || !m.active {
		r.Verdict = UnknownDevice
		return nil
	}
	fcnt, repeat := m.counter(f)
	if !lorawan.VerifyUplinkMIC10(f.Raw, m.keys.FNwkSInt, fcnt) {
		r.Verdict = BadMIC
		return nil
	}
	r.DevEUI, r.FCnt, r.Verdict = m.DevEUI, fcnt, Repeat
	if !repeat {
		m.nextUp, m.lastAck = fcnt+1, f.Confirmed
		r.Verdict, r.FPort = Data, f.FPort
		if f.HasFPort {
			r.Payload, _ = f.Decrypt(m.keys, fcnt) // it cannot fail: the frame is a data uplink
		}
	}
	if !f.Confirmed {
		return nil
	}
	phy, err := lorawan.BuildData10(lorawan.Data{
		Down: true, DevAddr: m.addr, FCtrl: lorawan.FCtrl{ACK: true}, FCnt: m.nextDown,
	}, m.keys)
	if err != nil {
		return nil
	}
	m.nextDown++
	c.stats.Acks++
	return phy
}

// counter widens the frame's counter to 32 bits: that of the last uplink when it
// was a confirmed one that comes again, otherwise the next one that fits. A gap
// too wide gives a counter with which no integrity code is right.
func (m *member) counter(f lorawan.Frame) (fcnt uint32, repeat bool) {
	if m.nextUp > 0 && m.lastAck && f.Confirmed && f.FCnt16 == uint16(m.nextUp-1) {
		return m.nextUp - 1, true
	}
	ahead := f.FCnt16 - uint16(m.nextUp)
	if ahead >= maxFCntGap {
		return ^uint32(0), false
	}
	return m.nextUp + uint32(ahead), false
}
