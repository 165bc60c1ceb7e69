package network

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	solanavm "heliograph/testbench/solana"
)

const (
	// slotInterval makes blocks four times as fast as a cluster does, so that
	// what takes 13 seconds to become final there takes 3 here.
	slotInterval   = 100 * time.Millisecond
	decimals       = 8
	treasuryAmount = 10_000_000_000_00000000 // 10^10 tokens
	hotLamports    = 500 * solana.LAMPORTS_PER_SOL
)

// chain is the Solana VM and what was set up on it.
type chain struct {
	vm      *solanavm.VM
	stage   *solanavm.Stage
	hotFile string
	hot     solana.PublicKey
	wallets []solana.PublicKey // owners, one for each hotspot, and the operator
}

// operator is the wallet for the operations' share.
func (c *chain) operator() solana.PublicKey { return c.wallets[len(c.wallets)-1] }

// startChain launches the VM and brings the stage to what the city needs: a
// mint, a treasury that has approved the hot key, a token account for each owner.
func startChain(ctx context.Context, dir string, hotspots int, log *slog.Logger) (*chain, error) {
	c := &chain{hotFile: filepath.Join(dir, "keys", "hot.json")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	vm, err := solanavm.Start(ctx, solanavm.Config{
		SlotInterval: slotInterval, StateFile: filepath.Join(dir, "solana.state"), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	c.vm = vm
	if err := c.prepare(ctx, dir, hotspots); err != nil {
		_ = vm.Stop() // the cause is err
		return nil, fmt.Errorf("network: prepare the chain: %w", err)
	}
	return c, nil
}

func (c *chain) prepare(ctx context.Context, dir string, hotspots int) error {
	var keys [4]solana.PrivateKey
	for i, name := range []string{"hot", "payer", "mint", "treasury"} {
		k, err := solanaKey(filepath.Join(dir, "keys", name+".json"))
		if err != nil {
			return err
		}
		keys[i] = k
	}
	hot, payer, mint, treasury := keys[0], keys[1], keys[2], keys[3]
	c.hot = hot.PublicKey()
	for i := range hotspots + 1 {
		name := fmt.Sprintf("wallet-%02d.json", i+1)
		if i == hotspots {
			name = "operator.json"
		}
		k, err := solanaKey(filepath.Join(dir, "keys", name))
		if err != nil {
			return err
		}
		c.wallets = append(c.wallets, k.PublicKey())
	}
	sender := solanavm.Sender{Client: c.vm.Client(), Payer: payer}
	stage, err := solanavm.SetStage(ctx, solanavm.StageConfig{
		Sender: sender, Mint: mint, Decimals: decimals, TreasuryOwner: treasury.PublicKey(),
		TreasuryAmount: treasuryAmount, Recipients: c.wallets,
	})
	if err != nil {
		return err
	}
	c.stage = stage
	if err := sender.Fund(ctx, c.hot, hotLamports); err != nil {
		return err
	}
	return sender.Approve(ctx, stage, treasury, c.hot, treasuryAmount)
}

// balances reads every wallet's tokens from the chain, in the order of wallets.
func (c *chain) balances(ctx context.Context) ([]uint64, error) {
	out := make([]uint64, len(c.stage.Recipients))
	for i, account := range c.stage.Recipients {
		n, err := solanavm.TokenBalance(ctx, c.vm.Client(), account, rpc.CommitmentFinalized)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}
