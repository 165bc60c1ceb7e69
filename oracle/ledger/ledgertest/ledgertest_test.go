package ledgertest_test

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

func post(t *testing.T, kv store.KV) *ledger.Book {
	t.Helper()
	b := ledger.NewBook(kv)
	id := identity.NewEd25519([32]byte{1}).ID()
	h := ledger.HotspotAccount(id)
	w := poc.Wallet{1}
	err := b.Post(t.Context(),
		ledger.Batch{Cause: "earn", Entries: []ledger.Entry{{Account: ledger.Issued, Debit: 90}, {Account: h, Credit: 90}, {Account: h, Debit: 90}, {Account: ledger.Owed(w), Credit: 90}}},
		ledger.Move("rest", ledger.Issued, ledger.Remainder, 10),
		ledger.Move("hold", ledger.Owed(w), ledger.Held(w), 50),
		ledger.Move("pay", ledger.Owed(w), ledger.Paid(w), 30))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := b.Lifetime(t.Context(), w); err != nil || l != (ledger.Lifetime{Earned: 90, Paid: 30, Owed: 10, Held: 50}) {
		t.Errorf("lifetime of the wallet: %+v, %v", l, err)
	}
	if a, err := b.HotspotEarned(t.Context(), id); err != nil || a != 90 {
		t.Errorf("the hotspot earned %d, %v", a, err)
	}
	return b
}

func TestSoundBook(t *testing.T) {
	kv := mem.NewKV()
	c := ledgertest.New(kv)
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("an empty book: %v", err)
	}
	b := post(t, kv)
	for range 2 {
		if err := c.Check(t.Context()); err != nil || c.Batches() != 4 {
			t.Fatalf("%v, %d batches", err, c.Batches())
		}
	}
	run, err := b.Running(t.Context())
	if sum, err2 := b.Totals(t.Context()); err != nil || err2 != nil || run != sum || b.CheckRunning(t.Context()) != nil {
		t.Errorf("running %+v, summed %+v (%v, %v)", run, sum, err, err2)
	}
	// A book from before there were running totals gets them with its next batch.
	if err := kv.Update(t.Context(), func(tx store.Tx) error { return tx.Delete([]byte("l/t")) }); err != nil {
		t.Fatal(err)
	}
	if err := b.Post(t.Context(), ledger.Move("more", ledger.Issued, ledger.Remainder, 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTampering: each single change in the store is found by the outside checker
// and by the book's own audit, where the book can know.
func TestTampering(t *testing.T) {
	owed := "l/a/" + string(ledger.Owed(poc.Wallet{1}))
	for name, c := range map[string]struct {
		change  func(store.Tx) error
		outside string // what the checker says
		inside  bool   // the audit sees it too
	}{
		"a balance":        {func(tx store.Tx) error { return tx.Put([]byte(owed), make([]byte, 16)) }, "is stored as", true},
		"a balance gone":   {func(tx store.Tx) error { return tx.Delete([]byte(owed)) }, "is not stored", true},
		"an account more":  {func(tx store.Tx) error { return tx.Put([]byte("l/a/owed/x"), make([]byte, 16)) }, "comes from no batch", false},
		"a batch gone":     {func(tx store.Tx) error { return tx.Delete([]byte("l/b/rest")) }, "changed or gone", true},
		"the totals":       {func(tx store.Tx) error { return tx.Put([]byte("l/t"), make([]byte, 96)) }, "running totals say", true},
		"the totals' size": {func(tx store.Tx) error { return tx.Put([]byte("l/t"), nil) }, "running totals are", true},
		"a batch unlike": {func(tx store.Tx) error {
			return tx.Put([]byte("l/b/x"), []byte(`{"cause":"x","entries":[{"account":"issued","debit":1}]}`))
		}, "adds up to", true},
		"a batch renamed": {func(tx store.Tx) error {
			return tx.Put([]byte("l/b/y"), []byte(`{"cause":"x","entries":[{"account":"issued","debit":1},{"account":"remainder","credit":1}]}`))
		}, "is stored as", true},
	} {
		t.Run(name, func(t *testing.T) {
			kv := mem.NewKV()
			b := post(t, kv)
			checker := ledgertest.New(kv)
			if err := checker.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := kv.Update(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			if err := checker.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.outside) {
				t.Errorf("outside: %v, want %q", err, c.outside)
			}
			if err := b.Audit(t.Context()); (err != nil) != c.inside {
				t.Errorf("inside: %v", err)
			}
		})
	}
}

func BenchmarkCheckRunning(b *testing.B) {
	kv := mem.NewKV()
	book := ledger.NewBook(kv)
	var batches []ledger.Batch
	for i := range 10_000 {
		batches = append(batches, ledger.Move(fmt.Sprint(i), ledger.Issued, ledger.Owed(poc.Wallet{byte(i), byte(i >> 8)}), 1))
	}
	if err := book.Post(b.Context(), batches...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := book.CheckRunning(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
