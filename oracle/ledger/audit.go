package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"heliograph/oracle/store"
)

// Audit re-reads every batch ever booked, books it afresh in memory, and
// compares the result with the stored balances. It trusts nothing but the
// batches; it is slow on purpose and meant for epoch closes and tests.
func (b *Book) Audit(ctx context.Context) error {
	return b.kv.View(ctx, func(tx store.Tx) error {
		want := map[Account]Balance{}
		var bad error
		err := tx.Scan(batchKeys, nil, func(k, v []byte) bool {
			bad = rebook(want, string(k[len(batchKeys):]), v)
			return bad == nil
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
		var t Totals
		err = scanAccounts(tx, func(a Account, got Balance) error {
			if want[a] != got {
				return fmt.Errorf("ledger: audit: %s says %d in, %d out; its batches say %d in, %d out",
					a, got.Credits, got.Debits, want[a].Credits, want[a].Debits)
			}
			delete(want, a)
			return t.add(a, got)
		})
		if err != nil {
			return err
		}
		for a := range want {
			return fmt.Errorf("ledger: audit: %s has batches but no balance", a)
		}
		kept, err := running(tx)
		if err != nil {
			return err
		}
		if got := kept.totals(); got != t {
			return fmt.Errorf("ledger: audit: the running totals say %+v, the accounts %+v", got, t)
		}
		return t.Check()
	})
}

// rebook applies one stored batch without the order in which batches were
// booked, so intermediate balances may be below zero.
func rebook(into map[Account]Balance, cause string, text []byte) error {
	var batch Batch
	if err := json.Unmarshal(text, &batch); err != nil {
		return fmt.Errorf("ledger: audit: batch %q: %w", cause, err)
	}
	if batch.Cause != cause {
		return fmt.Errorf("ledger: audit: batch %q is stored under %q", batch.Cause, cause)
	}
	if err := batch.Check(); err != nil {
		return fmt.Errorf("ledger: audit: %w", err)
	}
	for _, e := range batch.Entries {
		bal := into[e.Account]
		var err error
		if bal.Debits, err = bal.Debits.Add(e.Debit); err != nil {
			return err
		}
		if bal.Credits, err = bal.Credits.Add(e.Credit); err != nil {
			return err
		}
		into[e.Account] = bal
	}
	return nil
}
