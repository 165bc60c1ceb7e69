package solana

import (
	"context"
	"slices"
)

// FirstBlock implements settle.Chain.
func (c *Client) FirstBlock(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.rpc.GetFirstAvailableBlock(ctx)
}

// FirstBlock implements settle.Chain: that of the endpoint which keeps most.
func (p *Pool) FirstBlock(ctx context.Context) (uint64, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (uint64, error) { return e.Client.FirstBlock(ctx) })
	if err != nil {
		return 0, err
	}
	return slices.Min(all), nil
}
