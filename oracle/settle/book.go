package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
)

// landing is a batch that a transaction is said to have paid.
type landing struct {
	batch     Batch
	facts     Facts
	signature string
	expect    []int // recipients of our own variant; nil for one that we do not know
	paid      []int // what it paid, as read from the chain
}

// finalsPerTransaction keeps a booking below the store's limit of keys: a batch of
// 14 recipients writes about 50.
const finalsPerTransaction = 16

// finish reads landed transactions and books what they paid. It returns batches
// whose transaction is long dead and was said to have landed: those are signed again.
func (p *pass) finish(ctx context.Context, land []landing) (again []Batch, err error) {
	ready := make([]bool, len(land))
	err = p.parallel(len(land), func(i int) error {
		l := &land[i]
		m := Marker{l.batch.Epoch, l.batch.Index}
		var err error
		l.paid, err = p.chain.Landed(ctx, l.signature, m, l.batch.Payouts)
		switch {
		case errors.Is(err, ErrNotFinal), errors.Is(err, ErrStranger):
			return nil // another answer, another time
		case errors.Is(err, ErrForeign), err == nil && l.expect != nil && !slices.Equal(l.paid, l.expect):
			p.mu.Lock()
			defer p.mu.Unlock()
			p.refused = fmt.Sprintf("batch %d was paid by transaction %s, and not as this list says: "+
				"another list, another batch size, or a store that is older than the chain: compare the published list with the commit memo (oraclectl audit); then stop the oracle, put state.db aside, and plan the epoch again from its bundle with oraclectl settle rebuild", m.Batch, l.signature)
			return nil
		case err != nil:
			return fmt.Errorf("settle: read transaction %s: %w", l.signature, err)
		}
		ready[i] = true
		return nil
	})
	var done []landing
	for i, l := range land {
		switch {
		case ready[i]:
			done = append(done, l)
		case p.refused == "" && l.expect != nil:
			if b, ok := p.doubt(l); ok {
				again = append(again, b)
			}
		}
	}
	for group := range slices.Chunk(done, finalsPerTransaction) {
		err = errors.Join(err, p.book(ctx, group))
	}
	return again, err
}

// doubt decides about a variant that is called final by an answer which could not
// be confirmed. One that is in the marker's history may well have landed, also if a
// single endpoint says so: when the marker was closed since, nothing else guards.
func (p *pass) doubt(l landing) (Batch, bool) {
	f := l.facts
	if slices.ContainsFunc(l.batch.Attempts, func(a Attempt) bool { return slices.Contains(f.Signatures, a.Signature) }) {
		p.stall(fmt.Sprintf("a single endpoint shows transaction %s of batch %d: add one to solana.rpc that keeps history", l.signature, l.batch.Index))
		return l.batch, false
	}
	f.Statuses, f.Signatures = slices.Clone(f.Statuses), nil
	for i := range f.Statuses {
		f.Statuses[i].Final = false
	}
	action, _ := decide(l.batch, f)
	return l.batch, action == Sign
}

// book writes what landed variants paid, in the same transaction that makes their
// batches final.
func (p *pass) book(ctx context.Context, group []landing) error {
	var e Epoch
	var later []uint32
	err := p.kv.Update(ctx, func(tx store.Tx) error {
		later = nil
		if found, err := get(tx, epochKey(p.epoch.Epoch), &e); err != nil || !found {
			return errors.Join(err, ErrUnknown)
		}
		for _, l := range group {
			more, err := bookOne(tx, &e, l)
			if err != nil {
				return err
			}
			later = append(later, more...)
		}
		if len(later) == 0 {
			return nil
		}
		return put(tx, epochKey(e.Epoch), e)
	})
	if err != nil {
		return fmt.Errorf("settle: book %d final batches: %w", len(group), err)
	}
	p.epoch.Batches, p.epoch.Later, p.epoch.Reclaimed = e.Batches, e.Later, e.Reclaimed
	p.queue.batches, p.queue.open = e.Batches, append(p.queue.open, later...)
	for _, l := range group {
		p.queue.done(l.batch.Index)
		p.log.Debug("batch is final", "epoch", l.batch.Epoch, "batch", l.batch.Index, "recipients", len(l.paid), "signature", l.signature)
	}
	return nil
}

// bookOne books one of them, and returns the later batches that it opened.
func bookOne(tx store.Tx, e *Epoch, l landing) (later []uint32, err error) {
	next := l.batch
	next.Final, next.Landed, next.Suspect = true, l.signature, nil
	// Someone may have been held after a variant with him was signed that landed in
	// spite of everything. The chain is right.
	for _, r := range l.paid {
		if err := release(tx, &next, r); err != nil {
			return nil, err
		}
	}
	if l.expect == nil {
		if later, err = openLater(tx, e, &next, l.paid); err != nil {
			return nil, err
		}
	}
	for _, r := range next.Live() {
		if slices.Contains(l.paid, r) {
			continue
		}
		why, known := l.batch.Suspect[r]
		if !known {
			why = "was left out of the transaction that paid the batch"
		}
		if err := holdOne(tx, &next, r, why); err != nil {
			return nil, err
		}
	}
	paid := ledger.Batch{Cause: fmt.Sprintf("pay/%d/%d", next.Epoch, next.Index)}
	for _, r := range l.paid {
		p := next.Payouts[r]
		paid.Entries = append(paid.Entries,
			ledger.Entry{Account: ledger.Owed(p.Wallet), Debit: p.Amount},
			ledger.Entry{Account: ledger.Paid(p.Wallet), Credit: p.Amount})
	}
	if len(paid.Entries) > 0 {
		if err := ledger.PostTx(tx, paid); err != nil {
			return nil, err
		}
	}
	return later, putBatch(tx, next)
}

// openLater moves everybody whom a transaction that we do not know left out into a
// later batch, to look whether that was paid, too.
func openLater(tx store.Tx, e *Epoch, b *Batch, paid []int) (later []uint32, err error) {
	for r := range b.Payouts {
		_, moved := b.Moved[r]
		if moved || slices.Contains(paid, r) {
			continue
		}
		if _, ok, err := laterOf(tx, *e, *b, r); err != nil || !ok {
			return later, err
		}
		if err := release(tx, b, r); err != nil {
			return nil, err
		}
		next, _, err := moveLater(tx, e, b, r)
		if err != nil {
			return nil, err
		}
		later = append(later, next.Index)
	}
	return later, nil
}

// hold takes recipients out of a batch, which is planned anew without them. The
// older variants are forgotten: should one land after all, it is recovered from
// the chain.
func (p *pass) hold(ctx context.Context, b Batch, who map[int]string) error {
	next := b
	err := p.kv.Update(ctx, func(tx store.Tx) error {
		next = b
		next.Suspect, next.Attempts = nil, nil
		for _, i := range slices.Sorted(maps.Keys(who)) {
			if err := holdOne(tx, &next, i, who[i]); err != nil {
				return err
			}
		}
		return putBatch(tx, next)
	})
	if err == nil && next.Done() {
		p.queue.done(b.Index)
	}
	return err
}

func holdOne(tx store.Tx, b *Batch, i int, why string) error {
	if _, held := b.Held[i]; held {
		return nil
	}
	b.Held = set(b.Held, i, why)
	return move(tx, b, i, true)
}

// release undoes holdOne.
func release(tx store.Tx, b *Batch, i int) error {
	if _, held := b.Held[i]; !held {
		return nil
	}
	b.Held = maps.Clone(b.Held)
	delete(b.Held, i)
	return move(tx, b, i, false)
}

// move books a hold or a release. The number of moves so far gives every booking a
// cause of its own.
func move(tx store.Tx, b *Batch, i int, hold bool) error {
	w := b.Payouts[i].Wallet
	verb, from, to := "hold", ledger.Owed(w), ledger.Held(w)
	if !hold {
		verb, from, to = "release", to, from
	}
	n := b.Moves[i]
	b.Moves = set(b.Moves, i, n+1)
	cause := fmt.Sprintf("%s/%d/%d/%d", verb, b.Epoch, b.Index, i)
	if n > 1 {
		cause = fmt.Sprintf("%s/%d", cause, n)
	}
	return ledger.PostTx(tx, ledger.Move(cause, from, to, b.Payouts[i].Amount))
}

// set is a map with one more entry; the old one stays as it is.
func set[V any](m map[int]V, k int, v V) map[int]V {
	next := maps.Clone(m)
	if next == nil {
		next = map[int]V{}
	}
	next[k] = v
	return next
}
