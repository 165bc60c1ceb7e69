package forward

import (
	"time"

	"heliograph/radio"
)

// clocks follows the counters of all boards. Board 0 tells its counter
// (concentrator.Concentrator.Now); of the others only the ticks of received
// packets are known, of which the least delayed is the best estimate.
type clocks struct {
	offset map[uint8]radio.Micros // by board: tick minus monotonic microseconds
}

// restarted is how far a counter must be off to have started anew.
const restarted radio.Micros = 60_000_000

func (c *clocks) observe(board uint8, tick radio.Tick, mono time.Duration) {
	off := tick.Sub(radio.Tick(radio.MicrosOf(mono)))
	old, known := c.offset[board]
	if !known || off > old || old-off > restarted {
		c.offset[board] = off
	}
}

func (c *clocks) now(board uint8, mono time.Duration) (radio.Tick, bool) {
	off, ok := c.offset[board]
	if !ok {
		return 0, false
	}
	return radio.Tick(int64(radio.MicrosOf(mono)) + int64(off)), true
}
