package settle

import (
	"context"
	"strings"
	"sync"
	"testing"

	"heliograph/oracle/reward"
	"heliograph/poc"
)

// memoLiar is a cluster that swallows transactions and calls their signatures landed.
type memoLiar struct {
	*cluster
	final, honest bool
}

func (m *memoLiar) Send(ctx context.Context, tx Tx) error {
	if m.honest {
		return m.cluster.Send(ctx, tx)
	}
	return nil
}

func (m *memoLiar) Statuses(ctx context.Context, sigs []string) ([]Status, error) {
	if m.honest { // about what it says from now on; the lies stay
		out, err := m.cluster.Statuses(ctx, sigs)
		for i := range out {
			if !out[i].Known {
				out[i] = Status{Known: true, Final: m.final, Slot: 7}
			}
		}
		return out, err
	}
	out := make([]Status, len(sigs))
	for i := range sigs {
		out[i] = Status{Known: true, Final: m.final, Slot: 7}
	}
	return out, nil
}

// TestMemoLie: what is said about a memo ends neither an epoch's state nor its
// progress. A memo that was never shown is sent again, and the record says why.
func TestMemoLie(t *testing.T) {
	for _, final := range []bool{false, true} {
		b := newBench(t, 1)
		m := &memoLiar{cluster: b.chain, final: final}
		b.s.chain = m
		b.freeze(1, payouts(3))
		if err := b.s.Commit(t.Context(), 2, [32]byte{7}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		rec, _ := b.s.Epoch(t.Context(), 1)
		seed, err := b.s.Commitment(t.Context(), 2)
		if rec.State != Frozen || !strings.Contains(rec.Stalled, "replace the one that is wrong") || seed.Final || err != nil {
			t.Errorf("final %v: state %s, stalled %q, seed %+v, %v", final, rec.State, rec.Stalled, seed, err)
		}
		m.honest = true
		for range 400 {
			_ = b.s.Step(t.Context())
			b.chain.advance(5)
		}
		b.check(sums(payouts(3)))
		rec, _ = b.s.Epoch(t.Context(), 1)
		if seed, _ = b.s.Commitment(t.Context(), 2); rec.State != Closed || rec.Stalled != "" || !seed.Final || seed.Slot == 7 || rec.Commit.Slot == 7 {
			t.Errorf("final %v, honest again: state %s, stalled %q, seed %+v, commit memo in slot %d", final, rec.State, rec.Stalled, seed, rec.Commit.Slot)
		}
	}
}

// toggler's account is good when it is looked at and simulated, and not when the
// transaction is executed.
type toggler struct {
	*cluster
	w    poc.Wallet
	good bool
}

func (g *toggler) Send(ctx context.Context, tx Tx) error {
	delete(g.cluster.quietly, g.w)
	err := g.cluster.Send(ctx, tx)
	g.cluster.quietly[g.w] = !g.good
	return err
}

// TestToggledAccount: whose account makes payouts fail on chain keeps nobody waiting,
// and costs fewer fees from time to time.
func TestToggledAccount(t *testing.T) {
	b := newBench(t, 1)
	g := &toggler{cluster: b.chain, w: poc.Wallet{2}}
	b.s.chain = g
	b.freeze(1, payouts(3))
	for range 100 {
		_ = b.s.Step(t.Context())
		b.chain.advance(3)
	}
	if b.chain.paid[poc.Wallet{1}] == 0 || b.chain.paid[poc.Wallet{3}] == 0 {
		t.Fatal("the neighbours wait")
	}
	failed := func() (n int) {
		for _, l := range b.chain.landed {
			if l.failed != "" {
				n++
			}
		}
		return n
	}
	for range 1000 {
		_ = b.s.Step(t.Context())
		b.chain.advance(3)
	}
	if n := failed(); n < 2 || n > 10 {
		t.Errorf("%d payouts failed in 1100 rounds", n)
	}
	g.good = true
	for range 1500 {
		_ = b.s.Step(t.Context())
		b.chain.advance(3)
	}
	b.check(sums(payouts(3)))
	if rec, _ := b.s.Epoch(t.Context(), 1); rec.State != Closed {
		t.Errorf("state %s, stalled %q", rec.State, rec.Stalled)
	}
}

// once refuses, as oraclesigner does, a wallet that it has signed in another batch.
type once struct {
	signer
	mu    sync.Mutex // batches are signed at the same time
	in    map[poc.Wallet]uint32
	asked int
}

func (o *once) Payout(ctx context.Context, m Marker, to []reward.Payout, h Blockhash, n int) (Tx, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range to {
		if b, ok := o.in[p.Wallet]; ok && b != m.Batch {
			o.asked++
			return Tx{}, &NoSignature{Why: "it refuses: the wallet was signed in another batch: release it", Refused: true}
		}
	}
	for _, p := range to {
		o.in[p.Wallet] = m.Batch
	}
	return o.signer.Payout(ctx, m, to, h, n)
}

// TestRefusedBatchKeepsNobodyHeld: while a batch waits for a person to talk to the
// signer, others who were held are paid, and the signer is not asked all the time.
func TestRefusedBatchKeepsNobodyHeld(t *testing.T) {
	w, x := poc.Wallet{2}, poc.Wallet{5}
	b := newBench(t, 3)
	b.chain.quietly[w], b.chain.frozen[x] = true, true
	o := &once{signer: signer{id: "hot", n: &b.n}, in: map[poc.Wallet]uint32{}}
	b.s.signer = o
	b.freeze(1, payouts(7))
	if err := b.run(500); err != nil {
		t.Fatal(err)
	}
	clear(b.chain.quietly) // w can be paid: another batch is planned, and refused
	for range 100 {
		_ = b.s.Step(t.Context())
		b.chain.advance(5)
	}
	if o.asked == 0 {
		t.Fatal("the signer was not asked: the test shows nothing")
	}
	clear(b.chain.frozen) // now x can be paid, too
	for range 500 {
		_ = b.s.Step(t.Context())
		b.chain.advance(5)
	}
	rec, _ := b.s.Epoch(t.Context(), 1)
	if b.chain.paid[x] == 0 || b.chain.paid[w] != 0 || !strings.Contains(rec.Stalled, "release it") {
		t.Errorf("x got %d, w %d; stalled %q", b.chain.paid[x], b.chain.paid[w], rec.Stalled)
	}
	if o.asked > 600/10+2 {
		t.Errorf("the signer was asked %d times in 600 rounds for what it refused", o.asked)
	}
	clear(o.in) // the operator has released it
	for range 300 {
		_ = b.s.Step(t.Context())
		b.chain.advance(5)
	}
	b.check(sums(payouts(7)))
	if rec, _ = b.s.Epoch(t.Context(), 1); rec.State != Closed || rec.Stalled != "" {
		t.Errorf("released: %s, %q", rec.State, rec.Stalled)
	}
}
