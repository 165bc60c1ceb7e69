package settle

import (
	"context"
	"fmt"
	"strings"

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
// is older than the chain, the epoch's memos may be there already, and are taken over.
// An auditor thus finds the memo that preceded the first payout, and the history of
// the markers is read from there on. False: it is not known whether there is one.
func (s *Settler) lookBack(ctx context.Context, e *Epoch) (bool, error) {
	h, ok := s.chain.(Historian)
	if !ok || e.Commit.Final || s.lookedBack[e.Epoch] {
		return true, nil
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
		return false, err
	}
	found, err := h.Memos(ctx, seed.Memo.Slot, e.Commit.Text, seed.Memo.Text)
	if err == nil && len(found) != 2 {
		err = fmt.Errorf("%d answers for 2 texts", len(found))
	}
	if err != nil {
		return false, fmt.Errorf("settle: ask whether epoch %d was committed to before: %w", e.Epoch, err)
	}
	save := func() error { return s.save(ctx, epochKey(e.Epoch), *e) }
	why := ""
	if found[0].Signature == "" {
		if why, err = s.forgets(ctx, seed.Memo.Slot); err != nil {
			return false, err
		}
	}
	if why != "" {
		return false, s.stall(e, forgotten+why, save)
	}
	if strings.HasPrefix(e.Stalled, forgotten) {
		if err := s.stall(e, "", save); err != nil {
			return false, err
		}
	}
	s.lookedBack[e.Epoch] = true
	if !known && found[1].Signature != "" {
		seed.Memo.Final, seed.Memo.Signature, seed.Memo.Slot = true, found[1].Signature, found[1].Slot
		if err := s.save(ctx, commitKey(e.Epoch), seed); err != nil {
			return false, err
		}
	}
	if found[0].Signature == "" {
		return true, nil
	}
	s.log.Warn("the chain knows an epoch that the store does not: it is taken over", "epoch", e.Epoch, "commit_signature", found[0].Signature)
	e.Commit.Final, e.Commit.Signature, e.Commit.Slot = true, found[0].Signature, found[0].Slot
	return true, save()
}

// forgotten begins the cause of an epoch whose commit memo was perhaps forgotten.
const forgotten = "whether the epoch was committed to before is not known: "
