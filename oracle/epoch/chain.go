package epoch

import (
	"context"
	"errors"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

// ErrNoChain is what a [Settler] answers that was configured without a chain: no
// epoch is opened, and that is no failure.
var ErrNoChain = errors.New("epoch: no chain is configured")

// Settler is the way to the chain, as [settle.Settler] provides it. All calls
// are idempotent: they persist a wish, and the settler's own loop fulfils it.
type Settler interface {
	// Commit asks for the memo that commits to an epoch's secret.
	Commit(ctx context.Context, e poc.Epoch, hash [32]byte) error
	// Commitment says how far it has come.
	Commitment(ctx context.Context, e poc.Epoch) (settle.CommitState, error)
	// SeedBlock is the block that the seed is made of, given the slot of the
	// commitment; false while it is not final.
	SeedBlock(ctx context.Context, commitSlot uint64) (settle.Block, bool, error)
	// Freeze fixes an epoch's payouts.
	Freeze(ctx context.Context, l settle.List) error
}
