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
	sorted []identity.HotspotID // the keys in order, not to be changed; nil: to be made again
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
	old, ok := r.by[reg.Hotspot]
	if ok && old.Sequence >= reg.Sequence {
		return
	}
	r.by[reg.Hotspot] = reg
	if !ok {
		r.sorted = nil
	}
}

func compareIDs(a, b identity.HotspotID) int { return bytes.Compare(a[:], b[:]) }

// order gives the keys in order. It sorts without holding the lock: reports of
// other hotspots come in meanwhile.
func (r *roll) order() []identity.HotspotID {
	r.mu.RLock()
	ids := r.sorted
	done := ids != nil
	if !done {
		ids = slices.Collect(maps.Keys(r.by))
	}
	r.mu.RUnlock()
	if done {
		return ids
	}
	slices.SortFunc(ids, compareIDs)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(ids) == len(r.by) { // hotspots are never taken off the list
		r.sorted = ids
	}
	return ids
}

// list gives registrations in the order of keys, after the given one.
func (r *roll) list(after identity.HotspotID, limit int) []Registration {
	ids := r.order()
	i, found := slices.BinarySearchFunc(ids, after, compareIDs)
	if found {
		i++
	}
	ids = ids[i:]
	ids = ids[:min(limit, len(ids))]
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Registration, 0, len(ids))
	for _, id := range ids {
		out = append(out, r.by[id])
	}
	return out
}

func (r *roll) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.by)
}
