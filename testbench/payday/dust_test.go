package payday

import (
	"errors"
	"testing"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// TestStrangersAtTheMarker: somebody sends SOL to a marker's address before the
// batch is paid, and tokens afterwards. The batch is paid, and closing the marker
// brings both back.
func TestStrangersAtTheMarker(t *testing.T) {
	b := newTestBench(t, 5)
	ctx := t.Context()
	l := settle.List{Epoch: 8, Rewards: [32]byte{8}, Secret: poc.Secret{1}}
	for _, w := range b.wallets {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: w, Amount: 5})
	}
	marker, _, err := hsolana.MarkerAddress(b.hot.PublicKey(), b.stage.Program, settle.Marker{Epoch: 8})
	if err != nil {
		t.Fatal(err)
	}
	sender := solanavm.Sender{Client: b.vm.Client(), Payer: b.hot, Commitment: rpc.CommitmentProcessed}
	if _, err := sender.Send(ctx, []solana.Instruction{system.NewTransferInstruction(1_000_000, b.hot.PublicKey(), marker).Build()}); err != nil {
		t.Fatal(err)
	}
	c, err := b.calm(ctx, mem.NewKV(), 8, settle.MinReclaimAfter)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	if err := c.close(ctx, l, func(e settle.Epoch) bool { return e.State == settle.Closed }); err != nil {
		t.Fatal(err)
	}
	treasury := func() uint64 {
		n, err := solanavm.TokenBalance(ctx, b.vm.Client(), b.stage.Treasury, rpc.CommitmentProcessed)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := treasury()
	if before != 1<<60-5*5 {
		t.Errorf("the treasury has %d after paying 5 wallets 5 each", before)
	}
	dust := token.NewTransferCheckedInstruction(77, b.stage.Decimals, b.stage.Treasury, b.stage.Mint, marker, b.hot.PublicKey(), nil).Build()
	if _, err := sender.Send(ctx, []solana.Instruction{dust}); err != nil {
		t.Fatal(err)
	}
	if err := c.close(ctx, l, func(e settle.Epoch) bool { return e.Reclaimed == e.Batches }); err != nil {
		t.Fatal(err)
	}
	if got := treasury(); got != before {
		t.Errorf("the treasury has %d, want %d: the dust is lost", got, before)
	}
	if _, err := b.vm.Client().GetAccountInfo(ctx, marker); !errors.Is(err, rpc.ErrNotFound) {
		t.Errorf("the marker still exists: %v", err)
	}
}
