package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

func wallet(i int) (w poc.Wallet) {
	binary.BigEndian.PutUint32(w[:], uint32(i)+1)
	return w
}

func TestAmountIsChecked(t *testing.T) {
	if _, err := MaxAmount.Add(1); !errors.Is(err, ErrOverflow) {
		t.Errorf("MaxAmount + 1: %v", err)
	}
	if _, err := Amount(1).Sub(2); !errors.Is(err, ErrOverflow) {
		t.Errorf("1 - 2: %v", err)
	}
	if _, err := Amount(1<<62).MulDiv(1<<40, 2); !errors.Is(err, ErrOverflow) {
		t.Errorf("2^62 * 2^40 / 2: %v", err)
	}
	if _, err := Amount(5).MulDiv(1, 0); err == nil {
		t.Error("5 * 1 / 0 passed")
	}
	if got, err := Amount(1<<62).MulDiv(1<<40, 1<<41); err != nil || got != 1<<61 {
		t.Errorf("2^62 * 2^40 / 2^41 = %d, %v", got, err)
	}
	if got, err := Amount(10).MulDiv(2, 3); err != nil || got != 6 {
		t.Errorf("10 * 2 / 3 = %d, %v; want it rounded down", got, err)
	}
}

func TestBatchCheck(t *testing.T) {
	ok := Move("c", Issued, Remainder, 5)
	for name, change := range map[string]func(*Batch){
		"no cause":        func(b *Batch) { b.Cause = "" },
		"long cause":      func(b *Batch) { b.Cause = strings.Repeat("x", MaxCause+1) },
		"no entries":      func(b *Batch) { b.Entries = nil },
		"too many":        func(b *Batch) { b.Entries = make([]Entry, MaxEntries+1) },
		"does not sum up": func(b *Batch) { b.Entries[0].Debit++ },
		"zero line":       func(b *Batch) { b.Entries = append(b.Entries, Entry{Account: Remainder}) },
		"both sides":      func(b *Batch) { b.Entries[0].Credit = 1 },
		"unknown account": func(b *Batch) { b.Entries[0].Account = "cash" },
		"empty suffix":    func(b *Batch) { b.Entries[0].Account = "owed/" },
		"overflow": func(b *Batch) {
			b.Entries = []Entry{{Account: Issued, Debit: MaxAmount}, {Account: Issued, Debit: MaxAmount}, {Account: Remainder, Credit: 1}}
		},
	} {
		b := Batch{ok.Cause, append([]Entry(nil), ok.Entries...)}
		change(&b)
		if b.Check() == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if err := ok.Check(); err != nil {
		t.Error(err)
	}
}

func TestPostIsIdempotentByCause(t *testing.T) {
	ctx := context.Background()
	book := NewBook(mem.NewTwiceKV()) // runs every closure twice
	b := Move("epoch/1/row/a", Issued, Owed(wallet(1)), 100)
	for range 3 {
		if err := book.Post(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if bal, _ := book.Balance(ctx, Owed(wallet(1))); bal.Net() != 100 {
		t.Errorf("owed = %d, want 100 once", bal.Net())
	}
	b.Entries[0].Debit, b.Entries[1].Credit = 101, 101
	if err := book.Post(ctx, b); !errors.Is(err, ErrConflict) {
		t.Errorf("same cause, other amount: %v", err)
	}
	if err := book.Post(ctx, Move("x", Owed(wallet(1)), Paid(wallet(1)), 101)); !errors.Is(err, ErrShort) {
		t.Errorf("paying more than is owed: %v", err)
	}
	if bal, _ := book.Balance(ctx, Owed(wallet(1))); bal.Net() != 100 {
		t.Errorf("a refused batch changed the balance to %d", bal.Net())
	}
}

func TestPostSplitsLargeRuns(t *testing.T) {
	ctx := context.Background()
	book := NewBook(mem.NewKV())
	var batches []Batch
	for i := range 3000 {
		batches = append(batches, Move(fmt.Sprintf("row/%d", i), Issued, Owed(wallet(i)), Amount(i+1)))
	}
	if err := book.Post(ctx, batches...); err != nil {
		t.Fatal(err)
	}
	totals, err := book.Totals(ctx)
	if err != nil || totals.Owed != 3000*3001/2 || totals.Issued != totals.Owed {
		t.Errorf("totals = %+v, %v", totals, err)
	}
	n := 0
	_ = book.Accounts(ctx, "owed/", func(Account, Balance) error { n++; return nil })
	if n != 3000 {
		t.Errorf("%d owed accounts", n)
	}
}

func TestAuditSeesATamperedBalance(t *testing.T) {
	ctx := context.Background()
	for name, tamper := range map[string]func(tx store.Tx) error{
		"changed": func(tx store.Tx) error {
			return tx.Put(accountKey(Owed(wallet(1))), make([]byte, 16))
		},
		"short":   func(tx store.Tx) error { return tx.Put(accountKey(Owed(wallet(1))), []byte{1}) },
		"removed": func(tx store.Tx) error { return tx.Delete(accountKey(Owed(wallet(1)))) },
		"batch":   func(tx store.Tx) error { return tx.Delete(batchKey("a")) },
		"renamed": func(tx store.Tx) error {
			v, _ := tx.Get(batchKey("a"))
			return tx.Put(batchKey("b"), v)
		},
	} {
		kv := mem.NewKV()
		book := NewBook(kv)
		if err := book.Post(ctx, Move("a", Issued, Owed(wallet(1)), 7)); err != nil {
			t.Fatal(err)
		}
		if err := book.Audit(ctx); err != nil {
			t.Fatalf("sound book: %v", err)
		}
		if err := kv.Update(ctx, tamper); err != nil {
			t.Fatal(err)
		}
		if err := book.Audit(ctx); err == nil {
			t.Errorf("%s: audit saw nothing", name)
		}
	}
}

// TestInvariant runs random epochs, payouts, holds, releases and repeats against
// a model, with an outside audit after every step.
func TestInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		book := NewBook(mem.NewKV())
		type state struct{ owed, held, paid Amount }
		model := map[int]*state{}
		var issued, remainder Amount
		step := 0
		at := func(t *rapid.T) (int, *state) {
			i := rapid.IntRange(0, 4).Draw(t, "wallet")
			if model[i] == nil {
				model[i] = &state{}
			}
			step++
			return i, model[i]
		}
		post := func(t *rapid.T, b Batch) {
			for range rapid.IntRange(1, 2).Draw(t, "times") {
				if err := book.Post(ctx, b); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"earn": func(t *rapid.T) {
				i, m := at(t)
				a, r := Amount(rapid.Uint32Min(1).Draw(t, "amount")), Amount(rapid.Uint32Min(1).Draw(t, "dust"))
				post(t, Batch{fmt.Sprint("earn/", step), []Entry{
					{Account: Issued, Debit: a + r}, {Account: Owed(wallet(i)), Credit: a}, {Account: Remainder, Credit: r}}})
				m.owed += a
				issued, remainder = issued+a+r, remainder+r
			},
			"pay": func(t *rapid.T) {
				i, m := at(t)
				if m.owed == 0 {
					t.Skip("nothing owed")
				}
				post(t, Move(fmt.Sprint("pay/", step), Owed(wallet(i)), Paid(wallet(i)), m.owed))
				m.paid, m.owed = m.paid+m.owed, 0
			},
			"hold": func(t *rapid.T) {
				i, m := at(t)
				if m.owed == 0 {
					t.Skip("nothing owed")
				}
				post(t, Move(fmt.Sprint("hold/", step), Owed(wallet(i)), Held(wallet(i)), m.owed))
				m.held, m.owed = m.held+m.owed, 0
			},
			"release": func(t *rapid.T) {
				i, m := at(t)
				if m.held == 0 {
					t.Skip("nothing held")
				}
				post(t, Move(fmt.Sprint("release/", step), Held(wallet(i)), Owed(wallet(i)), m.held))
				m.owed, m.held = m.owed+m.held, 0
			},
			"overdraw": func(t *rapid.T) {
				i, m := at(t)
				err := book.Post(ctx, Move(fmt.Sprint("over/", step), Owed(wallet(i)), Paid(wallet(i)), m.owed+1))
				if !errors.Is(err, ErrShort) {
					t.Fatalf("overdraw: %v", err)
				}
			},
			"": func(t *rapid.T) {
				if err := book.Audit(ctx); err != nil {
					t.Fatal(err)
				}
				var want Totals
				want.Issued, want.Remainder = issued, remainder
				for _, m := range model {
					want.Owed, want.Held, want.Paid = want.Owed+m.owed, want.Held+m.held, want.Paid+m.paid
				}
				if got, err := book.Totals(ctx); err != nil || got != want || got.Check() != nil {
					t.Fatalf("totals = %+v, %v; want %+v", got, err, want)
				}
			},
		})
	})
}
