package payday

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// oracle is one settler with its store, which it may lose and whose process may die.
type oracle struct {
	bench   *Bench
	weather weather
	rnd     *rand.Rand
	list    settle.List
	kv      store.KV
	outside *ledgertest.Checker // of the books in kv
	crash   *crashKV
	settler *settle.Settler
	crashes int
	begun   bool                  // the list is frozen
	broken  error                 // what the outside checker found after a step
	sleep   func(context.Context) // what happens while the process sleeps, nil when it does not
}

func (b *Bench) oracle(w weather, rnd *rand.Rand, l settle.List) *oracle {
	o := &oracle{bench: b, weather: w, rnd: rnd, list: l}
	o.lose()
	return o
}

// start makes a process on the store. It fails when no node answers just now.
func (o *oracle) start(ctx context.Context) error {
	cfg := hsolana.PoolConfig{Config: o.bench.client(), Genesis: o.bench.vm.Genesis().String(), Log: o.bench.log}
	for i := range o.weather.nodes {
		cfg.Endpoints = append(cfg.Endpoints, o.bench.vm.Node(nodeName(i)).URL())
	}
	pool, client, err := hsolana.DialPoolOnce(ctx, cfg)
	if err != nil {
		return err
	}
	o.crash = &crashKV{KV: o.kv}
	if o.weather.crash > 0 && o.crashes < maxCrashes {
		o.crash.left, o.crash.after = 1+o.rnd.IntN(2*o.weather.crash), o.rnd.IntN(2) == 0
	}
	o.settler = settle.New(settle.Config{
		KV: o.crash, Chain: &sleeper{pool, o}, Signer: client, Genesis: cfg.Genesis, Workers: 1, InFlight: 2 + o.rnd.IntN(8),
		HeldEvery: 5, ReclaimAfter: settle.MinReclaimAfter, Log: o.bench.log,
	})
	return nil
}

// maxCrashes lets a run come to an end.
const maxCrashes = 25

// step does one round of whatever there is to do. Errors are the weather's: they
// are told only when the run does not end.
func (o *oracle) step(ctx context.Context) (err error) {
	if o.settler == nil {
		if err := o.start(ctx); err != nil {
			return err
		}
	}
	if !o.begun {
		err = o.begin(ctx)
	} else {
		err = o.settler.Step(ctx)
	}
	if o.crash.dead {
		o.settler, o.crashes = nil, o.crashes+1
	}
	if o.broken == nil {
		o.broken = o.outside.Check(ctx)
	}
	return err
}

// begin books what the wallets earned and freezes the list, or rebuilds it.
func (o *oracle) begin(ctx context.Context) error {
	book := ledger.NewBook(o.crash)
	for i, p := range o.list.Payouts {
		earn := ledger.Move(fmt.Sprintf("earn/%d/%d", o.list.Epoch, i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)
		if err := book.Post(ctx, earn); err != nil {
			return err
		}
	}
	root, err := claim.Root(o.list.Payouts)
	if err != nil {
		return err
	}
	if err := o.settler.Rebuild(ctx, o.list, root); err != nil {
		return err
	}
	o.begun = true
	return nil
}

// lose throws the store away.
func (o *oracle) lose() {
	o.kv, o.settler, o.begun = mem.NewKV(), nil, false
	o.outside = ledgertest.New(o.kv)
}

// sleeper is a pool whose oracle may sleep after its look at the batches, before it signs.
type sleeper struct {
	*hsolana.Pool
	oracle *oracle
}

// Payable implements settle.Chain: it is asked between look and signature.
func (s *sleeper) Payable(ctx context.Context, w []poc.Wallet) ([]string, error) {
	if f := s.oracle.sleep; f != nil {
		s.oracle.sleep = nil
		f(ctx)
	}
	return s.Pool.Payable(ctx, w)
}

// copy is the store as a backup has it.
func (o *oracle) copy(ctx context.Context) (store.KV, error) {
	type entry struct{ key, value []byte }
	var all []entry
	err := o.kv.View(ctx, func(tx store.Tx) error {
		all = nil
		return tx.Scan(nil, nil, func(k, v []byte) bool {
			all = append(all, entry{slices.Clone(k), slices.Clone(v)})
			return true
		})
	})
	out := mem.NewKV()
	for group := range slices.Chunk(all, store.MaxTxKeys) {
		err = errors.Join(err, out.Update(ctx, func(tx store.Tx) error {
			for _, e := range group {
				if err := tx.Put(e.key, e.value); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return out, err
}

// restore goes on from a backup.
func (o *oracle) restore(backup store.KV) {
	o.kv, o.settler, o.begun = backup, nil, false
	o.outside = ledgertest.New(o.kv)
}

// closed says whether the epoch is, with nobody held; it looks at the store from outside.
func (o *oracle) closed(ctx context.Context) (settle.Record, bool) {
	rec, err := settle.New(settle.Config{KV: o.kv, Log: o.bench.log}).Epoch(ctx, o.list.Epoch)
	return rec, err == nil && rec.State == settle.Closed && rec.Held == 0
}
