package solanavm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// payday is a settler on the real VM with a staged mint.
type payday struct {
	vm      *VM
	client  *hsolana.Client
	settler *settle.Settler
	book    *ledger.Book
	hot     solana.PrivateKey
	stage   *Stage
}

func newPayday(t *testing.T, vm *VM, recipients []solana.PublicKey) *payday {
	t.Helper()
	ctx := t.Context()
	hot, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	mint, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	sender := Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}
	stage, err := SetStage(ctx, StageConfig{
		Sender: sender, Mint: mint, Decimals: 8, Lamports: 10_000_000_000,
		TreasuryOwner: hot.PublicKey(), TreasuryAmount: 1 << 40, Recipients: recipients,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: hsolana.NewFileKey(hot), Mint: stage.Mint})
	if err != nil {
		t.Fatal(err)
	}
	kv := mem.NewKV()
	s := settle.New(settle.Config{KV: kv, Chain: client, Signer: client, Poll: 50 * time.Millisecond, Backoff: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	return &payday{vm: vm, client: client, settler: s, book: ledger.NewBook(kv), hot: hot, stage: stage}
}

func newWallets(t *testing.T, n int) (out []solana.PublicKey) {
	t.Helper()
	for range n {
		k, err := solana.NewRandomPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k.PublicKey())
	}
	slices.SortFunc(out, func(a, b solana.PublicKey) int { return bytes.Compare(a[:], b[:]) }) // as lists are
	return out
}

// pay freezes an epoch for the wallets and runs the settler until it is closed.
func (p *payday) pay(t *testing.T, e poc.Epoch, to []solana.PublicKey) settle.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var list []reward.Payout
	for i, w := range to {
		amount := ledger.Amount(1000*int(e) + i)
		list = append(list, reward.Payout{Wallet: poc.Wallet(w), Amount: amount})
		if err := p.book.Post(ctx, ledger.Move(fmt.Sprintf("earn/%d/%d", e, i), ledger.Issued, ledger.Owed(poc.Wallet(w)), amount)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.settler.Freeze(ctx, settle.List{Epoch: e, Payouts: list, Rewards: [32]byte{1}, Secret: poc.Secret{2}}); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.settler.Run(run) }()
	defer func() { stop(); <-done }()
	for {
		rec, err := p.settler.Epoch(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		if rec.State == settle.Closed {
			return rec
		}
		select {
		case <-ctx.Done():
			t.Fatalf("epoch %d stays %s (stalled %q, last error %q)", e, rec.State, rec.Stalled, p.settler.LastError())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// verify holds chain, ledger and memos against each other.
func (p *payday) verify(t *testing.T, rec settle.Record, to []solana.PublicKey) {
	t.Helper()
	ctx := t.Context()
	if err := p.book.Audit(ctx); err != nil {
		t.Error(err)
	}
	for _, w := range to {
		want, err := p.book.Balance(ctx, ledger.Paid(poc.Wallet(w)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.client.TokenBalance(ctx, poc.Wallet(w))
		if err != nil || got != want.Net() {
			t.Errorf("wallet %s: chain has %d (%v), ledger says %d paid", w, got, err, want.Net())
		}
	}
	commit, err := p.client.Transaction(ctx, rec.Commit.Signature)
	if err != nil || len(commit.Memos) != 1 || commit.Memos[0] != rec.Commit.Text || commit.Payer != p.hot.PublicKey() {
		t.Errorf("commit memo on chain: %+v, %v; want %q", commit, err, rec.Commit.Text)
	}
	var sum uint64
	for _, part := range rec.Parts {
		if part.Signature == "" {
			continue
		}
		tx, err := p.client.Transaction(ctx, part.Signature)
		if err != nil || tx.Failed != "" {
			t.Fatalf("batch %d: %+v, %v", part.Index, tx, err)
		}
		for _, tr := range tx.Transfers {
			sum += tr.Amount
		}
	}
	if ledger.Amount(sum) != rec.Paid {
		t.Errorf("batches on chain moved %d, record says %d paid", sum, rec.Paid)
	}
}

func TestSettlementOnRealVM(t *testing.T) {
	vm := anyCluster(t)
	all := newWallets(t, 21)
	to := all[:20] // the last has no token account
	p := newPayday(t, vm, to)
	rec := p.pay(t, 7, all)
	p.verify(t, rec, to)
	if rec.Held != 7020 || rec.Owed != 0 || len(rec.Parts) != 2 {
		t.Errorf("held %d, owed %d in %d batches; want the wallet without an account held", rec.Held, rec.Owed, len(rec.Parts))
	}
	closing, err := p.client.Transaction(t.Context(), rec.Close.Signature)
	if err != nil || !strings.Contains(closing.Memos[0], "hsx1 e=7 s=02") {
		t.Errorf("close memo: %+v, %v", closing, err)
	}
}

func TestSettlementUnderFaults(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 5 * time.Millisecond})
	to := newWallets(t, 16)
	p := newPayday(t, vm, to)
	if err := vm.SetFaults(t.Context(), Faults{Seed: 4, Drop: 0.08, RateLimit: 0.08, HangUp: 0.15, Swallow: 0.2, DelayLanding: 0.5, LandAfterMin: 1, LandAfterMax: 120}); err != nil {
		t.Fatal(err)
	}
	rec := p.pay(t, 1, to)
	rec2 := p.pay(t, 2, to)
	if err := vm.ClearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.verify(t, rec, nil)
	p.verify(t, rec2, to)
}

func TestWrongClusterIsRefused(t *testing.T) {
	vm := anyCluster(t)
	p := newPayday(t, vm, newWallets(t, 1))
	s := settle.New(settle.Config{KV: mem.NewKV(), Chain: p.client, Signer: p.client, Genesis: "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d", Log: slog.New(slog.DiscardHandler)})
	err := s.Run(t.Context())
	if !errors.Is(err, settle.ErrWrongCluster) || !strings.Contains(err.Error(), vm.Genesis().String()) || !strings.Contains(err.Error(), "5eykt4") {
		t.Errorf("Run = %v, want both hashes named", err)
	}
	if _, err := hsolana.Dial(t.Context(), hsolana.Config{Endpoint: vm.URL(), Hot: hsolana.NewFileKey(p.hot), Mint: p.hot.PublicKey()}); err == nil || !strings.Contains(err.Error(), "mint") {
		t.Errorf("Dial with a mint that is none: %v", err)
	}
}

func TestSeedBlockIsTheFirstFromASlotOn(t *testing.T) {
	vm := ForTest(t, Config{})
	ctx := t.Context()
	if err := vm.Tick(ctx, 100); err != nil {
		t.Fatal(err)
	}
	c := hsolana.NewReader(vm.URL())
	top, err := vm.Client().GetSlot(ctx, rpc.CommitmentFinalized)
	if err != nil {
		t.Fatal(err)
	}
	last := settle.Block{}
	skipped := 0
	for slot := top; slot > top-40; slot-- {
		b, ok, err := c.BlockFrom(ctx, slot)
		if err != nil || !ok || b.Slot < slot || b.Hash == [32]byte{} {
			t.Fatalf("from slot %d: %+v, %v, %v", slot, b, ok, err)
		}
		if b.Slot > slot { // a skipped slot: its successor's block stands in
			skipped++
			if b != last {
				t.Errorf("from the skipped slot %d: %+v, want %+v", slot, b, last)
			}
		}
		last = b
	}
	if skipped == 0 {
		t.Error("no slot was skipped: the test shows nothing")
	}
	if b, ok, err := c.BlockFrom(ctx, top+1); err != nil || ok {
		t.Errorf("from a slot that is not final: %+v, %v, %v", b, ok, err)
	}
}
