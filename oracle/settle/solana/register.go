package solana

import (
	"context"

	"heliograph/oracle/settle"
)

// Register implements settle.Registrar for keys that want to know an epoch's
// list; others take it silently.
func (c *Client) Register(ctx context.Context, l settle.List) error {
	if r, ok := c.cfg.Hot.(settle.Registrar); ok {
		return r.Register(ctx, l)
	}
	return nil
}
