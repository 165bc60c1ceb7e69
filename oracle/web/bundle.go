package web

import (
	"context"
	"errors"
	"strconv"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
)

// BundleOf gathers the evidence of a judged epoch, what the oracle claims about
// it, and where it said so on chain.
func BundleOf(ctx context.Context, c Config, rec epoch.Record) (epoch.Bundle, error) {
	ev, err := c.Epochs.Evidence(ctx, rec.Epoch)
	if err != nil {
		return epoch.Bundle{}, err
	}
	b := epoch.Bundle{Evidence: ev, Claim: &rec, Memos: epoch.Memos{Seed: c.SeedMemo(ctx, rec.Epoch)}}
	st, err := c.Settlement(ctx, rec.Epoch)
	switch {
	case errors.Is(err, settle.ErrUnknown):
	case err != nil:
		return epoch.Bundle{}, err
	default:
		b.Memos.Commit, b.Memos.Close = st.Commit.Signature, st.Close.Signature
	}
	return b, nil
}

// amount is a number that JavaScript would round if it were one in JSON.
func amount(a ledger.Amount) string { return strconv.FormatUint(uint64(a), 10) }
