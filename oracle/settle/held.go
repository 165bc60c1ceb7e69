package settle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"heliograph/oracle/reward"
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
			if ok, err := get(tx, epochKey(k.Epoch), &e); err != nil || !ok || e.State != Closed && !s.waitsForSigner(e) {
				if err != nil {
					return err
				}
				continue
			}
			if ok, err := get(tx, batchKey(k.Epoch, k.Batch), &b); err != nil {
				return err
			} else if ok && b.Done() {
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
// them, each goes into a batch of his own, whose marker follows from his place in the
// list. If it has not, they stay in it: an older variant that is still alive and pays
// them needs the same marker.
func (s *Settler) retryBatch(ctx context.Context, b Batch) error {
	var who []int
	var wallets []poc.Wallet
	for i := range b.Payouts {
		if _, held := b.Held[i]; held && s.dueAgain(recipient{Marker{b.Epoch, b.Index}, i}, b.Moves[i]) {
			who, wallets = append(who, i), append(wallets, b.Payouts[i].Wallet)
		}
	}
	if len(who) == 0 {
		return nil
	}
	problems, err := s.chain.Payable(ctx, wallets)
	if err != nil {
		return fmt.Errorf("settle: check held recipients: %w", err)
	}
	if len(problems) != len(wallets) {
		return fmt.Errorf("settle: the cluster answered for %d of %d recipients", len(problems), len(wallets))
	}
	if err := s.paidMeanwhile(ctx, b, who, problems); err != nil {
		return err
	}
	err = s.kv.Update(ctx, func(tx store.Tx) error {
		var e Epoch
		if found, err := get(tx, epochKey(b.Epoch), &e); err != nil || !found {
			return err
		}
		old := b
		old.Held = maps.Clone(b.Held)
		freed := false
		for n, i := range who {
			if problems[n] != "" {
				old.Held[i] = problems[n]
				continue
			}
			if _, ok, err := laterOf(tx, e, b, i); err != nil {
				return err
			} else if b.Final && !ok {
				old.Held[i] = "his own batch has landed without paying him: compare the chain with the list (oraclectl audit)"
				continue
			}
			if err := release(tx, &old, i); err != nil {
				return err
			}
			freed = true
			if b.Final {
				if _, _, err := moveLater(tx, &e, &old, i); err != nil {
					return err
				}
			}
		}
		if !freed {
			return put(tx, batchKey(b.Epoch, b.Index), old) // the reasons may have changed
		}
		e.State = Committed // pay again, then write another close memo
		return errors.Join(putBatch(tx, old), put(tx, epochKey(b.Epoch), e))
	})
	delete(s.queues, b.Epoch) // it is made anew
	return err
}

// historiesAtOnce bounds the histories that are read for one batch of held recipients.
const historiesAtOnce = 16

// paidMeanwhile opens what somebody else has paid while its recipient was held: another
// process, or this one before its store was restored. It clears the problems of those
// whose marker exists, and of those whose marker's history shows a payout, which is
// read once in the life of a process.
func (s *Settler) paidMeanwhile(ctx context.Context, b Batch, who []int, problems []string) error {
	markers := make([]Marker, len(who))
	err := s.kv.View(ctx, func(tx store.Tx) error {
		var e Epoch
		if _, err := get(tx, epochKey(b.Epoch), &e); err != nil {
			return err
		}
		for n, i := range who {
			markers[n] = Marker{b.Epoch, b.Index}
			if next, ok, err := laterOf(tx, e, b, i); err != nil {
				return err
			} else if b.Final && ok {
				markers[n].Batch = next.Index
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	marks, err := s.chain.Marks(ctx, markers)
	if err != nil {
		return fmt.Errorf("settle: ask for markers of epoch %d: %w", b.Epoch, err)
	}
	if len(marks) != len(markers) {
		return fmt.Errorf("settle: the cluster answered for %d of %d markers", len(marks), len(markers))
	}
	read := 0
	for n, m := range markers {
		switch {
		case problems[n] == "" || b.Final && m.Batch == b.Index:
			continue
		case marks[n].Exists:
			problems[n] = ""
			continue
		case s.lookedAt[m] || read == historiesAtOnce:
			continue
		}
		read++
		paid, err := s.paidBy(ctx, m, []reward.Payout{b.Payouts[who[n]]})
		if err != nil && !errors.Is(err, ErrForeign) {
			return err
		}
		if paid != nil || err != nil {
			problems[n] = ""
			continue
		}
		if len(s.lookedAt) >= maxStrangers {
			clear(s.lookedAt)
		}
		s.lookedAt[m] = true
	}
	return nil
}
