package signer

import (
	"sync"
	"time"
)

// bucket bounds how often something happens.
type bucket struct {
	mu     sync.Mutex
	every  time.Duration // one token each; 0: no limit
	burst  time.Duration
	filled time.Time // when the bucket is full again
}

func newBucket(perMinute, burst int) *bucket {
	if perMinute <= 0 {
		return &bucket{}
	}
	every := time.Minute / time.Duration(perMinute)
	return &bucket{every: every, burst: every * time.Duration(max(burst, 1))}
}

// take takes one token, or says how long to wait.
func (b *bucket) take(now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.every == 0 {
		return 0
	}
	next := now
	if b.filled.After(now) {
		next = b.filled
	}
	next = next.Add(b.every)
	if over := next.Sub(now) - b.burst; over > 0 {
		return over
	}
	b.filled = next
	return 0
}
