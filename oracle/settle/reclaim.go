package settle

import (
	"context"
	"errors"
	"fmt"

	"heliograph/oracle/store"
)

// reclaimGroups bounds the transactions that one look at closed epochs sends.
const reclaimGroups = 64

// reclaim closes the markers of an epoch that is closed for good, so that their rent
// comes back. It is the one step in which a height must not be believed lightly: as
// long as a marker exists no older variant can land, and afterwards only its expired
// blockhash keeps it out. Therefore Config.ReclaimAfter is long, and the height is
// one that several endpoints agree on where there are several.
//
// What is on record is only how many batches need no further look. A transaction
// that was lost or sent twice does no harm: an account is closed once.
func (s *Settler) reclaim(ctx context.Context, e Epoch, height uint64) error {
	r, ok := s.signer.(Reclaimer)
	if !ok || s.cfg.ReclaimAfter == 0 || s.signer.Identity() != e.Identity {
		if e.Reclaiming == "" {
			return nil
		}
		e.Reclaiming = "" // nobody wants them closed any more
		return s.save(ctx, epochKey(e.Epoch), e)
	}
	was := e.Reclaiming
	err := s.reclaimGroups(ctx, r, &e, height)
	if e.Reclaiming = notReclaimed(err); e.Reclaiming == "" && err != nil {
		return err // only this look failed
	}
	if e.Reclaiming != was && e.Reclaiming != "" {
		s.log.Error("markers are not closed, their rent stays locked", "epoch", e.Epoch, "cause", e.Reclaiming)
	}
	return s.kv.Update(ctx, func(tx store.Tx) error {
		var now Epoch
		if ok, err := get(tx, epochKey(e.Epoch), &now); err != nil || !ok || now.Reclaimed >= e.Reclaimed && now.Reclaiming == e.Reclaiming {
			return err
		}
		now.Reclaimed, now.Reclaiming = max(now.Reclaimed, e.Reclaimed), e.Reclaiming
		return put(tx, epochKey(e.Epoch), now)
	})
}

// reclaimGroups goes through the markers, and moves e.Reclaimed on.
func (s *Settler) reclaimGroups(ctx context.Context, r Reclaimer, e *Epoch, height uint64) error {
	if err := s.quorate(); err != nil {
		return err // the height might be a single endpoint's
	}
	var later []uint32
	err := s.kv.View(ctx, func(tx store.Tx) (err error) {
		later, err = laterIndices(tx, e.Epoch)
		return err
	})
	if err != nil {
		return err
	}
	contiguous := true
	for from, n := e.Reclaimed, 0; from < e.Batches && n < reclaimGroups; n++ {
		to := min(from+uint32(r.MaxReclaim()), e.Batches)
		gone, err := s.reclaimGroup(ctx, r, *e, e.numbers(from, to, later), height)
		if err != nil {
			return err
		}
		contiguous = contiguous && gone == to-from
		if contiguous || n == 0 {
			e.Reclaimed = from + gone
		}
		from = to
	}
	return nil
}

// notReclaimed turns what only a person can mend into the state that is shown. It
// stops nothing: markers lock rent, and payouts go on.
func notReclaimed(err error) string {
	var no *NoSignature
	var refused *Rejected
	switch {
	case errors.As(err, &no):
		return signerStalled + no.Why
	case errors.Is(err, ErrNoQuorum):
		return err.Error()
	case errors.As(err, &refused) && refused.Cause == CauseFunds:
		return "the fee payer cannot pay for closing markers: send it SOL (" + refused.Detail + ")"
	case errors.As(err, &refused):
		return "the cluster refuses to close markers: " + refused.Detail + ": look at the first of them with a Solana explorer; when another owner holds it, stop reclaiming with solana.reclaim_after = 0"
	}
	return ""
}

// reclaimGroup closes what markers there are of some batches. It says how many of
// them, from the first on, have no marker any more.
func (s *Settler) reclaimGroup(ctx context.Context, r Reclaimer, e Epoch, indices []uint32, height uint64) (gone uint32, err error) {
	batches, err := s.load(ctx, e.Epoch, indices)
	if err != nil {
		return 0, err
	}
	markers := make([]Marker, len(indices))
	for i, n := range indices {
		markers[i] = Marker{e.Epoch, n}
	}
	marks, err := s.chain.Marks(ctx, markers)
	if err != nil {
		return 0, fmt.Errorf("settle: ask for markers of epoch %d: %w", e.Epoch, err)
	}
	if len(marks) != len(markers) {
		return 0, fmt.Errorf("settle: the cluster answered for %d of %d markers", len(marks), len(markers))
	}
	var clean, dusty closing
	contiguous := true
	for i, b := range batches {
		contiguous = contiguous && b.Final && !marks[i].Exists
		if contiguous {
			gone++
		}
		switch {
		case !b.Final || !marks[i].Exists || height <= max(b.Expiry, e.ClosedAt)+s.cfg.ReclaimAfter:
		case marks[i].Dust > 0 && len(dusty.markers) < dustyAtOnce:
			dusty.add(markers[i], marks[i])
		case marks[i].Dust == 0:
			clean.add(markers[i], marks[i])
		}
	}
	for _, c := range []closing{clean, dusty} {
		if err := s.sendClosing(ctx, r, c); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// dustyAtOnce markers with tokens in them fit one transaction; the others wait for
// the next look.
const dustyAtOnce = 10

// closing is a set of markers that one transaction closes.
type closing struct {
	markers []Marker
	marks   []Mark
}

func (c *closing) add(m Marker, k Mark) {
	c.markers, c.marks = append(c.markers, m), append(c.marks, k)
}

func (s *Settler) sendClosing(ctx context.Context, r Reclaimer, c closing) error {
	if len(c.markers) == 0 {
		return nil
	}
	hash, err := s.chain.Blockhash(ctx)
	if err != nil {
		return fmt.Errorf("settle: ask for a blockhash: %w", err)
	}
	tx, err := r.Reclaim(ctx, c.markers, c.marks, hash)
	if err != nil {
		return fmt.Errorf("settle: sign the closing of markers: %w", err)
	}
	err = s.chain.Send(ctx, tx)
	var refused *Rejected
	if errors.As(err, &refused) && (refused.Cause == CauseExpired || s.refusedOnce(c.markers[0])) {
		// Closed already, or sent to in between: the next look knows.
		s.log.Debug("closing markers was refused", "first", c.markers[0].Batch, "detail", refused.Detail)
		return nil
	}
	if err == nil {
		delete(s.refused, c.markers[0])
	}
	return err
}

// refusedOnce says whether the closing of a group that begins with this marker was
// refused for the first time in a row.
func (s *Settler) refusedOnce(first Marker) bool {
	again := s.refused[first]
	if len(s.refused) >= maxRefusals {
		clear(s.refused)
	}
	s.refused[first] = true
	return !again
}
