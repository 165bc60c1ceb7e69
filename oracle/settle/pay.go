package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// pay moves the open batches of an epoch on. It says how many are left, and why
// nothing can be paid for now ("" if it can).
func (s *Settler) pay(ctx context.Context, e Epoch, height uint64) (left int, stalled string, err error) {
	open, err := s.openBatches(ctx, e.Epoch)
	if err != nil {
		return 0, "", err
	}
	var errs []error
	for _, b := range open[:min(len(open), s.cfg.InFlight)] {
		why, err := s.stepBatch(ctx, b, height)
		errs = append(errs, err)
		if why != "" {
			stalled = why
			break // the others draw on the same funds
		}
	}
	return len(open), stalled, errors.Join(errs...)
}

func (s *Settler) openBatches(ctx context.Context, e poc.Epoch) (open []Batch, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		open = nil
		return scan(tx, string(batchPrefix(e)), func(b Batch) {
			if !b.Done() {
				open = append(open, b)
			}
		})
	})
	return open, err
}

// stepBatch asks the cluster about a batch and does what [decide] says.
func (s *Settler) stepBatch(ctx context.Context, b Batch, height uint64) (stalled string, err error) {
	f := Facts{Height: height}
	txs := make([]Tx, len(b.Attempts))
	for i, a := range b.Attempts {
		txs[i] = a.Tx
	}
	if f.Statuses, err = s.statuses(ctx, txs); err != nil {
		return "", err
	}
	if len(b.Attempts) > 0 {
		f.Marked, f.Signatures, err = s.chain.Marked(ctx, Marker{b.Epoch, b.Index})
		if err != nil {
			return "", fmt.Errorf("settle: ask for the marker of batch %d/%d: %w", b.Epoch, b.Index, err)
		}
	}
	for i, st := range f.Statuses {
		if st.Final && st.Err != "" {
			b.Attempts[i].Dead = st.Err
		}
	}
	action, i := decide(b, f)
	switch action {
	case Finalize:
		return "", s.finalize(ctx, b, i)
	case HoldNow:
		return "", s.hold(ctx, b, b.Suspect)
	case Sign:
		return s.signAndSend(ctx, b)
	case Resend:
		return s.send(ctx, b)
	}
	return "", nil
}

// finalize books what the landed variant paid, in the same transaction that
// makes the batch final.
func (s *Settler) finalize(ctx context.Context, b Batch, i int) error {
	landed := b.Attempts[i]
	paid := ledger.Batch{Cause: fmt.Sprintf("pay/%d/%d", b.Epoch, b.Index)}
	for _, r := range landed.Recipients {
		p := b.Payouts[r]
		paid.Entries = append(paid.Entries,
			ledger.Entry{Account: ledger.Owed(p.Wallet), Debit: p.Amount},
			ledger.Entry{Account: ledger.Paid(p.Wallet), Credit: p.Amount})
	}
	return s.kv.Update(ctx, func(tx store.Tx) error {
		next := b
		next.Final, next.Landed, next.Suspect = true, landed.Signature, nil
		for r, why := range b.Suspect {
			if !slices.Contains(landed.Recipients, r) {
				if err := holdOne(tx, &next, r, why); err != nil {
					return err
				}
			}
		}
		if err := ledger.PostTx(tx, paid); err != nil {
			return err
		}
		return put(tx, batchKey(b.Epoch, b.Index), next)
	})
}

// hold takes recipients out of the batch. Every variant that contains them is
// dead when it is called.
func (s *Settler) hold(ctx context.Context, b Batch, who map[int]string) error {
	return s.kv.Update(ctx, func(tx store.Tx) error {
		next := b
		next.Suspect, next.Attempts = nil, nil
		for _, i := range slices.Sorted(maps.Keys(who)) {
			if err := holdOne(tx, &next, i, who[i]); err != nil {
				return err
			}
		}
		return put(tx, batchKey(b.Epoch, b.Index), next)
	})
}

func holdOne(tx store.Tx, b *Batch, i int, why string) error {
	if _, held := b.Held[i]; held {
		return nil
	}
	held := maps.Clone(b.Held)
	if held == nil {
		held = map[int]string{}
	}
	held[i] = why
	b.Held = held
	p := b.Payouts[i]
	cause := fmt.Sprintf("hold/%d/%d/%d", b.Epoch, b.Index, i)
	return ledger.PostTx(tx, ledger.Move(cause, ledger.Owed(p.Wallet), ledger.Held(p.Wallet), p.Amount))
}

// signAndSend checks recipients and funds, signs the next variant, persists it
// and sends it, in this order.
func (s *Settler) signAndSend(ctx context.Context, b Batch) (stalled string, err error) {
	live := b.Live()
	wallets := make([]poc.Wallet, len(live))
	var sum ledger.Amount
	for i, r := range live {
		wallets[i] = b.Payouts[r].Wallet
		if sum, err = sum.Add(b.Payouts[r].Amount); err != nil {
			return "", err
		}
	}
	problems, err := s.chain.Payable(ctx, wallets)
	if err != nil {
		return "", fmt.Errorf("settle: check recipients: %w", err)
	}
	bad := map[int]string{}
	for i, why := range problems {
		if why != "" {
			bad[live[i]] = why
		}
	}
	if len(bad) > 0 {
		return "", s.hold(ctx, b, bad) // every earlier variant is dead, or decide would not have said Sign
	}
	if why, err := s.funds(ctx, sum); why != "" || err != nil {
		return why, err
	}
	hash, err := s.chain.Blockhash(ctx)
	if err != nil {
		return "", fmt.Errorf("settle: ask for a blockhash: %w", err)
	}
	to := make([]reward.Payout, len(live))
	for i, r := range live {
		to[i] = b.Payouts[r]
	}
	tx, err := s.signer.Payout(ctx, Marker{b.Epoch, b.Index}, to, hash, len(b.Attempts))
	if err != nil {
		return "", fmt.Errorf("settle: sign batch %d/%d: %w", b.Epoch, b.Index, err)
	}
	b.Attempts = append(b.Attempts, Attempt{Tx: tx, Recipients: live})
	if len(b.Attempts) > maxAttempts {
		b.Attempts = b.Attempts[1:]
	}
	if err := s.save(ctx, batchKey(b.Epoch, b.Index), b); err != nil {
		return "", err
	}
	return s.send(ctx, b)
}

// feeReserve is what the fee payer must hold for one batch: the marker's rent
// and the fee, with room for a few attempts.
const feeReserve = 3_000_000

func (s *Settler) funds(ctx context.Context, sum ledger.Amount) (stalled string, err error) {
	tokens, lamports, err := s.chain.Funds(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("settle: ask for funds: %w", err)
	case tokens < sum:
		return fmt.Sprintf("the treasury can spend %d, the next batch needs %d: fund it or raise the allowance", tokens, sum), nil
	case lamports < feeReserve:
		return fmt.Sprintf("the fee payer has %d lamports, a batch needs up to %d: send it SOL", lamports, uint64(feeReserve)), nil
	}
	return "", nil
}

// send hands the newest variant over and sorts a refusal.
func (s *Settler) send(ctx context.Context, b Batch) (stalled string, err error) {
	last := b.Attempts[len(b.Attempts)-1]
	err = s.chain.Send(ctx, last.Tx)
	var r *Rejected
	if !errors.As(err, &r) {
		return "", err
	}
	s.log.Debug("batch was refused", "epoch", b.Epoch, "batch", b.Index, "detail", r.Detail)
	switch r.Cause {
	case CauseFunds:
		return "the treasury or the fee payer ran dry: " + r.Detail, nil
	case CauseRecipient:
		if r.Recipient < 0 || r.Recipient >= len(last.Recipients) {
			return "", r
		}
		b.Suspect = map[int]string{last.Recipients[r.Recipient]: r.Detail}
		return "", s.save(ctx, batchKey(b.Epoch, b.Index), b)
	case CauseOther:
		return "", r
	}
	return "", nil // landed already, or expired: the next round sees it
}
