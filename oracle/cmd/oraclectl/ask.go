package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// asking is how many recipients the chain is asked about at once.
const asking = 1000

// ask looks at the recipients, the treasury and the fee payer as they are on chain now:
// a recipient who cannot be paid any more will be held, and one who was held and can be
// paid will be.
func (f *forecast) ask(ctx context.Context, rpc, identity string) error {
	cfg := solana.Config{Endpoint: rpc}
	var hot solana.Address
	for _, word := range strings.Fields(identity) {
		k, v, _ := strings.Cut(word, "=")
		to := map[string]*solana.Address{"hot": &hot, "mint": &cfg.Mint, "treasury": &cfg.Treasury}[k]
		if to == nil {
			continue
		}
		var err error
		if *to, err = solana.ParseAddress(v); err != nil {
			return fmt.Errorf("epoch %d: %s: %w", f.Epoch, k, err)
		}
	}
	if hot.IsZero() || cfg.Mint.IsZero() {
		return nil // not an epoch of this chain
	}
	cfg.Hot = watcher(hot)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := solana.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	spendable, lamports, err := client.Funds(ctx)
	if err != nil {
		return fmt.Errorf("ask for the treasury and the fee payer: %w", err)
	}
	f.Asked, f.Spendable, f.FeePayer = true, spendable, lamports
	for from := 0; from < len(f.To); from += asking {
		part := f.To[from:min(from+asking, len(f.To))]
		wallets := make([]poc.Wallet, len(part))
		for i, d := range part {
			b, err := base58.Decode(d.Wallet)
			if err != nil || len(b) != len(wallets[i]) {
				return fmt.Errorf("recipients of epoch %d: wallet %q", f.Epoch, d.Wallet)
			}
			wallets[i] = poc.Wallet(b)
		}
		problems, err := client.Payable(ctx, wallets)
		if err != nil {
			return fmt.Errorf("ask for the recipients: %w", err)
		}
		for i, why := range problems {
			if part[i].State == "signed" {
				continue // it is on its way as it is
			}
			switch part[i].Why = why; {
			case why != "":
				part[i].State = "held"
			case part[i].State == "held":
				part[i].State, part[i].Why = "released", "it can be paid now: the oracle will see it by itself"
			}
		}
	}
	return f.count()
}

// count sums the recipients up by what is to become of them.
func (f *forecast) count() (err error) {
	f.Recipients, f.Tokens, f.HeldCount, f.HeldTokens = 0, 0, 0, 0
	batches := map[uint32]bool{}
	for _, d := range f.To {
		var amount ledger.Amount
		if _, err := fmt.Sscan(d.Amount, &amount); err != nil {
			return fmt.Errorf("recipients of epoch %d: amount %q: %w", f.Epoch, d.Amount, err)
		}
		sum, count := &f.Tokens, &f.Recipients
		if d.State == "held" {
			sum, count = &f.HeldTokens, &f.HeldCount
		} else {
			batches[d.Batch] = true
		}
		if *sum, err = sum.Add(amount); err != nil {
			return err
		}
		*count++
	}
	f.Transactions = len(batches)
	return nil
}
