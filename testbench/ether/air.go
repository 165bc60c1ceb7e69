package ether

import (
	"bytes"
	"fmt"
	"math"

	"heliograph/radio"
)

// StationID numbers the stations of one Air in the order in which they joined.
type StationID int

// Station is a radio at a place.
type Station struct {
	Name   string
	Place  Place
	Gain   radio.CentiDB // antenna gain in dBi, cable loss taken off
	Device bool          // an end device: it hears inverted polarity only
	Deaf   bool          // transmits but hears nothing
}

// Cause says why a station did not hear a packet.
type Cause string

// The causes, as they are counted.
const (
	Heard      Cause = "heard"
	TooWeak    Cause = "too_weak"
	Collided   Cause = "collided"
	HalfDuplex Cause = "half_duplex"
)

// Reception is a packet as one station received it.
type Reception struct {
	To         StationID
	Packet     radio.RxPacket // Tick and Time are left to the receiver
	Start, End int64          // microseconds of the ether's clock
}

// Air is the state of the ether: who is sending, and who sent a moment ago. It
// is not safe for concurrent use.
type Air struct {
	cfg      Config
	stations []Station
	recent   []*transmission // every packet that may still overlap a live one
	nextID   uint64
	counts   map[Cause]uint64
}

type transmission struct {
	id         uint64
	from       StationID
	packet     radio.TxPacket
	start, end int64
	done       bool
}

// NewAir makes an empty ether.
func NewAir(cfg Config) *Air { return &Air{cfg: cfg.fill(), counts: map[Cause]uint64{}} }

// Join adds a station for good.
func (a *Air) Join(s Station) StationID {
	a.stations = append(a.stations, s)
	return StationID(len(a.stations) - 1)
}

// Counts says what became of packet-receiver pairs within the radio horizon.
func (a *Air) Counts() map[Cause]uint64 { return a.counts }

// Begin puts a packet on the air at start (microseconds) and says when it ends.
func (a *Air) Begin(from StationID, p radio.TxPacket, start int64) (id uint64, end int64, err error) {
	span, err := onAir(p)
	if err != nil {
		return 0, 0, fmt.Errorf("ether: begin: %w", err)
	}
	a.nextID++
	p.Payload = bytes.Clone(p.Payload)
	t := &transmission{id: a.nextID, from: from, packet: p, start: start, end: start + span.Microseconds()}
	a.recent = append(a.recent, t)
	return t.id, t.end, nil
}

// End takes the packet off the air and says who heard it, in order of station.
func (a *Air) End(id uint64) []Reception {
	var t *transmission
	for _, c := range a.recent {
		if c.id == id {
			t = c
		}
	}
	if t == nil || t.done {
		return nil
	}
	t.done = true
	var out []Reception
	for i := range a.stations {
		to := StationID(i)
		if to == t.from || a.stations[i].Deaf || a.stations[i].Device != t.packet.InvertIQ {
			continue
		}
		rx, cause := a.receive(t, to)
		if cause != "" {
			a.counts[cause]++
		}
		if cause == Heard {
			out = append(out, rx)
		}
	}
	a.forget()
	return out
}

// level is the power in dBm at which t arrives at a station, and false beyond
// the horizon.
func (a *Air) level(t *transmission, to StationID) (float64, bool) {
	tx, rx := a.stations[t.from], a.stations[to]
	d := tx.Place.Metres(rx.Place)
	if d > beyondHorizon {
		return 0, false
	}
	loss := a.cfg.loss(d, t.packet.Frequency, a.cfg.shadow(t.from, to))
	fade := a.cfg.Fading * a.cfg.normal("fade", t.id, uint64(to))
	p := t.packet.Power.Float() + tx.Gain.Float() + rx.Gain.Float() - loss + fade
	free := t.packet.Power.Float() + tx.Gain.Float() + rx.Gain.Float() - freeSpace(d, t.packet.Frequency)
	return math.Min(p, free), true
}

func (a *Air) receive(t *transmission, to StationID) (Reception, Cause) {
	level, near := a.level(t, to)
	if !near {
		return Reception{}, ""
	}
	noise := a.cfg.noise(t.packet.DataRate.Bandwidth)
	snr := level - noise
	if snr < minSNR(t.packet.DataRate.SF) {
		return Reception{}, TooWeak
	}
	total := toMilliwatt(level) + toMilliwatt(noise)
	for _, o := range a.recent {
		if o == t || o.start >= t.end || o.end <= t.start {
			continue
		}
		if o.from == to {
			return Reception{}, HalfDuplex
		}
		l, near := a.level(o, to)
		if !near || !sameChannel(o.packet, t.packet) {
			continue
		}
		total += toMilliwatt(l)
		if o.packet.InvertIQ == t.packet.InvertIQ && a.destroys(o, l, t, level) {
			return Reception{}, Collided
		}
	}
	rx := radio.RxPacket{
		Payload: bytes.Clone(t.packet.Payload), Frequency: t.packet.Frequency, DataRate: t.packet.DataRate,
		Coding: max(t.packet.Coding, 1), CRC: radio.CRCOK,
		RSSI: centiDBm(toDBm(total)), SignalRSSI: centiDBm(level), HasSignalRSSI: true,
		SNR: radio.CentiDB(math.Round(100 * math.Min(snr, maxSNR))),
	}
	if t.packet.NoCRC {
		rx.CRC = radio.CRCNone
	}
	return Reception{To: to, Packet: rx, Start: t.start, End: t.end}, Heard
}

// destroys says whether packet o, arriving at l dBm, makes t unreadable.
func (a *Air) destroys(o *transmission, l float64, t *transmission, level float64) bool {
	if o.packet.DataRate == t.packet.DataRate {
		return level-l < a.cfg.Capture
	}
	return l-level > rejection
}

func sameChannel(a, b radio.TxPacket) bool {
	apart := a.Frequency - b.Frequency
	if apart < 0 {
		apart = -apart
	}
	return apart < max(a.DataRate.Bandwidth, b.DataRate.Bandwidth)/2
}

// forget drops finished packets that end before every live one began.
func (a *Air) forget() {
	oldest := int64(math.MaxInt64)
	for _, t := range a.recent {
		if !t.done {
			oldest = min(oldest, t.start)
		}
	}
	kept := a.recent[:0]
	for _, t := range a.recent {
		if !t.done || t.end > oldest {
			kept = append(kept, t)
		}
	}
	clear(a.recent[len(kept):])
	a.recent = kept
}

func centiDBm(dbm float64) radio.CentiDBm { return radio.CentiDBm(math.Round(dbm * 100)) }
