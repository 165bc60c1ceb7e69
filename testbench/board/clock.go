package board

import (
	"context"
	"sync/atomic"
	"time"
)

// HastyClock is the machine's clock for hosts that cannot wait for the settling
// times of a real board, which the simulated one does not need: until [Calm] long
// sleeps take a hundredth of their time.
type HastyClock struct{ calm atomic.Bool }

// hasty is the shortest sleep that is cut.
const hasty = 5 * time.Millisecond

// Calm makes sleeps take their time from now on.
func (c *HastyClock) Calm() { c.calm.Store(true) }

// Hurry undoes Calm.
func (c *HastyClock) Hurry() { c.calm.Store(false) }

// Now is the machine's time.
func (c *HastyClock) Now() time.Time { return time.Now() }

// Sleep waits for d, or less, or until ctx ends.
func (c *HastyClock) Sleep(ctx context.Context, d time.Duration) error {
	if !c.calm.Load() && d >= hasty {
		d /= 100
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
