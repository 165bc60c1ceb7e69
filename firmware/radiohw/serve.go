package radiohw

import (
	"context"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// healthEvery is how often the pulse per second is asked for, where there should
// be one.
const healthEvery = 10 * time.Second

// up takes note of a start.
func (r *Radio) up(chip sx1302.Chip) {
	r.sensor.judge(r)
	r.mu.Lock()
	r.status.Up, r.status.Chip, r.status.Version, r.status.EUI = true, chip.String(), chip.Version, chip.EUI
	r.status.Starts++
	r.mu.Unlock()
}

// down ends all packets that wait: the counter begins anew.
func (r *Radio) down() {
	r.mu.Lock()
	r.status.Up, r.last = false, 0
	r.mu.Unlock()
	for _, l := range r.lanes {
		if l != nil {
			l.flush()
		}
	}
}

// deliver keeps packets for Receive. It never waits: the chip must not.
func (r *Radio) deliver(packets []radio.RxPacket) {
	r.time.stamp(packets)
	r.mu.Lock()
	for _, p := range packets {
		r.last = max(r.last, p.Tick)
	}
	r.mu.Unlock()
	for {
		select {
		case r.heard <- packets:
			return
		default:
		}
		select {
		case old := <-r.heard:
			r.mu.Lock()
			r.status.Displaced += uint64(len(old))
			r.mu.Unlock()
		default:
		}
	}
}

// watch looks now and then for what Receive does not notice.
func (r *Radio) watch(ctx context.Context) {
	var seen sx1302.Stats
	for r.clock.Sleep(ctx, healthEvery) == nil {
		if !r.ready() {
			continue
		}
		if s := r.chip.Stats(); s.Overflow > seen.Overflow {
			r.warn(overflowed, "radiohw: the receive FIFO overflowed and packets are lost: the host polls too slowly; see what else keeps it busy")
			seen = s
		}
		if r.pulses() {
			r.watchPulse(ctx)
		}
	}
}
