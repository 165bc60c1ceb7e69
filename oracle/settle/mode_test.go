package settle

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/reward"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// lost gives the bench an empty store; start or direct makes a settler on it.
func (b *claimBench) lost() {
	b.kv = mem.NewKV()
	b.book, b.outside = ledger.NewBook(b.kv), ledgertest.New(b.kv)
}

// direct makes a settler that sends payouts, on a chain that may lie.
func (b *claimBench) direct(c Chain) {
	b.s = New(Config{KV: b.kv, Chain: c, Signer: signer{id: "hot", n: &b.n}, HeldEvery: 10, ReclaimAfter: 300, Log: slog.New(slog.DiscardHandler)})
}

func (b *claimBench) steps(n int) {
	for range n {
		_ = b.s.Step(b.t.Context())
		b.chain.advance(5)
	}
}

// once fails when somebody was paid more than his due, or another sum than wanted.
func (b *claimBench) once(all bool) {
	b.t.Helper()
	rec, _ := b.s.Epoch(b.t.Context(), 1)
	for _, p := range b.list {
		if got := b.chain.paid[p.Wallet]; got > p.Amount || all && got != p.Amount {
			b.t.Errorf("wallet %x was paid %d of %d (state %s, refused %q, stalled %q)", p.Wallet[:3], got, p.Amount, rec.State, rec.Refused, rec.Stalled)
		}
	}
}

// TestSentThenClaimed: an epoch was sent, but for its first batch; the store is lost and
// the mode is claim now. The commit memo says that payouts are sent, and so it stays.
func TestSentThenClaimed(t *testing.T) {
	b := newClaimBench(t, 11, 9)
	b.lost()
	b.direct(b.chain)
	for _, p := range b.list[:3] {
		b.chain.frozen[p.Wallet] = true
	}
	b.bench.freeze(1, b.list)
	b.steps(300)
	for _, p := range b.list[3:] {
		if b.chain.paid[p.Wallet] != p.Amount {
			t.Fatal("not sent")
		}
	}
	b.lost()
	b.start(b.kv)
	b.bench.freeze(1, b.list)
	b.steps(300)
	for _, p := range b.list {
		b.chain.claimAs(p)
	}
	b.once(false)
	clear(b.chain.frozen)
	b.steps(300)
	b.once(true)
	rec, _ := b.s.Epoch(t.Context(), 1)
	if rec.Claims != nil || rec.Refused != "" || len(b.chain.vaults) != 0 {
		t.Errorf("%+v, %d distributors", rec, len(b.chain.vaults))
	}
	if err := b.book.Audit(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestClaimedThenSent: an epoch was claimed to the end; the store is lost and payouts
// are to be sent now. It is refused, and taken over when wallets claim again.
func TestClaimedThenSent(t *testing.T) {
	b := newClaimBench(t, 12, 9)
	if err := b.rounds(300, Claimable); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.list {
		b.chain.claimAs(p)
	}
	b.late()
	if err := b.rounds(400, Closed); err != nil {
		t.Fatal(err)
	}
	b.steps(200)
	if !b.chain.closed[Marker{1, 0}] {
		t.Fatal("the marker is not closed")
	}
	b.lost()
	b.direct(b.chain)
	b.bench.freeze(1, b.list)
	b.steps(100)
	b.once(true)
	rec, _ := b.s.Epoch(t.Context(), 1)
	if rec.State != Frozen || !strings.Contains(rec.Refused, `payout.mode = "claim"`) {
		t.Errorf("state %s, refused %q", rec.State, rec.Refused)
	}
	b.start(b.kv)
	if err := b.rounds(400, Closed); err != nil {
		t.Fatal(err)
	}
	b.once(true)
	if rec, _ = b.s.Epoch(t.Context(), 1); rec.Refused != "" || rec.Paid != rec.Total {
		t.Errorf("%+v", rec)
	}
}

// forgetsMode lists no commit memo of the other mode, and no history of some markers.
type forgetsMode struct {
	*cluster
	text string
	mute map[uint32]bool
}

func (f forgetsMode) Memos(ctx context.Context, from uint64, texts ...string) ([]Sent, error) {
	out, err := f.cluster.Memos(ctx, from, texts...)
	for i := range out {
		if texts[i] == f.text {
			out[i] = Sent{}
		}
	}
	return out, err
}

func (f forgetsMode) History(ctx context.Context, m Marker, from uint64) ([]string, error) {
	if f.mute[m.Batch] {
		return nil, ErrNoQuorum
	}
	return f.cluster.History(ctx, m, from)
}

// TestNothingSentBeforeFirstMarkerWasRead: also if the commit memo of the other mode is
// not seen, no batch is sent before it is known that no distributor was made.
func TestNothingSentBeforeFirstMarkerWasRead(t *testing.T) {
	for _, mute := range []map[uint32]bool{{0: true}, nil} {
		b := newClaimBench(t, 12, 9)
		if err := b.rounds(300, Claimable); err != nil {
			t.Fatal(err)
		}
		for _, p := range b.list {
			b.chain.claimAs(p)
		}
		rec, _ := b.s.epochOf(t.Context(), 1)
		b.chain.closed[Marker{1, 0}] = true
		b.lost()
		b.direct(forgetsMode{b.chain, rec.Commit.Text, mute})
		b.bench.freeze(1, b.list)
		b.steps(100)
		b.once(true)
		if rec, _ = b.s.epochOf(t.Context(), 1); mute == nil && rec.Refused == "" {
			t.Errorf("it is %s, stalled %q", rec.State, rec.Stalled)
		}
	}
}

// TestNoDistributorBesideSentBatches: also if the commit memo of the other mode is not
// seen, no distributor is made for an epoch of which a batch was sent.
func TestNoDistributorBesideSentBatches(t *testing.T) {
	for _, closed := range []bool{false, true} {
		b := newClaimBench(t, 11, 9)
		b.lost()
		b.direct(b.chain)
		for _, p := range b.list[:3] {
			b.chain.frozen[p.Wallet] = true
		}
		b.bench.freeze(1, b.list)
		b.steps(100)
		rec, _ := b.s.epochOf(t.Context(), 1)
		for m := range b.chain.markers {
			b.chain.closed[m] = closed
		}
		b.lost()
		b.start(b.kv)
		b.s.chain = forgetsMode{b.chain, rec.Commit.Text, nil}
		b.bench.freeze(1, b.list)
		b.steps(100)
		if rec, _ = b.s.epochOf(t.Context(), 1); len(b.chain.vaults) != 0 || !strings.Contains(rec.Refused, `payout.mode = "direct"`) {
			t.Errorf("%d distributors, refused %q", len(b.chain.vaults), rec.Refused)
		}
	}
}

// landedFails fails to read the transaction of the first batch for some time.
type landedFails struct {
	*cluster
	errs int
}

func (l *landedFails) Landed(ctx context.Context, sig string, m Marker, list []reward.Payout) ([]int, error) {
	if m.Batch == 0 && l.errs > 0 {
		l.errs--
		return nil, errNet
	}
	return l.cluster.Landed(ctx, sig, m, list)
}

// TestRebuildOfClaimsAsSent: an epoch is being claimed; the store is lost and it is
// planned anew as if payouts were sent. Nothing is sent, however often an endpoint
// fails, and with the right mode it goes on.
func TestRebuildOfClaimsAsSent(t *testing.T) {
	for errs := range 4 {
		b := newClaimBench(t, 16, 9)
		if err := b.rounds(300, Claimable); err != nil {
			t.Fatal(err)
		}
		for _, p := range b.list {
			b.chain.claimAs(p)
		}
		b.lost()
		b.direct(&landedFails{b.chain, errs})
		b.bench.freeze(1, b.list)
		b.steps(200)
		b.once(true)
		b.start(b.kv)
		if err := b.rounds(200, Claimable); err != nil {
			t.Errorf("%d errors: %v", errs, err)
		}
		b.once(true)
	}
}

// TestModesRace: two oracles with one key and two modes. The older commit memo counts.
func TestModesRace(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		b := newClaimBench(t, seed, 9)
		claims, kv := b.s, b.kv
		b.lost()
		b.direct(b.chain)
		b.bench.freeze(1, b.list)
		sends := b.s
		b.chain.faults = seed%2 == 0
		both := []*Settler{claims, sends}
		for n := range 400 {
			b.s = both[(n/int(1+seed%7))%2]
			b.steps(1)
		}
		for _, p := range b.list {
			b.chain.claimAs(p)
		}
		for n := range 400 {
			b.s = both[n%2]
			b.steps(1)
		}
		b.once(true)
		if err := ledger.NewBook(kv).Audit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestReplanCrashes: a store that stops in the middle of another plan holds the whole
// list still.
func TestReplanCrashes(t *testing.T) {
	var list []reward.Payout
	for i := range 9000 {
		list = append(list, reward.Payout{Wallet: poc.Wallet{byte(i >> 8), byte(i), 1}, Amount: ledger.Amount(100 + i)})
	}
	for _, toClaims := range []bool{true, false} {
		for n := 1; n <= 8; n++ {
			b := &claimBench{bench: newBench(t, 1), list: list}
			if toClaims {
				b.direct(b.chain)
			} else {
				b.rnd = newClaimBench(t, 1, 1).rnd
				b.start(b.kv)
			}
			if err := b.s.Freeze(t.Context(), List{Epoch: 1, Payouts: list}); err != nil {
				t.Fatal(err)
			}
			if toClaims {
				b.rnd = newClaimBench(t, 1, 1).rnd
				b.start(b.kv)
			}
			rec, _ := b.s.epochOf(t.Context(), 1)
			real := b.s.kv
			b.s.kv = &dieKV{real, n, n%2 == 0}
			_, derr := b.s.otherMode(t.Context(), &rec, Sent{Signature: "sig", Slot: 9})
			b.s.kv = real
			if rec, _ = b.s.epochOf(t.Context(), 1); derr == nil && !rec.Commit.Final {
				t.Fatal("it is not written")
			}
			if !rec.Commit.Final {
				if ok, err := b.s.otherMode(t.Context(), &rec, Sent{Signature: "sig", Slot: 9}); err != nil || !ok {
					t.Fatalf("to claims %v, write %d: %v", toClaims, n, err)
				}
			}
			got, err := b.s.listOf(t.Context(), rec)
			if err != nil || len(got) != len(list) || (rec.Claims != nil) != toClaims {
				t.Errorf("to claims %v, write %d: %d of %d, %v", toClaims, n, len(got), len(list), err)
			}
		}
	}
}
