// Package beaconer answers the oracle's challenges: it decides whether and when
// a beacon goes on air, and reports what happened. The decision is a step
// machine without clock, randomness or I/O ([Machine]); [Loop] drives it.
//
// What a challenge asks for is checked against the law on the device
// (package txlimit): the oracle may be wrong, or not the oracle. A challenge
// that is not answered is declined with its cause, so that silence always means
// that the hotspot or its connection was down.
package beaconer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"heliograph/firmware/txlimit"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Config of a [Machine]. Zero values are the defaults, but for Hotspot and
// Limits.
type Config struct {
	Hotspot  identity.HotspotID
	Limits   *txlimit.Limiter
	Disabled bool // the owner switched beacons off: every challenge is declined

	MaxPending int           // challenges that wait, default 8
	MaxAhead   time.Duration // a challenge due later is refused, default 10 min
	HandOver   time.Duration // how long before the instant the radio gets the packet, default 2 s
	MinLead    time.Duration // shorter, and it is too late, default 100 ms
	MaxBound   time.Duration // greatest error of the clock, default 1 s
	Patience   time.Duration // wait for the radio after the instant, default 10 s
}

func (c Config) withDefaults() Config {
	set := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.MaxPending <= 0 {
		c.MaxPending = 8
	}
	set(&c.MaxAhead, 10*time.Minute)
	set(&c.HandOver, 2*time.Second)
	set(&c.MinLead, 100*time.Millisecond)
	set(&c.MaxBound, time.Second)
	set(&c.Patience, 10*time.Second)
	return c
}

// Now is one moment on the hotspot's three clocks.
type Now struct {
	Mono time.Duration  // monotonic
	UTC  radio.WallTime // unknown before the first synchronisation
	Tick radio.Tick     // the concentrator's counter
	// HasTick is false when the counter is not known, as before a packet
	// forwarder's first packet: beacons are then sent by the host's clock.
	HasTick bool
}

// Refusal says why a challenge got no report at all.
type Refusal string

// The refusals.
const (
	NotForMe    Refusal = "not_for_me"
	TooFarAhead Refusal = "too_far_ahead"
	Repeated    Refusal = "repeated"
	TooMany     Refusal = "too_many"
)

// Effects are what a step asks its driver to do, in the order of the fields.
type Effects struct {
	Transmit []Transmission
	Beacons  []poc.Beacon
	Declines []Declined
	Refused  []Refusal

	// Wake is the monotonic instant at which Tick wants to be called; 0 is never.
	Wake time.Duration
}

// Transmission is a packet for the radio. The result comes back by
// [Machine.Result] with the same challenge.
type Transmission struct {
	Challenge poc.ID
	Packet    radio.TxPacket
	Payload   poc.Payload // to recognise the beacon should the own radio hear it
}

// Declined is a decline report with the cause in words for the log.
type Declined struct {
	poc.Decline
	Why error
}

// Machine is the step machine. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	pending []*task // by instant
}

// task is one challenge on its way.
type task struct {
	id    poc.ID
	c     poc.Challenge
	proof []byte

	sent    bool // handed to the radio
	grant   txlimit.Grant
	tick    radio.Tick // planned start; 0 without a counter
	planned radio.WallTime
	until   time.Duration // monotonic: no result by then is a failure
}

// New makes a machine with nothing pending.
func New(cfg Config) *Machine { return &Machine{cfg: cfg.withDefaults()} }

// Pending is the number of challenges on their way.
func (m *Machine) Pending() int { return len(m.pending) }

// Expects says whether a challenge is worth proving: it is for this hotspot and
// not known. It saves a secure element's slow signature.
func (m *Machine) Expects(c poc.Challenge) bool {
	return c.Hotspot == m.cfg.Hotspot && m.find(c.ID()) == nil
}

func (m *Machine) find(id poc.ID) *task {
	for _, t := range m.pending {
		if t.id == id {
			return t
		}
	}
	return nil
}

// Challenge takes a challenge in, whose oracle signature has been verified,
// with its proof ([poc.Challenge.Prove]).
func (m *Machine) Challenge(now Now, c poc.Challenge, proof []byte) Effects {
	var fx Effects
	id := c.ID()
	t := &task{id: id, c: c, proof: proof}
	switch {
	case c.Hotspot != m.cfg.Hotspot:
		fx.Refused = append(fx.Refused, NotForMe)
	case m.find(id) != nil:
		fx.Refused = append(fx.Refused, Repeated)
	case now.UTC.Known() && c.UnixNano-now.UTC.UnixNano > int64(m.cfg.MaxAhead):
		fx.Refused = append(fx.Refused, TooFarAhead)
	case len(m.pending) >= m.cfg.MaxPending:
		fx.Refused = append(fx.Refused, TooMany)
	case m.cfg.Disabled:
		m.decline(&fx, now, t, poc.DeclineDisabled, errors.New("beacons are switched off in the configuration"))
	default:
		m.pending = append(m.pending, t)
		slices.SortStableFunc(m.pending, func(a, b *task) int { return cmp.Compare(a.c.UnixNano, b.c.UnixNano) })
	}
	m.advance(now, &fx)
	return fx
}

// Tick lets time pass. Call it at [Effects.Wake], and whenever the clock was set.
func (m *Machine) Tick(now Now) Effects {
	var fx Effects
	m.advance(now, &fx)
	return fx
}

// advance hands over and gives up what is due, and finds the next wake-up.
func (m *Machine) advance(now Now, fx *Effects) {
	for _, t := range slices.Clone(m.pending) {
		switch {
		case t.sent && now.Mono >= t.until:
			m.finish(t) // the grant stays booked: the beacon may have gone out
			m.decline(fx, now, t, poc.DeclineRadio, errors.New("the radio did not answer"))
		case !t.sent:
			m.handOver(fx, now, t)
		}
	}
	fx.Wake = 0
	for _, t := range m.pending {
		at := t.until
		if !t.sent {
			at = m.due(now, t)
		}
		if fx.Wake == 0 || at < fx.Wake {
			fx.Wake = at
		}
	}
}

// noClockRetry is how often a challenge looks for a clock.
const noClockRetry = time.Second

// due is the monotonic instant at which the task is handed over.
func (m *Machine) due(now Now, t *task) time.Duration {
	if !now.UTC.Known() {
		return now.Mono + noClockRetry
	}
	lead := m.cfg.HandOver
	if !now.HasTick {
		lead = 0
	}
	d := now.Mono + time.Duration(t.c.UnixNano-now.UTC.UnixNano) - lead
	if d <= now.Mono {
		return now.Mono + 1
	}
	return d
}

// handOver sends the task's beacon when its time has come.
func (m *Machine) handOver(fx *Effects, now Now, t *task) {
	if !now.UTC.Known() {
		// Without any clock there is no telling when the instant passes.
		if t.until == 0 {
			t.until = now.Mono + m.cfg.Patience
		}
		if now.Mono >= t.until {
			m.finish(t)
			m.decline(fx, now, t, poc.DeclineNoClock, errors.New("no time source has answered yet"))
		}
		return
	}
	left := time.Duration(t.c.UnixNano - now.UTC.UnixNano)
	if now.HasTick && left > m.cfg.HandOver || !now.HasTick && left > 0 {
		return
	}
	m.finish(t) // put back when it goes on
	switch {
	case now.UTC.Bound > m.cfg.MaxBound:
		m.decline(fx, now, t, poc.DeclineNoClock, errors.New("the clock may be off by "+now.UTC.Bound.String()))
	case now.HasTick && left < m.cfg.MinLead, !now.HasTick && left < -m.cfg.MinLead:
		m.decline(fx, now, t, poc.DeclineTooLate, errors.New("due in "+left.String()))
	default:
		m.transmit(fx, now, t, left)
	}
}

func (m *Machine) transmit(fx *Effects, now Now, t *task, left time.Duration) {
	payload := poc.PayloadOf(t.proof)
	pkt := radio.TxPacket{
		Payload: payload.Frame(), Frequency: t.c.Frequency, DataRate: t.c.DataRate, Coding: 1, When: radio.Immediate,
	}
	t.planned = radio.WallTime{UnixNano: now.UTC.UnixNano + max(0, int64(left)), Bound: now.UTC.Bound}
	if now.HasTick {
		t.tick = now.Tick.Add(radio.MicrosOf(left))
		pkt.When, pkt.Tick = radio.AtTick, t.tick
	}
	grant, err := m.cfg.Limits.Reserve(txlimit.Request{Packet: pkt, EIRP: t.c.EIRP}, radio.MicrosOf(now.Mono+max(0, left)))
	if err != nil {
		m.decline(fx, now, t, causeOf(err), err)
		return
	}
	pkt.Power = grant.Power
	t.grant, t.sent, t.until = grant, true, now.Mono+max(0, left)+m.cfg.Patience
	m.pending = append(m.pending, t)
	fx.Transmit = append(fx.Transmit, Transmission{Challenge: t.id, Packet: pkt, Payload: payload})
}

// causeOf sorts a limiter's error into the causes that a decline can state.
func causeOf(err error) poc.DeclineCause {
	switch {
	case errors.Is(err, txlimit.ErrDutyCycle):
		return poc.DeclineDutyCycle
	case errors.Is(err, txlimit.ErrPower):
		return poc.DeclineRadio
	}
	return poc.DeclineRegion
}

// Result takes in how a transmission ended. A result that nobody waits for is
// ignored.
func (m *Machine) Result(now Now, id poc.ID, r radio.TxResult) Effects {
	var fx Effects
	if t := m.find(id); t != nil && t.sent {
		m.finish(t)
		if r.Status == radio.TxOK {
			fx.Beacons = append(fx.Beacons, m.report(now, t, r))
		} else {
			if r.Status != radio.TxFailed { // which may have gone out
				m.cfg.Limits.Release(t.grant)
			}
			m.decline(&fx, now, t, causeOfStatus(r.Status), errors.New("the radio says "+r.Status.String()))
		}
	}
	m.advance(now, &fx)
	return fx
}

// report states what was really sent: the radio's own account where it gives
// one, the plan where not.
func (m *Machine) report(now Now, t *task, r radio.TxResult) poc.Beacon {
	b := poc.Beacon{
		Hotspot: m.cfg.Hotspot, Challenge: t.id, Proof: t.proof,
		Frequency: t.c.Frequency, DataRate: t.c.DataRate,
		Power: r.Power, Tick: r.Tick, Time: r.Time,
	}
	if b.Tick == 0 {
		b.Tick = t.tick
	}
	if !b.Time.Known() {
		b.Time = t.planned
		if t.tick == 0 && now.UTC.Known() {
			// Sent by the host's clock: the packet started somewhere between
			// the request and this answer.
			if took := time.Duration(now.UTC.UnixNano - t.planned.UnixNano); took > 0 {
				b.Time.UnixNano += int64(took / 2)
				b.Time.Bound = max(t.planned.Bound, now.UTC.Bound) + took/2
			}
		}
	}
	return b
}

func causeOfStatus(s radio.TxStatus) poc.DeclineCause {
	switch s {
	case radio.TxTooLate:
		return poc.DeclineTooLate
	case radio.TxDutyCycle:
		return poc.DeclineDutyCycle
	case radio.TxBadFrequency, radio.TxBadPower:
		return poc.DeclineRegion
	}
	return poc.DeclineRadio
}

func (m *Machine) finish(t *task) {
	m.pending = slices.DeleteFunc(m.pending, func(x *task) bool { return x == t })
}

func (m *Machine) decline(fx *Effects, now Now, t *task, cause poc.DeclineCause, why error) {
	fx.Declines = append(fx.Declines, Declined{
		Decline: poc.Decline{Hotspot: m.cfg.Hotspot, Challenge: t.id, Cause: cause, Time: now.UTC},
		Why:     why,
	})
}
