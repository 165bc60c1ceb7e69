package solana

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
)

// Landed implements settle.Chain. One endpoint shows the transaction; where more
// are configured, another one must call its signature final, list it in the
// marker's history, or show the marker.
func (p *Pool) Landed(ctx context.Context, signature string, m settle.Marker, list []reward.Payout) (paid []int, err error) {
	return shown(ctx, p, signature, m, func(ctx context.Context, c *Client) ([]int, error) { return c.Landed(ctx, signature, m, list) })
}

// Funded implements settle.ClaimChain, with the care of [Pool.Landed].
func (p *Pool) Funded(ctx context.Context, signature string, m settle.Marker) (settle.Distribution, error) {
	return shown(ctx, p, signature, m, func(ctx context.Context, c *Client) (settle.Distribution, error) { return c.Funded(ctx, signature, m) })
}

// shown reads a transaction that has created a marker from one endpoint after the
// other until one shows it, and believes that one when enough others confirm it.
func shown[T any](ctx context.Context, p *Pool, signature string, m settle.Marker, read func(context.Context, *Client) (T, error)) (out T, err error) {
	var none T
	es, err := p.everybody(ctx)
	if err != nil {
		return none, err
	}
	var said, unsure error
	ordered := p.nearest(es)
	for i, e := range ordered {
		bounded, cancel := p.within(ctx, e)
		out, err = read(bounded, e.Client)
		cancel()
		p.note(ctx, e, err)
		switch {
		case err == nil || errors.Is(err, settle.ErrForeign):
			others := slices.Delete(slices.Clone(ordered), i, i+1)
			if p.quorum() > 1 && !slices.ContainsFunc(others, func(o *endpoint) bool { return p.confirms(ctx, o, signature, m) }) {
				return none, fmt.Errorf("%w: %s is shown by %s alone", settle.ErrNotFinal, signature, e.name)
			}
			return out, err
		case errors.Is(err, settle.ErrStranger): // its signed content says so
			return none, err
		case errors.Is(err, settle.ErrNotFinal):
			said = err
		default:
			unsure = err
		}
	}
	// An endpoint that could not be asked might have known better.
	return none, cmp.Or(unsure, said)
}

// confirms says whether an endpoint knows that a transaction has created a marker.
func (p *Pool) confirms(ctx context.Context, e *endpoint, signature string, m settle.Marker) bool {
	ctx, cancel := p.within(ctx, e)
	defer cancel()
	if st, err := e.Client.Statuses(ctx, []string{signature}); err == nil && st[0].Final && st[0].Err == "" {
		return true
	}
	if marks, err := e.Client.Marks(ctx, []settle.Marker{m}); err == nil && marks[0].Exists {
		return true
	}
	// What was read is enough, also when there is more to read.
	sigs, _ := e.Client.History(ctx, m, 0)
	return slices.Contains(sigs, signature)
}
