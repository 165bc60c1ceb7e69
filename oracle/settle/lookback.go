package settle

import (
	"context"
	"fmt"

	"heliograph/oracle/reward"
	"heliograph/oracle/store"
)

// Historian is a [Chain] that finds the memos of the hot key again.
type Historian interface {
	// Memos looks for the oldest final transaction of the hot key with each of the
	// texts, not before a slot, and says where it is; the zero value: nowhere.
	Memos(ctx context.Context, from uint64, texts ...string) ([]Sent, error)
}

// Sent is a memo on chain.
type Sent struct {
	Signature string
	Slot      uint64
}

// lookBack runs before anything is signed for an epoch. When the store was lost, or
// is older than the chain, the epoch's memos may be there already. They are taken
// over, and with the commit memo the batches behind the planned ones that paid held
// recipients later. An auditor thus finds the memo that preceded the first payout.
func (s *Settler) lookBack(ctx context.Context, e *Epoch) error {
	h, ok := s.chain.(Historian)
	if !ok || e.Commit.Final || len(e.Commit.Attempts) > 0 || s.lookedBack[e.Epoch] {
		return nil
	}
	seed := commitment{Epoch: e.Epoch, Hash: e.Secret.Commitment(e.Epoch)}
	seed.Memo.Text = SeedText(e.Epoch, seed.Hash)
	known := false
	err := s.kv.View(ctx, func(tx store.Tx) error {
		var old commitment
		found, err := get(tx, commitKey(e.Epoch), &old)
		if known = found && old.Hash == seed.Hash && old.Memo.Final; known {
			seed = old
		}
		return err
	})
	if err != nil {
		return err
	}
	found, err := h.Memos(ctx, seed.Memo.Slot, e.Commit.Text, seed.Memo.Text)
	if err == nil && len(found) != 2 {
		err = fmt.Errorf("%d answers for 2 texts", len(found))
	}
	if err != nil {
		return fmt.Errorf("settle: ask whether epoch %d was committed to before: %w", e.Epoch, err)
	}
	s.lookedBack[e.Epoch] = true
	if !known && found[1].Signature != "" {
		seed.Memo.Final, seed.Memo.Signature, seed.Memo.Slot = true, found[1].Signature, found[1].Slot
		if err := s.save(ctx, commitKey(e.Epoch), seed); err != nil {
			return err
		}
	}
	if found[0].Signature == "" {
		return nil
	}
	s.log.Warn("the chain knows an epoch that the store does not: it is taken over", "epoch", e.Epoch, "commit_signature", found[0].Signature)
	return s.takeOver(ctx, e, found[0])
}

// takeOver makes the memo on chain the epoch's, and completes its batches.
func (s *Settler) takeOver(ctx context.Context, e *Epoch, memo Sent) error {
	p := plan{epoch: *e}
	l := List{Epoch: e.Epoch, Payouts: make([]reward.Payout, 0, e.Count)}
	err := s.kv.View(ctx, func(tx store.Tx) error {
		p.batches, l.Payouts = nil, l.Payouts[:0]
		return scan(tx, string(batchPrefix(e.Epoch)), func(b Batch) {
			p.batches = append(p.batches, b)
			// Batches behind the planned ones repeat what is in those.
			l.Payouts = append(l.Payouts, b.Payouts[:min(len(b.Payouts), e.Count-len(l.Payouts))]...)
		})
	})
	if err != nil {
		return err
	}
	if err := s.findLater(ctx, l, &p); err != nil {
		return err
	}
	p.epoch.Commit.Final, p.epoch.Commit.Signature, p.epoch.Commit.Slot = true, memo.Signature, memo.Slot
	if err := p.write(ctx, s.kv); err != nil {
		return err
	}
	*e = p.epoch
	return nil
}
