package ether

import (
	"context"
	"errors"
	"sync"
	"time"

	"heliograph/radio"
)

// Timing limits of the transmit queue, those of the Semtech packet forwarder.
const (
	minLead    = 2500 * time.Microsecond // start delay and margin
	maxAdvance = 512 * time.Second
	asapLead   = 10 * time.Millisecond
)

// Clock is a concentrator's own idea of time: a counter that started somewhere
// and runs a little fast or slow.
type Clock struct {
	Offset radio.Tick // value of the counter when the concentrator started
	PPB    int64      // parts per billion that it runs fast
}

// Concentrator makes a station's radio look like a gateway's concentrator. It
// implements firmware/concentrator.Concentrator.
type Concentrator struct {
	radio *Radio
	clock Clock
	boot  time.Time

	mu   sync.Mutex
	busy []span // planned transmissions, sorted by nothing: there are few
}

type span struct{ from, to time.Time }

// NewConcentrator starts the counter now.
func NewConcentrator(r *Radio, c Clock) *Concentrator {
	return &Concentrator{radio: r, clock: c, boot: time.Now()}
}

func (c *Concentrator) tick(t time.Time) radio.Tick {
	us := t.Sub(c.boot).Microseconds()
	return c.clock.Offset.Add(radio.Micros(us + us/1000*c.clock.PPB/1_000_000))
}

// time inverts tick to within a microsecond for clocks of real crystals.
func (c *Concentrator) time(t radio.Tick) time.Time {
	us := int64(t.Sub(c.clock.Offset))
	us -= us / 1000 * c.clock.PPB / 1_000_000
	return c.boot.Add(time.Duration(us) * time.Microsecond)
}

// Now is the counter's value.
func (c *Concentrator) Now() (radio.Tick, bool) { return c.tick(time.Now()), true }

// Receive blocks until a packet is there.
func (c *Concentrator) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case rx := <-c.radio.heard:
		out := []radio.RxPacket{c.stamp(rx)}
		for len(out) < 16 { // what the chip's FIFO would hold
			select {
			case more := <-c.radio.heard:
				out = append(out, c.stamp(more))
			default:
				return out, nil
			}
		}
		return out, nil
	}
}

func (c *Concentrator) stamp(rx Reception) radio.RxPacket {
	p := rx.Packet
	p.Tick = c.tick(c.radio.ether.Time(rx.End))
	return p
}

// Send transmits and waits for the end of the packet.
func (c *Concentrator) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	now := time.Now()
	start := now.Add(asapLead)
	if p.When == radio.AtTick {
		start = c.time(p.Tick)
		switch {
		case start.Before(now.Add(minLead)):
			return radio.TxResult{Status: radio.TxTooLate}, nil
		case start.After(now.Add(maxAdvance)):
			return radio.TxResult{Status: radio.TxTooEarly}, nil
		}
	} else if p.When == radio.AtGPS {
		return radio.TxResult{Status: radio.TxGPSUnlocked}, nil
	}
	air, err := onAir(p)
	if err != nil {
		return radio.TxResult{}, err
	}
	s := span{start, start.Add(air)}
	if !c.reserve(s, now) {
		return radio.TxResult{Status: radio.TxCollisionPacket}, nil
	}
	err = c.radio.Transmit(ctx, p, start)
	if errors.Is(err, ErrPast) {
		return radio.TxResult{Status: radio.TxTooLate}, nil
	}
	if err != nil {
		return radio.TxResult{}, err
	}
	return radio.TxResult{Status: radio.TxOK, Power: p.Power, Tick: c.tick(start)}, nil
}

// reserve books the transmitter, and forgets what is over.
func (c *Concentrator) reserve(s span, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.busy[:0]
	free := true
	for _, b := range c.busy {
		if b.to.Before(now) {
			continue
		}
		kept = append(kept, b)
		if s.from.Before(b.to) && b.from.Before(s.to) {
			free = false
		}
	}
	c.busy = kept
	if free {
		c.busy = append(c.busy, s)
	}
	return free
}
