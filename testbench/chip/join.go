package chip

import (
	"context"
	"sync"
	"time"

	"heliograph/testbench/ether"
)

// Join runs the chip as a station of a live ether until ctx ends: what it
// transmits is heard there, what the station hears arrives in its FIFO. The chip
// must be on the RealClock.
//
// The ether carries no sync words: its packets count as those of public LoRaWAN
// networks, and packets with another sync word are not sent. A packet whose
// start was missed by a busy machine goes out late rather than not at all.
func (c *Chip) Join(ctx context.Context, e *ether.Ether, at ether.Station) error {
	return c.JoinAs(ctx, e, e.Join(at))
}

// JoinAs is Join with a station that has joined already, for callers to whom the
// stations' order matters.
func (c *Chip) JoinAs(ctx context.Context, e *ether.Ether, station *ether.Radio) error {
	var senders sync.WaitGroup
	defer senders.Wait()
	c.attach(func(t Transmission) func() {
		if t.Carrier || t.Sync != 0x34 && t.Sync != 0 && t.Packet.DataRate.SF >= 7 {
			return nil
		}
		sending, stop := context.WithCancel(ctx)
		senders.Go(func() {
			defer stop()
			c.sendLive(sending, station, t)
		})
		return stop
	})
	defer c.attach(nil)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case rx := <-station.Heard():
			c.Receive(Reception{Packet: rx.Packet, Start: e.Time(rx.Start), End: e.Time(rx.End)})
		}
	}
}

// lateBy is how far a missed start is put off.
const lateBy = 2 * time.Millisecond

func (c *Chip) sendLive(ctx context.Context, station *ether.Radio, t Transmission) {
	for ctx.Err() == nil {
		err := station.Transmit(ctx, t.Packet, t.Start)
		if err != ether.ErrPast {
			return
		}
		t.Start = time.Now().Add(lateBy)
	}
}
