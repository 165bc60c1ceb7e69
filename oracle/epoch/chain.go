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
	// Blockhash is a finalized block's hash, and its slot.
	Blockhash(ctx context.Context) (hash [32]byte, slot uint64, err error)
	// Freeze fixes an epoch's payouts.
	Freeze(ctx context.Context, l settle.List) error
}
