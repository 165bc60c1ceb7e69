package settle

import (
	"context"
	"errors"
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
	Alone     bool // only one of several endpoints says so
}

// lookBack runs before anything is signed for an epoch. When the store was lost, or
// is older than the chain, the epoch's memos may be there already, and are taken over.
// An auditor thus finds the memo that preceded the first payout, and the history of
// the markers is read from there on. So may be those of an oracle in the other mode: an
// epoch that is sent is never claimed, nor the other way round. False: it is not known whether there is one.
func (s *Settler) lookBack(ctx context.Context, e *Epoch) (bool, error) {
	h, ok := s.chain.(Historian)
	if !ok || e.Commit.Final || s.lookedBack[e.Epoch] {
		return true, nil
	}
	if s.wrongMode[e.Epoch] {
		return false, nil
	}
	seed := commitment{Epoch: e.Epoch, Hash: e.Secret.Commitment(e.Epoch)}
	seed.Memo.Text = SeedText(e.Epoch, seed.Hash)
	known := false
	err := s.kv.View(ctx, func(tx store.Tx) error {
		var old commitment
		found, err := get(tx, commitKey(e.Epoch), &old)
		if known = found && old.Hash == seed.Hash && old.done(); known {
			seed = old
		}
		return err
	})
	if err != nil {
		return false, err
	}
	found, err := s.sent(ctx, h, seed.Memo.Slot, e.Commit.Text, e.commitText(e.Claims == nil), seed.Memo.Text)
	if err != nil {
		return false, fmt.Errorf("settle: ask whether epoch %d was committed to before: %w", e.Epoch, err)
	}
	save := func() error { return s.save(ctx, epochKey(e.Epoch), *e) }
	why := ""
	if found[0].Signature == "" && found[1].Signature == "" {
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
	if !known && found[2].Signature != "" && !found[2].Alone {
		seed.Memo.Final, seed.Memo.Signature, seed.Memo.Slot = true, found[2].Signature, found[2].Slot
		if err := s.save(ctx, commitKey(e.Epoch), seed); err != nil {
			return false, err
		}
	}
	if !e.oldest(found[0], found[1]) {
		return s.otherMode(ctx, e, found[1])
	}
	if found[0].Signature == "" {
		return true, nil
	}
	s.log.Warn("the chain knows an epoch that the store does not: it is taken over", "epoch", e.Epoch, "commit_signature", found[0].Signature)
	e.Commit.Final, e.Commit.Signature, e.Commit.Slot = true, found[0].Signature, found[0].Slot
	return true, save()
}

// firstCommit runs when an epoch's commit memo is final. Another oracle with the same
// key may have sent one between the look back and this one's memo, and have paid and
// closed its markers since: the oldest memo counts, for every payout comes after it.
// False: no endpoint lists the memo yet.
func (s *Settler) firstCommit(ctx context.Context, e *Epoch) (bool, error) {
	h, ok := s.chain.(Historian)
	if !ok {
		return true, nil
	}
	hash, from := e.Secret.Commitment(e.Epoch), uint64(0)
	if st, err := s.Commitment(ctx, e.Epoch); err == nil && st.Final {
		from = st.Slot
	} else if err != nil && !errors.Is(err, ErrUnknown) {
		return false, err
	}
	found, err := s.sent(ctx, h, min(from, e.Commit.Slot), e.Commit.Text, e.commitText(e.Claims == nil), SeedText(e.Epoch, hash))
	if err != nil {
		return false, fmt.Errorf("settle: ask for the first commit memo of epoch %d: %w", e.Epoch, err)
	}
	save := func() error { return s.save(ctx, epochKey(e.Epoch), *e) }
	why := ""
	switch {
	case !e.oldest(found[0], found[1]):
		return s.otherMode(ctx, e, found[1])
	case found[0].Signature == "":
		why = fmt.Sprintf("the commit memo %s is final, and no endpoint lists it among the hot key's transactions: add one to solana.rpc that does", e.Commit.Signature)
	case found[0].Slot < e.Commit.Slot:
		s.log.Warn("another oracle has committed to the epoch before", "epoch", e.Epoch, "commit_signature", found[0].Signature)
		e.Commit.Signature, e.Commit.Slot = found[0].Signature, found[0].Slot
	}
	if why != "" {
		return false, s.stall(e, forgotten+why, save)
	}
	if strings.HasPrefix(e.Stalled, forgotten) {
		return true, s.stall(e, "", save)
	}
	return true, nil
}

// sent looks for memos of the hot key.
func (s *Settler) sent(ctx context.Context, h Historian, from uint64, texts ...string) ([]Sent, error) {
	found, err := h.Memos(ctx, from, texts...)
	if err == nil && len(found) != len(texts) {
		err = fmt.Errorf("%d answers for %d texts", len(found), len(texts))
	}
	return found, err
}

// forgotten begins the cause of an epoch whose commit memo was perhaps forgotten.
const forgotten = "whether the epoch was committed to before is not known: "
