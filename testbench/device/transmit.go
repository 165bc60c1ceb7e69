package device

import (
	"fmt"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

// transmit sends what is next: a join-request, a repetition, or a new uplink. It
// waits instead when the duty cycle of the drawn channel is spent.
func (m *Machine) transmit(now time.Duration, fx *Effects) {
	phy, err := m.frame()
	if err != nil { // the payload does not fit
		m.stats.Oversized++
		m.landed(now)
		return
	}
	row, _ := m.cfg.Plan.Rate(region.Up, m.dr)
	channels := m.cfg.channels(m.dr)
	freq := channels[m.rng.IntN(len(channels))]
	at := now + txLead
	p := radio.TxPacket{Payload: phy, Frequency: freq, DataRate: row.DataRate, Coding: 1, Power: m.cfg.Power, When: radio.Immediate}
	air, err := airtime.OnAir(airtime.Params{DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(phy)})
	if err != nil {
		m.landed(now)
		return
	}
	if ok, retry := m.reserve(freq, at, air); !ok {
		m.stats.Deferred++
		m.rest(max(retry-txLead, now+time.Second))
		return
	}
	if !m.openWindows(at+air.Duration(), p) {
		m.landed(now)
		return
	}
	m.count(fx)
	fx.Transmit = &Transmission{At: at, Packet: p}
	m.state, m.next = listening, m.windows[1].opens+longestDown
}

// frame builds the bytes; those of an uplink are the same in each repetition.
func (m *Machine) frame() ([]byte, error) {
	if m.session == nil {
		return lorawan.BuildJoinRequest(m.cfg.JoinEUI, m.cfg.DevEUI, m.nonce, m.cfg.AppKey)
	}
	if m.flight != nil {
		return m.flight.phy, nil
	}
	s := m.session
	n := s.fcntUp
	confirm := m.cfg.ConfirmEvery > 0 && (n+1)%m.cfg.ConfirmEvery == 0
	payload := m.cfg.Payload(n)
	if row, _ := m.cfg.Plan.Rate(region.Up, m.dr); len(payload) > row.MaxApp() {
		s.fcntUp++
		return nil, fmt.Errorf("device: payload of %d bytes, want at most %d at data rate %d", len(payload), row.MaxApp(), m.dr)
	}
	phy, err := lorawan.BuildData10(lorawan.Data{
		Confirmed: confirm, DevAddr: s.addr, FCtrl: lorawan.FCtrl{ACK: s.owesAck}, FCnt: n,
		HasFPort: true, FPort: m.cfg.FPort, FRMPayload: payload,
	}, s.keys)
	s.fcntUp++ // a counter that failed is not used again either
	if err != nil {
		return nil, err
	}
	m.flight = &flight{phy: phy, fcnt: n, payload: payload, confirm: confirm}
	return phy, nil
}

// reserve accounts time on air in the channel's sub-band.
func (m *Machine) reserve(freq radio.Hertz, at time.Duration, air radio.Micros) (bool, time.Duration) {
	sb, ok := m.cfg.Plan.SubBand(freq)
	if !ok || sb.DutyPerMille >= 1000 {
		return true, at
	}
	ok, retry := m.duty.Reserve(sb.Name, radio.MicrosOf(at), air)
	if retry == airtime.Never {
		return false, at + time.Hour
	}
	return ok, retry.Duration()
}

// openWindows plans RX1 and RX2 of a packet that ends at the instant.
func (m *Machine) openWindows(end time.Duration, p radio.TxPacket) bool {
	plan := m.cfg.Plan
	rx1, rx2, offset := plan.Delays.JoinAccept1.Duration(), plan.Delays.JoinAccept2.Duration(), 0
	freq2, rate2 := plan.RX2()
	if s := m.session; s != nil {
		rx1, rx2, offset = s.rx1Delay, s.rx1Delay+time.Second, s.rx1Offset
		row, ok := plan.Rate(region.Down, s.rx2DR)
		if !ok {
			return false
		}
		rate2 = row.DataRate
	}
	freq1, rate1, err := plan.RX1(p.Frequency, p.DataRate, offset)
	if err != nil {
		return false
	}
	m.windows = [2]window{{end + rx1, freq1, rate1}, {end + rx2, freq2, rate2}}
	return true
}

// count books the transmission that is about to happen.
func (m *Machine) count(fx *Effects) {
	if m.session == nil {
		m.stats.JoinRequests++
		m.sent = m.nonce
		m.nonce++
		return
	}
	f := m.flight
	f.tries++
	m.stats.Transmissions++
	if f.tries > 1 {
		fx.Events = append(fx.Events, m.event(Resent))
		return
	}
	m.session.owesAck = false
	m.stats.Uplinks++
	if f.confirm {
		m.stats.Confirmed++
	}
	fx.Events = append(fx.Events, m.event(Sent))
}
