package solana

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/settle"
)

// Told implements settle.Chain. The transaction must carry the hot key's valid
// signature; that it has landed, and where, is the endpoint's word.
func (c *Client) Told(ctx context.Context, signature, text string) (slot uint64, err error) {
	tx, landed, err := c.transaction(ctx, signature)
	switch {
	case err != nil:
		return 0, err
	case landed.Failed != "":
		return 0, fmt.Errorf("%w: %s failed: %s", settle.ErrNotFinal, signature, landed.Failed)
	case landed.Payer != c.hot || len(tx.Signatures) != 1:
		return 0, fmt.Errorf("%w: %s was sent by %s", settle.ErrForeign, signature, landed.Payer)
	case len(landed.Memos) > 0 && !slices.Equal(landed.Memos, []string{text}):
		return 0, fmt.Errorf("%w: %s says %.100q", settle.ErrForeign, signature, landed.Memos)
	}
	return landed.Slot, nil
}

// Told implements settle.Chain. One endpoint shows the transaction; where more are
// configured, another one must name the same slot. One that has forgotten the
// transaction may still know its status.
func (p *Pool) Told(ctx context.Context, signature, text string) (uint64, error) {
	es, err := p.usable(ctx)
	if err != nil {
		return 0, err
	}
	votes, shown := map[uint64]int{}, ""
	var said, unsure error
	for _, e := range p.nearest(es) {
		slot, err := e.Client.Told(ctx, signature, text)
		p.note(ctx, e, err)
		switch {
		case err == nil:
			shown = e.name
		case errors.Is(err, settle.ErrForeign): // its signed content says so
			return 0, err
		case errors.Is(err, settle.ErrNotFinal):
			said = err
			st, serr := e.Client.Statuses(ctx, []string{signature})
			p.note(ctx, e, serr)
			if serr != nil || len(st) != 1 || !st[0].Final || st[0].Err != "" {
				continue
			}
			slot = st[0].Slot
		default:
			unsure = err
			continue
		}
		votes[slot]++
	}
	best, n := uint64(0), 0
	for slot, v := range votes {
		if v > n || v == n && slot < best {
			best, n = slot, v
		}
	}
	switch {
	case shown == "": // one that could not be asked might have known better
		return 0, cmp.Or(unsure, said)
	case n < p.quorum():
		return 0, fmt.Errorf("%w: %s is shown by %s, and no other endpoint says the same", settle.ErrNotFinal, signature, shown)
	}
	return best, nil
}
