package settle

import (
	"context"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Record is an epoch's settlement as it is shown to people.
type Record struct {
	Epoch
	Paid  ledger.Amount `json:"paid"`
	Owed  ledger.Amount `json:"owed"`
	Held  ledger.Amount `json:"held"`
	Parts []Part        `json:"parts"`
}

// Part is one batch of a [Record].
type Part struct {
	Index      uint32         `json:"index"`
	State      string         `json:"state"` // planned, signed, claimable, final or held
	Signature  string         `json:"signature,omitempty"`
	Recipients int            `json:"recipients"`
	Sum        ledger.Amount  `json:"sum"`
	Held       map[int]string `json:"held,omitempty"`
}

// Epoch reports on one epoch; [ErrUnknown] when it was never frozen. The secret
// is in the record: it is public once the epoch is frozen.
func (s *Settler) Epoch(ctx context.Context, e poc.Epoch) (Record, error) {
	rec, err := s.epochOf(ctx, e)
	if err != nil {
		return Record{}, err
	}
	r := Record{Epoch: rec}
	if r.Paid, r.Owed, r.Held, err = s.sums(ctx, e); err != nil {
		return Record{}, err
	}
	err = s.kv.View(ctx, func(tx store.Tx) error {
		r.Parts = nil
		return scan(tx, string(batchPrefix(e)), func(b Batch) { r.Parts = append(r.Parts, b.part()) })
	})
	return r, err
}

func (b Batch) part() Part {
	p := Part{Index: b.Index, State: "planned", Signature: b.Landed, Held: b.Held, Recipients: len(b.Payouts) - len(b.Moved)}
	for i, to := range b.Payouts {
		if _, moved := b.Moved[i]; !moved {
			p.Sum += to.Amount // checked when the list was frozen
		}
	}
	switch {
	case b.Final:
		p.State = "final"
	case b.Claim == ClaimOpen:
		p.State = string(b.Claim)
	case b.Done():
		p.State = "held"
	case len(b.Attempts) > 0:
		p.State, p.Signature = "signed", b.Attempts[len(b.Attempts)-1].Signature
	}
	return p
}

// Epochs lists every epoch that was frozen, oldest first.
func (s *Settler) Epochs(ctx context.Context) (out []Epoch, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		out = nil
		return scan(tx, "s/e/", func(e Epoch) { out = append(out, e) })
	})
	return out, err
}

// sums adds up what an epoch's batches have paid, still owe and hold.
func (s *Settler) sums(ctx context.Context, e poc.Epoch) (paid, owed, held ledger.Amount, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		paid, owed, held = 0, 0, 0
		return scan(tx, string(batchPrefix(e)), func(b Batch) {
			for i, p := range b.Payouts {
				_, isHeld := b.Held[i]
				_, moved := b.Moved[i]
				switch { // the sums are below the total, which was checked
				case b.Claimed[i]:
					paid += p.Amount
				case b.Claim == ClaimOpen:
					held += p.Amount
				case b.Claim == ClaimReturned:
					owed += p.Amount
				case moved:
				case isHeld:
					held += p.Amount
				case b.Final:
					paid += p.Amount
				default:
					owed += p.Amount
				}
			}
		})
	})
	return paid, owed, held, err
}
