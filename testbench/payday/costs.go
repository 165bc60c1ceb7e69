package payday

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// Cost is what one epoch took from the fee payer's account on the VM.
type Cost struct {
	Recipients int
	Batches    uint32
	Memos      uint64 // lamports for the commit and the close memo
	Total      uint64 // lamports gone for good, rent come back
}

// PerRecipient is the whole cost in hundredths of a lamport for each.
func (c Cost) PerRecipient() uint64 { return 100 * c.Total / uint64(c.Recipients) }

// Costs pays epochs of several sizes on the VM and reads what they cost from the
// fee payer's balance, before and after, with everything that belongs to an epoch:
// memos, payouts, markers, and the closing of the markers.
func Costs(ctx context.Context, vm *solanavm.VM, sizes []int, out io.Writer) (costs []Cost, err error) {
	b, err := New(ctx, Config{VM: vm})
	if err != nil {
		return nil, err
	}
	most := 0
	for _, n := range sizes {
		most = max(most, n)
	}
	if err := b.populate(ctx, most); err != nil {
		return nil, err
	}
	for _, n := range sizes {
		fmt.Fprintf(out, "paying %d recipients\n", n)
		c, err := b.cost(ctx, n)
		if err != nil {
			return nil, err
		}
		costs = append(costs, c)
	}
	return costs, nil
}

func (b *Bench) lamports(ctx context.Context) (uint64, error) {
	res, err := b.vm.Client().GetBalance(ctx, b.hot.PublicKey(), rpc.CommitmentProcessed)
	if err != nil {
		return 0, fmt.Errorf("payday: read the fee payer: %w", err)
	}
	return res.Value, nil
}

func (b *Bench) cost(ctx context.Context, n int) (c Cost, err error) {
	b.epoch++
	l := settle.List{Epoch: b.epoch, Secret: poc.Secret{1}, Rules: "payday"}
	for _, w := range b.wallets[:n] {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: w, Amount: ledger.Amount(1)})
	}
	slices.SortFunc(l.Payouts, byWallet)
	p, err := b.calm(ctx, mem.NewKV(), 256, settle.MinReclaimAfter)
	if err != nil {
		return c, err
	}
	if err := p.freeze(ctx, l); err != nil {
		return c, err
	}
	before, err := b.lamports(ctx)
	if err != nil {
		return c, err
	}
	if err := p.close(ctx, l, func(e settle.Epoch) bool { return e.State == settle.Closed }); err != nil {
		return c, err
	}
	rec, err := p.settler.Epoch(ctx, l.Epoch)
	if err != nil {
		return c, err
	}
	for _, signature := range []string{rec.Commit.Signature, rec.Close.Signature} {
		fee, err := b.fee(ctx, signature)
		if err != nil {
			return c, err
		}
		c.Memos += fee
	}
	err = p.close(ctx, l, func(e settle.Epoch) bool { return e.Reclaimed == e.Batches })
	if err != nil {
		return c, err
	}
	after, err := b.lamports(ctx)
	if err != nil {
		return c, err
	}
	c.Recipients, c.Batches, c.Total = n, rec.Batches, before-after
	return c, nil
}

// Markdown is the table of docs/settlement-costs.md.
func Markdown(costs []Cost, rent uint64) string {
	var s strings.Builder
	s.WriteString(`# What a payout costs

Written by ` + "`bench payout-costs --out docs/settlement-costs.md`" + `: epochs of several sizes are paid on the Solana VM, and the
numbers are what the fee payer's account lost there, with memos, guarded payouts and the closing of the markers.
All recipients have their token accounts. Lamports; 1 SOL = 1,000,000,000 lamports.

| recipients | batches | memos | held by markers meanwhile | total, rent back | per recipient |
|---:|---:|---:|---:|---:|---:|
`)
	for _, c := range costs {
		fmt.Fprintf(&s, "| %d | %d | %d | %d | %d | %d.%02d |\n", c.Recipients, c.Batches, c.Memos, uint64(c.Batches)*rent, c.Total, c.PerRecipient()/100, c.PerRecipient()%100)
	}
	fmt.Fprintf(&s, `
The two memos of an epoch are shared by all of its recipients: an epoch of a few is dearer for each.
A recipient of a full batch costs 371 with the closing of its marker; with the memos that is at most 400 from about
350 recipients on. Fewer cost more, since commit, payout and close must each be final before the next. A marker holds
%d lamports, the rent of a token account, from its payout until it is closed (`+"`solana.reclaim_after`"+`).

Not in the table: a recipient without a token account is held until he has one (%d lamports and a fee, paid by
whoever opens it); the seed memo of an epoch, 5,000; the approval of an epoch, one transaction of the treasury's owner; a late duplicate of a payout
that lands and fails on its marker, which costs its fee of 5,000.
`, rent, rent)
	return s.String()
}

// Rent is what a token account holds on the VM.
func Rent(ctx context.Context, vm *solanavm.VM) (uint64, error) {
	return vm.Client().GetMinimumBalanceForRentExemption(ctx, tokenAccountBytes, rpc.CommitmentFinalized)
}

// fee is what a transaction cost its payer.
func (b *Bench) fee(ctx context.Context, signature string) (uint64, error) {
	sig, err := solana.SignatureFromBase58(signature)
	if err != nil {
		return 0, fmt.Errorf("payday: signature %q: %w", signature, err)
	}
	version := uint64(0)
	res, err := b.vm.Client().GetTransaction(ctx, sig, &rpc.GetTransactionOpts{
		Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentConfirmed, MaxSupportedTransactionVersion: &version,
	})
	if err != nil || res.Meta == nil {
		return 0, fmt.Errorf("payday: read transaction %s: %v", signature, err)
	}
	return res.Meta.Fee, nil
}
