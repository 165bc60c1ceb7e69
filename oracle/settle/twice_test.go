package settle

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// Each test here is a sequence that once paid a wallet twice.

// play steps n times, with time between.
func (b *bench) play(n int) {
	for range n {
		_ = b.s.Step(b.t.Context())
		b.chain.advance(5)
	}
}

// onceEach wants nobody paid twice.
func (b *bench) onceEach() {
	b.t.Helper()
	for who, n := range b.chain.times {
		if n > 1 {
			b.t.Errorf("%s was paid %d times", who, n)
		}
	}
}

// lose takes the store away and freezes the list again.
func (b *bench) lose(list []reward.Payout) {
	b.kv = mem.NewKV()
	b.book = ledger.NewBook(b.kv)
	b.restart(b.kv)
	b.freeze(1, list)
}

type batchSize struct {
	signer
	n int
}

func (s batchSize) MaxRecipients() int { return s.n }

// TestPlanAfterCrashInPlanning: batches of a planning that a crash ended, with another
// batch size, are not paid beside those of the next one.
func TestPlanAfterCrashInPlanning(t *testing.T) {
	b := newBench(t, 1)
	var list []reward.Payout
	for i := range batchesPerTransaction + 100 {
		list = append(list, reward.Payout{Wallet: poc.Wallet{byte(i >> 8), byte(i), 1}, Amount: ledger.Amount(100 + i)})
	}
	for i, p := range list {
		if err := b.book.Post(t.Context(), ledger.Move(fmt.Sprintf("earn/1/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
			t.Fatal(err)
		}
	}
	l := List{Epoch: 1, Payouts: list, Secret: poc.Secret{9}}
	b.restart(&failKV{b.kv, 2}) // the second write of the plan
	b.s.signer = batchSize{signer{id: "hot", n: &b.n}, 1}
	if err := b.s.Freeze(t.Context(), l); err == nil {
		t.Fatal("no crash")
	}
	b.restart(b.kv)
	b.s.signer = batchSize{signer{id: "hot", n: &b.n}, 3}
	if err := b.s.Freeze(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := b.run(1500); err != nil {
		t.Fatal(err)
	}
	b.check(sums(list))
}

// sleeper sleeps once between the look at the batches and the signature.
type sleeper struct {
	*cluster
	sleep func()
}

func (l *sleeper) Payable(ctx context.Context, w []poc.Wallet) ([]string, error) {
	if f := l.sleep; f != nil {
		l.sleep = nil
		f()
	}
	return l.cluster.Payable(ctx, w)
}

// TestSleepBetweenLookAndSignature: another oracle pays and closes the markers
// meanwhile.
func TestSleepBetweenLookAndSignature(t *testing.T) {
	list := payouts(10)
	a := newBench(t, 1)
	a.freeze(1, list)
	twin := &bench{t: t, kv: mem.NewKV(), chain: a.chain}
	twin.book = ledger.NewBook(twin.kv)
	chain := &sleeper{cluster: a.chain}
	twin.s = New(Config{KV: twin.kv, Chain: chain, Signer: signer{id: "hot", n: &a.n}, HeldEvery: 10, ReclaimAfter: 300, Log: slog.New(slog.DiscardHandler)})
	twin.freeze(1, list)
	for n := 0; ; n++ {
		twin.play(1)
		if rec, _ := twin.s.Epoch(t.Context(), 1); rec.State == Committed {
			break
		} else if n > 100 {
			t.Fatalf("the epoch stays %s", rec.State)
		}
	}
	chain.sleep = func() {
		a.play(400)
		if len(a.chain.closed) == 0 {
			t.Error("no marker was closed while the twin slept")
		}
	}
	twin.play(200)
	a.check(sums(list))
	twin.check(sums(list))
}

// TestLaterBatchesOfALostStore: two held recipients, one of whom comes and goes, are
// paid later. After the store was lost they come back in another order.
func TestLaterBatchesOfALostStore(t *testing.T) {
	list := payouts(7) // in batches of 3
	w, x := poc.Wallet{2}, poc.Wallet{5}
	b := newBench(t, 3)
	b.chain.frozen[w], b.chain.frozen[x] = true, true
	b.freeze(1, list)
	if err := b.run(500); err != nil {
		t.Fatal(err)
	}
	clear(b.chain.frozen)
	b.chain.quietly[w] = true // good when looked at, bad when paid
	b.play(300)
	if b.chain.paid[x] == 0 || b.chain.paid[w] != 0 {
		t.Fatalf("w %d, x %d paid", b.chain.paid[w], b.chain.paid[x])
	}
	b.chain.frozen[w] = true
	b.lose(list)
	b.play(400)
	b.onceEach()
	rec, err := b.s.Epoch(t.Context(), 1)
	if err != nil || rec.State != Closed || rec.Refused != "" || rec.Held != 101 {
		t.Errorf("state %s, refused %q, held %d (%v)", rec.State, rec.Refused, rec.Held, err)
	}
	clear(b.chain.frozen)
	clear(b.chain.quietly)
	b.play(400)
	b.check(sums(list))
}

// TestLaterPaymentInFlight: the store is lost while a later batch is on its way.
func TestLaterPaymentInFlight(t *testing.T) {
	list := payouts(7)
	w, x := poc.Wallet{2}, poc.Wallet{5}
	b := newBench(t, 3)
	b.chain.frozen[w], b.chain.frozen[x] = true, true
	b.freeze(1, list)
	if err := b.run(500); err != nil {
		t.Fatal(err)
	}
	delete(b.chain.frozen, x)
	for n := 0; len(b.chain.pending) == 0; n++ {
		if _ = b.s.Step(t.Context()); n > 200 {
			t.Fatal("x is not paid")
		}
	}
	kept := b.chain.pending // it lands when the rebuilt oracle has looked
	b.chain.pending = nil
	delete(b.chain.frozen, w)
	b.lose(list)
	b.play(12)
	b.chain.pending = append(b.chain.pending, kept...)
	b.play(400)
	b.check(sums(list))
}

// TestPaidLaterAndGone: a recipient who was paid later, and whose account is gone when
// the store was lost, is booked as paid all the same.
func TestPaidLaterAndGone(t *testing.T) {
	list := payouts(7)
	w := poc.Wallet{2}
	b := newBench(t, 3)
	b.chain.frozen[w] = true
	b.freeze(1, list)
	if err := b.run(500); err != nil {
		t.Fatal(err)
	}
	delete(b.chain.frozen, w)
	b.play(400) // paid, and the markers closed
	if b.chain.paid[w] == 0 || len(b.chain.closed) != 4 {
		t.Fatalf("paid %d, %d markers closed", b.chain.paid[w], len(b.chain.closed))
	}
	if rec, _ := b.s.Epoch(t.Context(), 1); rec.Reclaimed != rec.Batches || rec.Batches != 4 || rec.Later != 1 {
		t.Errorf("%d of %d batches reclaimed, %d later", rec.Reclaimed, rec.Batches, rec.Later)
	}
	b.chain.frozen[w] = true
	b.lose(list)
	b.play(200)
	b.check(sums(list))
}

// TestForgottenHistory: the store is lost, the markers are closed, and no endpoint
// keeps history from before. Nothing is signed until one is added.
func TestForgottenHistory(t *testing.T) {
	list := payouts(7)
	b := newBench(t, 1)
	b.freeze(1, list)
	b.play(600)
	if len(b.chain.closed) != 3 {
		t.Fatalf("%d markers closed", len(b.chain.closed))
	}
	b.chain.firstBlock = b.chain.height - 10
	b.lose(list)
	b.play(100)
	rec, err := b.s.Epoch(t.Context(), 1)
	if err != nil || rec.State != Frozen || !strings.Contains(rec.Stalled, "add one to solana.rpc") {
		t.Errorf("state %s, stalled %q (%v)", rec.State, rec.Stalled, err)
	}
	b.onceEach()
	b.chain.firstBlock = 0
	b.play(100)
	if rec, _ := b.s.Epoch(t.Context(), 1); rec.State != Closed || rec.Stalled != "" {
		t.Errorf("state %s, stalled %q", rec.State, rec.Stalled)
	}
	b.check(sums(list))
}

// TestForgottenAfterCommit: a backup from just after the commit memo is restored when
// the history of what followed is gone.
func TestForgottenAfterCommit(t *testing.T) {
	list := payouts(7)
	b := newBench(t, 1)
	b.freeze(1, list)
	for n := 0; ; n++ {
		b.play(1)
		if rec, _ := b.s.Epoch(t.Context(), 1); rec.State == Committed {
			break
		} else if n > 100 {
			t.Fatalf("the epoch stays %s", rec.State)
		}
	}
	other := b.twin()
	other.freeze(1, list)
	other.play(600) // what the backup does not know
	if len(b.chain.closed) != 3 {
		t.Fatalf("%d markers closed", len(b.chain.closed))
	}
	b.chain.firstBlock = b.chain.height - 10
	b.play(100)
	rec, _ := b.s.Epoch(t.Context(), 1)
	if rec.State != Committed || !strings.Contains(rec.Stalled, "add one to solana.rpc") {
		t.Errorf("state %s, stalled %q", rec.State, rec.Stalled)
	}
	b.onceEach()
	b.chain.firstBlock = 0
	b.play(100)
	b.check(sums(list))
}

// TestDoubtOfOneEndpoint: a variant that one endpoint alone shows in the history of a
// marker, which may have been closed since, is not replaced by another.
func TestDoubtOfOneEndpoint(t *testing.T) {
	b := Batch{Payouts: payouts(1), Attempts: []Attempt{{Tx: Tx{Signature: "a", LastValid: 100}, Recipients: []int{0}}}}
	for _, tt := range []struct {
		name  string
		facts Facts
		again bool
	}{
		{"in the history", Facts{Height: 1000, Statuses: []Status{{Known: true, Final: true}}, Signatures: []string{"a"}}, false},
		{"in the history alone", Facts{Height: 1000, Statuses: []Status{{}}, Signatures: []string{"a"}}, false},
		{"a status that nothing confirms", Facts{Height: 1000, Statuses: []Status{{Known: true, Final: true}}}, true},
		{"a status, and the history is not known", Facts{Height: 1000, Statuses: []Status{{Known: true, Final: true}}, Unsure: true}, false},
	} {
		p := &pass{}
		if _, again := p.doubt(landing{batch: b, facts: tt.facts, signature: "a", expect: []int{0}}); again != tt.again {
			t.Errorf("%s: signed again: %v", tt.name, again)
		}
	}
}

// twin is another oracle with the same key on the same cluster, and a store of its own.
func (b *bench) twin() *bench {
	o := &bench{t: b.t, kv: mem.NewKV(), chain: b.chain}
	o.book = ledger.NewBook(o.kv)
	o.s = New(Config{KV: o.kv, Chain: b.chain, Signer: signer{id: "hot", n: &b.n}, HeldEvery: 10, ReclaimAfter: 300, Log: slog.New(slog.DiscardHandler)})
	return o
}
