package ingest

import (
	"sync"
	"time"
)

// Rate is a limit in the form of the generic cell rate algorithm: one event each
// Interval in the long run, up to Burst events at once. Burst is at least 1; an
// Interval of 0 means no limit.
type Rate struct {
	Interval time.Duration
	Burst    int
}

// Take decides about one event at now (unix nanoseconds). tat is the state, the
// theoretical arrival time, 0 at first. When ok, next is the new state; otherwise
// the event conforms after wait.
func (r Rate) Take(tat, now int64) (next int64, wait time.Duration, ok bool) {
	if r.Interval <= 0 {
		return 0, 0, true
	}
	tat = max(tat, now)
	allowed := tat - int64(r.Interval)*int64(max(r.Burst, 1)-1)
	if now < allowed {
		return tat, time.Duration(allowed - now), false
	}
	return tat + int64(r.Interval), 0, true
}

// limiter holds the states of many keys. Its memory is bounded: a state that lies
// in the past equals none and is swept out; while all are in use, keys without
// state have to wait.
type limiter[K comparable] struct {
	rate Rate
	max  int

	mu    sync.Mutex
	tat   map[K]int64
	swept int64
}

func newLimiter[K comparable](r Rate, max int) *limiter[K] {
	return &limiter[K]{rate: r, max: max, tat: make(map[K]int64)}
}

// sweepEvery spaces full sweeps, so that a flood of new keys does not make each
// event cost a sweep.
const sweepEvery = int64(time.Second)

func (l *limiter[K]) take(key K, now int64) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tat, known := l.tat[key]
	if !known && len(l.tat) >= l.max && !l.sweep(now) {
		return time.Duration(sweepEvery), false
	}
	next, wait, ok := l.rate.Take(tat, now)
	if ok && next != 0 {
		l.tat[key] = next
	}
	return wait, ok
}

func (l *limiter[K]) sweep(now int64) (room bool) {
	if now-l.swept >= sweepEvery || now < l.swept {
		l.swept = now
		for k, t := range l.tat {
			if t <= now {
				delete(l.tat, k)
			}
		}
	}
	return len(l.tat) < l.max
}
