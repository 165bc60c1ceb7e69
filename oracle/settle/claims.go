package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// claimWindow bounds the batches of which one look reads the claims.
const claimWindow = 200

// watch books claims, and when their time is over takes back what is left.
func (c *claims) watch(ctx context.Context, e *Epoch, save func() error) error {
	d := *e.Claims.Made
	st, err := c.chain.Distributor(ctx, d)
	if err != nil {
		return fmt.Errorf("settle: read the distributor of epoch %d: %w", e.Epoch, err)
	}
	if !st.Exists {
		return fmt.Errorf("settle: the distributor of epoch %d is not there: the endpoints lag, or this is another cluster", e.Epoch)
	}
	if st.Claimed > e.Claims.Claimed {
		if err := c.read(ctx, e); err != nil || e.Refused != "" {
			return err
		}
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

// read looks for the claims of some batches, those first that were not looked at for
// the longest time.
func (c *claims) read(ctx context.Context, e *Epoch) error {
	q, err := c.queueOf(ctx, *e)
	if err != nil {
		return err
	}
	window := q.window(claimWindow)
	batches, err := c.load(ctx, e.Epoch, window)
	if err != nil {
		return err
	}
	found := make([][]ledger.Amount, len(batches))
	err = c.parallel(len(batches), func(i int) (err error) {
		wallets := make([]poc.Wallet, len(batches[i].Payouts))
		for k, p := range batches[i].Payouts {
			wallets[k] = p.Wallet
		}
		found[i], err = c.chain.Claims(ctx, *e.Claims.Made, wallets)
		if err == nil && len(found[i]) != len(wallets) {
			err = fmt.Errorf("settle: the cluster answered for %d of %d claims", len(found[i]), len(wallets))
		}
		return err
	})
	for i, b := range batches {
		if found[i] == nil {
			continue
		}
		done, berr := c.bookClaims(ctx, e, b, found[i])
		if berr != nil || e.Refused != "" {
			return errors.Join(err, berr)
		}
		if q.last(b.Index); done {
			q.done(b.Index)
		}
	}
	return err
}

// bookClaims books what wallets of a batch have claimed since the last look.
func (c *claims) bookClaims(ctx context.Context, e *Epoch, b Batch, claimed []ledger.Amount) (done bool, err error) {
	next, sum := b, e.Claims.Claimed
	var moves []ledger.Batch
	for i, n := range claimed {
		if n == 0 || b.Claimed[i] {
			continue
		}
		p := b.Payouts[i]
		if n != p.Amount {
			e.Refused = fmt.Sprintf("a wallet of batch %d has claimed %d, the list says %d: the program is not the one that was meant: look at payout.program", b.Index, n, p.Amount)
			return false, c.save(ctx, epochKey(e.Epoch), *e)
		}
		next.Claimed = set(next.Claimed, i, true)
		moves = append(moves, ledger.Move(fmt.Sprintf("claim/%d/%d/%d", b.Epoch, b.Index, i), ledger.Claimable(p.Wallet), ledger.Paid(p.Wallet), p.Amount))
		sum += n // a part of the total, which was checked
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
