package settle

import "sync"

// refusals remembers the batches that the signer has judged and refused, so that it
// is asked for them again only from time to time, and so that others of their epoch
// do not wait. It is lost with the process: then the signer is asked once more.
type refusals struct {
	mu *sync.Mutex
	of map[Marker]refusal
}

type refusal struct {
	why   string
	until int // round from which on it is worth asking again
}

// maxRefusals bounds what is remembered; beyond it the signer is asked more often.
const maxRefusals = 100_000

func newRefusals() refusals { return refusals{mu: &sync.Mutex{}, of: map[Marker]refusal{}} }

func (r refusals) add(m Marker, why string, until int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) >= maxRefusals {
		clear(r.of)
	}
	r.of[m] = refusal{why, until}
}

func (r refusals) forget(m Marker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, m)
}

// why is the reason for a batch that is not to be asked for in this round, or "".
func (r refusals) why(m Marker, round int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.of[m]; round < old.until {
		return old.why
	}
	return ""
}

func (r refusals) has(m Marker) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.of[m]
	return ok
}

// waitsForSigner says whether every open batch of an epoch is one that the signer
// refuses. Nothing else happens in it then until a person has looked, which is no
// reason to keep its held recipients waiting.
func (s *Settler) waitsForSigner(e Epoch) bool {
	q, ok := s.queues[e.Epoch]
	if e.State != Committed || !ok || q.batches != e.Batches || len(q.open) == 0 {
		return false
	}
	for _, n := range q.open {
		if !s.refusals.has(Marker{e.Epoch, n}) {
			return false
		}
	}
	return true
}

// recipient is one of a batch.
type recipient struct {
	Marker
	index int
}

// dueAgain says whether a recipient that was held and released so often is looked at
// now: each time it comes to nothing, twice as many looks pass him by, up to 64. A
// payout that fails on chain costs a fee.
func (s *Settler) dueAgain(r recipient, moves int) bool {
	every := 1 << min(moves/2, 6)
	if every == 1 {
		return true
	}
	if len(s.looks) >= maxRefusals {
		clear(s.looks)
	}
	s.looks[r]++
	if s.looks[r] < every {
		return false
	}
	delete(s.looks, r)
	return true
}
