package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
)

// An epoch's payouts are sent, or wallets claim them. Both have another guard, so that
// an epoch that was begun in one mode and goes on in the other could pay twice. The
// commit memo says which it is, and the oldest of them counts.

// commitText is the epoch's commit memo in one of the modes.
func (e Epoch) commitText(claims bool) string {
	return CommitText(e.Epoch, e.Count, e.Total, Roots{Payouts: e.Root, List: e.ListHash, Rewards: e.Rewards, Claim: claims})
}

// oldest decides between the commit memos of both modes, the epoch's own and the
// other's; false: the other counts. In one slot nobody knows which came first.
func (e Epoch) oldest(own, other Sent) bool {
	if other.Signature == "" || own.Signature == "" {
		return other.Signature == ""
	}
	return own.Slot < other.Slot || own.Slot == other.Slot && e.Claims == nil
}

// otherMode plans an epoch anew that nothing was paid of by this store, in the mode
// that its commit memo on chain says. False: this oracle is configured otherwise.
func (s *Settler) otherMode(ctx context.Context, e *Epoch, memo Sent) (bool, error) {
	next := *e
	next.Claims = nil
	if e.Claims == nil {
		l := List{Epoch: e.Epoch, Payouts: make([]reward.Payout, e.Count)}
		claims, err := s.planClaims(l)
		if err != nil || claims == nil {
			s.wrongMode[e.Epoch] = true
			e.Refused = fmt.Sprintf("its commit memo %s says that wallets claim its payouts, and this oracle would send them: nobody is paid; start it with payout.mode = \"claim\" and the program that made the distributor", memo.Signature)
			s.complain(*e)
			return false, s.save(ctx, epochKey(e.Epoch), *e)
		}
		next.Claims = claims
	}
	list, err := s.listOf(ctx, *e)
	if err != nil {
		return false, err
	}
	s.log.Warn("the chain knows the epoch in another mode: it is planned anew", "epoch", e.Epoch, "commit_signature", memo.Signature, "claims", next.Claims != nil)
	next.Commit = Memo{Text: e.commitText(next.Claims != nil), Final: true, Signature: memo.Signature, Slot: memo.Slot}
	next.Stalled, next.Refused = "", ""
	p := plan{epoch: next, batches: s.cut(next, list)}
	if next.Claims == nil {
		// Batches that are sent are the smaller ones: written from the last to the first,
		// none takes the place of one whose wallets are not in another yet.
		slices.Reverse(p.batches)
	}
	if err := p.write(ctx, s.kv); err != nil {
		return false, err
	}
	delete(s.queues, e.Epoch)
	*e = p.epoch
	return true, nil
}

// listOf reads an epoch's list from its batches, also if a crash left some of one plan
// beside some of another.
func (s *Settler) listOf(ctx context.Context, e Epoch) (list []reward.Payout, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		list = nil
		return scan(tx, string(batchPrefix(e.Epoch)), func(b Batch) { list = append(list, b.Payouts...) })
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b reward.Payout) int { return slices.Compare(a.Wallet[:], b.Wallet[:]) })
	list = slices.Compact(list)
	if root, rerr := claim.Root(list); rerr != nil || root != e.Root {
		return nil, fmt.Errorf("settle: the batches of epoch %d do not hold its list (%v): rebuild it from its bundle into an empty directory (oraclectl settle rebuild)", e.Epoch, rerr)
	}
	return list, nil
}

// firstMarker says whether batches may be sent: once it was read without doubt that no
// distributor was made under the first marker. That is known by the commit memo, too;
// the guards of both modes shall not hang on one memo that an endpoint may hide.
func (p *pass) firstMarker(ctx context.Context) (bool, error) {
	e := p.epoch.Epoch
	if p.sends[e] {
		return true, nil
	}
	first, err := p.load(ctx, e, []uint32{0})
	if err != nil {
		return false, err
	}
	b := first[0]
	if !b.Final {
		b.Attempts = nil // whose transaction it is does not matter
		facts := []Facts{{Height: p.height}}
		look := pass{Settler: p.Settler, epoch: p.epoch, height: p.height, queue: p.queue}
		err := look.askMarkers(ctx, []Batch{b}, facts, []int{0})
		if err = errors.Join(err, look.unsure); look.stalled != "" {
			p.stall(look.stalled)
		}
		f := facts[0]
		if err != nil || f.Unsure || f.Marked && f.Foreign == "" {
			return false, err
		}
		if f.Foreign != "" {
			switch _, err := p.chain.Landed(ctx, f.Foreign, Marker{Epoch: e}, b.Payouts); {
			case errors.Is(err, ErrForeign):
				p.refused = fmt.Sprintf("transaction %s has used the first marker of the epoch for something else than its first batch: if it made a distributor, start with payout.mode = \"claim\"; otherwise compare the published list with the commit memo (oraclectl audit)", f.Foreign)
				return false, nil
			case err != nil:
				return false, fmt.Errorf("settle: read transaction %s: %w", f.Foreign, err)
			}
		}
	}
	p.sends[e] = true
	return true, nil
}

// historiesOfSent bounds the histories that are read before a distributor is made: the
// markers of batches that were sent are closed together, and from the first on.
const historiesOfSent = 32

// unsent says whether a distributor may be made: no batch of the epoch was sent. The
// first marker guards it; the others are looked at once in the life of a process.
func (c *claims) unsent(ctx context.Context, e *Epoch) (bool, error) {
	if c.unsentSure[e.Epoch] {
		return true, nil
	}
	list, err := c.listOf(ctx, *e)
	if err != nil {
		return false, err
	}
	var ms []Marker
	var parts [][]reward.Payout
	for part := range slices.Chunk(list, c.Settler.signer.MaxRecipients()) {
		ms, parts = append(ms, Marker{e.Epoch, uint32(len(ms))}), append(parts, part)
	}
	refuse := func(m Marker) {
		c.refused = fmt.Sprintf("batch %d of the epoch was sent: no distributor is made; start with payout.mode = \"direct\" to send the rest", m.Batch)
	}
	for group := range slices.Chunk(ms[1:], markersAtOnce) {
		marks, err := c.chain.Marks(ctx, group)
		if err != nil || len(marks) != len(group) {
			return false, errors.Join(err, fmt.Errorf("settle: ask for markers of epoch %d: %d answers for %d", e.Epoch, len(marks), len(group)))
		}
		for i, m := range marks {
			if m.Exists {
				refuse(group[i])
				return false, nil
			}
		}
	}
	for i, m := range ms[:min(len(ms), historiesOfSent)] {
		paid, err := c.paidBy(ctx, m, parts[i])
		if i == 0 && errors.Is(err, ErrForeign) {
			continue // a distributor, which is found otherwise
		}
		if err != nil {
			return false, err
		}
		if paid != nil {
			refuse(m)
			return false, nil
		}
	}
	c.unsentSure[e.Epoch] = true
	return true, nil
}

// markersAtOnce is how many markers a cluster is asked for in one call.
const markersAtOnce = 1000
