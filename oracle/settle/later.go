package settle

import (
	"encoding/binary"
	"fmt"

	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// firstLater begins the numbers of the batches in which recipients are paid on their
// own, after the batch that they were planned in has landed without them.
const firstLater = 1 << 31

// LaterBatch is the number of the batch that pays a recipient later, by his position
// in the published list, from 0. It follows from the list alone: whoever pays him
// later, from whatever store and in whatever order, needs the same marker.
func LaterBatch(position int) uint32 { return firstLater | uint32(position) }

// LaterPosition is the inverse of [LaterBatch]; false for a batch of the plan.
func LaterPosition(batch uint32) (position int, later bool) {
	return int(batch &^ firstLater), batch >= firstLater
}

// planned is how many batches the list was cut into. Batches counts the later ones too.
func (e Epoch) planned() uint32 { return e.Batches - e.Later }

// numbers are those of the from-th to the (to-1)-th batch: first come the planned ones,
// then the later ones.
func (e Epoch) numbers(from, to uint32, later []uint32) (out []uint32) {
	for i := from; i < to; i++ {
		if i < e.planned() {
			out = append(out, i)
		} else if n := int(i - e.planned()); n < len(later) {
			out = append(out, later[n])
		}
	}
	return out
}

// laterOf is the batch that pays recipient i of a planned batch later; false when b is
// none of the plan.
func laterOf(tx store.Tx, e Epoch, b Batch, i int) (Batch, bool, error) {
	if b.Index >= e.planned() || b.Index >= firstLater {
		return Batch{}, false, nil
	}
	var first Batch // as long as every planned one but the last
	if _, err := get(tx, batchKey(e.Epoch, 0), &first); err != nil {
		return Batch{}, false, err
	}
	position := int(b.Index)*len(first.Payouts) + i
	return Batch{Epoch: e.Epoch, Index: LaterBatch(position), Payouts: []reward.Payout{b.Payouts[i]}}, position < e.Count, nil
}

// moveLater takes recipient i, who is neither paid nor held, out of a batch that has
// landed without him, into one of his own. False: there is none for him.
func moveLater(tx store.Tx, e *Epoch, b *Batch, i int) (next Batch, ok bool, err error) {
	if next, ok, err = laterOf(tx, *e, *b, i); err != nil || !ok {
		return next, false, err
	}
	var old Batch
	if found, err := get(tx, batchKey(next.Epoch, next.Index), &old); err != nil || found {
		if err == nil {
			err = fmt.Errorf("settle: batch %d/%d exists already", next.Epoch, next.Index)
		}
		return next, false, err
	}
	e.Batches, e.Later = e.Batches+1, e.Later+1
	e.Reclaimed = min(e.Reclaimed, e.planned()) // it may come before later ones that were looked at
	b.Moved = set(b.Moved, i, next.Index)
	return next, true, putBatch(tx, next)
}

// laterIndices lists the later batches of an epoch.
func laterIndices(tx store.Tx, e poc.Epoch) (out []uint32, err error) {
	prefix := batchPrefix(e)
	err = tx.Scan(prefix, batchKey(e, firstLater), func(k, _ []byte) bool {
		if n := k[len(prefix):]; len(n) == 4 {
			out = append(out, binary.BigEndian.Uint32(n))
		}
		return true
	})
	return out, err
}
