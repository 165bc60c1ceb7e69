package solana

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/settle"
)

// memoPages bounds a search for memos: 200,000 transactions of the hot key.
const memoPages = 200

// Memos implements settle.Historian. It reads the hot key's transactions back to a
// slot, and trusts what the key signed. If the slot is 0 it stops when it has found the
// last text and one of the others, of which not all need be there. It is an error if
// there is more to read and none but the last text was found.
func (c *Client) Memos(ctx context.Context, from uint64, texts ...string) ([]settle.Sent, error) {
	out := make([]settle.Sent, len(texts))
	marks := make([]string, len(texts)) // as nodes list memos
	for i, t := range texts {
		marks[i] = fmt.Sprintf("[%d] %s", len(t), t)
	}
	var before solana.Signature
	for range memoPages {
		page, err := c.historyPage(ctx, c.hot, before)
		if err != nil {
			return nil, fmt.Errorf("solana: transactions of %s: %w", c.hot, err)
		}
		for _, t := range page {
			switch {
			case t == nil:
				return nil, errors.New("solana: an empty entry in a history")
			case t.Slot < from:
				return out, nil
			}
			before = t.Signature
			if t.Err != nil || t.Memo == nil {
				continue
			}
			i := slices.Index(marks, *t.Memo)
			if i < 0 {
				continue
			}
			landed, err := c.Transaction(ctx, t.Signature.String())
			if err != nil {
				return nil, err
			}
			if landed.Failed == "" && landed.Payer == c.hot && slices.Contains(landed.Memos, texts[i]) {
				out[i] = settle.Sent{Signature: t.Signature.String(), Slot: landed.Slot}
			}
		}
		if len(page) == 0 || from == 0 && out[len(out)-1].Signature != "" && foundOne(out) {
			return out, nil
		}
	}
	if !foundOne(out) {
		return nil, fmt.Errorf("solana: %q is not among the newest %d transactions of %s, and there are more: whether it was sent is not known", texts[0], memoPages*historyPage, c.hot)
	}
	return out, nil
}

// foundOne says whether one of the texts was found that stand before the last, or the
// only one.
func foundOne(out []settle.Sent) bool {
	return slices.ContainsFunc(out[:max(1, len(out)-1)], func(s settle.Sent) bool { return s.Signature != "" })
}

// Memos implements settle.Historian. That the hot key signed a memo is certain; that
// it landed, and where, is one endpoint's word when no second one confirms it (see
// [Pool.Told]): others may have forgotten it.
func (p *Pool) Memos(ctx context.Context, from uint64, texts ...string) ([]settle.Sent, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) ([]settle.Sent, error) {
		return e.Client.Memos(ctx, from, texts...)
	})
	if err != nil {
		return nil, err
	}
	out := make([]settle.Sent, len(texts))
	for _, found := range all {
		for i, f := range found {
			if f.Signature != "" && (out[i].Signature == "" || f.Slot < out[i].Slot) {
				out[i] = f
			}
		}
	}
	for i, f := range out {
		if f.Signature == "" {
			continue
		}
		slot, err := p.Told(ctx, f.Signature, texts[i])
		switch {
		case err == nil:
			out[i].Slot = slot
		case !errors.Is(err, settle.ErrNotFinal):
			return nil, err
		default:
			out[i].Alone = true
		}
	}
	return out, nil
}
