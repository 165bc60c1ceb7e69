package board

import (
	"context"
	"sync"
	"time"

	"heliograph/testbench/chip"
)

// SpeedClock runs faster than the machine's clock, by a factor that can change. It
// is a clock for chips and for drivers at once. Its methods are safe for concurrent
// use.
type SpeedClock struct {
	mu     sync.Mutex
	factor time.Duration
	real   time.Time // when the factor was set,
	shown  time.Time // and what the clock showed then
}

// NewSpeedClock starts a clock at the machine's time.
func NewSpeedClock(factor int) *SpeedClock {
	now := time.Now()
	return &SpeedClock{factor: time.Duration(factor), real: now, shown: now}
}

// SetFactor changes the speed from now on; sleeps that have begun keep theirs.
func (c *SpeedClock) SetFactor(factor int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown = c.shown.Add(now.Sub(c.real) * c.factor)
	c.real, c.factor = now, time.Duration(factor)
}

// Now is the time that the clock shows.
func (c *SpeedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Add(time.Since(c.real) * c.factor)
}

func (c *SpeedClock) scale(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (d + c.factor - 1) / c.factor
}

// Sleep waits until the clock has gone on by d, or ctx ends.
func (c *SpeedClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(c.scale(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AfterFunc calls f when the clock has gone on by d.
func (c *SpeedClock) AfterFunc(d time.Duration, f func()) chip.Timer {
	return time.AfterFunc(c.scale(d), f)
}
