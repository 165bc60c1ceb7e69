package settle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// heldAtOnce bounds the batches that one look at held recipients concerns.
const heldAtOnce = 256

// retryHeld looks at recipients that were held in epochs that are paid otherwise,
// and pays those that can be paid now. After heldAtOnce batches it goes on with the
// next look.
func (s *Settler) retryHeld(ctx context.Context) error {
	var found []Batch
	var next []byte
	err := s.kv.View(ctx, func(tx store.Tx) error {
		found, next = nil, nil
		var keys []Marker
		err := tx.Scan([]byte("s/h/"), s.heldFrom, func(k, _ []byte) bool {
			if len(keys) == heldAtOnce {
				next = append([]byte(nil), k...)
				return false
			}
			n := k[len("s/h/"):]
			if len(n) == 8 {
				keys = append(keys, Marker{poc.Epoch(binary.BigEndian.Uint32(n)), binary.BigEndian.Uint32(n[4:])})
			}
			return true
		})
		if err != nil {
			return err
		}
		for _, k := range keys {
			var b Batch
			var e Epoch
			if ok, err := get(tx, epochKey(k.Epoch), &e); err != nil || !ok || e.State != Closed {
				if err != nil {
					return err
				}
				continue
			}
			if ok, err := get(tx, batchKey(k.Epoch, k.Batch), &b); err != nil {
				return err
			} else if ok {
				found = append(found, b)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.heldFrom = next
	var errs []error
	for _, b := range found {
		errs = append(errs, s.retryBatch(ctx, b))
	}
	return errors.Join(errs...)
}

// retryBatch pays recipients of a batch after all. If the batch has landed without
// them, they go into another batch of the epoch, with a marker that was never used.
// If it has not, they stay in it: an older variant that is still alive and pays
// them needs the same marker.
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
	if len(problems) != len(wallets) {
		return fmt.Errorf("settle: the cluster answered for %d of %d recipients", len(problems), len(wallets))
	}
	if !b.Final { // a variant that was given up may have landed all the same
		marks, err := s.chain.Marks(ctx, []Marker{{b.Epoch, b.Index}})
		if err != nil || len(marks) != 1 {
			return fmt.Errorf("settle: ask for the marker of batch %d/%d: %w", b.Epoch, b.Index, err)
		}
		if marks[0].Exists {
			clear(problems) // open the batch: what landed will be booked
		}
	}
	err = s.kv.Update(ctx, func(tx store.Tx) error {
		var e Epoch
		if found, err := get(tx, epochKey(b.Epoch), &e); err != nil || !found {
			return err
		}
		old := b
		old.Held = maps.Clone(b.Held)
		next := Batch{Epoch: b.Epoch, Index: e.Batches}
		freed := false
		for n, i := range who {
			if problems[n] != "" {
				old.Held[i] = problems[n]
				continue
			}
			if err := release(tx, &old, i); err != nil {
				return err
			}
			freed = true
			if b.Final {
				old.Moved = set(old.Moved, i, next.Index)
				next.Payouts = append(next.Payouts, b.Payouts[i])
			}
		}
		if !freed {
			return put(tx, batchKey(b.Epoch, b.Index), old) // the reasons may have changed
		}
		if b.Final {
			e.Batches++
			if err := putBatch(tx, next); err != nil {
				return err
			}
		}
		e.State = Committed // pay again, then write another close memo
		return errors.Join(putBatch(tx, old), put(tx, epochKey(b.Epoch), e))
	})
	delete(s.queues, b.Epoch) // it is made anew
	return err
}
