package chip

import (
	"time"

	"heliograph/radio"
	"heliograph/testbench/ether"
)

// Sky joins chips and other stations on a [ManualClock] through an ether: packets
// begin, end and arrive as the clock is moved. Its methods belong to the
// goroutine that moves the clock.
type Sky struct {
	clock *ManualClock
	epoch time.Time
	air   *ether.Air
	chips map[ether.StationID]*Chip
	heard map[ether.StationID]func(Reception)
	live  map[uint64]Transmission
}

// NewSky makes an empty ether on the clock.
func NewSky(clock *ManualClock, cfg ether.Config) *Sky {
	return &Sky{
		clock: clock, epoch: clock.Now(), air: ether.NewAir(cfg),
		chips: map[ether.StationID]*Chip{}, heard: map[ether.StationID]func(Reception){}, live: map[uint64]Transmission{},
	}
}

// Join gives a chip an antenna. What it transmits from now on is in the air.
func (s *Sky) Join(c *Chip, at ether.Station) ether.StationID {
	id := s.air.Join(at)
	s.chips[id] = c
	c.attach(func(t Transmission) func() { return s.Send(id, t) })
	return id
}

// Station adds a station that is no chip. What it hears is given to heard.
func (s *Sky) Station(at ether.Station, heard func(Reception)) ether.StationID {
	id := s.air.Join(at)
	if heard != nil {
		s.heard[id] = heard
	}
	return id
}

// Counts says what became of packet-receiver pairs.
func (s *Sky) Counts() map[ether.Cause]uint64 { return s.air.Counts() }

// Send puts a packet on the air when its Start has come, and returns what takes
// it back before that. A start in the past begins at once.
func (s *Sky) Send(from ether.StationID, t Transmission) (recall func()) {
	timer := s.clock.AfterFunc(t.Start.Sub(s.clock.Now()), func() { s.begin(from, t) })
	return func() { timer.Stop() }
}

func (s *Sky) begin(from ether.StationID, t Transmission) {
	if t.Carrier {
		return // the ether knows packets only
	}
	now := s.clock.Now()
	id, end, err := s.air.Begin(from, t.Packet, now.Sub(s.epoch).Microseconds())
	if err != nil {
		return
	}
	t.Start = now
	s.live[id] = t
	at := s.epoch.Add(time.Duration(end) * time.Microsecond)
	s.clock.AfterFunc(at.Sub(now), func() { s.end(id) })
}

func (s *Sky) end(id uint64) {
	t := s.live[id]
	delete(s.live, id)
	for _, rx := range s.air.End(id) {
		r := Reception{
			Packet: rx.Packet, Start: t.Start, End: s.clock.Now(), Sync: t.Sync, Implicit: t.Implicit,
		}
		if c := s.chips[rx.To]; c != nil {
			c.Receive(r)
		} else if f := s.heard[rx.To]; f != nil {
			r.Invert = t.Packet.InvertIQ
			f(r)
		}
	}
}

// Uplink is a LoRa packet as a device would send it, at once.
func Uplink(payload []byte, f radio.Hertz, dr radio.DataRate, power radio.CentiDBm) Transmission {
	return Transmission{Packet: radio.TxPacket{Payload: payload, Frequency: f, DataRate: dr, Coding: 1, Power: power}}
}

func (c *Chip) attach(output func(Transmission) func()) {
	c.lock()
	defer c.unlock()
	c.output = output
}

// OnTransmit gives every transmission to f instead of an ether; f returns what
// takes the packet back, or nil. It must be set before the first transmission.
func (c *Chip) OnTransmit(f func(Transmission) (recall func())) { c.attach(f) }
