package payday

import (
	"context"
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store"
)

// finality is how many blocks are made after each round of a run without faults:
// what was sent in one round is final in the next.
const finality = 33

// calm is a settler on one honest node.
type calm struct {
	bench   *Bench
	kv      store.KV
	client  *hsolana.Client
	settler *settle.Settler
}

// calm makes one. Batches are as large as they can be.
func (b *Bench) calm(ctx context.Context, kv store.KV, inFlight int, reclaimAfter uint64) (*calm, error) {
	cfg := b.client()
	cfg.BatchSize, cfg.Endpoint = 0, b.vm.URL()
	client, err := hsolana.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := settle.New(settle.Config{KV: kv, Chain: client, Signer: client, InFlight: inFlight, HeldEvery: 4, ReclaimAfter: reclaimAfter, Log: b.log})
	return &calm{bench: b, kv: kv, client: client, settler: s}, nil
}

// freeze books what the wallets earned and freezes the list.
func (c *calm) freeze(ctx context.Context, l settle.List) error {
	book := ledger.NewBook(c.kv)
	var earned []ledger.Batch
	for i, p := range l.Payouts {
		earned = append(earned, ledger.Move(fmt.Sprintf("earn/%d/%d", l.Epoch, i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount))
	}
	if err := book.Post(ctx, earned...); err != nil {
		return err
	}
	return c.settler.Freeze(ctx, l)
}

// close steps until done says so; each tells of every round.
func (c *calm) close(ctx context.Context, e settle.List, done func(settle.Epoch) bool) error {
	for n := 0; ; n++ {
		if err := c.settler.Step(ctx); err != nil {
			return fmt.Errorf("payday: round %d: %w", n, err)
		}
		list, err := c.settler.Epochs(ctx)
		if err != nil {
			return err
		}
		for _, rec := range list {
			switch {
			case rec.Epoch != e.Epoch:
			case rec.Stalled != "" || rec.Refused != "":
				return fmt.Errorf("payday: epoch %d: %s%s", rec.Epoch, rec.Stalled, rec.Refused)
			case done(rec):
				return nil
			}
		}
		if err := c.bench.tick(ctx, finality); err != nil {
			return err
		}
	}
}
