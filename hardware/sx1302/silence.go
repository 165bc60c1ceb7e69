package sx1302

import "time"

// maxVain bounds how often the allowed silence doubles when restarts do not end it.
const maxVain = 4

// silence is what is known of the receiver's being silent, over restarts.
type silence struct {
	limit time.Duration // Options.Silence
	heard uint64        // packets of Stats, at the last look
	at    time.Time     // when the count had changed, or the chip was started
	vain  int           // restarts for silence since something was heard
}

// checkSilence believes that a receiver which has heard packets and hears none for
// long is deaf: the chip has states, not seen in any register, that only a restart
// ends. After a restart that did not help twice the silence is allowed, and so on,
// because the neighbourhood may really have become quiet.
func (c *Concentrator) checkSilence() error {
	w := &c.silent
	if w.limit <= 0 {
		return nil
	}
	s := c.Stats()
	now := c.clock.Now()
	if heard := s.Packets + s.BadPacket + s.BadPayload; heard != w.heard {
		w.heard, w.at, w.vain = heard, now, 0
		return nil
	}
	since := now.Sub(w.at)
	if w.heard == 0 || since < w.limit<<min(w.vain, maxVain) {
		return nil
	}
	w.vain++
	return fault(FaultSilent, nil, "no packet for %v, %d before", since.Round(time.Second), w.heard)
}
