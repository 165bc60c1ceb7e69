package trail

import (
	"context"
	"fmt"
	"strings"

	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
	"heliograph/poc"
)

// Committed looks for the final commit memos that a hot key has sent for epochs, each
// before a slot, and returns their signatures. It reads the key's transactions from
// the newest on until all are found.
func (r *Reader) Committed(ctx context.Context, hot string, before map[poc.Epoch]uint64) (map[poc.Epoch]string, error) {
	key, err := hsolana.ParseAddress(hot)
	if err != nil {
		return nil, err
	}
	out := map[poc.Epoch]string{}
	limit := pageSize
	opts := &rpc.GetSignaturesForAddressOpts{Limit: &limit, Commitment: rpc.CommitmentFinalized}
	for len(out) < len(before) {
		page, err := r.page(ctx, key, opts)
		if err != nil {
			return nil, fmt.Errorf("trail: transactions of %s: %w", key, err)
		}
		for _, s := range page {
			if s == nil {
				return nil, fmt.Errorf("trail: transactions of %s: an empty entry", key)
			}
			opts.Before = s.Signature
			if s.Err != nil || s.Memo == nil {
				continue
			}
			e, ok := commitOf(*s.Memo)
			if slot, wanted := before[e]; !ok || !wanted || s.Slot >= slot || out[e] != "" {
				continue
			}
			p, err := r.payment(ctx, s.Signature, "")
			if err != nil {
				return nil, err
			}
			if p.Payer != hot || p.Failed != "" || p.Slot >= before[e] {
				continue
			}
			for _, m := range p.Memos {
				if at, ok := commitOf(m); ok && at == e && strings.HasPrefix(m, "hsr1 ") {
					out[e] = p.Signature
				}
			}
		}
		if len(page) == 0 { // a short one need not be the last
			break
		}
	}
	return out, nil
}

// commitOf reads the epoch of a commit memo, with what nodes put before it.
func commitOf(text string) (e poc.Epoch, ok bool) {
	i := strings.Index(text, "hsr1 e=")
	if i < 0 {
		return 0, false
	}
	n, err := fmt.Sscanf(text[i:], "hsr1 e=%d n=", &e)
	return e, n == 1 && err == nil
}
