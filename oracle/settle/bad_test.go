package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// TestBadInput goes through what can be wrong with money, people and machines. Each
// ends in a state with cause and remedy, and when the cause is gone everybody is
// paid once.
func TestBadInput(t *testing.T) {
	const (
		nobody = 0
		either = -1 // held, and tried again from time to time
	)
	list := payouts(7)
	for _, tt := range []struct {
		name    string
		spoil   func(b *bench)
		mend    func(b *bench)
		stalled string // what the epoch says meanwhile
		held    int    // recipients that end held before mending
	}{
		{"treasury empty", func(b *bench) { b.chain.tokens = 0 }, func(b *bench) { b.chain.tokens = 1 << 30 }, "fund it or raise the allowance", nobody},
		{"allowance too small", func(b *bench) { b.chain.tokens = 350 }, func(b *bench) { b.chain.tokens = 1 << 30 }, "raise the allowance", nobody},
		{"treasury frozen", func(b *bench) { b.chain.treasuryFrozen = true }, func(b *bench) { b.chain.treasuryFrozen = false }, "the treasury is frozen: thaw it", nobody},
		{"fee payer empty", func(b *bench) { b.chain.sol = 10 }, func(b *bench) { b.chain.sol = 1 << 40 }, "send it SOL", nobody},
		{"recipient frozen", func(b *bench) { b.chain.frozen[poc.Wallet{3}] = true }, func(b *bench) { clear(b.chain.frozen) }, "", 1},
		{"recipient frozen between check and payout", func(b *bench) { b.chain.quietly[poc.Wallet{3}] = true }, func(b *bench) { clear(b.chain.quietly) }, "", either},
		{"everybody frozen", func(b *bench) {
			for _, p := range list {
				b.chain.frozen[p.Wallet] = true
			}
		}, func(b *bench) { clear(b.chain.frozen) }, "", 7},
		{"signer refuses", func(b *bench) {
			b.setSigner(signer{id: "hot", n: &b.n, err: &NoSignature{Why: "it refuses: cap: raise it"}})
		},
			func(b *bench) { b.setSigner(signer{id: "hot", n: &b.n}) }, "raise it", nobody},
		{"another key", func(b *bench) { b.setSigner(signer{id: "another key", n: &b.n}) },
			func(b *bench) { b.setSigner(signer{id: "hot", n: &b.n}) }, "restore the old key", nobody},
		{"disk full", func(b *bench) { b.kv.(*mem.KV).SetFull(true) }, func(b *bench) { b.kv.(*mem.KV).SetFull(false) }, "", nobody},
		{"clock jumps over an epoch: all variants expire at once", func(b *bench) {
			for range 12 { // some batches are on their way
				_ = b.s.Step(t.Context())
				b.chain.advance(3)
			}
			b.chain.advance(100_000)
		}, func(*bench) {}, "", nobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 5)
			b.freeze(1, list)
			tt.spoil(b)
			for range 100 {
				_ = b.s.Step(t.Context())
				b.chain.advance(3)
			}
			rec, err := b.s.Epoch(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(rec.Stalled, tt.stalled) || tt.stalled == "" && rec.Stalled != "" {
				t.Errorf("stalled %q, want %q", rec.Stalled, tt.stalled)
			}
			held := 0
			for _, p := range rec.Parts {
				held += len(p.Held)
				for _, why := range p.Held {
					if why == "" {
						t.Error("somebody is held without a reason")
					}
				}
			}
			if tt.held != either && held != tt.held {
				t.Errorf("%d held, want %d", held, tt.held)
			}
			tt.mend(b)
			for range 400 {
				_ = b.s.Step(t.Context())
				b.chain.advance(3)
			}
			b.check(sums(list))
			if rec, _ = b.s.Epoch(t.Context(), 1); rec.State != Closed || rec.Stalled+rec.Refused != "" || rec.Paid != rec.Total {
				t.Errorf("afterwards: %+v", rec)
			}
		})
	}
}

func (b *bench) setSigner(s signer) { b.s.signer = s }

func TestBadLists(t *testing.T) {
	for name, list := range map[string][]reward.Payout{
		"amount zero":       {{Wallet: poc.Wallet{1}}},
		"overflow":          {{Wallet: poc.Wallet{1}, Amount: ledger.MaxAmount}, {Wallet: poc.Wallet{2}, Amount: ledger.MaxAmount}},
		"a wallet twice":    {{Wallet: poc.Wallet{1}, Amount: 1}, {Wallet: poc.Wallet{1}, Amount: 2}},
		"not by wallet":     {{Wallet: poc.Wallet{2}, Amount: 1}, {Wallet: poc.Wallet{1}, Amount: 2}},
		"changed afterward": payouts(3),
	} {
		b := newBench(t, 1)
		b.freeze(9, payouts(2))
		if err := b.s.Freeze(t.Context(), List{Epoch: 9, Payouts: list, Rewards: [32]byte{9}, Secret: poc.Secret{9}}); err == nil {
			t.Errorf("%s: the list was frozen", name)
		}
	}
}

// TestCallsDoNotGrowWithTheEpoch: the calls of a round do not grow with an epoch.
func TestCallsDoNotGrowWithTheEpoch(t *testing.T) {
	b := newBench(t, 1)
	var list []reward.Payout
	for i := range 3000 {
		list = append(list, reward.Payout{Wallet: poc.Wallet{byte(i >> 8), byte(i), 1}, Amount: 1})
	}
	b.freeze(1, list)
	kv := &countKV{KV: b.kv}
	b.restart(kv)
	for range 20 { // the queue is made
		_ = b.s.Step(t.Context())
		b.chain.advance(3)
	}
	kv.scans = 0
	for range 10 {
		if err := b.s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.chain.advance(3)
	}
	if kv.scans > 0 {
		t.Errorf("10 rounds read all batches %d times", kv.scans)
	}
}

// countKV counts scans over batches.
type countKV struct {
	store.KV
	scans int
}

func (c *countKV) View(ctx context.Context, f func(store.Tx) error) error {
	return c.KV.View(ctx, func(tx store.Tx) error { return f(countTx{tx, c}) })
}

type countTx struct {
	store.Tx
	kv *countKV
}

func (c countTx) Scan(prefix, from []byte, yield func(k, v []byte) bool) error {
	if strings.HasPrefix(string(prefix), "s/p/") {
		c.kv.scans++
	}
	return c.Tx.Scan(prefix, from, yield)
}

// TestLostStore: the store is lost at every stage, and rebuilt from the list and the
// chain; also after the markers were closed, and after a held recipient was paid in
// a batch of his own.
func TestLostStore(t *testing.T) {
	list := payouts(10)
	for lost := 1; lost < 400; lost += 7 {
		b := newBench(t, uint64(lost))
		b.chain.quietly[poc.Wallet{2}] = lost%2 == 0
		b.freeze(1, list)
		for n := range lost {
			if n == 100 {
				clear(b.chain.quietly)
			}
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		clear(b.chain.quietly)
		b.kv = mem.NewKV()
		b.book = ledger.NewBook(b.kv)
		b.restart(b.kv)
		for i, p := range list {
			if err := b.book.Post(t.Context(), ledger.Move(fmt.Sprintf("earn/1/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
				t.Fatal(err)
			}
		}
		l := List{Epoch: 1, Payouts: list, Rewards: [32]byte{1}, Secret: poc.Secret{9}}
		if err := b.s.Rebuild(t.Context(), l, [32]byte{2}); !errors.Is(err, ErrConflict) {
			t.Fatalf("another root: %v", err)
		}
		root, err := claim.Root(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.s.Rebuild(t.Context(), l, root); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		b.check(sums(list))
		if rec, _ := b.s.Epoch(t.Context(), 1); rec.State != Closed || rec.Paid != rec.Total {
			t.Fatalf("lost after %d rounds: %+v", lost, rec)
		}
	}
}

// TestTwoOracles: two settlers with stores of their own pay the same epoch. Each
// wallet is paid once, and both books say so. A third, with another list, refuses.
func TestTwoOracles(t *testing.T) {
	list := payouts(10)
	a := newBench(t, 1)
	a.freeze(1, list)
	twin := &bench{t: t, kv: mem.NewKV(), chain: a.chain}
	twin.book = ledger.NewBook(twin.kv)
	twin.restart(twin.kv)
	twin.s.signer = signer{id: "hot", n: &a.n}
	twin.freeze(1, list)
	for n := range 200 {
		if n%3 > 0 {
			_ = a.s.Step(t.Context())
		}
		_ = twin.s.Step(t.Context())
		a.chain.advance(3)
	}
	a.check(sums(list))
	twin.check(sums(list))

	third := &bench{t: t, kv: mem.NewKV(), chain: a.chain}
	third.book = ledger.NewBook(third.kv)
	third.restart(third.kv)
	third.s.signer = signer{id: "hot", n: &a.n}
	other := payouts(10)
	other[3].Amount++
	third.freeze(1, other)
	for range 200 {
		_ = third.s.Step(t.Context())
		a.chain.advance(3)
	}
	a.check(sums(list))
	if rec, _ := third.s.Epoch(t.Context(), 1); rec.State != Committed || !strings.Contains(rec.Refused, "rebuild") {
		t.Errorf("another list on the same epoch: %s, refused %q", rec.State, rec.Refused)
	}
}

// TestMarkersAreClosed: only long after the epoch was, and each once.
func TestMarkersAreClosed(t *testing.T) {
	b := newBench(t, 1)
	b.chain.strangers[Marker{1, 2}] = []string{"a stranger's"}
	b.freeze(1, payouts(10))
	if err := b.run(200); err != nil {
		t.Fatal(err)
	}
	rec, _ := b.s.Epoch(t.Context(), 1)
	for n := 0; rec.Reclaimed < rec.Batches; n++ {
		if n > 400 {
			t.Fatalf("%d of %d markers are closed", rec.Reclaimed, rec.Batches)
		}
		if len(b.chain.closed) > 0 && b.chain.height < rec.ClosedAt+MinReclaimAfter {
			t.Fatalf("closed at height %d, the epoch at %d", b.chain.height, rec.ClosedAt)
		}
		_ = b.s.Step(t.Context())
		b.chain.advance(5)
		rec, _ = b.s.Epoch(t.Context(), 1)
	}
	if len(b.chain.closed) != 4 {
		t.Errorf("%d markers were closed, want 4", len(b.chain.closed))
	}
	b.check(sums(payouts(10)))
}
