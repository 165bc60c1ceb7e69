package settle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Rebuild plans an epoch again after the store was lost, from its published list
// and from what the chain keeps: every batch that was paid before is recognized by
// its marker's history and booked when its turn comes, and no batch is signed
// before that was looked at. root is the payout root of the commit memo on chain; a
// list with another root is [ErrConflict]. What the wallets are owed must be in the
// ledger again, as for [Settler.Freeze].
//
// So is every recipient whom such a transaction left out: he may have been paid later.
// The batch size must be the one of the first planning.
func (s *Settler) Rebuild(ctx context.Context, l List, root [32]byte) error {
	got, err := claim.Root(l.Payouts)
	if err != nil {
		return fmt.Errorf("settle: rebuild epoch %d: %w", l.Epoch, err)
	}
	if got != root {
		return fmt.Errorf("%w: the published list of epoch %d has root %s, the commit memo says %s: this is not the list that was committed to",
			ErrConflict, l.Epoch, hex.EncodeToString(got[:]), hex.EncodeToString(root[:]))
	}
	return s.freeze(ctx, l)
}

// paidBy says which payouts the transaction made that created a marker; nil if
// nobody did.
func (s *Settler) paidBy(ctx context.Context, m Marker, list []reward.Payout) ([]int, error) {
	signatures, err := s.chain.History(ctx, m, 0)
	if err != nil {
		return nil, fmt.Errorf("settle: ask who touched the marker of batch %d/%d: %w", m.Epoch, m.Batch, err)
	}
	for _, sig := range signatures {
		paid, err := s.chain.Landed(ctx, sig, m, list)
		switch {
		case err == nil:
			return paid, nil
		case !errors.Is(err, ErrStranger):
			return nil, fmt.Errorf("settle: read transaction %s of batch %d/%d: %w", sig, m.Epoch, m.Batch, err)
		}
	}
	return nil, nil
}

// Found is what the chain knows about the batches of a planned epoch.
type Found struct {
	PaidBatches int           `json:"paid_batches"` // a transaction has paid them
	OpenBatches int           `json:"open_batches"` // nobody has
	Paid        ledger.Amount `json:"paid"`
	Open        ledger.Amount `json:"open"` // in open batches, or left out of paid ones
}

// Find asks the chain for each batch of a planned epoch whether it was paid. It
// books nothing; [ErrUnknown] when the epoch was never planned.
func (s *Settler) Find(ctx context.Context, e poc.Epoch) (f Found, err error) {
	if _, err := s.epochOf(ctx, e); err != nil {
		return f, err
	}
	var batches []Batch
	err = s.kv.View(ctx, func(tx store.Tx) error {
		batches = nil
		return scan(tx, string(batchPrefix(e)), func(b Batch) { batches = append(batches, b) })
	})
	for _, b := range batches {
		if err == nil {
			err = s.findBatch(ctx, b, &f)
		}
	}
	return f, err
}

func (s *Settler) findBatch(ctx context.Context, b Batch, f *Found) error {
	paid, err := s.paidBy(ctx, Marker{b.Epoch, b.Index}, b.Payouts)
	if err != nil {
		return err
	}
	rest := 0
	for i, p := range b.Payouts {
		sum := &f.Paid
		later := false
		if paid != nil && !slices.Contains(paid, i) {
			if later, err = s.paidLater(ctx, b, i); err != nil {
				return err
			}
		}
		if !later && !slices.Contains(paid, i) {
			if _, moved := b.Moved[i]; moved {
				continue // counted in the batch that it is in now
			}
			sum = &f.Open
			rest++
		}
		if *sum, err = sum.Add(p.Amount); err != nil {
			return err
		}
	}
	switch {
	case paid != nil:
		f.PaidBatches++
	case rest > 0:
		f.OpenBatches++
	}
	return nil
}

// paidLater says whether the later batch of a recipient has paid him. A batch that is
// on record already counts for itself.
func (s *Settler) paidLater(ctx context.Context, b Batch, i int) (bool, error) {
	if _, moved := b.Moved[i]; moved {
		return false, nil
	}
	var next Batch
	var ok bool
	err := s.kv.View(ctx, func(tx store.Tx) (err error) {
		var e Epoch
		if _, err = get(tx, epochKey(b.Epoch), &e); err == nil {
			next, ok, err = laterOf(tx, e, b, i)
		}
		return err
	})
	if err != nil || !ok {
		return false, err
	}
	paid, err := s.paidBy(ctx, Marker{next.Epoch, next.Index}, next.Payouts)
	return paid != nil, err
}

// plan is an epoch's record and its batches before they are written.
type plan struct {
	epoch   Epoch
	batches []Batch
}

// write persists the batches first and the epoch last: an epoch that is there is
// complete. Before that it deletes what is left of a planning that a crash ended: other
// batches of it, made with another batch size, would be paid, too.
func (p *plan) write(ctx context.Context, kv store.KV) error {
	p.epoch.Batches = uint32(len(p.batches))
	for group := range slices.Chunk(p.batches, batchesPerTransaction) {
		err := kv.Update(ctx, func(tx store.Tx) error {
			for _, b := range group {
				if err := put(tx, batchKey(b.Epoch, b.Index), b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("settle: persist the plan of epoch %d: %w", p.epoch.Epoch, err)
		}
	}
	for done := false; !done; {
		var err error
		if done, err = p.deleteOthers(ctx, kv); err != nil {
			return fmt.Errorf("settle: delete an older plan of epoch %d: %w", p.epoch.Epoch, err)
		}
	}
	return kv.Update(ctx, func(tx store.Tx) error { return put(tx, epochKey(p.epoch.Epoch), p.epoch) })
}

// deleteOthers deletes records behind the planned batches, as many as fit a
// transaction; true: there are no more.
func (p *plan) deleteOthers(ctx context.Context, kv store.KV) (done bool, err error) {
	err = kv.Update(ctx, func(tx store.Tx) error {
		var keys [][]byte
		err := tx.Scan(batchPrefix(p.epoch.Epoch), batchKey(p.epoch.Epoch, p.epoch.Batches), func(k, _ []byte) bool {
			keys = append(keys, slices.Clone(k))
			return len(keys) < batchesPerTransaction
		})
		for _, k := range keys {
			err = errors.Join(err, tx.Delete(k))
		}
		done = len(keys) < batchesPerTransaction
		return err
	})
	return done, err
}
