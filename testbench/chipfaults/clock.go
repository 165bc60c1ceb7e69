package chipfaults

import (
	"context"
	"sync"
	"time"

	"heliograph/testbench/chip"
)

// fairClock runs faster than the machine's clock by a factor, and does not count
// what the machine takes away: when nobody has looked at it for longer than maxGap,
// the process was not running, and the rest of the gap has not happened. So times
// that are measured with it are those of an idle machine, and can be held against
// limits without an allowance. Its methods are safe for concurrent use.
type fairClock struct {
	mu     sync.Mutex
	factor time.Duration
	seen   time.Time // machine's time of the last look,
	shown  time.Time // and what the clock showed then
}

const (
	maxGap   = 5 * time.Millisecond
	lookOnce = time.Millisecond
)

func newFairClock(factor int) *fairClock {
	now := time.Now()
	return &fairClock{factor: time.Duration(factor), seen: now, shown: now}
}

// run looks at the clock until ctx ends, so that time goes on while all sleep.
func (c *fairClock) run(ctx context.Context) {
	t := time.NewTicker(lookOnce)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.Now()
		case <-ctx.Done():
			return
		}
	}
}

// SetFactor changes the speed from now on.
func (c *fairClock) SetFactor(factor int) {
	c.Now()
	c.mu.Lock()
	c.factor = time.Duration(factor)
	c.mu.Unlock()
}

// Now is the time that the clock shows.
func (c *fairClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown = c.shown.Add(min(now.Sub(c.seen), maxGap) * c.factor)
	c.seen = now
	return c.shown
}

// left is how long the machine has to wait, at least, until the clock shows end;
// 0 when it does.
func (c *fairClock) left(end time.Time) time.Duration {
	d := end.Sub(c.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if d <= 0 {
		return 0
	}
	return (d + c.factor - 1) / c.factor
}

// Sleep waits until the clock has gone on by d, or ctx ends.
func (c *fairClock) Sleep(ctx context.Context, d time.Duration) error {
	end := c.Now().Add(d)
	for {
		wait := c.left(end)
		if wait == 0 {
			return ctx.Err()
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// AfterFunc calls f when the clock has gone on by d.
func (c *fairClock) AfterFunc(d time.Duration, f func()) chip.Timer {
	ctx, cancel := context.WithCancel(context.Background())
	t := &fairTimer{cancel: cancel}
	go func() {
		if c.Sleep(ctx, d) == nil && t.fire() {
			f()
		}
	}()
	return t
}

// fairTimer calls its function once, or not at all.
type fairTimer struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	over   bool
}

func (t *fairTimer) fire() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.over
	t.over = true
	return !was
}

// Stop says whether it kept the function from being called.
func (t *fairTimer) Stop() bool {
	t.cancel()
	return t.fire()
}
