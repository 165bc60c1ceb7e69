package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"heliograph/oracle/store"
)

// Totals is the book in one line.
type Totals struct {
	Issued    Amount `json:"issued"`
	Remainder Amount `json:"remainder"`
	Transit   Amount `json:"transit"` // in hotspot accounts: 0 between postings
	Owed      Amount `json:"owed"`
	Held      Amount `json:"held"` // and what distributors hold
	Paid      Amount `json:"paid"`
}

// Check says whether issued = paid + owed + held + remainder.
func (t Totals) Check() error {
	sum := Amount(0)
	for _, a := range []Amount{t.Paid, t.Owed, t.Held, t.Remainder, t.Transit} {
		var err error
		if sum, err = sum.Add(a); err != nil {
			return err
		}
	}
	if sum != t.Issued || t.Transit != 0 {
		return fmt.Errorf("ledger: issued %d, but paid %d + owed %d + held %d + remainder %d = %d, with %d in transit",
			t.Issued, t.Paid, t.Owed, t.Held, t.Remainder, sum, t.Transit)
	}
	return nil
}

// of is the sum that an account belongs to.
func (t *Totals) of(a Account) *Amount {
	switch s := string(a); {
	case a == Issued:
		return &t.Issued
	case a == Remainder:
		return &t.Remainder
	case strings.HasPrefix(s, owedPrefix):
		return &t.Owed
	case strings.HasPrefix(s, heldPrefix), strings.HasPrefix(s, claimPrefix):
		return &t.Held
	case strings.HasPrefix(s, paidPrefix):
		return &t.Paid
	}
	return &t.Transit
}

func (t *Totals) add(a Account, bal Balance) (err error) {
	sum := t.of(a)
	*sum, err = sum.Add(bal.Net())
	return err
}

// tally are the running totals: the debits and credits of each kind of account.
// Sums of both sides, and not of nets, are kept because a batch may take from a
// kind before it gives to it.
type tally [6]Balance

// kind is the place of an account's kind in a tally.
func kind(a Account) int {
	var t Totals
	p := t.of(a)
	for i, q := range [...]*Amount{&t.Issued, &t.Remainder, &t.Transit, &t.Owed, &t.Held, &t.Paid} {
		if p == q {
			return i
		}
	}
	panic("ledger: a kind of account without a sum")
}

func (t *tally) apply(e Entry) (err error) {
	b := &t[kind(e.Account)]
	if b.Debits, err = b.Debits.Add(e.Debit); err != nil {
		return err
	}
	b.Credits, err = b.Credits.Add(e.Credit)
	return err
}

func (t *tally) totals() Totals {
	return Totals{Issued: t[0].Net(), Remainder: t[1].Net(), Transit: t[2].Net(), Owed: t[3].Net(), Held: t[4].Net(), Paid: t[5].Net()}
}

func (t *tally) put(tx store.Tx) error {
	v := make([]byte, 0, 16*len(t))
	for _, b := range t {
		v = binary.BigEndian.AppendUint64(v, uint64(b.Debits))
		v = binary.BigEndian.AppendUint64(v, uint64(b.Credits))
	}
	return tx.Put(totalsKey, v)
}

// running reads the running totals. A book that was begun without them is summed
// up once.
func running(tx store.Tx) (t tally, err error) {
	v, err := tx.Get(totalsKey)
	if errors.Is(err, store.ErrNotFound) {
		return tallied(tx)
	}
	if err != nil {
		return t, err
	}
	if len(v) != 16*len(t) {
		return t, fmt.Errorf("ledger: running totals are %d bytes: the store is damaged", len(v))
	}
	for i := range t {
		t[i] = Balance{Amount(binary.BigEndian.Uint64(v[16*i:])), Amount(binary.BigEndian.Uint64(v[16*i+8:]))}
	}
	return t, nil
}

// tallied sums the accounts.
func tallied(tx store.Tx) (t tally, err error) {
	err = scanAccounts(tx, func(a Account, b Balance) (err error) {
		sum := &t[kind(a)]
		if sum.Debits, err = sum.Debits.Add(b.Debits); err != nil {
			return err
		}
		sum.Credits, err = sum.Credits.Add(b.Credits)
		return err
	})
	return t, err
}

// Running are the totals as they were kept up to date with every batch: the
// price does not depend on the number of accounts. [Book.Audit] holds them
// against the batches.
func (b *Book) Running(ctx context.Context) (out Totals, err error) {
	err = b.kv.View(ctx, func(tx store.Tx) error {
		t, err := running(tx)
		out = t.totals()
		return err
	})
	return out, err
}

// CheckRunning is the check at every epoch's close: issued = paid + owed + held +
// remainder by the running totals, and nothing in transit. It costs one read.
func (b *Book) CheckRunning(ctx context.Context) error {
	t, err := b.Running(ctx)
	if err != nil {
		return err
	}
	return t.Check()
}

// Totals sums the accounts.
func (b *Book) Totals(ctx context.Context) (t Totals, err error) {
	err = b.kv.View(ctx, func(tx store.Tx) error {
		t = Totals{}
		return scanAccounts(tx, func(a Account, bal Balance) error { return t.add(a, bal) })
	})
	return t, err
}
