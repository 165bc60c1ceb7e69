package settle

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// The cluster of the model as one that knows a distributor program.

func (c *cluster) Now(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return 0, errNet
	}
	return c.clock, nil
}

func (c *cluster) Funded(_ context.Context, sig string, m Marker) (d Distribution, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.flaky(8):
		return d, errNet
	case slices.Contains(c.strangers[m], sig):
		return d, ErrStranger
	case c.markers[m] != sig || c.height < c.landed[sig].height+finalDepth:
		return d, ErrNotFinal
	case c.landed[sig].fund == nil:
		return d, ErrForeign
	}
	return *c.landed[sig].fund, nil
}

func (c *cluster) Distributor(_ context.Context, d Distribution) (Distributed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return Distributed{}, errNet
	}
	v := c.vaults[d.Version]
	if v == nil {
		return Distributed{}, nil
	}
	out := Distributed{Exists: true, Back: v.back}
	for _, n := range v.claimed {
		out.Claimed += n
	}
	return out, nil
}

func (c *cluster) Claims(_ context.Context, d Distribution, wallets []poc.Wallet) ([]ledger.Amount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flaky(8) {
		return nil, errNet
	}
	out := make([]ledger.Amount, len(wallets))
	for i, w := range wallets {
		if !c.flaky(10) { // an endpoint that lags
			out[i] = c.vaults[d.Version].claimed[w]
		}
	}
	return out, nil
}

// claimAs is what a wallet does: the program pays it once, from every distributor
// that is there.
func (c *cluster) claimAs(p reward.Payout) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.vaults {
		if _, did := v.claimed[p.Wallet]; !did && !v.back {
			v.claimed[p.Wallet] = p.Amount
			v.left -= p.Amount
			c.paid[p.Wallet] += p.Amount
		}
	}
}

// claimSigner signs for the program too.
type claimSigner struct {
	signer
	program string
}

func (s claimSigner) Program() string { return s.program }

func (s claimSigner) Distribute(_ context.Context, m Marker, d Distribution, b Blockhash, _ int) (Tx, error) {
	return s.sign(wireTx{Marker: &m, Fund: &d, LastValid: b.LastValid})
}

func (s claimSigner) TakeBack(_ context.Context, _ Marker, d Distribution, b Blockhash) (Tx, error) {
	return s.sign(wireTx{Back: d.Version, LastValid: b.LastValid})
}

// randomBytes draws the versions.
type randomBytes struct{ *rand.Rand }

func (r randomBytes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return len(b), nil
}

// claimBench is a bench whose epochs are claimed.
type claimBench struct {
	*bench
	list    []reward.Payout
	rnd     *rand.Rand
	outside *ledgertest.Checker
}

func newClaimBench(t *testing.T, seed uint64, wallets int) *claimBench {
	b := &claimBench{bench: newBench(t, seed), rnd: rand.New(rand.NewPCG(seed, 7))}
	for i := range wallets {
		b.list = append(b.list, reward.Payout{Wallet: poc.Wallet{1, byte(i >> 8), byte(i)}, Amount: ledger.Amount(100 + i)})
	}
	b.outside = ledgertest.New(b.kv)
	b.start(b.kv)
	b.freeze(1, b.list)
	return b
}

func (b *claimBench) start(kv store.KV) {
	b.s = New(Config{KV: kv, Chain: b.chain, Signer: claimSigner{signer{id: "hot", n: &b.n}, "program"}, HeldEvery: 3, ReclaimAfter: 300,
		Claim: &Claiming{For: MinClaim, Random: randomBytes{b.rnd}}, Log: slog.New(slog.DiscardHandler)})
}

// rounds plays until the epoch is in a state. Some of the wallets claim meanwhile.
func (b *claimBench) rounds(limit int, until State) error {
	b.t.Helper()
	var last error
	for range limit {
		last = b.s.Step(b.t.Context())
		b.chain.advance(5)
		if err := b.outside.Check(b.t.Context()); err != nil {
			return err
		}
		rec, err := b.s.epochOf(b.t.Context(), 1)
		if err != nil {
			return err
		}
		if rec.State == until {
			return nil
		}
		if last != nil && strings.Contains(last.Error(), errDisk.Error()) {
			return last
		}
		for i, p := range b.list {
			if i%3 != 0 && b.rnd.IntN(20) == 0 {
				b.chain.claimAs(p)
			}
		}
	}
	rec, _ := b.s.Epoch(b.t.Context(), 1)
	return fmt.Errorf("%s, not %s, after %d rounds: %q %q, last error %v", rec.State, until, limit, rec.Stalled, rec.Refused, last)
}

// late lets the time to claim pass.
func (b *claimBench) late() {
	b.chain.mu.Lock()
	defer b.chain.mu.Unlock()
	b.chain.clock += int64(MinClaim.Seconds())
}

// ended checks the end: one distributor, what was claimed is paid, the rest is owed
// and in the treasury.
func (b *claimBench) ended(tokens ledger.Amount) {
	b.t.Helper()
	ctx := b.t.Context()
	if len(b.chain.vaults) != 1 {
		b.t.Fatalf("%d distributors", len(b.chain.vaults))
	}
	claimed := ledger.Amount(0)
	for _, p := range b.list {
		got := b.chain.paid[p.Wallet]
		claimed += got
		paid, err := b.book.Balance(ctx, ledger.Paid(p.Wallet))
		owed, err2 := b.book.Balance(ctx, ledger.Owed(p.Wallet))
		open, err3 := b.book.Balance(ctx, ledger.Claimable(p.Wallet))
		if err != nil || err2 != nil || err3 != nil || got != 0 && got != p.Amount || paid.Net() != got || owed.Net() != p.Amount-got || open.Net() != 0 {
			b.t.Errorf("wallet %x of %d: claimed %d, ledger: paid %d, owed %d, claimable %d", p.Wallet[:3], p.Amount, got, paid.Net(), owed.Net(), open.Net())
		}
	}
	if b.chain.tokens != tokens-claimed {
		b.t.Errorf("the treasury holds %d, want %d", b.chain.tokens, tokens-claimed)
	}
	rec, err := b.s.Epoch(ctx, 1)
	if err != nil || rec.Paid != claimed || rec.Owed != rec.Total-claimed || rec.Held != 0 {
		b.t.Errorf("record: paid %d, owed %d, held %d of %d (%v), claimed were %d", rec.Paid, rec.Owed, rec.Held, rec.Total, err, claimed)
	}
	if want := CloseText(1, rec.Secret, claimed, rec.Total-claimed); !slices.Contains(b.chain.memos, want) {
		b.t.Errorf("no memo %q in %q", want, b.chain.memos)
	}
	if err := b.book.Audit(ctx); err != nil {
		b.t.Error(err)
	}
	if err := b.outside.Check(ctx); err != nil {
		b.t.Error(err)
	}
}

func TestClaims(t *testing.T) {
	b := newClaimBench(t, 1, 130)
	tokens := b.chain.tokens
	if err := b.rounds(200, Claimable); err != nil {
		t.Fatal(err)
	}
	var dues, total ledger.Amount
	if err := b.s.Dues(t.Context(), 1, func(d Due) error {
		if d.State == string(ClaimOpen) {
			dues += d.Amount
		}
		total += d.Amount
		return nil
	}); err != nil || dues == 0 {
		t.Errorf("%d of %d are claimable, %v", dues, total, err)
	}
	if sum, _ := b.book.Totals(t.Context()); sum.Held+sum.Paid != total || sum.Owed != 0 {
		t.Errorf("%+v while wallets claim %d", sum, total)
	}
	if !slices.Contains(b.chain.memos, CloseText(1, poc.Secret{9}, 0, total)) {
		t.Errorf("the secret is not revealed while wallets claim: %q", b.chain.memos)
	}
	before := b.chain.tokens
	if err := b.rounds(60, Closed); err == nil || b.chain.tokens != before {
		t.Fatal("taken back before the time")
	}
	b.late()
	if err := b.rounds(300, Closed); err != nil {
		t.Fatal(err)
	}
	b.ended(tokens)
}

// TestAllClaim: when everybody has claimed there is nothing to take back but dust, and
// the end comes all the same.
func TestAllClaim(t *testing.T) {
	b := newClaimBench(t, 2, 60)
	tokens := b.chain.tokens
	if err := b.rounds(200, Claimable); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.list {
		b.chain.claimAs(p)
	}
	b.late()
	if err := b.rounds(300, Closed); err != nil {
		t.Fatal(err)
	}
	b.ended(tokens)
}

// dieKV stops at its n-th update, before or after it is on disk.
type dieKV struct {
	store.KV
	left  int
	after bool
}

func (f *dieKV) Update(ctx context.Context, g func(store.Tx) error) error {
	f.left--
	if f.left > 0 {
		return f.KV.Update(ctx, g)
	}
	if f.left == 0 && f.after {
		if err := f.KV.Update(ctx, g); err != nil {
			return err
		}
	}
	return errDisk // nothing more is written by this process
}

// TestClaimsCrashAtEveryWrite stops the settler at each of its writes, from the commit
// memo to the last close memo, and starts another one on the same disk.
func TestClaimsCrashAtEveryWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		reached := false
		for n := 1; !reached; n++ {
			b := newClaimBench(t, uint64(n), 60)
			b.chain.faults = n%2 == 0
			tokens := b.chain.tokens
			f := &dieKV{b.kv, n, after}
			b.start(f)
			life := func() error {
				if err := b.rounds(3000, Claimable); err != nil {
					return err
				}
				b.late()
				return b.rounds(3000, Closed)
			}
			reached = life() == nil && f.left > 0
			b.start(b.kv)
			rec, _ := b.s.epochOf(t.Context(), 1)
			if rec.State != Closed && rec.State != Settled {
				if rec.State != Claimable {
					if err := b.rounds(3000, Claimable); err != nil {
						t.Fatalf("write %d: %v", n, err)
					}
				}
				b.late()
			}
			if err := b.rounds(3000, Closed); err != nil {
				t.Fatalf("write %d: %v", n, err)
			}
			b.ended(tokens)
			if t.Failed() {
				t.Fatalf("write %d, after it %v", n, after)
			}
			if n > 300 {
				t.Fatal("it never ends")
			}
		}
	}
}

// TestClaimsUnderFaults: replies are lost, transactions swallowed, statuses hidden for
// ever; two oracles work on the same epoch; stores are lost.
func TestClaimsUnderFaults(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		b := newClaimBench(t, seed, 60)
		tokens := b.chain.tokens
		b.chain.faults, b.chain.hide = true, seed%4 == 0
		first := b.s
		var other *Settler
		otherKV := mem.NewKV()
		if seed%3 == 0 { // another oracle, with a store of its own
			book := ledger.NewBook(otherKV)
			for i, p := range b.list {
				if err := book.Post(t.Context(), ledger.Move(fmt.Sprintf("earn/1/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
					t.Fatal(err)
				}
			}
			b.start(otherKV)
			other = b.s
			if err := other.Freeze(t.Context(), List{Epoch: 1, Payouts: b.list, Rewards: [32]byte{1}, Secret: poc.Secret{9}}); err != nil {
				t.Fatal(err)
			}
			b.s = first
		}
		step := func(n int) {
			for range n {
				if other != nil {
					_ = other.Step(t.Context())
				}
				_ = b.s.Step(t.Context())
				b.chain.advance(5)
			}
		}
		step(100)
		b.chain.hide = false // memos have no marker
		if err := b.rounds(3000, Claimable); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if seed%5 == 0 { // the store is lost: what is claimed is found again
			b.kv = mem.NewKV()
			b.book, b.outside = ledger.NewBook(b.kv), ledgertest.New(b.kv)
			b.start(b.kv)
			b.freeze(1, b.list)
			if err := b.rounds(3000, Claimable); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		step(50)
		b.late()
		step(100)
		if err := b.rounds(3000, Closed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b.ended(tokens)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestBadClaims goes through what can be wrong with epochs that are claimed.
func TestBadClaims(t *testing.T) {
	for _, tt := range []struct {
		name, says  string
		spoil, mend func(b *claimBench)
	}{
		{"treasury empty", "raise the allowance", func(b *claimBench) { b.chain.tokens = 100 }, func(b *claimBench) { b.chain.tokens = 1 << 40 }},
		{"fee payer empty", "send it SOL", func(b *claimBench) { b.chain.sol = 10_000_000 }, func(b *claimBench) { b.chain.sol = 1 << 40 }},
		{"no program any more", "payout.program", func(b *claimBench) { b.s.signer = claimSigner{signer{id: "hot", n: &b.n}, ""} }, func(b *claimBench) { b.start(b.kv) }},
		{"another program", "payout.program", func(b *claimBench) { b.s.signer = claimSigner{signer{id: "hot", n: &b.n}, "other"} }, func(b *claimBench) { b.start(b.kv) }},
		{"signer that cannot", "payout.program", func(b *claimBench) { b.s.signer = signer{id: "hot", n: &b.n} }, func(b *claimBench) { b.start(b.kv) }},
		{"signer refuses", "cap", func(b *claimBench) {
			b.s.signer = claimSigner{signer{id: "hot", n: &b.n, err: &NoSignature{Why: "cap"}}, "program"}
		}, func(b *claimBench) { b.start(b.kv) }},
	} {
		b := newClaimBench(t, 3, 60)
		for i := 0; i < 100; i++ { // the commit memo is final
			if rec, _ := b.s.epochOf(t.Context(), 1); rec.State == Committed {
				break
			}
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		tt.spoil(b)
		_ = b.rounds(20, Claimable)
		rec, _ := b.s.Epoch(t.Context(), 1)
		if rec.State != Committed || !strings.Contains(rec.Stalled, tt.says) {
			t.Errorf("%s: %s, %q", tt.name, rec.State, rec.Stalled)
		}
		tt.mend(b)
		tokens := b.chain.tokens
		if err := b.rounds(300, Claimable); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		b.late()
		if err := b.rounds(300, Closed); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		b.ended(tokens)
	}
}

// TestClaimsWithoutProgram: an epoch is not even planned.
func TestClaimsWithoutProgram(t *testing.T) {
	var n atomic.Uint64
	for _, s := range []Signer{signer{id: "hot", n: &n}, claimSigner{signer{id: "hot", n: &n}, ""}} {
		set := New(Config{KV: mem.NewKV(), Chain: newCluster(1), Signer: s, Claim: &Claiming{For: MinClaim}})
		err := set.Freeze(t.Context(), List{Epoch: 1, Payouts: payouts(2)})
		if err == nil || !strings.Contains(err.Error(), "payout.program") {
			t.Errorf("%v", err)
		}
	}
	set := New(Config{KV: mem.NewKV(), Chain: newCluster(1), Signer: claimSigner{signer{id: "hot", n: &n}, "p"}, Claim: &Claiming{For: time.Hour}})
	if err := set.Freeze(t.Context(), List{Epoch: 1, Payouts: payouts(2)}); err == nil || !strings.Contains(err.Error(), "claim_for") {
		t.Errorf("an hour to claim: %v", err)
	}
}

// TestSquattedVersion: somebody takes the version of a variant before it lands. The
// next variant has another.
func TestSquattedVersion(t *testing.T) {
	b := newClaimBench(t, 4, 10)
	tokens := b.chain.tokens
	taken := uint64(0)
	for range 300 {
		_ = b.s.Step(t.Context())
		rec, _ := b.s.epochOf(t.Context(), 1)
		if rec.Claims != nil && len(rec.Claims.Attempts) == 1 && taken == 0 {
			taken = rec.Claims.Attempts[0].Distribution.Version
			b.chain.pending = nil
			b.chain.vaults[taken] = &vault{claimed: map[poc.Wallet]ledger.Amount{}}
		}
		b.chain.advance(5)
	}
	delete(b.chain.vaults, taken)
	if rec, _ := b.s.Epoch(t.Context(), 1); taken == 0 || rec.State != Claimable || rec.Claims.Made.Version == taken {
		t.Fatalf("%s, %q", rec.State, rec.Stalled)
	}
	b.late()
	if err := b.rounds(300, Closed); err != nil {
		t.Fatal(err)
	}
	b.ended(tokens)
}
