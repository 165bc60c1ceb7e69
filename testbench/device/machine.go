package device

import (
	"fmt"
	"math/rand/v2"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

const (
	txLead = 50 * time.Millisecond // from the decision to the start of a packet
	// windowSlack is how far beside a window's start a preamble may begin: the
	// receiver opens early by the error of its crystal and listens a few symbols.
	windowSlack = 20 * time.Millisecond
	longestDown = 3 * time.Second // after RX2's start nothing is awaited longer
	backoffMin  = 4 * time.Second // after a failed join, doubled with each
	backoffMax  = 2 * time.Minute
	maxFCntGap  = 16384
)

// Stats counts what a device did.
type Stats struct {
	JoinRequests  uint64 // sent
	Joins         uint64 // sessions started
	Uplinks       uint64 // different ones
	Confirmed     uint64 // of these, asking for an acknowledgement
	Transmissions uint64 // of uplinks, repetitions counted
	Acked         uint64 // confirmed uplinks acknowledged
	GaveUp        uint64 // confirmed uplinks never acknowledged
	Downlinks     uint64 // accepted, join-accepts not counted
	Ignored       uint64 // heard in a window and not for us, or wrong
	Oversized     uint64 // payloads that no frame could carry, dropped
	Deferred      uint64 // times that the duty cycle made it wait
}

// EventKind says what an Event tells.
type EventKind string

// The kinds of event.
const (
	Joined  EventKind = "joined"
	Sent    EventKind = "sent"     // an uplink's first transmission
	Resent  EventKind = "resent"   // a confirmed uplink once more
	Acked   EventKind = "acked"    // a confirmed uplink's acknowledgement came
	GaveUp  EventKind = "gave_up"  // no acknowledgement in all tries
	Message EventKind = "downlink" // application data came down
)

// Event is something worth showing.
type Event struct {
	Kind    EventKind
	DevEUI  lorawan.EUI64
	DevAddr lorawan.DevAddr
	FCnt    uint32 // of the uplink; of the downlink for Message
	Payload []byte // plain
}

// Transmission is a packet for the radio.
type Transmission struct {
	At     time.Duration // start
	Packet radio.TxPacket
}

// Effects are what a step asks of its driver.
type Effects struct {
	Transmit *Transmission
	Wake     time.Duration // when Tick wants to be called
	Events   []Event
}

// Heard is a packet as the device's radio would receive it if it listened.
type Heard struct {
	PHY        []byte
	Frequency  radio.Hertz
	DataRate   radio.DataRate
	Start, End time.Duration
}

type state uint8

const (
	resting   state = iota // nothing until next
	listening              // a packet is out; windows are to come
)

// window is one receive window.
type window struct {
	opens time.Duration
	freq  radio.Hertz
	rate  radio.DataRate
}

// Machine is a device's step machine. Instants are durations since a start that
// the driver chooses, and never decrease. It is not safe for concurrent use.
type Machine struct {
	cfg   Config
	rng   *rand.Rand
	duty  *airtime.Ledger
	stats Stats

	state   state
	next    time.Duration // when resting: of the next transmission; when listening: the end
	windows [2]window

	nonce  uint16 // of the next join-request
	sent   uint16 // of the join-request that is out
	failed int    // joins in a row
	dr     region.DR

	session *session
	flight  *flight // an uplink that is not done yet
}

// flight is an uplink from its first transmission to its end.
type flight struct {
	phy     []byte
	fcnt    uint32
	payload []byte
	confirm bool
	tries   int
}

// New makes a machine.
func New(cfg Config) (*Machine, error) {
	cfg, err := cfg.fill()
	if err != nil {
		return nil, err
	}
	var bands []airtime.Band
	for _, sb := range cfg.Plan.DutyLimited() {
		bands = append(bands, airtime.DutyCycle(sb.Name, sb.DutyPerMille))
	}
	duty, err := airtime.NewLedger(bands...)
	if err != nil {
		return nil, fmt.Errorf("device: duty cycle of %s: %w", cfg.Plan.Name, err)
	}
	return &Machine{
		cfg: cfg, duty: duty, next: cfg.First, nonce: cfg.DevNonce, dr: cfg.DR,
		rng: rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.DevEUI))),
	}, nil
}

// Stats is a copy of the counters.
func (m *Machine) Stats() Stats { return m.stats }

// Tick lets time pass.
func (m *Machine) Tick(now time.Duration) Effects {
	var fx Effects
	if now >= m.next && m.state == listening {
		m.silence(now, &fx)
	}
	if now >= m.next && m.state == resting {
		m.transmit(now, &fx)
	}
	fx.Wake = m.next
	return fx
}

// Missed says that the radio could not send what the last step asked for.
func (m *Machine) Missed(now time.Duration) Effects {
	if m.state == listening {
		m.rest(now + time.Second)
	}
	return Effects{Wake: m.next}
}

// silence ends a transmission that brought no answer.
func (m *Machine) silence(now time.Duration, fx *Effects) {
	switch {
	case m.session == nil:
		m.failed++
		if m.failed%2 == 0 && m.dr > 0 && len(m.cfg.channels(m.dr-1)) > 0 {
			m.dr-- // farther with each second failure
		}
		wait := min(backoffMin<<min(m.failed-1, 8), backoffMax)
		m.rest(now + wait/2 + time.Duration(m.rng.Int64N(int64(wait))))
	case m.flight.confirm && m.flight.tries < m.cfg.Tries:
		m.rest(now + time.Second + time.Duration(m.rng.Int64N(int64(2*time.Second)))) // TS001: 1..3 s
	default:
		if m.flight.confirm {
			m.stats.GaveUp++
			fx.Events = append(fx.Events, m.event(GaveUp))
		}
		m.landed(now)
	}
}

// landed ends an uplink.
func (m *Machine) landed(now time.Duration) {
	m.flight = nil
	jitter := time.Duration(m.rng.Int64N(int64(m.cfg.Every)/5 + 1))
	m.rest(now + m.cfg.Every - m.cfg.Every/10 + jitter)
}

func (m *Machine) rest(until time.Duration) { m.state, m.next = resting, until }

func (m *Machine) event(k EventKind) Event {
	e := Event{Kind: k, DevEUI: m.cfg.DevEUI}
	if m.session != nil {
		e.DevAddr = m.session.addr
	}
	if m.flight != nil {
		e.FCnt, e.Payload = m.flight.fcnt, m.flight.payload
	}
	return e
}
