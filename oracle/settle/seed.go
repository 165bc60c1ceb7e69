package settle

import (
	"context"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// seedMargin is how many slots before the seed memo of an older epoch the search for
// one begins: both may have been on their way at the same time.
const seedMargin = 1000

// stepCommitment moves a seed memo on. The chain is searched for it before it is
// signed, since a store that was restored from an old backup does not know that it was
// sent; and when it is final, since another oracle may have sent it meanwhile. The
// oldest counts: the seed is drawn, and an epoch's commit memo searched, from there on,
// and nobody pays under the epoch's markers before it.
func (s *Settler) stepCommitment(ctx context.Context, c commitment, height uint64) error {
	h, ok := s.chain.(Historian)
	if !ok {
		return s.stepMemo(ctx, &c.Memo, height, func() error { return s.save(ctx, commitKey(c.Epoch), c) })
	}
	if !c.Memo.Final {
		if !s.seedsLooked[c.Epoch] {
			if found, err := s.firstSeed(ctx, h, &c); err != nil || found {
				return err
			}
			s.seedsLooked[c.Epoch] = true
		}
		c.Unchecked = true
		if err := s.stepMemo(ctx, &c.Memo, height, func() error { return s.save(ctx, commitKey(c.Epoch), c) }); err != nil || !c.Memo.Final {
			return err
		}
	}
	delete(s.seedsLooked, c.Epoch)
	found, err := s.firstSeed(ctx, h, &c)
	if err == nil && !found {
		err = fmt.Errorf("settle: the seed memo of epoch %d is final (%s), and no endpoint lists it among the hot key's transactions: add one to solana.rpc that does", c.Epoch, c.Memo.Signature)
	}
	return err
}

// firstSeed takes the oldest seed memo of an epoch over, if there is one on chain.
func (s *Settler) firstSeed(ctx context.Context, h Historian, c *commitment) (bool, error) {
	from, err := s.seedsFrom(ctx, c.Epoch)
	if err != nil {
		return false, err
	}
	found, err := s.sent(ctx, h, from, c.Memo.Text)
	if err != nil {
		return false, fmt.Errorf("settle: ask whether the seed memo of epoch %d was sent before: %w", c.Epoch, err)
	}
	switch {
	case found[0].Signature == "":
		return false, nil
	case found[0].Alone && !c.Memo.Final:
		return false, nil // one endpoint does not choose the seed: it is sent again
	case found[0].Alone:
		found[0] = Sent{Signature: c.Memo.Signature, Slot: c.Memo.Slot}
	}
	if c.Memo.Signature != found[0].Signature {
		s.log.Warn("the chain knows a seed memo that the store does not: it is taken over", "epoch", c.Epoch, "signature", found[0].Signature)
	}
	c.Memo.Final, c.Memo.Signature, c.Memo.Slot, c.Memo.Doubt, c.Unchecked = true, found[0].Signature, found[0].Slot, "", false
	return true, s.save(ctx, commitKey(c.Epoch), *c)
}

// seedsFrom is a slot that an epoch's seed memo is not older than: that of the newest
// older epoch whose seed memo this store knows; 0 when it knows none.
func (s *Settler) seedsFrom(ctx context.Context, e poc.Epoch) (slot uint64, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		slot = 0
		return scan(tx, "s/c/", func(c commitment) {
			if c.Epoch < e && c.done() {
				slot = c.Memo.Slot
			}
		})
	})
	return slot - min(slot, seedMargin), err
}
