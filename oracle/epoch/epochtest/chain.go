package epochtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// ErrInjected is what a step fails with that was made to fail.
var ErrInjected = errors.New("epochtest: injected fault")

// Faults makes one step fail: the At-th, before or after it took effect. Every
// write to journal and state and every call to the chain is a step.
type Faults struct {
	At    int // 1, 2, 3...; 0 = none
	After bool
	Count int // steps so far
}

func (f *Faults) step(do func() error) error {
	f.Count++
	switch {
	case f.At != f.Count:
		return do()
	case f.After:
		return errors.Join(do(), ErrInjected)
	}
	return ErrInjected
}

// Chain is a cluster at the settler's boundary: what is asked for is final the
// second time that somebody looks.
type Chain struct {
	Faults *Faults
	Seeds  map[poc.Epoch][32]byte
	Frozen map[poc.Epoch]settle.List
	Down   bool // every call fails

	asked map[poc.Epoch]int
}

func (c *Chain) call(do func() error) error {
	if c.Down {
		return ErrInjected
	}
	return c.Faults.step(do)
}

func seedSlot(e poc.Epoch) uint64 { return 100 * uint64(e) }

// Commit implements epoch.Settler.
func (c *Chain) Commit(_ context.Context, e poc.Epoch, h [32]byte) error {
	return c.call(func() error {
		if old, ok := c.Seeds[e]; ok && old != h {
			return settle.ErrConflict
		}
		c.Seeds[e] = h
		return nil
	})
}

// Commitment implements epoch.Settler.
func (c *Chain) Commitment(_ context.Context, e poc.Epoch) (st settle.CommitState, err error) {
	err = c.call(func() error {
		if _, ok := c.Seeds[e]; !ok {
			return settle.ErrUnknown
		}
		c.asked[e]++
		st = settle.CommitState{Final: c.asked[e] > 1, Slot: seedSlot(e), Signature: fmt.Sprintf("seed-%d", e)}
		return nil
	})
	return st, err
}

// SeedBlock implements epoch.Settler.
func (c *Chain) SeedBlock(ctx context.Context, commitSlot uint64) (b settle.Block, final bool, err error) {
	err = c.call(func() error {
		b, final, err = c.BlockFrom(ctx, commitSlot+settle.SeedDelay)
		return err
	})
	return b, final, err
}

// BlockFrom implements audit.Chain: every third slot has no block.
func (c *Chain) BlockFrom(_ context.Context, slot uint64) (settle.Block, bool, error) {
	if slot%3 == 0 {
		slot++
	}
	return settle.Block{Slot: slot, Hash: sha256.Sum256(fmt.Appendf(nil, "block %d", slot))}, true, nil
}

// Freeze implements epoch.Settler.
func (c *Chain) Freeze(_ context.Context, l settle.List) error {
	return c.call(func() error {
		if old, ok := c.Frozen[l.Epoch]; ok && (old.Rewards != l.Rewards || old.ListHash != l.ListHash || old.Secret != l.Secret) {
			return settle.ErrConflict
		}
		c.Frozen[l.Epoch] = l
		return nil
	})
}

// Settlement is the record of an epoch that was paid at once.
func (c *Chain) Settlement(_ context.Context, e poc.Epoch) (settle.Record, error) {
	l, ok := c.Frozen[e]
	if !ok {
		return settle.Record{}, settle.ErrUnknown
	}
	total := sum(l)
	root, err := claim.Root(l.Payouts)
	if err != nil {
		return settle.Record{}, err
	}
	return settle.Record{Paid: total, Epoch: settle.Epoch{Epoch: e, State: settle.Closed, Root: root, Rewards: l.Rewards, ListHash: l.ListHash, Total: total, Count: len(l.Payouts), Secret: l.Secret,
		Commit: settle.Memo{Text: settle.CommitText(e, len(l.Payouts), total, settle.Roots{Payouts: root, List: l.ListHash, Rewards: l.Rewards}), Final: true, Signature: fmt.Sprintf("commit-%d", e)},
		Close:  settle.Memo{Text: settle.CloseText(e, l.Secret, total, 0), Final: true, Signature: fmt.Sprintf("close-%d", e)}}}, nil
}

func sum(l settle.List) (total ledger.Amount) {
	for _, p := range l.Payouts {
		total += p.Amount
	}
	return total
}

// Payer is who sends the memos.
const Payer = "hot-key"

// Transaction implements audit.Chain.
func (c *Chain) Transaction(_ context.Context, signature string) (audit.Transaction, error) {
	var kind string
	var e poc.Epoch
	for _, k := range []string{"seed", "commit", "close"} {
		if n, _ := fmt.Sscanf(signature, k+"-%d", &e); n == 1 {
			kind = k
		}
	}
	st, err := c.Settlement(context.Background(), e)
	tx := audit.Transaction{Payer: Payer}
	switch kind {
	case "seed":
		tx.Slot, tx.Memos, err = seedSlot(e), []string{settle.SeedText(e, c.Seeds[e])}, nil
	case "commit":
		tx.Memos = []string{st.Commit.Text}
	case "close":
		tx.Memos = []string{st.Close.Text}
	default:
		return tx, fmt.Errorf("epochtest: no transaction %q", signature)
	}
	return tx, err
}

// faultyKV is a state whose updates can fail.
type faultyKV struct {
	store.KV
	f *Faults
}

func (k faultyKV) Update(ctx context.Context, f func(store.Tx) error) error {
	return k.f.step(func() error { return k.KV.Update(ctx, f) })
}

// faultyLog is a log whose appends can fail while it is armed: those of reports
// are not what is tested here.
type faultyLog struct {
	store.Log
	f     *Faults
	armed bool
}

func (l *faultyLog) Append(ctx context.Context, s store.Shard, b []byte) (o store.Offset, err error) {
	if !l.armed {
		return l.Log.Append(ctx, s, b)
	}
	err = l.f.step(func() (err error) { o, err = l.Log.Append(ctx, s, b); return err })
	return o, err
}

// Constant is a source of secrets that restarts do not set back.
type Constant byte

// Read fills b.
func (c Constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c)
	}
	return len(b), nil
}
