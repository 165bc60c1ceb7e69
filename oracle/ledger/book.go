package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"heliograph/oracle/store"
)

// ErrConflict: a batch with the same cause and other entries was booked before.
// Nothing was written; somebody computes the same thing in two ways.
var ErrConflict = errors.New("ledger: cause was booked with other entries")

// ErrShort: an account other than [Issued] would go below zero.
var ErrShort = errors.New("ledger: account does not hold that much")

// Book is the double-entry book on a [store.KV]. Its methods are safe for
// concurrent use as far as the store is.
type Book struct{ kv store.KV }

// NewBook opens the book that lies in kv, or an empty one.
func NewBook(kv store.KV) *Book { return &Book{kv} }

// Keys: "l/a/"+account -> debits u64, credits u64; "l/b/"+cause -> batch as JSON;
// "l/t" -> running totals; "l/s/"+cause -> place in the order of booking u64, "l/n" ->
// the last place that was given.
var (
	accountKeys = []byte("l/a/")
	batchKeys   = []byte("l/b/")
	totalsKey   = []byte("l/t")
)

func accountKey(a Account) []byte  { return append(slices.Clone(accountKeys), a...) }
func batchKey(cause string) []byte { return append(slices.Clone(batchKeys), cause...) }

// Balance is the state of one account: everything that ever came in and went out.
type Balance struct {
	Debits, Credits Amount
}

// Net is what the account holds; for [Issued], what it gave out.
func (b Balance) Net() Amount {
	if b.Debits > b.Credits {
		return b.Debits - b.Credits
	}
	return b.Credits - b.Debits
}

// perTransaction keeps a transaction below store.MaxTxKeys for batches of a few
// entries; larger batches go through one by one.
const perTransaction = 900

// Post books batches, each all or nothing, in as few transactions as the store's
// limits allow. A batch that is already booked is skipped, so the whole call can
// be repeated after a crash.
func (b *Book) Post(ctx context.Context, batches ...Batch) error {
	for len(batches) > 0 {
		n, keys := 0, 0
		for n < len(batches) && (n == 0 || keys+len(batches[n].Entries)+4 <= perTransaction) {
			keys += len(batches[n].Entries) + 4
			n++
		}
		err := b.kv.Update(ctx, func(tx store.Tx) error {
			for _, batch := range batches[:n] {
				if err := PostTx(tx, batch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		batches = batches[n:]
	}
	return nil
}

// PostTx books one batch inside a transaction of the caller's. It is a no-op for
// a batch that is already booked.
func PostTx(tx store.Tx, batch Batch) error {
	if err := batch.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("ledger: encode %q: %w", batch.Cause, err)
	}
	switch old, err := tx.Get(batchKey(batch.Cause)); {
	case err == nil && string(old) == string(text):
		return nil
	case err == nil:
		return fmt.Errorf("%w: %q", ErrConflict, batch.Cause)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	totals, err := running(tx)
	if err != nil {
		return err
	}
	for _, e := range batch.Entries {
		if err := apply(tx, batch.Cause, e); err != nil {
			return err
		}
		if err := totals.apply(e); err != nil {
			return fmt.Errorf("ledger: batch %q: totals: %w", batch.Cause, err)
		}
	}
	if err := totals.put(tx); err != nil {
		return err
	}
	if err := number(tx, batch.Cause); err != nil {
		return err
	}
	return tx.Put(batchKey(batch.Cause), text)
}

func apply(tx store.Tx, cause string, e Entry) error {
	bal, err := balance(tx, e.Account)
	if err != nil {
		return err
	}
	if bal, err = bal.with(e); err != nil {
		return fmt.Errorf("ledger: batch %q: %s: %w", cause, e.Account, err)
	}
	var v [16]byte
	binary.BigEndian.PutUint64(v[:8], uint64(bal.Debits))
	binary.BigEndian.PutUint64(v[8:], uint64(bal.Credits))
	return tx.Put(accountKey(e.Account), v[:])
}

func (b Balance) with(e Entry) (Balance, error) {
	var err error
	if b.Debits, err = b.Debits.Add(e.Debit); err != nil {
		return b, err
	}
	if b.Credits, err = b.Credits.Add(e.Credit); err != nil {
		return b, err
	}
	if b.Debits > b.Credits && e.Account != Issued {
		return b, fmt.Errorf("%w: %d needed", ErrShort, b.Debits-b.Credits)
	}
	return b, nil
}

func balance(tx store.Tx, a Account) (Balance, error) {
	v, err := tx.Get(accountKey(a))
	if errors.Is(err, store.ErrNotFound) {
		return Balance{}, nil
	}
	if err != nil {
		return Balance{}, err
	}
	return parseBalance(a, v)
}

func parseBalance(a Account, v []byte) (Balance, error) {
	if len(v) != 16 {
		return Balance{}, fmt.Errorf("ledger: balance of %s is %d bytes: the store is damaged", a, len(v))
	}
	return Balance{Amount(binary.BigEndian.Uint64(v)), Amount(binary.BigEndian.Uint64(v[8:]))}, nil
}

// Balance reads one account; one that was never used is zero.
func (b *Book) Balance(ctx context.Context, a Account) (bal Balance, err error) {
	err = b.kv.View(ctx, func(tx store.Tx) error {
		bal, err = balance(tx, a)
		return err
	})
	return bal, err
}

// Accounts calls yield for every account with the prefix, in order.
func (b *Book) Accounts(ctx context.Context, prefix string, yield func(Account, Balance) error) error {
	return b.kv.View(ctx, func(tx store.Tx) error {
		return scanAccounts(tx, func(a Account, bal Balance) error {
			if !strings.HasPrefix(string(a), prefix) {
				return nil
			}
			return yield(a, bal)
		})
	})
}

func scanAccounts(tx store.Tx, yield func(Account, Balance) error) (err error) {
	scanErr := tx.Scan(accountKeys, nil, func(k, v []byte) bool {
		a := Account(k[len(accountKeys):])
		var bal Balance
		if bal, err = parseBalance(a, v); err == nil {
			err = yield(a, bal)
		}
		return err == nil
	})
	return errors.Join(err, scanErr)
}
