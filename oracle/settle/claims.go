package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// claimWindow bounds the batches of which one look reads the claims.
const claimWindow = 200

// watch books claims, and when their time is over takes back what is left.
func (c *claims) watch(ctx context.Context, e *Epoch, save func() error) error {
	d := *e.Claims.Made
	st, err := c.distributor(ctx, e)
	if err != nil {
		return err
	}
	stalled, refused := e.Stalled, e.Refused
	e.Refused = ""
	if st.Claimed > e.Claims.Claimed {
		st, err = c.read(ctx, e)
	}
	if c.stalled != "" {
		e.Stalled = c.stalled
	}
	if e.Stalled != stalled || e.Refused != refused {
		c.complain(*e)
		err = errors.Join(err, save())
	}
	if err != nil || e.Refused != "" {
		return err
	}
	switch {
	case st.Back && st.Claimed == e.Claims.Claimed:
		return c.end(ctx, e, save)
	case st.Back:
		return nil // nobody can claim any more; the claims that are missing are read in the next look
	}
	now, err := c.chain.Now(ctx)
	if err != nil || now < d.Clawback {
		return err
	}
	err = c.stepTx(ctx, &e.Claims.Back, c.height, save, func(hash Blockhash) (Tx, error) {
		if err := c.register(ctx, *e); err != nil {
			return Tx{}, err
		}
		return c.signer.TakeBack(ctx, guard(e.Epoch), d, hash)
	})
	if e.Claims.Back.Final { // and yet it has given nothing back: the answer was a lie, or not the last word
		e.Claims.Back = Memo{}
		err = errors.Join(err, save())
	}
	return err
}

func (c *claims) distributor(ctx context.Context, e *Epoch) (Distributed, error) {
	st, err := c.chain.Distributor(ctx, *e.Claims.Made)
	if err == nil && !st.Exists {
		err = errors.New("it is not there: the endpoints lag, or this is another cluster")
	}
	if err != nil {
		return st, fmt.Errorf("settle: read the distributor of epoch %d: %w", e.Epoch, err)
	}
	return st, nil
}

// claimsSeen are claims that were shown and are not booked yet. They are booked when,
// with those that are, they come to what the distributor says it has paid.
type claimsSeen struct {
	of    map[uint32]map[int]bool // batch -> indices
	sum   ledger.Amount           // a part of the total, which was checked
	short int                     // looks in a row that showed too little, and nothing new
}

// shortLooks is how many looks may show fewer claims than the distributor has paid:
// endpoints lag, wallets claim meanwhile, and long lists take several looks.
const shortLooks = 3

// read looks for the claims of some batches, those first that were not looked at for
// the longest time, and books what is known when the sum is right. It says how the
// distributor stood afterwards.
func (c *claims) read(ctx context.Context, e *Epoch) (st Distributed, err error) {
	q, err := c.queueOf(ctx, *e)
	if err != nil {
		return st, err
	}
	seen := c.seen[e.Epoch]
	if seen == nil {
		seen = &claimsSeen{of: map[uint32]map[int]bool{}}
		c.seen[e.Epoch] = seen
	}
	window := q.window(claimWindow)
	batches, err := c.load(ctx, e.Epoch, window)
	if err != nil {
		return st, err
	}
	before := seen.sum
	found, err := c.statusesOf(ctx, e, batches)
	for i, b := range batches {
		if found[i] == nil {
			continue
		}
		q.last(b.Index)
		if why := seen.add(b, found[i]); why != "" {
			e.Refused = why
			delete(c.seen, e.Epoch)
			return st, err
		}
	}
	if err != nil {
		return st, err
	}
	if st, err = c.distributor(ctx, e); err != nil { // after the claims: it has paid all of them
		return st, err
	}
	looks := (len(q.open) + claimWindow - 1) / claimWindow
	switch sum := e.Claims.Claimed + seen.sum; {
	case sum == st.Claimed:
		delete(c.seen, e.Epoch)
		return st, c.bookSeen(ctx, e, q, seen)
	case sum > st.Claimed:
		delete(c.seen, e.Epoch)
		c.stall(c.unequal(sum, st.Claimed))
	case seen.sum > before:
		seen.short = 0
	case seen.short >= shortLooks*looks:
		c.stall(c.unequal(sum, st.Claimed))
	default:
		seen.short++
	}
	return st, nil
}

func (c *claims) unequal(shown, paid ledger.Amount) string {
	return fmt.Sprintf("claims of %d in all are shown, and the distributor says that it has paid %d: an endpoint lags or is wrong, and nothing is booked; compare the endpoints (status lists them), or add one to solana.rpc", shown, paid)
}

// statusesOf asks for the claims of batches; nil for those of which nothing is known.
func (c *claims) statusesOf(ctx context.Context, e *Epoch, batches []Batch) ([][]ledger.Amount, error) {
	found := make([][]ledger.Amount, len(batches))
	err := c.parallel(len(batches), func(i int) error {
		wallets := make([]poc.Wallet, len(batches[i].Payouts))
		for k, p := range batches[i].Payouts {
			wallets[k] = p.Wallet
		}
		got, err := c.chain.Claims(ctx, *e.Claims.Made, wallets)
		if err == nil && len(got) != len(wallets) {
			err = fmt.Errorf("settle: the cluster answered for %d of %d claims", len(got), len(wallets))
		}
		if err == nil {
			found[i] = got
		}
		return err
	})
	return found, err
}

// add remembers what wallets of a batch have claimed; why: it cannot be.
func (s *claimsSeen) add(b Batch, claimed []ledger.Amount) (why string) {
	for i, n := range claimed {
		if n == 0 || b.Claimed[i] || s.of[b.Index][i] {
			continue
		}
		if n != b.Payouts[i].Amount {
			return fmt.Sprintf("a wallet of batch %d is said to have claimed %d, the list says %d: an endpoint is wrong, or the program is not the one that was meant: compare the endpoints in solana.rpc, and look at payout.program", b.Index, n, b.Payouts[i].Amount)
		}
		s.of[b.Index] = set(s.of[b.Index], i, true)
		s.sum += n
	}
	return ""
}

// bookSeen books the claims that were seen, one batch after the other.
func (c *claims) bookSeen(ctx context.Context, e *Epoch, q *queue, seen *claimsSeen) error {
	indices := slices.Sorted(maps.Keys(seen.of))
	for group := range slices.Chunk(indices, claimWindow) {
		batches, err := c.load(ctx, e.Epoch, group)
		if err != nil {
			return err
		}
		for _, b := range batches {
			done, err := c.bookClaims(ctx, e, b, seen.of[b.Index])
			if err != nil {
				return err
			}
			if done {
				q.done(b.Index)
			}
		}
	}
	return nil
}

// bookClaims books what wallets of a batch have claimed since the last look.
func (c *claims) bookClaims(ctx context.Context, e *Epoch, b Batch, claimed map[int]bool) (done bool, err error) {
	next, sum := b, e.Claims.Claimed
	var moves []ledger.Batch
	for _, i := range slices.Sorted(maps.Keys(claimed)) {
		if b.Claimed[i] {
			continue
		}
		p := b.Payouts[i]
		next.Claimed = set(next.Claimed, i, true)
		moves = append(moves, ledger.Move(fmt.Sprintf("claim/%d/%d/%d", b.Epoch, b.Index, i), ledger.Claimable(p.Wallet), ledger.Paid(p.Wallet), p.Amount))
		sum += p.Amount // a part of the total, which was checked
	}
	next.Final = len(next.Claimed) == len(next.Payouts)
	if len(moves) == 0 {
		return next.Final, nil
	}
	rec, of := *e, *e.Claims
	of.Claimed, rec.Claims = sum, &of
	err = c.kv.Update(ctx, func(tx store.Tx) error {
		for _, m := range moves {
			if err := ledger.PostTx(tx, m); err != nil {
				return err
			}
		}
		return errors.Join(putBatch(tx, next), put(tx, epochKey(e.Epoch), rec))
	})
	if err != nil {
		return false, fmt.Errorf("settle: book claims of batch %d/%d: %w", b.Epoch, b.Index, err)
	}
	*e = rec
	return next.Final, nil
}

// end books what nobody has claimed as owed again. It is called when the distributor
// pays nobody any more, and all that it paid is booked.
func (c *claims) end(ctx context.Context, e *Epoch, save func() error) error {
	q, err := c.queueOf(ctx, *e)
	if err != nil {
		return err
	}
	for len(q.open) > 0 {
		n := q.open[0]
		if err := c.kv.Update(ctx, func(tx store.Tx) error { return returnClaims(tx, e.Epoch, n) }); err != nil {
			return fmt.Errorf("settle: book what was not claimed of batch %d/%d: %w", e.Epoch, n, err)
		}
		q.done(n)
	}
	paid, owed, held, err := c.sums(ctx, e.Epoch)
	if err != nil {
		return err
	}
	e.State, e.Close = Settled, Memo{Text: CloseText(e.Epoch, e.Secret, paid, owed+held)}
	c.log.Info("the time to claim is over", "epoch", e.Epoch, "claimed", paid, "unclaimed", owed)
	return save()
}

func returnClaims(tx store.Tx, e poc.Epoch, n uint32) error {
	var b Batch
	if found, err := get(tx, batchKey(e, n), &b); err != nil || !found || b.Claim != ClaimOpen || b.Final {
		return err
	}
	back := ledger.Batch{Cause: fmt.Sprintf("unclaimed/%d/%d", e, n)}
	for i, p := range b.Payouts {
		if !b.Claimed[i] {
			back.Entries = append(back.Entries, ledger.Entry{Account: ledger.Claimable(p.Wallet), Debit: p.Amount}, ledger.Entry{Account: ledger.Owed(p.Wallet), Credit: p.Amount})
		}
	}
	b.Claimed, b.Claim, b.Final = maps.Clone(b.Claimed), ClaimReturned, true
	return errors.Join(ledger.PostTx(tx, back), putBatch(tx, b))
}
