package buswork

import (
	"context"
	"slices"
	"sync"
	"time"

	"heliograph/testbench/chip"
)

// lockstep is a simulated clock for two tasks: it moves when both sleep, to where
// the first of them is due, so that the same always happens at the same time. A
// task must not wait for the other in any way but by sleeping.
type lockstep struct {
	*chip.ManualClock
	mu      sync.Mutex
	running int // tasks that do not sleep
	asleep  []sleeper
}

type sleeper struct {
	due  time.Time
	wake chan struct{}
}

func newLockstep(c *chip.ManualClock) *lockstep { return &lockstep{ManualClock: c, running: 1} }

// begin announces another task; end takes it back.
func (l *lockstep) begin() {
	l.mu.Lock()
	l.running++
	l.mu.Unlock()
}

func (l *lockstep) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.step()
}

// Sleep waits until the clock has been moved by d.
func (l *lockstep) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	s := sleeper{l.Now().Add(d), make(chan struct{})}
	l.asleep = append(l.asleep, s)
	l.running--
	l.step()
	l.mu.Unlock()
	<-s.wake
	return ctx.Err()
}

// step wakes the sleeper that is due first, if nobody is awake.
func (l *lockstep) step() {
	if l.running > 0 || len(l.asleep) == 0 {
		return
	}
	first := 0
	for i, s := range l.asleep {
		if s.due.Before(l.asleep[first].due) {
			first = i
		}
	}
	s := l.asleep[first]
	l.asleep = slices.Delete(l.asleep, first, first+1)
	l.Advance(s.due.Sub(l.Now()))
	l.running++
	close(s.wake)
}
