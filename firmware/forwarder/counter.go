package forwarder

import (
	"time"

	"heliograph/radio"
)

const (
	// restartJump is how far a counter may be from where it is expected before
	// the forwarder counts as restarted. Forwarders hold packets for
	// milliseconds; a minute leaves room for a stalled host.
	restartJump radio.Micros = 60_000_000
	// driftPPM bounds how much two crystals disagree.
	driftPPM = 100
)

// counter follows a forwarder's 32-bit microsecond counter from the packets
// that it reports, and widens it. A packet's tick is always a little behind the
// moment its datagram arrives, so the least delayed packet gives the best
// estimate.
type counter struct {
	known bool
	base  radio.Tick // estimate of the counter ...
	at    time.Time  // ... at this host time
}

// now estimates the counter at host time t, not above its true value but for
// the drift of the crystals.
func (c *counter) now(t time.Time) radio.Tick { return c.base.Add(radio.MicrosOf(t.Sub(c.at))) }

// observe takes in that a packet ended at tmst and was reported at host time t.
// It returns the packet's tick, and whether the counter jumped, which a restart
// of the forwarder causes. After a jump the ticks go on upwards.
func (c *counter) observe(tmst uint32, t time.Time) (tick radio.Tick, restarted bool) {
	if !c.known {
		*c = counter{known: true, base: radio.Tick(tmst), at: t}
		return c.base, false
	}
	estimate := c.now(t)
	tick = radio.Widen(tmst, estimate)
	diff := tick.Sub(estimate)
	switch {
	case diff < -restartJump || diff > restartJump:
		if diff < 0 {
			tick = tick.Add(1 << 32)
		}
		c.base, restarted = tick, true
	case diff >= 0:
		c.base = tick // less delayed than all before
	default:
		slack := radio.MicrosOf(t.Sub(c.at)) * driftPPM / 1_000_000
		if slack == 0 {
			return tick, false // keep the age of the estimate, so that slack adds up
		}
		c.base = estimate.Add(max(diff, -slack))
	}
	c.at = t
	return tick, restarted
}
