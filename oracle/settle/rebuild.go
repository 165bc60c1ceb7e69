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
// Recipients who were held and paid later are in batches behind the planned ones:
// those are looked for here. The batch size must be the one of the first planning.
func (s *Settler) Rebuild(ctx context.Context, l List, root [32]byte) error {
	got, err := claim.Root(l.Payouts)
	if err != nil {
		return fmt.Errorf("settle: rebuild epoch %d: %w", l.Epoch, err)
	}
	if got != root {
		return fmt.Errorf("%w: the published list of epoch %d has root %s, the commit memo says %s: this is not the list that was committed to",
			ErrConflict, l.Epoch, hex.EncodeToString(got[:]), hex.EncodeToString(root[:]))
	}
	return s.freeze(ctx, l, func(p *plan) error {
		if p.epoch.Claims != nil {
			return nil // the marker of the distributor is all there is
		}
		return s.findLater(ctx, l, p)
	})
}

// probeGroup is how many unused markers in a row end the search for later batches.
const probeGroup = 16

func (s *Settler) findLater(ctx context.Context, l List, p *plan) error {
	size := s.signer.MaxRecipients()
	for first, missed := uint32(len(p.batches)), 0; missed < probeGroup; first++ {
		paid, err := s.paidBy(ctx, Marker{l.Epoch, first}, l.Payouts)
		if err != nil {
			return err
		}
		if paid == nil {
			missed++
			continue
		}
		missed = 0
		for index := uint32(len(p.batches)); index <= first; index++ {
			p.batches = append(p.batches, Batch{Epoch: l.Epoch, Index: index})
		}
		later := &p.batches[first]
		for _, i := range paid {
			later.Payouts = append(later.Payouts, l.Payouts[i])
			from := &p.batches[i/size]
			from.Moved = set(from.Moved, i%size, first)
		}
	}
	return nil
}

// paidBy says which payouts the transaction made that created a marker; nil if
// nobody did.
func (s *Settler) paidBy(ctx context.Context, m Marker, list []reward.Payout) ([]int, error) {
	signatures, err := s.chain.History(ctx, m)
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
		if !slices.Contains(paid, i) {
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

// plan is an epoch's record and its batches before they are written.
type plan struct {
	epoch   Epoch
	batches []Batch
}

// write persists the batches first and the epoch last: an epoch that is there is
// complete.
func (p *plan) write(ctx context.Context, kv store.KV) error {
	p.epoch.Batches = uint32(len(p.batches))
	for from := 0; from < len(p.batches); from += batchesPerTransaction {
		group := p.batches[from:min(from+batchesPerTransaction, len(p.batches))]
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
	return kv.Update(ctx, func(tx store.Tx) error { return put(tx, epochKey(p.epoch.Epoch), p.epoch) })
}
