package device

import (
	"time"

	"heliograph/radio"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

// session is what a join-accept started.
type session struct {
	addr      lorawan.DevAddr
	keys      lorawan.SessionKeys
	rx1Delay  time.Duration
	rx1Offset int
	rx2DR     region.DR
	joinNonce uint32

	fcntUp   uint32 // of the next uplink
	nextDown uint32 // least counter that a downlink may have
	owesAck  bool   // a confirmed downlink waits for its acknowledgement
}

// Heard takes in a packet that reached the antenna. It counts only when its
// preamble began in an open window, on that window's frequency and data rate.
func (m *Machine) Heard(now time.Duration, h Heard) Effects {
	fx := Effects{Wake: m.next}
	if m.state != listening || !m.inWindow(h) {
		return fx
	}
	f, err := lorawan.Parse(h.PHY)
	switch {
	case err == nil && m.session == nil && f.Kind == lorawan.JoinAccept && m.join(now, h.PHY):
		fx.Events = append(fx.Events, m.event(Joined))
	case err == nil && m.session != nil && f.Kind == lorawan.DataDown && m.downlink(now, f, &fx):
	default:
		m.stats.Ignored++
	}
	fx.Wake = m.next
	return fx
}

func (m *Machine) inWindow(h Heard) bool {
	for _, w := range m.windows {
		beside := h.Start - w.opens
		if beside >= -windowSlack && beside <= windowSlack && near(h.Frequency, w.freq) && h.DataRate == w.rate {
			return true
		}
	}
	return false
}

// carrierSlack is how far beside a window's frequency a carrier may be: a
// concentrator's synthesizer has steps of 122 Hz, and a demodulator follows much more.
const carrierSlack = radio.KHz

func near(a, b radio.Hertz) bool { return a-b <= carrierSlack && b-a <= carrierSlack }

// join starts a session when the join-accept is genuine.
func (m *Machine) join(now time.Duration, phy []byte) bool {
	ja, err := lorawan.DecryptJoinAccept(phy, m.cfg.AppKey)
	if err != nil || ja.OptNeg || !ja.VerifyMIC10(m.cfg.AppKey) {
		return false
	}
	if _, ok := m.cfg.Plan.Rate(region.Down, region.DR(ja.RX2DR)); !ok {
		return false
	}
	if _, err := m.cfg.Plan.RX1Rate(m.dr, int(ja.RX1DROffset)); err != nil {
		return false
	}
	m.session = &session{
		addr: ja.DevAddr, keys: lorawan.DeriveSession10(m.cfg.AppKey, ja.JoinNonce, ja.NetID, m.sent),
		rx1Delay: time.Duration(max(ja.RXDelay, 1)) * time.Second, rx1Offset: int(ja.RX1DROffset),
		rx2DR: region.DR(ja.RX2DR), joinNonce: ja.JoinNonce,
	}
	m.failed = 0
	m.stats.Joins++
	m.rest(now + time.Second + time.Duration(m.rng.Int64N(int64(2*time.Second))))
	return true
}

// downlink accepts a data frame that is for us, newer than the last, and genuine.
func (m *Machine) downlink(now time.Duration, f lorawan.Frame, fx *Effects) bool {
	s := m.session
	if f.DevAddr != s.addr {
		return false
	}
	fcnt := s.nextDown + uint32(f.FCnt16-uint16(s.nextDown))
	if fcnt-s.nextDown >= maxFCntGap || !lorawan.VerifyDownlinkMIC10(f.Raw, s.keys.FNwkSInt, fcnt) {
		return false
	}
	s.nextDown = fcnt + 1
	s.owesAck = f.Confirmed
	m.stats.Downlinks++
	if f.HasFPort && f.FPort != 0 {
		if plain, err := f.Decrypt(s.keys, fcnt); err == nil {
			fx.Events = append(fx.Events, Event{Kind: Message, DevEUI: m.cfg.DevEUI, DevAddr: s.addr, FCnt: fcnt, Payload: plain})
		}
	}
	switch {
	case m.flight.confirm && !f.FCtrl.ACK: // an answer, but not to this: repeat
		m.next = min(m.next, now)
		return true
	case m.flight.confirm:
		m.stats.Acked++
		fx.Events = append(fx.Events, m.event(Acked))
	}
	m.landed(now)
	return true
}
