package web

import (
	"context"
	"errors"
	"strconv"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

// Source is where a bundle comes from: a running oracle or its data directory.
type Source struct {
	// Evidence may leave the frames out for who writes them from the journal.
	Evidence   func(context.Context, poc.Epoch) (epoch.Evidence, error)
	Settlement func(context.Context, poc.Epoch) (settle.Record, error)
	SeedMemo   func(context.Context, poc.Epoch) string
}

// BundleOf gathers the evidence of a judged epoch, what the oracle claims about
// it, and where it said so on chain.
func BundleOf(ctx context.Context, src Source, rec epoch.Record) (epoch.Bundle, error) {
	ev, err := src.Evidence(ctx, rec.Epoch)
	if err != nil {
		return epoch.Bundle{}, err
	}
	b := epoch.Bundle{Evidence: ev, Claim: &rec, Memos: epoch.Memos{Seed: src.SeedMemo(ctx, rec.Epoch)}}
	st, err := src.Settlement(ctx, rec.Epoch)
	switch {
	case errors.Is(err, settle.ErrUnknown):
	case err != nil:
		return epoch.Bundle{}, err
	default:
		b.Memos.Commit, b.Memos.Close = st.Commit.Signature, st.Close.Signature
		b.Payments = &epoch.Payments{Identity: st.Identity, Batches: st.Batches}
	}
	return b, nil
}

// amount is a number that JavaScript would round if it were one in JSON.
func amount(a ledger.Amount) string { return strconv.FormatUint(uint64(a), 10) }
