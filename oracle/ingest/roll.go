package ingest

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Registration is the assertion of a hotspot that counts, with its place in the
// journal.
type Registration struct {
	poc.Assertion
	ID   poc.ID
	mark mark
}

// roll is the list of registered hotspots.
type roll struct {
	mu     sync.RWMutex
	by     map[identity.HotspotID]Registration
	sorted []identity.HotspotID // nil: to be made again
}

func newRoll() *roll { return &roll{by: make(map[identity.HotspotID]Registration)} }

func (r *roll) get(id identity.HotspotID) (Registration, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	reg, ok := r.by[id]
	return reg, ok
}

// apply takes up an assertion unless a newer one is known. Of two with the same
// sequence the first in the journal counts.
func (r *roll) apply(reg Registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.by[reg.Hotspot]; ok && old.Sequence >= reg.Sequence {
		return
	}
	r.by[reg.Hotspot] = reg
	r.sorted = nil
}

// list gives registrations in the order of keys, after the given one.
func (r *roll) list(after identity.HotspotID, limit int) []Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	compare := func(a, b identity.HotspotID) int { return bytes.Compare(a[:], b[:]) }
	if r.sorted == nil {
		r.sorted = slices.SortedFunc(maps.Keys(r.by), compare)
	}
	i, found := slices.BinarySearchFunc(r.sorted, after, compare)
	if found {
		i++
	}
	rest := r.sorted[i:]
	out := make([]Registration, 0, min(limit, len(rest)))
	for _, id := range rest[:min(limit, len(rest))] {
		out = append(out, r.by[id])
	}
	return out
}

func (r *roll) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.by)
}
