package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// pass is one look at the batches of an epoch that are on their way.
type pass struct {
	*Settler
	epoch  Epoch
	height uint64
	queue  *queue
	// hash dates what is signed in this pass. It is older than the look at the markers
	// (see [pass.date]).
	hash  Blockhash
	dated bool

	mu      sync.Mutex
	unsure  error  // why nothing was signed for some batches
	stalled string // the last word on why nothing can be paid, "" if it can
	refused string
}

// pay moves the open batches of an epoch on. It says how many are left. e is
// changed only by what it says about why nothing moves.
func (s *Settler) pay(ctx context.Context, e *Epoch, height uint64) (left int, err error) {
	q, err := s.queueOf(ctx, *e)
	if err != nil {
		return 0, err
	}
	batches, err := s.load(ctx, e.Epoch, q.window(s.cfg.InFlight))
	if err != nil {
		return 0, err
	}
	p := &pass{Settler: s, epoch: *e, height: height, queue: q}
	facts, err := p.ask(ctx, batches)
	if err != nil {
		return len(q.open), err
	}
	sure := true
	if p.dated {
		sure, err = p.firstMarker(ctx)
		p.dated = sure // otherwise nothing is signed in this pass
	}
	err = errors.Join(err, p.unsure, p.act(ctx, batches, facts))
	e.Stalled, e.Refused = p.stalled, p.refused
	e.Batches, e.Later, e.Reclaimed = p.epoch.Batches, p.epoch.Later, p.epoch.Reclaimed
	return len(q.open), err
}

// act carries out what [decide] says about each batch.
func (p *pass) act(ctx context.Context, batches []Batch, facts []Facts) error {
	var sign, send []Batch
	var land []landing
	var errs []error
	for i, b := range batches {
		action, index := decide(b, facts[i])
		switch action {
		case Finalize:
			land = append(land, landing{batch: b, facts: facts[i], signature: b.Attempts[index].Signature, expect: b.Attempts[index].Recipients})
		case Recover:
			land = append(land, landing{batch: b, facts: facts[i], signature: facts[i].Foreign})
		case HoldNow:
			errs = append(errs, p.hold(ctx, b, b.Suspect))
		case Sign:
			if why := p.refusals.why(Marker{b.Epoch, b.Index}, p.rounds); why != "" {
				p.queue.last(b.Index)
				p.stall(why)
				continue
			}
			sign = append(sign, b)
		case Resend:
			send = append(send, b)
		case Wait:
			if facts[i].Marked && len(b.Attempts) > 0 && facts[i].Height > b.Attempts[len(b.Attempts)-1].LastValid {
				p.queue.last(b.Index)
				p.stall(fmt.Sprintf("batch %d has its marker, but no endpoint shows the transaction: configure another RPC endpoint that keeps history", b.Index))
			}
		}
	}
	again, err := p.finish(ctx, land)
	errs = append(errs, err)
	if p.refused != "" {
		return errors.Join(errs...)
	}
	errs = append(errs, p.sendAll(ctx, send), p.signAll(ctx, append(sign, again...)))
	return errors.Join(errs...)
}

func (p *pass) stall(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = why
}

// ask collects the facts about batches: statuses in large groups, and markers
// only of those batches of which the statuses do not tell enough.
func (p *pass) ask(ctx context.Context, batches []Batch) ([]Facts, error) {
	facts := make([]Facts, len(batches))
	var txs []Tx
	for _, b := range batches {
		for _, a := range b.Attempts {
			txs = append(txs, a.Tx)
		}
	}
	statuses, err := p.statuses(ctx, txs)
	if err != nil {
		return nil, err
	}
	var unclear []int
	for i := range batches {
		b := &batches[i]
		n := len(b.Attempts)
		facts[i] = Facts{Height: p.height, Statuses: statuses[:n:n]}
		statuses = statuses[n:]
		clear := false
		for j, st := range facts[i].Statuses {
			clear = clear || st.Known && st.Err == ""
			if st.Final && st.Err != "" {
				b.Attempts[j].Dead = st.Err
				b.blame(j, st)
			}
		}
		if !clear || n > 0 && p.height > b.Attempts[n-1].LastValid {
			unclear = append(unclear, i)
		}
	}
	p.date(ctx, batches, facts, unclear)
	return facts, p.askMarkers(ctx, batches, facts, unclear)
}

// date takes the blockhash for what this pass may sign, before anybody looks at the
// markers. However long the process then sleeps between its look and its signature:
// what it signs expires before a marker can be closed that the look did not see.
func (p *pass) date(ctx context.Context, batches []Batch, facts []Facts, unclear []int) {
	if !slices.ContainsFunc(unclear, func(i int) bool { return expired(batches[i], facts[i]) }) {
		return
	}
	var err error
	if p.hash, err = p.chain.Blockhash(ctx); err != nil {
		p.unsure = fmt.Errorf("settle: ask for a blockhash: %w", err) // nothing is signed; all else goes on
		return
	}
	p.dated = true
}

// askMarkers looks for the markers of batches, and at who has touched them. A batch
// that nothing was signed for is looked at too: it may have been paid by another
// process, or before the store was lost, and its marker closed since.
func (p *pass) askMarkers(ctx context.Context, batches []Batch, facts []Facts, which []int) error {
	if len(which) == 0 {
		return nil
	}
	markers := make([]Marker, len(which))
	for n, i := range which {
		markers[n] = Marker{batches[i].Epoch, batches[i].Index}
	}
	marks, err := p.chain.Marks(ctx, markers)
	if err != nil {
		return fmt.Errorf("settle: ask for markers of epoch %d: %w", p.epoch.Epoch, err)
	}
	if len(marks) != len(markers) {
		return fmt.Errorf("settle: the cluster answered for %d of %d markers", len(marks), len(markers))
	}
	if err := p.reach(ctx, p.epoch.Epoch); err != nil {
		return err
	}
	// Not the commit memo: one of another list has another text, and may be older.
	from := uint64(0)
	if seed, err := p.Commitment(ctx, p.epoch.Epoch); err == nil && seed.Final {
		from = seed.Slot
	}
	err = p.parallel(len(which), func(n int) error {
		b, f := batches[which[n]], &facts[which[n]]
		var err error
		f.Marked = marks[n].Exists
		f.Signatures, err = p.chain.History(ctx, markers[n], from)
		if err == nil {
			f.Foreign, err = p.foreign(ctx, b, f.Signatures)
		} else if sig, ferr := p.foreign(ctx, b, f.Signatures); ferr == nil {
			f.Foreign = sig
		}
		if f.Unsure = err != nil; f.Unsure && f.Foreign == "" {
			if errors.Is(err, ErrNoQuorum) && len(b.Attempts) == 0 {
				p.stall("nothing new is signed: " + err.Error())
				return nil
			}
			p.mu.Lock()
			p.unsure = fmt.Errorf("settle: ask whether batch %d/%d was paid before: %w", b.Epoch, b.Index, err)
			p.mu.Unlock()
		}
		return nil
	})
	return errors.Join(err, p.doubtEmpty(ctx, batches, facts, which))
}

// doubtEmpty makes the histories in which nothing was found unsure, unless somebody
// keeps history from the commit memo on, which every payout comes after. It asks when
// the histories have been read: what is kept then was kept before.
func (p *pass) doubtEmpty(ctx context.Context, batches []Batch, facts []Facts, which []int) error {
	empty := slices.DeleteFunc(slices.Clone(which), func(i int) bool {
		f := facts[i]
		return f.Unsure || f.Marked || f.Foreign != "" || !expired(batches[i], f)
	})
	if len(empty) == 0 {
		return nil
	}
	why, err := p.forgets(ctx, p.epoch.Commit.Slot)
	if err == nil && why == "" {
		return nil
	}
	for _, i := range empty {
		facts[i].Unsure = true
	}
	if why != "" {
		p.stall("whether batches were paid before is not known: " + why)
	}
	return err
}

// forgets says that no endpoint keeps history from a slot on, and what to do; "" when
// one does.
func (s *Settler) forgets(ctx context.Context, slot uint64) (string, error) {
	first, err := s.chain.FirstBlock(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("settle: ask how far back history is kept: %w", err)
	case first > slot:
		return fmt.Sprintf("the endpoints keep history from slot %d on, wanted is slot %d: add one to solana.rpc that keeps more", first, slot), nil
	}
	return "", nil
}

// foreign looks for the transaction, none of ours, that created a marker. An error
// says that there may be one.
func (p *pass) foreign(ctx context.Context, b Batch, signatures []string) (string, error) {
	for _, sig := range signatures {
		if slices.ContainsFunc(b.Attempts, func(a Attempt) bool { return a.Signature == sig }) {
			return "", nil
		}
	}
	var unsure error
	for _, sig := range signatures {
		if p.isStranger(sig) {
			continue
		}
		_, err := p.chain.Landed(ctx, sig, Marker{b.Epoch, b.Index}, b.Payouts)
		switch {
		case errors.Is(err, ErrStranger):
			p.addStranger(sig)
		case err == nil || errors.Is(err, ErrForeign):
			return sig, nil
		default:
			unsure = fmt.Errorf("settle: read transaction %s: %w", sig, err)
		}
	}
	return "", unsure
}

// parallel calls f for 0 to n-1, at most cfg.Workers at a time, and joins the errors.
func (s *Settler) parallel(n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	turn := make(chan struct{}, s.cfg.Workers)
	for i := range n {
		turn <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-turn
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// signAll checks recipients and funds, signs the next variants, persists them and
// sends them, in this order.
func (p *pass) signAll(ctx context.Context, batches []Batch) error {
	if len(batches) == 0 || !p.dated {
		return nil // without a blockhash the next pass takes one
	}
	ready, err := p.payable(ctx, batches)
	if err != nil || len(ready) == 0 {
		return err
	}
	if ready, err = p.affordable(ctx, ready); err != nil || len(ready) == 0 {
		return err
	}
	signed := make([]Batch, len(ready))
	signErr := p.parallel(len(ready), func(i int) (err error) {
		signed[i], err = p.sign(ctx, ready[i], p.hash)
		return err
	})
	signed = slices.DeleteFunc(signed, func(b Batch) bool { return len(b.Attempts) == 0 })
	for group := range slices.Chunk(signed, batchesPerTransaction) {
		err := p.kv.Update(ctx, func(tx store.Tx) error {
			for _, b := range group {
				if err := putBatch(tx, b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return errors.Join(signErr, fmt.Errorf("settle: persist signed batches: %w", err))
		}
		if err := p.sendAll(ctx, group); err != nil {
			return errors.Join(signErr, err)
		}
	}
	return signErr
}

// sign adds one variant to a batch. It returns a batch without attempts when the
// signer did not sign.
func (p *pass) sign(ctx context.Context, b Batch, hash Blockhash) (Batch, error) {
	live := b.Live()
	to := make([]reward.Payout, len(live))
	for i, r := range live {
		to[i] = b.Payouts[r]
	}
	m := Marker{b.Epoch, b.Index}
	units, err := p.chain.Units(ctx, m, to)
	if err != nil {
		p.log.Debug("compute was not measured", "epoch", b.Epoch, "batch", b.Index, "error", err)
	}
	hash.Units = units
	tx, err := p.signer.Payout(ctx, m, to, hash, len(b.Attempts))
	var no *NoSignature
	if errors.As(err, &no) {
		p.stall(signerStalled + no.Why)
		p.forgotList(b.Epoch, no)
		if no.Refused {
			p.refusals.add(m, signerStalled+no.Why, p.rounds+p.cfg.HeldEvery)
		}
		return Batch{}, nil
	}
	p.refusals.forget(m)
	if err != nil {
		return Batch{}, fmt.Errorf("settle: sign batch %d/%d: %w", b.Epoch, b.Index, err)
	}
	b.Attempts = append(slices.Clone(b.Attempts), Attempt{Tx: tx, Recipients: live})
	if len(b.Attempts) > maxAttempts {
		b.Attempts = b.Attempts[1:]
	}
	b.Expiry = max(b.Expiry, tx.LastValid)
	return b, nil
}

// payable returns the batches whose recipients can all be paid and holds those who
// cannot: every earlier variant of these batches is dead, or decide would not have
// said Sign, and if one is not, the marker lets only one variant through.
func (p *pass) payable(ctx context.Context, batches []Batch) (ready []Batch, err error) {
	var wallets []poc.Wallet
	for _, b := range batches {
		for _, r := range b.Live() {
			wallets = append(wallets, b.Payouts[r].Wallet)
		}
	}
	problems, err := p.chain.Payable(ctx, wallets)
	if err != nil {
		return nil, fmt.Errorf("settle: check recipients: %w", err)
	}
	if len(problems) != len(wallets) {
		return nil, fmt.Errorf("settle: the cluster answered for %d of %d recipients", len(problems), len(wallets))
	}
	var errs []error
	for _, b := range batches {
		bad := map[int]string{}
		live := b.Live()
		for i, r := range live {
			if problems[i] != "" {
				bad[r] = problems[i]
			}
		}
		problems = problems[len(live):]
		if len(bad) > 0 {
			errs = append(errs, p.hold(ctx, b, bad))
			continue
		}
		ready = append(ready, b)
	}
	return ready, errors.Join(errs...)
}

// feeReserve is what the fee payer must hold for one batch: the marker's rent
// and the fee, with room for a few attempts.
const feeReserve = 3_000_000

// affordable returns the batches that the treasury and the fee payer can pay now.
func (p *pass) affordable(ctx context.Context, batches []Batch) (ready []Batch, err error) {
	tokens, lamports, err := p.chain.Funds(ctx)
	var trouble *TreasuryTrouble
	if errors.As(err, &trouble) {
		p.stall(trouble.Why)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settle: ask for funds: %w", err)
	}
	have := tokens
	for _, b := range batches {
		sum := ledger.Amount(0)
		for _, r := range b.Live() {
			if sum, err = sum.Add(b.Payouts[r].Amount); err != nil {
				return nil, err
			}
		}
		switch {
		case tokens < sum:
			_, owed, _, err := p.sums(ctx, p.epoch.Epoch)
			if err != nil {
				return nil, err
			}
			p.stall(fmt.Sprintf("the treasury can spend %d, epoch %d has up to %d left to pay: fund it or raise the allowance by %d", have, p.epoch.Epoch, owed, max(owed, have)-have))
			return ready, nil
		case lamports < feeReserve:
			p.stall(fmt.Sprintf("the fee payer has %d lamports left, a batch needs up to %d: send it SOL", lamports, uint64(feeReserve)))
			return ready, nil
		}
		tokens, lamports = tokens-sum, lamports-feeReserve
		ready = append(ready, b)
	}
	return ready, nil
}

func (p *pass) sendAll(ctx context.Context, batches []Batch) error {
	return p.parallel(len(batches), func(i int) error { return p.send(ctx, batches[i]) })
}

// send hands the newest variant over and sorts a refusal.
func (p *pass) send(ctx context.Context, b Batch) error {
	last := b.Attempts[len(b.Attempts)-1]
	err := p.chain.Send(ctx, last.Tx)
	var r *Rejected
	if !errors.As(err, &r) {
		return err
	}
	p.log.Debug("batch was refused", "epoch", b.Epoch, "batch", b.Index, "detail", r.Detail)
	switch r.Cause {
	case CauseFunds:
		p.stall("the treasury or the fee payer ran dry: " + r.Detail + ": fund it, or raise the allowance")
	case CauseRecipient:
		if r.Recipient < 0 || r.Recipient >= len(last.Recipients) {
			return r
		}
		b.Suspect = map[int]string{last.Recipients[r.Recipient]: r.Detail}
		return p.kv.Update(ctx, func(tx store.Tx) error { return putBatch(tx, b) })
	case CauseOther:
		return r
	}
	return nil // landed already, or expired: the next round sees it
}
