package settle

import (
	"context"
	"slices"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// queue lists an epoch's open batches in the order in which they are paid. It is
// read from the store once in the life of a process: afterwards a round costs as
// much as the batches that are on their way, and not as all batches of the epoch.
// Only the goroutine that runs rounds uses it.
type queue struct {
	batches uint32 // of the epoch when the queue was made
	open    []uint32
}

// queueOf makes the queue of an epoch, or returns the one that is there. An epoch
// that got further batches gets a new one.
func (s *Settler) queueOf(ctx context.Context, e Epoch) (*queue, error) {
	if q, ok := s.queues[e.Epoch]; ok && q.batches == e.Batches {
		return q, nil
	}
	q := &queue{batches: e.Batches}
	err := s.kv.View(ctx, func(tx store.Tx) error {
		q.open = nil
		return scan(tx, string(batchPrefix(e.Epoch)), func(b Batch) {
			if !b.Done() {
				q.open = append(q.open, b.Index)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	s.queues[e.Epoch] = q
	return q, nil
}

// window is the batches that a round works on.
func (q *queue) window(n int) []uint32 { return slices.Clone(q.open[:min(n, len(q.open))]) }

// done takes a batch out.
func (q *queue) done(index uint32) {
	if i := slices.Index(q.open, index); i >= 0 {
		q.open = slices.Delete(q.open, i, i+1)
	}
}

// last moves a batch behind all others, so that it does not keep them waiting.
func (q *queue) last(index uint32) {
	if i := slices.Index(q.open, index); i >= 0 {
		q.open = append(slices.Delete(q.open, i, i+1), index)
	}
}

// load reads batches of an epoch.
func (s *Settler) load(ctx context.Context, e poc.Epoch, indices []uint32) (out []Batch, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		out = make([]Batch, len(indices))
		for i, n := range indices {
			if _, err := get(tx, batchKey(e, n), &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
