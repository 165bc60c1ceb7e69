package ingest

import (
	"sync"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// mark is what a receipt says about a journaled report, besides its id.
type mark struct {
	epoch    poc.Epoch
	received int64
	at       journal.Position
}

// seen is a mark as the window stores it: without padding, the epoch is known
// from the generation.
type seen struct {
	received int64
	offset   store.Offset
	shard    store.Shard
}

// key is the first half of a report's id: SHA-256 cut to 128 bits.
type key [16]byte

// window remembers the reports of the epochs that still take some, and of the
// newest closed one while there is room. It also makes concurrent copies of one
// report wait for each other.
type window struct {
	max int

	mu     sync.Mutex
	gens   map[poc.Epoch]map[key]seen
	count  int
	flying map[key]chan struct{}
}

func newWindow(max int) *window {
	return &window{max: max, gens: make(map[poc.Epoch]map[key]seen), flying: make(map[key]chan struct{})}
}

func keyOf(id poc.ID) key { return key(id[:16]) }

// find looks a report up.
func (w *window) find(id poc.ID) (mark, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.findLocked(keyOf(id))
}

func (w *window) findLocked(k key) (mark, bool) {
	for e, gen := range w.gens {
		if s, ok := gen[k]; ok {
			return mark{epoch: e, received: s.received, at: journal.Position{Shard: s.shard, Offset: s.offset}}, true
		}
	}
	return mark{}, false
}

// full says whether no further report can be remembered.
func (w *window) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count+len(w.flying) >= w.max
}

// claim gives the caller the right to journal the report; it must call release.
// If another call holds it, wait is closed when that one is through.
func (w *window) claim(id poc.ID) (m mark, known bool, wait <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := keyOf(id)
	if m, known = w.findLocked(k); known {
		return m, true, nil
	}
	if c, busy := w.flying[k]; busy {
		return mark{}, false, c
	}
	w.flying[k] = make(chan struct{})
	return mark{}, false, nil
}

// release ends a claim; m is nil when the report was not journaled.
func (w *window) release(id poc.ID, m *mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := keyOf(id)
	if m != nil {
		w.addLocked(k, *m)
	}
	close(w.flying[k])
	delete(w.flying, k)
}

// restore takes up a report that the journal holds. The first position counts.
func (w *window) restore(id poc.ID, m mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addLocked(keyOf(id), m)
}

func (w *window) addLocked(k key, m mark) {
	if _, known := w.findLocked(k); known {
		return
	}
	gen := w.gens[m.epoch]
	if gen == nil {
		gen = make(map[key]seen)
		w.gens[m.epoch] = gen
	}
	gen[k] = seen{received: m.received, offset: m.at.Offset, shard: m.at.Shard}
	w.count++
}

// forget drops the reports of epochs before e, and those of e too if more than
// half of the room is taken: e takes no more reports, but a hotspot that missed
// its receipt may ask once more.
func (w *window) forget(e poc.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for g, gen := range w.gens {
		if g < e || g == e && w.count > w.max/2 {
			w.count -= len(gen)
			delete(w.gens, g)
		}
	}
}
