package payday

import (
	"fmt"
	"log/slog"
	"testing"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store/mem"
	solanavm "heliograph/testbench/solana"
)

// TestOneOfThreeLiesAboutMemos: one endpoint that calls every signature final makes no
// memo final that never landed, and does not choose the slot of one that has.
func TestOneOfThreeLiesAboutMemos(t *testing.T) {
	b := newTestBench(t, 3)
	ctx := t.Context()
	nodes := []string{"l", "x", "y"}
	for _, n := range nodes {
		if err := b.vm.Node(n).SetFaults(ctx, solanavm.Faults{Swallow: 1}); err != nil {
			t.Fatal(err)
		}
	}
	liar := newLiar(t, b.vm.Node("l").URL())
	liar.callFinal()
	p, c := pool(t, b, liar.srv.URL, b.vm.Node("x").URL(), b.vm.Node("y").URL())
	kv := mem.NewKV()
	s := settle.New(settle.Config{KV: kv, Chain: p, Signer: c, Log: slog.New(slog.DiscardHandler)})
	l := settle.List{Epoch: 3, Rewards: [32]byte{3}}
	for i, w := range b.wallets {
		if err := ledger.NewBook(kv).Post(ctx, ledger.Move(fmt.Sprint("earn", i), ledger.Issued, ledger.Owed(w), 5)); err != nil {
			t.Fatal(err)
		}
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: w, Amount: 5})
	}
	if err := s.Freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, 9, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	rounds := func(n int) (settle.Record, settle.CommitState) {
		for range n {
			_ = s.Step(ctx)
			if err := b.tick(ctx, 10); err != nil {
				t.Fatal(err)
			}
		}
		rec, err := s.Epoch(ctx, 3)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := s.Commitment(ctx, 9)
		if err != nil {
			t.Fatal(err)
		}
		return rec, seed
	}
	if rec, seed := rounds(50); rec.State != settle.Frozen || seed.Final || rec.Stalled == "" {
		t.Fatalf("memos that never landed: state %s, stalled %q, seed %+v", rec.State, rec.Stalled, seed)
	}
	for _, n := range nodes {
		if err := b.vm.Node(n).SetFaults(ctx, solanavm.Faults{}); err != nil {
			t.Fatal(err)
		}
	}
	if rec, seed := rounds(100); rec.State == settle.Frozen || !seed.Final || seed.Slot <= 1 || rec.Commit.Slot <= 1 {
		t.Errorf("memos that landed: state %s, commit memo in slot %d, seed %+v, %s", rec.State, rec.Commit.Slot, seed, s.LastError())
	}
}
