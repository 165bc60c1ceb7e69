package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// retryHeld looks at recipients that were held in epochs that are paid otherwise,
// and plans those that can be paid now as further batches of the same epoch. A
// batch that was never used before has a marker that was never used before.
func (s *Settler) retryHeld(ctx context.Context) error {
	var found []Batch
	var epochs = map[poc.Epoch]Epoch{}
	err := s.kv.View(ctx, func(tx store.Tx) error {
		found = nil
		if err := scan(tx, "s/e/", func(e Epoch) {
			if e.State == Closed {
				epochs[e.Epoch] = e
			}
		}); err != nil {
			return err
		}
		return scan(tx, "s/p/", func(b Batch) {
			if _, ok := epochs[b.Epoch]; ok && b.Done() && len(b.Held) > 0 {
				found = append(found, b)
			}
		})
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range found {
		errs = append(errs, s.retryBatch(ctx, b))
	}
	return errors.Join(errs...)
}

func (s *Settler) retryBatch(ctx context.Context, b Batch) error {
	var who []int
	var wallets []poc.Wallet
	for i := range b.Payouts {
		if _, held := b.Held[i]; held {
			who, wallets = append(who, i), append(wallets, b.Payouts[i].Wallet)
		}
	}
	problems, err := s.chain.Payable(ctx, wallets)
	if err != nil {
		return fmt.Errorf("settle: check held recipients: %w", err)
	}
	return s.kv.Update(ctx, func(tx store.Tx) error {
		var e Epoch
		if found, err := get(tx, epochKey(b.Epoch), &e); err != nil || !found {
			return err
		}
		next := Batch{Epoch: b.Epoch, Index: e.Batches}
		old := b
		old.Held, old.Moved = maps.Clone(b.Held), maps.Clone(b.Moved)
		if old.Moved == nil {
			old.Moved = map[int]uint32{}
		}
		for n, i := range who {
			if problems[n] != "" {
				old.Held[i] = problems[n]
				continue
			}
			delete(old.Held, i)
			old.Moved[i] = next.Index
			p := b.Payouts[i]
			cause := fmt.Sprintf("release/%d/%d/%d", b.Epoch, b.Index, i)
			if err := ledger.PostTx(tx, ledger.Move(cause, ledger.Held(p.Wallet), ledger.Owed(p.Wallet), p.Amount)); err != nil {
				return err
			}
			next.Payouts = append(next.Payouts, p)
		}
		if len(next.Payouts) == 0 {
			return nil
		}
		e.Batches++
		e.State = Committed // pay again, then write another close memo
		return errors.Join(
			put(tx, batchKey(b.Epoch, b.Index), old),
			put(tx, batchKey(b.Epoch, next.Index), next),
			put(tx, epochKey(b.Epoch), e))
	})
}
