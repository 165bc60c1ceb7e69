package settle

import (
	"context"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Reacher is a [Chain] of several endpoints of which some may be down. Before it is
// asked for the history of an epoch's markers it is told a transaction from before the
// epoch's first payout, so that it can find out who keeps history for long enough.
type Reacher interface {
	Reach(ctx context.Context, e poc.Epoch, signature string) error
}

// Quorum is a [Chain] that can say whether enough endpoints work for steps in which a
// single one must not be believed: nil, or [ErrNoQuorum].
type Quorum interface{ Quorate() error }

// reach names the oldest seed commitment that this store knows. That of the epoch
// itself would not do: a store that was restored from a backup may have sent it again,
// long after another one of it was paid under.
func (s *Settler) reach(ctx context.Context, e poc.Epoch) error {
	r, ok := s.chain.(Reacher)
	if !ok {
		return nil
	}
	oldest := ""
	err := s.kv.View(ctx, func(tx store.Tx) error {
		oldest = ""
		var bad error
		err := tx.Scan([]byte("s/c/"), nil, func(k, v []byte) bool {
			var c commitment
			if bad = unmarshal(k, v, &c); bad == nil && c.done() {
				oldest = c.Memo.Signature
			}
			return bad == nil && oldest == ""
		})
		if err == nil {
			err = bad
		}
		return err
	})
	if err != nil || oldest == "" {
		return err
	}
	if err := r.Reach(ctx, e, oldest); err != nil {
		return fmt.Errorf("settle: ask who keeps history from before epoch %d: %w", e, err)
	}
	return nil
}

// quorate says whether enough endpoints work.
func (s *Settler) quorate() error {
	if q, ok := s.chain.(Quorum); ok {
		return q.Quorate()
	}
	return nil
}
