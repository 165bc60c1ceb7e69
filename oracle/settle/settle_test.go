package settle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// bench is a settler on a model cluster, driven round by round.
type bench struct {
	t     *testing.T
	kv    store.KV
	book  *ledger.Book
	chain *cluster
	s     *Settler
	n     atomic.Uint64
}

func newBench(t *testing.T, seed uint64) *bench {
	kv := mem.NewKV()
	b := &bench{t: t, kv: kv, book: ledger.NewBook(kv), chain: newCluster(seed)}
	b.restart(kv)
	return b
}

// restart makes a new settler on the same disk, as after a crash.
func (b *bench) restart(kv store.KV) {
	b.s = New(Config{KV: kv, Chain: b.chain, Signer: signer{id: "hot", n: &b.n}, HeldEvery: 10, ReclaimAfter: 300, Log: slog.New(slog.DiscardHandler)})
}

func payouts(n int) (out []reward.Payout) {
	for i := range n {
		out = append(out, reward.Payout{Wallet: poc.Wallet{byte(i + 1)}, Amount: ledger.Amount(100 + i)})
	}
	return out
}

// freeze books what the wallets earned and freezes the list.
func (b *bench) freeze(e poc.Epoch, list []reward.Payout) {
	b.t.Helper()
	ctx := b.t.Context()
	for i, p := range list {
		if err := b.book.Post(ctx, ledger.Move(fmt.Sprintf("earn/%d/%d", e, i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.s.Freeze(ctx, List{Epoch: e, Payouts: list, Rewards: [32]byte{byte(e)}, Secret: poc.Secret{9}}); err != nil {
		b.t.Fatal(err)
	}
}

// run plays rounds until every epoch is closed.
func (b *bench) run(limit int) error {
	var last error
	for range limit {
		last = b.s.Step(b.t.Context())
		b.chain.advance(3)
		open := 0
		es, err := b.s.Epochs(b.t.Context())
		if err != nil {
			return err
		}
		for _, e := range es {
			if e.State != Closed {
				open++
			}
		}
		if open == 0 {
			return nil
		}
	}
	return fmt.Errorf("not closed after %d rounds, last error: %v", limit, last)
}

// check compares ledger, records and chain.
func (b *bench) check(want map[poc.Wallet]ledger.Amount) {
	b.t.Helper()
	ctx := context.Background()
	if err := b.book.Audit(ctx); err != nil {
		b.t.Error(err)
	}
	for w, amount := range want {
		bal, err := b.book.Balance(ctx, ledger.Paid(w))
		if err != nil || bal.Net() != amount || b.chain.paid[w] != amount {
			b.t.Errorf("wallet %x: ledger says %d paid (%v), chain %d, want %d", w[:1], bal.Net(), err, b.chain.paid[w], amount)
		}
	}
	for who, n := range b.chain.times {
		if n > 1 {
			b.t.Errorf("%s was paid %d times", who, n)
		}
	}
}

func sums(lists ...[]reward.Payout) map[poc.Wallet]ledger.Amount {
	out := map[poc.Wallet]ledger.Amount{}
	for _, l := range lists {
		for _, p := range l {
			out[p.Wallet] += p.Amount
		}
	}
	return out
}

func TestSettlesEpochs(t *testing.T) {
	b := newBench(t, 1)
	b.freeze(1, payouts(10))
	b.freeze(2, payouts(4))
	b.freeze(3, nil)
	if err := b.s.Commit(t.Context(), 4, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	if err := b.run(200); err != nil {
		t.Fatal(err)
	}
	b.check(sums(payouts(10), payouts(4)))
	if st, err := b.s.Commitment(t.Context(), 4); err != nil || !st.Final || st.Signature == "" {
		t.Errorf("commitment = %+v, %v", st, err)
	}
	if _, err := b.s.Commitment(t.Context(), 5); !errors.Is(err, ErrUnknown) {
		t.Errorf("commitment never asked for: %v", err)
	}
	rec, err := b.s.Epoch(t.Context(), 1)
	if err != nil || rec.Paid != rec.Total || rec.Owed != 0 || len(rec.Parts) != 4 || rec.Parts[0].State != "final" {
		t.Errorf("record = %+v, %v", rec, err)
	}
	text := strings.Join(b.chain.memos, "\n")
	for _, want := range []string{"hsc1 e=4 c=07", "hsr1 e=1 n=10 t=1045 r=" + hexRoot(t, payouts(10)) + " l=", " w=01", "hsx1 e=1 s=09", "hsr1 e=3 n=0 t=0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no memo %q on chain:\n%s", want, text)
		}
	}
}

// hexRoot is the payout root of a list.
func hexRoot(t *testing.T, list []reward.Payout) string {
	t.Helper()
	root, err := claim.Root(list)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(root[:])
}

func TestFreezeIsIdempotent(t *testing.T) {
	b := newBench(t, 1)
	b.freeze(1, payouts(5))
	b.freeze(1, payouts(5))
	err := b.s.Freeze(t.Context(), List{Epoch: 1, Payouts: payouts(4), Rewards: [32]byte{1}, Secret: poc.Secret{9}})
	if !errors.Is(err, ErrConflict) {
		t.Errorf("another list: %v", err)
	}
	if err := b.s.Freeze(t.Context(), List{Epoch: 2, Payouts: []reward.Payout{{}}}); err == nil {
		t.Error("a payout of zero was frozen")
	}
	_ = b.s.Commit(t.Context(), 1, [32]byte{1})
	if err := b.s.Commit(t.Context(), 1, [32]byte{2}); !errors.Is(err, ErrConflict) {
		t.Errorf("another commitment: %v", err)
	}
	if err := b.run(200); err != nil {
		t.Fatal(err)
	}
	b.check(sums(payouts(5)))
}

// TestFaults: dropped calls, late and lost transactions, lost replies, hidden
// statuses and a restart after every few rounds; and everybody is paid once.
func TestFaults(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			b := newBench(t, seed)
			b.chain.faults, b.chain.hide = true, seed%3 == 0
			b.freeze(1, payouts(10))
			b.freeze(2, payouts(7))
			for i := 0; i < 40; i++ {
				_ = b.s.Step(t.Context())
				b.chain.advance(uint64(1 + b.chain.rnd.IntN(80)))
				if b.chain.rnd.IntN(4) == 0 {
					b.restart(b.kv)
				}
			}
			b.chain.hide = false
			if err := b.run(3000); err != nil {
				t.Fatal(err)
			}
			b.check(sums(payouts(10), payouts(7)))
		})
	}
}

// failKV fails the n-th update, as a full disk or a crash would.
type failKV struct {
	store.KV
	left int
}

var errDisk = errors.New("disk is full")

func (f *failKV) Update(ctx context.Context, g func(store.Tx) error) error {
	f.left--
	if f.left == 0 {
		return errDisk
	}
	return f.KV.Update(ctx, g)
}

// TestCrashAtEveryWrite stops the settler at its n-th write, for every n, and
// starts another one on the same disk.
func TestCrashAtEveryWrite(t *testing.T) {
	for n := 1; n < 60; n++ {
		b := newBench(t, uint64(n))
		b.chain.quietly[poc.Wallet{2}] = n%2 == 0
		b.freeze(1, payouts(7))
		f := &failKV{b.kv, n}
		b.restart(f)
		for r := 0; r < 200 && b.s.Step(t.Context()) == nil; r++ {
			b.chain.advance(5)
		}
		b.restart(b.kv)
		if err := b.run(500); err != nil {
			t.Fatalf("write %d: %v", n, err)
		}
		want := sums(payouts(7))
		if n%2 == 0 {
			delete(want, poc.Wallet{2})
		}
		b.check(want)
	}
}

func TestHeldRecipientsArePaidLater(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		b := newBench(t, 3)
		b.chain.frozen[poc.Wallet{2}], b.chain.quietly[poc.Wallet{5}] = true, quiet
		list := payouts(7)
		b.freeze(1, list)
		if err := b.run(500); err != nil {
			t.Fatal(err)
		}
		rec, _ := b.s.Epoch(t.Context(), 1)
		held := list[1].Amount
		if quiet {
			held += list[4].Amount
		}
		totals, _ := b.book.Totals(t.Context())
		if rec.Held != held || totals.Held != held || rec.Owed != 0 {
			t.Errorf("held %d in the record, %d in the ledger, want %d; owed %d", rec.Held, totals.Held, held, rec.Owed)
		}
		clear(b.chain.frozen)
		clear(b.chain.quietly)
		for range 200 {
			_ = b.s.Step(t.Context())
			b.chain.advance(3)
		}
		b.check(sums(list))
		if rec, _ := b.s.Epoch(t.Context(), 1); rec.Held != 0 || rec.Paid != rec.Total || rec.State != Closed {
			t.Errorf("afterwards: %+v", rec)
		}
	}
}

func TestStallsWithoutFunds(t *testing.T) {
	b := newBench(t, 1)
	b.chain.tokens = 350
	list := payouts(7)
	b.freeze(1, list)
	if err := b.run(100); err == nil {
		t.Fatal("closed without funds")
	}
	rec, _ := b.s.Epoch(t.Context(), 1)
	if rec.State != Committed || !strings.Contains(rec.Stalled, "fund it") {
		t.Errorf("state %s, stalled %q", rec.State, rec.Stalled)
	}
	b.chain.tokens = 1 << 30
	if err := b.run(200); err != nil {
		t.Fatal(err)
	}
	b.check(sums(list))
	if rec, _ := b.s.Epoch(t.Context(), 1); rec.Stalled != "" {
		t.Errorf("still says %q", rec.Stalled)
	}
	b.chain.sol = 10
	b.freeze(2, list)
	_ = b.run(60)
	if rec, _ := b.s.Epoch(t.Context(), 2); !strings.Contains(rec.Stalled, "lamports") {
		t.Errorf("fee payer is empty, stalled says %q", rec.Stalled)
	}
}

func TestRefusesTheWrongClusterAndKey(t *testing.T) {
	b := newBench(t, 1)
	b.freeze(1, payouts(2))
	if err := b.run(100); err != nil {
		t.Fatal(err)
	}
	b.chain.genesis = "other"
	b.restart(b.kv)
	err := b.s.CheckCluster(t.Context())
	if !errors.Is(err, ErrWrongCluster) || !strings.Contains(err.Error(), "other") || !strings.Contains(err.Error(), "model") {
		t.Errorf("CheckCluster = %v, want both hashes named", err)
	}
	if err := b.s.Run(t.Context()); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("Run = %v", err)
	}
	b.s.cfg.Genesis = "third"
	if err := b.s.CheckCluster(t.Context()); !errors.Is(err, ErrWrongCluster) || !strings.Contains(err.Error(), "third") {
		t.Errorf("CheckCluster against the configuration = %v", err)
	}

	b = newBench(t, 1)
	b.freeze(1, payouts(2))
	b.s.signer = signer{id: "another key", n: &b.n}
	_ = b.run(20)
	if rec, _ := b.s.Epoch(t.Context(), 1); rec.State != Frozen || !strings.Contains(rec.Stalled, "another key") {
		t.Errorf("with another key: %s, %q", rec.State, rec.Stalled)
	}
}
