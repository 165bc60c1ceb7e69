package router

import (
	"sync"
	"time"
)

// copyKey is one packet on one route.
type copyKey struct {
	route uint32
	hash  [32]byte
}

// copies counts how many copies of a packet were bought. It forgets a packet
// after one to two windows, earlier when memory for max packets is taken.
type copies struct {
	window time.Duration
	max    int

	mu       sync.Mutex
	now, old map[copyKey]int
	turned   time.Time
}

func newCopies(window time.Duration, max int) *copies {
	return &copies{window: window, max: max, now: make(map[copyKey]int), old: make(map[copyKey]int)}
}

// take says whether another copy may be bought, and if so counts it.
func (c *copies) take(k copyKey, limit int, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Sub(c.turned) >= c.window || len(c.now) >= c.max/2 {
		c.old, c.now, c.turned = c.now, make(map[copyKey]int), at
	}
	n := c.now[k] + c.old[k]
	if n >= limit {
		return false
	}
	c.now[k]++
	return true
}

// undo gives a copy back that could not be journaled.
func (c *copies) undo(k copyKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now[k] > 0 {
		c.now[k]--
	} else if c.old[k] > 0 {
		c.old[k]--
	}
}
