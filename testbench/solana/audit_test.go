package solanavm

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/poc"
)

// TestAStrangerFindsEveryPayout: from the chain alone, through the markers, after
// faults that made the settler sign again and again.
func TestAStrangerFindsEveryPayout(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx := t.Context()
	all := newWallets(t, 21)
	to := all[:20]
	p := newPayday(t, vm, to)
	if err := vm.SetFaults(ctx, Faults{Seed: 9, Drop: 0.05, HangUp: 0.15, Swallow: 0.15, DelayLanding: 0.3, LandAfterMin: 1, LandAfterMax: 60}); err != nil {
		t.Fatal(err)
	}
	recs := []settle.Record{p.pay(t, 6, to[:5])}
	// The last of all has no token account: held.
	recs = append(recs, p.pay(t, 7, all))
	if err := vm.ClearFaults(ctx); err != nil {
		t.Fatal(err)
	}
	reader := trail.NewReader(vm.URL())
	look := func(s audit.Search) (audit.Paid, string) {
		got, comparisons, err := audit.Payments(ctx, reader, s)
		if err != nil {
			t.Fatal(err)
		}
		var wrong []string
		for _, c := range comparisons {
			if !c.OK {
				wrong = append(wrong, c.What+": "+c.Note)
			}
		}
		return got, strings.Join(wrong, "\n")
	}
	chain := hsolana.NewReader(vm.URL())
	var searches []audit.Search
	for i, rec := range recs {
		closed, err := chain.Transaction(ctx, rec.Close.Signature)
		if err != nil {
			t.Fatal(err)
		}
		s := audit.Search{Epoch: rec.Epoch.Epoch, Hot: p.hot.PublicKey().String(), Treasury: p.stage.Treasury.String(), Mint: p.stage.Mint.String(), From: rec.Commit.Slot, Closed: closed.Memos[0]}
		for j, w := range [][]solana.PublicKey{to[:5], all}[i] {
			s.List = append(s.List, reward.Payout{Wallet: poc.Wallet(w), Amount: ledger.Amount(1000*int(s.Epoch) + j)})
		}
		searches = append(searches, s)
		got, wrong := look(s)
		if wrong != "" || got.Sum != rec.Paid || got.Left != rec.Held || got.Wallets != []int{5, 20}[i] {
			t.Errorf("epoch %d: found %+v of paid %d, held %d\n%s", s.Epoch, got, rec.Paid, rec.Held, wrong)
		}
	}
	s := searches[1]
	s.List = slices.Clone(s.List)
	s.List[3].Amount++
	if _, wrong := look(s); !strings.Contains(wrong, "the list says") {
		t.Errorf("another list passes: %q", wrong)
	}
	// The operator pays a friend from the treasury, past all lists.
	sender := Sender{Client: vm.Client(), Payer: p.hot, Commitment: rpc.CommitmentFinalized}
	_, err := sender.Send(ctx, []solana.Instruction{token.NewTransferCheckedInstruction(5, p.stage.Decimals, p.stage.Treasury, p.stage.Mint, p.stage.Recipients[0], p.hot.PublicKey(), nil).Build()})
	if err != nil {
		t.Fatal(err)
	}
	if _, wrong := look(searches[1]); !strings.Contains(wrong, "took 5 from the treasury without a marker") {
		t.Errorf("a payment past the list passes: %q", wrong)
	}
}
