package payday

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// slot is how long a block of the bench's clock takes.
const slot = 400 * time.Millisecond

// Config is what a [Bench] is made of.
type Config struct {
	VM         *solanavm.VM // makes blocks by hand only
	Recipients int
	Program    solana.PublicKey // token program of the mint; zero: SPL Token
	Log        *slog.Logger     // nil: nowhere
}

// Bench is a token on a VM with a treasury and recipients. Many runs use it one
// after the other, each with an epoch of its own. Not safe for concurrent use.
type Bench struct {
	vm      *solanavm.VM
	log     *slog.Logger
	hot     solana.PrivateKey
	stage   *solanavm.Stage
	wallets []poc.Wallet
	epoch   poc.Epoch
	elapsed atomic.Int64 // of the bench's clock, nanoseconds
}

// New sets the stage.
func New(ctx context.Context, cfg Config) (*Bench, error) {
	b := &Bench{vm: cfg.VM, log: cfg.Log}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	keys := make([]solana.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = solana.NewRandomPrivateKey(); err != nil {
			return nil, fmt.Errorf("payday: make a key: %w", err)
		}
	}
	b.hot = keys[0]
	wallets := make([]solana.PublicKey, cfg.Recipients)
	for i := range wallets {
		k, err := solana.NewRandomPrivateKey()
		if err != nil {
			return nil, fmt.Errorf("payday: make a key: %w", err)
		}
		wallets[i] = k.PublicKey()
	}
	slices.SortFunc(wallets, func(a, b solana.PublicKey) int { return bytes.Compare(a[:], b[:]) }) // as lists are
	for _, w := range wallets {
		b.wallets = append(b.wallets, poc.Wallet(w))
	}
	var err error
	b.stage, err = solanavm.SetStage(ctx, solanavm.StageConfig{
		Sender: solanavm.Sender{Client: b.vm.Client(), Payer: b.hot, Commitment: rpc.CommitmentProcessed},
		Mint:   keys[1], Program: cfg.Program, Lamports: 1_000_000 * solana.LAMPORTS_PER_SOL, TreasuryAmount: 1 << 60, Recipients: wallets,
	})
	if err != nil {
		return nil, err
	}
	return b, b.tick(ctx, 40)
}

func (b *Bench) tick(ctx context.Context, blocks int) error {
	b.elapsed.Add(int64(blocks) * int64(slot))
	return b.vm.Tick(ctx, blocks)
}

// now is the bench's clock: it runs with the blocks.
func (b *Bench) now() time.Time { return time.Unix(1_800_000_000, b.elapsed.Load()) }

func (b *Bench) client() hsolana.Config {
	return hsolana.Config{
		Hot: hsolana.NewFileKey(b.hot), Mint: b.stage.Mint, UnitPrice: 1_000, MaxUnitPrice: 100_000, BatchSize: 4,
		Limits: hsolana.Limits{Now: b.now, Backoff: slot, MaxRest: 10 * slot},
	}
}

// balances reads what the recipients hold, from a node without faults.
func (b *Bench) balances(ctx context.Context) (map[poc.Wallet]uint64, error) {
	out := make(map[poc.Wallet]uint64, len(b.wallets))
	client := b.vm.Client()
	const atOnce = 100
	for from := 0; from < len(b.wallets); from += atOnce {
		to := min(from+atOnce, len(b.wallets))
		res, err := client.GetMultipleAccountsWithOpts(ctx, b.stage.Recipients[from:to], &rpc.GetMultipleAccountsOpts{Encoding: solana.EncodingBase64})
		if err != nil {
			return nil, fmt.Errorf("payday: read balances: %w", err)
		}
		for i, acc := range res.Value {
			if acc == nil {
				return nil, fmt.Errorf("payday: token account %s is gone", b.stage.Recipients[from+i])
			}
			out[b.wallets[from+i]] = binary.LittleEndian.Uint64(acc.Data.GetBinary()[64:])
		}
	}
	return out, nil
}
