package hotspot

import (
	"sync"
	"time"

	"heliograph/firmware/beaconer"
	"heliograph/firmware/forward"
	"heliograph/firmware/timing"
	"heliograph/radio"
)

// clock reads the three clocks at once. It is safe for concurrent use.
type clock struct {
	now   func() time.Time
	start time.Time
	tick  func() (radio.Tick, bool)
	bound time.Duration // of tick
	gnss  GNSS          // nil: none

	mu  sync.Mutex
	est *timing.Estimator
}

func (c *clock) mono() time.Duration { return c.now().Sub(c.start) }

func (c *clock) instant() timing.Instant {
	t := c.now()
	i := timing.Instant{Mono: t.Sub(c.start), System: t.UnixNano()}
	if c.gnss != nil {
		i.GNSS = c.gnss.UTC()
	}
	return i
}

func (c *clock) utc() radio.WallTime {
	w, _ := c.best()
	return w
}

// best is UTC and where it comes from.
func (c *clock) best() (radio.WallTime, timing.Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.est.Best(c.instant())
}

// add takes a sample in and says whether it was the first.
func (c *clock) add(s timing.Sample) (first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = !c.est.Synced()
	err = c.est.Add(s)
	return first && err == nil, err
}

func (c *clock) synced() (synced bool, jumps uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.est.Synced(), c.est.Jumps()
}

// contradicts says whether a source contradicts the oracle.
func (c *clock) contradicts(s timing.Source) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.est.Contradicts(s, c.instant())
}

func (c *clock) forward() forward.Now {
	tick, ok := c.tick()
	return forward.Now{Mono: c.mono(), Tick: tick, HasTick: ok, UTC: c.utc(), TickBound: c.bound}
}

func (c *clock) beaconer() beaconer.Now {
	tick, ok := c.tick()
	utc := c.utc()
	if ok && utc.Known() {
		utc.Bound += c.bound // the beacon starts by the counter
	}
	return beaconer.Now{Mono: c.mono(), UTC: utc, Tick: tick, HasTick: ok}
}
