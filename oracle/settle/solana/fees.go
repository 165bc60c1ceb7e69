package solana

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
)

// prices remembers what a transaction costs beside its base fee.
type prices struct {
	mu    sync.Mutex
	slot  uint64 // at which price was asked for
	price uint64
	asked bool
	units map[int]uint32 // recipients -> compute units
}

// priceEvery is how many slots a price holds.
const priceEvery = 100

// recentPrice is the 75th percentile of the lowest priority fees in recent blocks
// that wrote to the treasury, micro-lamports a compute unit. An endpoint that does
// not tell leaves the last one.
func (c *Client) recentPrice(ctx context.Context, slot uint64) uint64 {
	c.prices.mu.Lock()
	price := c.prices.price
	due := !c.prices.asked || slot >= c.prices.slot+priceEvery
	if due {
		c.prices.asked, c.prices.slot = true, slot
	}
	c.prices.mu.Unlock()
	if !due || c.cfg.Treasury.IsZero() {
		return price
	}
	fees, err := c.rpc.GetRecentPrioritizationFees(ctx, solana.PublicKeySlice{c.cfg.Treasury})
	if err != nil || len(fees) == 0 {
		return price
	}
	c.prices.mu.Lock()
	defer c.prices.mu.Unlock()
	c.prices.price = percentile75(fees)
	return c.prices.price
}

func percentile75(fees []rpc.PriorizationFeeResult) uint64 {
	all := make([]uint64, len(fees))
	for i, f := range fees {
		all[i] = f.PrioritizationFee
	}
	slices.Sort(all)
	return all[(len(all)*3)/4]
}

// unitPrice grows by half with every attempt, from the greater of the configured
// price and the one that recent blocks ask for, up to the limit.
func (c *Client) unitPrice(recent uint64, attempt int) uint64 {
	price := max(c.cfg.UnitPrice, recent)
	for range min(attempt, 64) {
		if price >= c.cfg.MaxUnitPrice {
			break
		}
		price += price/2 + 1
	}
	return min(price, c.cfg.MaxUnitPrice)
}

// unitsMargin is added to what was measured, as a fifth and a constant.
const unitsMargin = 500

// Units implements settle.Chain: it simulates a payout once for each number of
// recipients, without a signature, so that nobody else can send it.
func (c *Client) Units(ctx context.Context, m settle.Marker, to []reward.Payout) (uint32, error) {
	c.prices.mu.Lock()
	known, ok := c.prices.units[len(to)]
	c.prices.mu.Unlock()
	if ok {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ixs, _, err := c.payout(m, to, settle.Blockhash{}, 0)
	if err != nil {
		return 0, err
	}
	tx, err := solana.NewTransaction(ixs, solana.Hash{}, solana.TransactionPayer(c.hot))
	if err != nil {
		return 0, fmt.Errorf("solana: build transaction: %w", err)
	}
	tx.Signatures = make([]solana.Signature, 1)
	raw, err := tx.MarshalBinary()
	if err != nil {
		return 0, fmt.Errorf("solana: encode: %w", err)
	}
	res, err := c.rpc.SimulateRawTransactionWithOpts(ctx, raw, &rpc.SimulateTransactionOpts{ReplaceRecentBlockhash: true, Commitment: rpc.CommitmentConfirmed})
	switch {
	case err != nil:
		return 0, fmt.Errorf("solana: simulate: %w", err)
	case res == nil || res.Value == nil || res.Value.Err != nil || res.Value.UnitsConsumed == nil || *res.Value.UnitsConsumed > maxUnits:
		return 0, nil // the sending will say why
	}
	n := uint32(*res.Value.UnitsConsumed)
	n += n/5 + unitsMargin
	c.prices.mu.Lock()
	defer c.prices.mu.Unlock()
	if c.prices.units == nil {
		c.prices.units = map[int]uint32{}
	}
	c.prices.units[len(to)] = n
	return n, nil
}

// maxUnits is what a transaction may use at most.
const maxUnits = 1_400_000
