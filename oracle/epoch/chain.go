package epoch

import (
	"context"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

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
