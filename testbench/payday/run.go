package payday

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// Result is what one run came to.
type Result struct {
	Seed      uint64
	Weather   string
	Hidden    bool
	Forks     int
	Crashes   int
	Rounds    int
	PaidTwice int // recipients
	Unpaid    int
	Ledger    error // why the ledger differs from the chain, nil if it does not
}

// OK says whether the run ended as it must.
func (r Result) OK() bool { return r.PaidTwice == 0 && r.Unpaid == 0 && r.Ledger == nil }

// Rounds of a run: in stormy ones all faults strike; afterwards only those that
// never pass, until the epoch is closed.
const (
	stormyRounds = 30
	maxRounds    = 600
)

// Run pays one epoch in the weather of a seed. An error means that the run could
// not be judged.
func (b *Bench) Run(ctx context.Context, seed uint64) (Result, error) {
	rnd := rand.New(rand.NewPCG(seed, 0x7061796461790a))
	w := draw(rnd)
	r := &run{bench: b, rnd: rnd, weather: w, result: Result{Seed: seed, Weather: w.String(), Hidden: w.hidden}}
	r.list = b.newList(rnd)
	before, err := b.balances(ctx)
	if err != nil {
		return r.result, err
	}
	if err := w.set(ctx, b.vm, false); err != nil {
		return r.result, err
	}
	r.oracles = []*oracle{b.oracle(w, rnd, r.list)}
	if w.twins {
		r.oracles = append(r.oracles, b.oracle(w, rnd, r.list))
	}
	if err := r.play(ctx); err != nil {
		return r.result, fmt.Errorf("payday: seed %d (%s): %w", seed, w, err)
	}
	if w.closes {
		if err := r.closeMarkers(ctx); err != nil {
			return r.result, fmt.Errorf("payday: seed %d (%s): close markers: %w", seed, w, err)
		}
	}
	// What still hangs about lands before the next run.
	if err := b.tick(ctx, 200); err != nil {
		return r.result, err
	}
	after, err := b.balances(ctx)
	if err != nil {
		return r.result, err
	}
	r.judge(ctx, before, after)
	return r.result, nil
}

// newList draws an epoch: some of the wallets, each with its own amount.
func (b *Bench) newList(rnd *rand.Rand) settle.List {
	b.epoch++
	l := settle.List{Epoch: b.epoch, Secret: poc.Secret{1}, Rules: "payday"}
	binary.BigEndian.PutUint64(l.Rewards[:], rnd.Uint64())
	for _, i := range rnd.Perm(len(b.wallets))[:1+rnd.IntN(len(b.wallets))] {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: b.wallets[i], Amount: ledger.Amount(1 + rnd.IntN(1_000_000))})
	}
	slices.SortFunc(l.Payouts, byWallet)
	return l
}

func byWallet(a, b reward.Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) }

type run struct {
	bench   *Bench
	rnd     *rand.Rand
	weather weather
	list    settle.List
	oracles []*oracle
	result  Result
	fork    *solanavm.Checkpoint
	since   int // blocks since the checkpoint
}

// play steps the oracles until all have closed the epoch.
func (r *run) play(ctx context.Context) error {
	loseAt := -1
	if r.weather.lost {
		loseAt = 2 + r.rnd.IntN(stormyRounds)
	}
	trouble := r.newTrouble()
	var last error
	for n := range maxRounds {
		r.result.Rounds++
		if n == stormyRounds {
			if err := r.weather.set(ctx, r.bench.vm, true); err != nil {
				return err
			}
		}
		if n == loseAt {
			r.oracles[0].lose()
		}
		if err := trouble.round(ctx, n); err != nil {
			return err
		}
		open := 0
		for _, o := range r.oracles {
			if _, done := o.closed(ctx); !done {
				open++
				if err := o.step(ctx); err != nil {
					last = err
				}
			}
		}
		if open == 0 && n > loseAt && n > trouble.last {
			return nil
		}
		if err := r.pass(ctx, n < stormyRounds); err != nil {
			return err
		}
	}
	state := ""
	for _, o := range r.oracles {
		rec, _ := o.closed(ctx)
		state += fmt.Sprintf(" %s stalled=%q refused=%q", rec.State, rec.Stalled, rec.Refused)
	}
	return fmt.Errorf("not closed after %d rounds:%s; last error: %v", maxRounds, state, last)
}

// longestFork is how many blocks a fork may undo: less than what makes them final.
const longestFork = 12

// pass lets time pass, and switches forks.
func (r *run) pass(ctx context.Context, stormy bool) error {
	blocks := 1 + r.rnd.IntN(24)
	if r.fork != nil {
		blocks = min(blocks, longestFork-r.since)
	}
	if blocks > 0 {
		if err := r.bench.tick(ctx, blocks); err != nil {
			return err
		}
		r.since += blocks
	}
	switch {
	case r.fork != nil && (r.since >= longestFork || r.rnd.IntN(2) == 0):
		cp := *r.fork
		r.fork = nil
		_, err := r.bench.vm.Rollback(ctx, cp, solanavm.RollbackOptions{Reland: r.rnd.IntN(2) * r.rnd.IntN(60)})
		r.result.Forks++
		return err
	case r.fork == nil && stormy && r.weather.forks && r.rnd.IntN(3) == 0:
		cp, err := r.bench.vm.Checkpoint(ctx)
		if err != nil {
			return err
		}
		r.fork, r.since = &cp, 0
	}
	return nil
}

// closeMarkers lets the oracle take the rent back, then loses the store: what was
// paid must be found although no marker guards it any more.
func (r *run) closeMarkers(ctx context.Context) error {
	o := r.oracles[0]
	r.fork = nil
	if err := r.bench.tick(ctx, 2*settle.MinReclaimAfter); err != nil {
		return err
	}
	rec, _ := o.closed(ctx)
	var last error
	for n := 0; rec.Reclaimed < rec.Batches; n++ {
		if n > maxRounds {
			return fmt.Errorf("%d of %d markers are closed; last error: %v", rec.Reclaimed, rec.Batches, last)
		}
		if err := o.step(ctx); err != nil {
			last = err
		}
		if err := r.bench.tick(ctx, 8); err != nil {
			return err
		}
		rec, _ = o.closed(ctx)
	}
	o.lose()
	r.weather.lost, r.weather.forks = false, false
	r.weather.backup, r.weather.sleeps, r.weather.frozen = false, false, false
	if r.weather.prunes {
		return r.playPruned(ctx)
	}
	return r.play(ctx)
}

// judge compares chain, list and ledgers.
func (r *run) judge(ctx context.Context, before, after map[poc.Wallet]uint64) {
	for _, o := range r.oracles {
		r.result.Crashes += o.crashes
	}
	due := map[poc.Wallet]uint64{}
	for _, p := range r.list.Payouts {
		due[p.Wallet] = uint64(p.Amount)
	}
	var errs []error
	for _, w := range r.bench.wallets {
		got := after[w] - before[w]
		switch {
		case got > due[w]:
			r.result.PaidTwice++
		case got < due[w]:
			r.result.Unpaid++
		}
		for i, o := range r.oracles {
			bal, err := ledger.NewBook(o.kv).Balance(ctx, ledger.Paid(w))
			if err != nil || uint64(bal.Net()) != got {
				errs = append(errs, fmt.Errorf("oracle %d: the ledger says %d paid to %x, the chain %d (%v)", i, bal.Net(), w[:4], got, err))
			}
		}
	}
	for _, o := range r.oracles {
		errs = append(errs, ledger.NewBook(o.kv).Audit(ctx), o.broken)
	}
	r.result.Ledger = errors.Join(errs...)
}
