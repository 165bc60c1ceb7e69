package settle

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// List is an epoch's frozen list of payouts.
type List struct {
	Epoch    poc.Epoch
	Rewards  [32]byte        // Merkle root over the epoch's rewards, by hotspot
	ListHash [32]byte        // hash of the published list
	Payouts  []reward.Payout // in the order of wallets, each once
	Secret   poc.Secret      // revealed in the close memo
	Rules    string
}

// Roots are what a commit memo binds an epoch to.
type Roots struct {
	Payouts [32]byte // Merkle root over the list of payouts; see package claim
	List    [32]byte // SHA-256 of the published list
	Rewards [32]byte // Merkle root over what each hotspot earned
	Claim   bool     // wallets claim the payouts; otherwise they are sent
}

// CommitText is the memo that is final on chain before the first payout. The root of
// the rewards is in it beside that of the payouts, because a hotspot's share cannot
// be shown by what its owner is paid: owners have several hotspots, and sums of
// earlier epochs are carried over. How the payouts are made is in it, because each
// epoch is paid in one way only.
func CommitText(e poc.Epoch, count int, total ledger.Amount, r Roots) string {
	text := fmt.Sprintf("hsr1 e=%d n=%d t=%d r=%x l=%x w=%x", e, count, total, r.Payouts, r.List, r.Rewards)
	if r.Claim {
		text += ClaimMode
	}
	return text
}

// ClaimMode ends the commit memo of an epoch whose payouts wallets claim.
const ClaimMode = " m=c"

// CloseText is the memo that ends an epoch and reveals its secret.
func CloseText(e poc.Epoch, secret poc.Secret, paid, held ledger.Amount) string {
	return fmt.Sprintf("hsx1 e=%d s=%s p=%d h=%d", e, hex.EncodeToString(secret[:]), paid, held)
}

// SeedText is the memo that commits to an epoch's secret.
func SeedText(e poc.Epoch, commitment [32]byte) string {
	return fmt.Sprintf("hsc1 e=%d c=%s", e, hex.EncodeToString(commitment[:]))
}

// batchesPerTransaction keeps a planning transaction below the store's limit.
const batchesPerTransaction = 500

// Freeze persists an epoch's list and plans its batches; the loop pays it. It is
// idempotent: the same list again is a no-op, another one is [ErrConflict].
// What each wallet is owed must be in the ledger already.
func (s *Settler) Freeze(ctx context.Context, l List) error {
	return s.judged(ctx, l.Epoch, s.freeze(ctx, l))
}

// freeze plans an epoch that is new and persists the plan.
func (s *Settler) freeze(ctx context.Context, l List) error {
	p, err := s.plan(l)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrList, err)
	}
	done := false
	err = s.kv.View(ctx, func(tx store.Tx) error {
		var old Epoch
		found, err := get(tx, epochKey(l.Epoch), &old)
		done = found
		// An epoch stays in the mode that it was frozen in.
		if found && (old.Commit.Text != p.epoch.commitText(old.Claims != nil) || old.Secret != l.Secret) {
			return fmt.Errorf("%w: epoch %d: have %q, got %q", ErrConflict, l.Epoch, old.Commit.Text, p.epoch.Commit.Text)
		}
		return err
	})
	if err != nil || done {
		return err
	}
	if err := p.write(ctx, s.kv); err != nil {
		return err
	}
	s.poke()
	return nil
}

// plan checks a list and cuts it into batches.
func (s *Settler) plan(l List) (p plan, err error) {
	total := ledger.Amount(0)
	for _, to := range l.Payouts {
		if total, err = total.Add(to.Amount); err != nil {
			return p, fmt.Errorf("settle: freeze epoch %d: %w", l.Epoch, err)
		}
	}
	root, err := claim.Root(l.Payouts)
	if err != nil {
		return p, fmt.Errorf("settle: freeze epoch %d: %w", l.Epoch, err)
	}
	p.epoch = Epoch{
		Epoch: l.Epoch, State: Frozen, Root: root, Rewards: l.Rewards, ListHash: l.ListHash, Total: total, Count: len(l.Payouts),
		Identity: s.signer.Identity(), Rules: l.Rules, Secret: l.Secret,
	}
	if p.epoch.Claims, err = s.planClaims(l); err != nil {
		return p, err
	}
	p.epoch.Commit.Text = p.epoch.commitText(p.epoch.Claims != nil)
	p.batches = s.cut(p.epoch, l.Payouts)
	return p, nil
}

// cut makes an epoch's batches.
func (s *Settler) cut(e Epoch, list []reward.Payout) (out []Batch) {
	size, stage := s.signer.MaxRecipients(), ClaimStage("")
	if e.Claims != nil {
		size, stage = claimBatch, ClaimPlanned
	}
	for part := range slices.Chunk(list, size) {
		out = append(out, Batch{Epoch: e.Epoch, Index: uint32(len(out)), Payouts: part, Claim: stage})
	}
	return out
}

// Commit asks for the memo that commits to an epoch's secret. It is idempotent.
func (s *Settler) Commit(ctx context.Context, e poc.Epoch, hash [32]byte) error {
	err := s.kv.Update(ctx, func(tx store.Tx) error {
		var old commitment
		found, err := get(tx, commitKey(e), &old)
		switch {
		case err != nil:
			return err
		case found && old.Hash != hash:
			return fmt.Errorf("%w: epoch %d has another commitment", ErrConflict, e)
		case found:
			return nil
		}
		return put(tx, commitKey(e), commitment{Epoch: e, Hash: hash, Memo: Memo{Text: SeedText(e, hash)}})
	})
	if err == nil {
		s.poke()
	}
	return err
}

// CommitState is how far a commitment has come.
type CommitState struct {
	Final     bool
	Slot      uint64
	Signature string
}

// Commitment reports on a commitment; [ErrUnknown] when none was asked for.
func (s *Settler) Commitment(ctx context.Context, e poc.Epoch) (st CommitState, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		var c commitment
		found, err := get(tx, commitKey(e), &c)
		if err == nil && !found {
			err = fmt.Errorf("%w: no commitment for epoch %d", ErrUnknown, e)
		}
		st = CommitState{Final: c.done(), Slot: c.Memo.Slot, Signature: c.Memo.Signature}
		return err
	})
	return st, err
}

// SeedBlock is the block that an epoch's seed is made of, given the slot of its
// commitment; false while it is not final.
func (s *Settler) SeedBlock(ctx context.Context, commitSlot uint64) (Block, bool, error) {
	return s.chain.BlockFrom(ctx, commitSlot+SeedDelay)
}
