package solana

import (
	"context"
	"fmt"

	"github.com/gagliardetto/solana-go/rpc"
)

// MarkerRent is what one marker locks, in lamports.
func (c *Client) MarkerRent(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rent, err := c.rpc.GetMinimumBalanceForRentExemption(ctx, tokenAccountSize, rpc.CommitmentFinalized)
	if err != nil {
		return 0, fmt.Errorf("solana: ask for the rent: %w", err)
	}
	return rent, nil
}
