package payday

import (
	"context"
	"fmt"
	"slices"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// trouble is what befalls recipients, stores and processes in a run, by rounds.
type trouble struct {
	*run
	saveAt, restoreAt int // -1: never
	sleepAt           int
	last              int // round after which nothing more happens
	backup            store.KV
	frozen            map[poc.Wallet]bool
	thawed            bool // for good
}

func (r *run) newTrouble() *trouble {
	t := &trouble{run: r, saveAt: -1, restoreAt: -1, sleepAt: -1, last: -1, frozen: map[poc.Wallet]bool{}}
	if r.weather.backup {
		t.saveAt = r.rnd.IntN(stormyRounds / 2)
		t.restoreAt = t.saveAt + 1 + r.rnd.IntN(stormyRounds)
		t.last = t.restoreAt
	}
	if r.weather.sleeps {
		t.sleepAt = r.rnd.IntN(stormyRounds / 2)
	}
	if r.weather.frozen {
		t.last = maxRounds // until all are thawed
	}
	return t
}

func (t *trouble) round(ctx context.Context, n int) (err error) {
	o := t.oracles[0]
	switch n {
	case t.saveAt:
		if t.backup, err = o.copy(ctx); err != nil {
			return err
		}
	case t.restoreAt:
		o.restore(t.backup)
	}
	if n == t.sleepAt {
		o.sleep = t.whileAsleep
	}
	if !t.weather.frozen || t.thawed {
		return nil
	}
	thaw := n >= stormyRounds
	if thaw && t.fork != nil {
		return nil // a fork would undo it
	}
	for _, p := range t.list.Payouts {
		if !thaw && t.rnd.IntN(6) > 0 {
			continue
		}
		t.frozen[p.Wallet] = !thaw && !t.frozen[p.Wallet]
		if err := t.bench.freezeAccount(ctx, p.Wallet, t.frozen[p.Wallet]); err != nil {
			return err
		}
	}
	if thaw {
		t.thawed, t.last = true, max(n, t.restoreAt)
	}
	return nil
}

// whileAsleep is what the other oracles and the chain do while the first one sleeps:
// long enough to pay the epoch and to close its markers.
func (t *trouble) whileAsleep(ctx context.Context) {
	if t.fork != nil {
		return // it must end before so many blocks
	}
	for range 80 {
		for _, o := range t.oracles[1:] {
			_ = o.step(ctx) // errors are the weather's
		}
		if err := t.bench.tick(ctx, 16); err != nil {
			return
		}
	}
}

// playPruned lets the oracle play while no node keeps history of the payouts, and
// then while all do.
func (r *run) playPruned(ctx context.Context) error {
	if err := r.bench.tick(ctx, 400); err != nil {
		return err
	}
	for i, f := range r.weather.nodes {
		f = solanavm.Faults{Seed: f.Seed, KeepBlocks: 60}
		if err := r.bench.vm.Node(nodeName(i)).SetFaults(ctx, f); err != nil {
			return err
		}
	}
	for range stormyRounds {
		_ = r.oracles[0].step(ctx) // it must not sign
		if err := r.bench.tick(ctx, 16); err != nil {
			return err
		}
	}
	if _, done := r.oracles[0].closed(ctx); done {
		return fmt.Errorf("payday: the epoch was closed without a history to look at")
	}
	if err := r.weather.set(ctx, r.bench.vm, true); err != nil {
		return err
	}
	return r.play(ctx)
}

// frozenAt is where a token account says whether it is frozen: 1 no, 2 yes.
const frozenAt = 108

// freezeAccount freezes a recipient's token account, or thaws it, as the mint's freeze
// authority can at any moment.
func (b *Bench) freezeAccount(ctx context.Context, w poc.Wallet, frozen bool) error {
	i := slices.Index(b.wallets, w)
	res, err := b.vm.Client().GetAccountInfoWithOpts(ctx, b.stage.Recipients[i], &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentProcessed})
	if err != nil {
		return fmt.Errorf("payday: read a token account: %w", err)
	}
	data := slices.Clone(res.Value.Data.GetBinary())
	data[frozenAt] = 1
	if frozen {
		data[frozenAt] = 2
	}
	return b.vm.SetAccount(ctx, b.stage.Recipients[i], solanavm.Account{Lamports: res.Value.Lamports, Owner: res.Value.Owner, Data: data})
}

var _ settle.Chain = (*sleeper)(nil)
