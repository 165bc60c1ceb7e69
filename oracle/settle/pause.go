package settle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

var pauseKey = []byte("s/paused")

// maxWhy bounds the reason for a pause in bytes.
const maxWhy = 500

// Pause makes the settler sign and send nothing until [Settler.Resume], over
// restarts too. What is on its way may still land, and is booked after the pause.
func (s *Settler) Pause(ctx context.Context, why string) error {
	if why == "" || len(why) > maxWhy {
		return fmt.Errorf("settle: pause: a reason of %d bytes, want 1..%d", len(why), maxWhy)
	}
	return s.kv.Update(ctx, func(tx store.Tx) error { return tx.Put(pauseKey, []byte(why)) })
}

// Resume ends a pause; without one it changes nothing.
func (s *Settler) Resume(ctx context.Context) error {
	err := s.kv.Update(ctx, func(tx store.Tx) error { return tx.Delete(pauseKey) })
	if err == nil {
		s.poke()
	}
	return err
}

// Paused is the reason for the pause, "" when there is none.
func (s *Settler) Paused(ctx context.Context) (why string, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		text, err := tx.Get(pauseKey)
		if errors.Is(err, store.ErrNotFound) {
			why = ""
			return nil
		}
		why = string(text)
		return err
	})
	return why, err
}

// Due is what becomes of one recipient.
type Due struct {
	Wallet poc.Wallet
	Amount ledger.Amount
	Batch  uint32
	State  string // paid, signed, planned, held, claimable or unclaimed
	Why    string // of held
}

// Dues calls yield for every recipient of an epoch, in the order of the batches.
// The store is not held during yield; yield's error ends it.
func (s *Settler) Dues(ctx context.Context, e poc.Epoch, yield func(Due) error) error {
	rec, err := s.epochOf(ctx, e)
	if err != nil {
		return err
	}
	for from := uint32(0); from < rec.Batches; from += batchesPerTransaction {
		var part []Due
		err := s.kv.View(ctx, func(tx store.Tx) error {
			part = part[:0]
			for i := from; i < min(from+batchesPerTransaction, rec.Batches); i++ {
				var b Batch
				if found, err := get(tx, batchKey(e, i), &b); err != nil || !found {
					return errors.Join(err, fmt.Errorf("settle: batch %d/%d: found %v", e, i, found))
				}
				part = append(part, b.dues()...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, d := range part {
			if err := yield(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b Batch) dues() (out []Due) {
	for i, p := range b.Payouts {
		if _, moved := b.Moved[i]; moved {
			continue // a later batch has it
		}
		d := Due{Wallet: p.Wallet, Amount: p.Amount, Batch: b.Index, State: "planned"}
		why, held := b.Held[i]
		switch {
		case b.Claimed[i]:
			d.State = "paid"
		case b.Claim == ClaimOpen, b.Claim == ClaimReturned:
			d.State = string(b.Claim)
		case held:
			d.State, d.Why = "held", why
		case b.Final:
			d.State = "paid"
		case len(b.Attempts) > 0:
			d.State = "signed"
		}
		out = append(out, d)
	}
	return out
}

// Poke makes [Settler.Run] look at the chain at once.
func (s *Settler) Poke() { s.poke() }

// Holds says whether an epoch has recipients that are held.
func (s *Settler) Holds(ctx context.Context, e poc.Epoch) (holds bool, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		holds = false
		return tx.Scan(heldPrefix(e), nil, func([]byte, []byte) bool {
			holds = true
			return false
		})
	})
	return holds, err
}

func heldPrefix(e poc.Epoch) []byte { return binary.BigEndian.AppendUint32([]byte("s/h/"), uint32(e)) }
