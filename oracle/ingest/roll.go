package ingest

import (
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
	mu sync.RWMutex
	by map[identity.HotspotID]Registration
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
}

func (r *roll) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.by)
}
