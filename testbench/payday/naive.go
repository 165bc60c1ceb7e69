package payday

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/reward"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// patience is how often the naive payer looks for a signature before it signs again.
const patience = 3

// Naive pays an epoch in the weather of a seed as one would at first: it sends,
// looks for the signature, and signs anew when it is not found. It says how many
// recipients got more than their due.
func (b *Bench) Naive(ctx context.Context, seed uint64) (paidTwice int, err error) {
	rnd := rand.New(rand.NewPCG(seed, 0x7061796461790a))
	w := draw(rnd)
	list := b.newList(rnd)
	before, err := b.balances(ctx)
	if err != nil {
		return 0, err
	}
	if err := w.set(ctx, b.vm, false); err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(list.Payouts, 4) {
		if err := b.payNaively(ctx, rnd, b.vm.Node(nodeName(0)).Client(), batch); err != nil {
			return 0, err
		}
	}
	if err := b.tick(ctx, 200); err != nil {
		return 0, err
	}
	after, err := b.balances(ctx)
	if err != nil {
		return 0, err
	}
	due := map[poc.Wallet]uint64{}
	for _, p := range list.Payouts {
		due[p.Wallet] = uint64(p.Amount)
	}
	for w, was := range before {
		if after[w]-was > due[w] {
			paidTwice++
		}
	}
	return paidTwice, nil
}

func (b *Bench) payNaively(ctx context.Context, rnd *rand.Rand, node *rpc.Client, batch []reward.Payout) error {
	var ixs []solana.Instruction
	for _, p := range batch {
		to, err := hsolana.AssociatedAccount(p.Wallet, b.stage.Mint, b.stage.Program)
		if err != nil {
			return fmt.Errorf("payday: %w", err)
		}
		ixs = append(ixs, hsolana.Under(b.stage.Program, token.NewTransferCheckedInstruction(uint64(p.Amount), b.stage.Decimals, b.stage.Treasury, b.stage.Mint, to, b.hot.PublicKey(), nil).Build()))
	}
	for range maxRounds {
		sig, ok := b.sendNaively(ctx, node, ixs)
		for range patience {
			if err := b.tick(ctx, 1+rnd.IntN(8)); err != nil {
				return err
			}
			if !ok {
				continue
			}
			if st, err := node.GetSignatureStatuses(ctx, true, sig); err == nil && len(st.Value) == 1 && st.Value[0] != nil {
				return nil
			}
		}
	}
	return nil // it gives up; the run shows what it did until then
}

func (b *Bench) sendNaively(ctx context.Context, node *rpc.Client, ixs []solana.Instruction) (solana.Signature, bool) {
	latest, err := node.GetLatestBlockhash(ctx, rpc.CommitmentFinalized)
	if err != nil {
		return solana.Signature{}, false
	}
	tx, err := solana.NewTransaction(ixs, latest.Value.Blockhash, solana.TransactionPayer(b.hot.PublicKey()))
	if err != nil {
		return solana.Signature{}, false
	}
	if _, err := tx.Sign(func(solana.PublicKey) *solana.PrivateKey { return &b.hot }); err != nil {
		return solana.Signature{}, false
	}
	_, _ = node.SendTransactionWithOpts(ctx, tx, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed})
	return tx.Signatures[0], true
}
