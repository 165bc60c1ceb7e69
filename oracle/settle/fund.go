package settle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store"
)

// fund makes the epoch's distributor and gives it the total. Each variant of the
// transaction draws another version, and the marker lets one of them through: a
// second distributor for an epoch cannot come to be, also when the store was lost.
func (c *claims) fund(ctx context.Context, e *Epoch) error {
	b := c.asBatch(e)
	facts, err := c.ask(ctx, []Batch{b})
	if err != nil {
		return err
	}
	action, i := decide(b, facts[0])
	switch action {
	case Finalize:
		return c.funded(ctx, e, landing{batch: b, facts: facts[0], signature: b.Attempts[i].Signature, expect: []int{0}})
	case Recover:
		return c.funded(ctx, e, landing{batch: b, facts: facts[0], signature: facts[0].Foreign})
	case Sign:
		if unsent, err := c.unsent(ctx, e); err != nil || !unsent {
			return err
		}
		return errors.Join(c.unsure, c.signFund(ctx, e))
	case Resend:
		return c.sendFund(ctx, b.Attempts[len(b.Attempts)-1].Tx)
	case Wait:
		if n := len(b.Attempts); facts[0].Marked && n > 0 && facts[0].Height > b.Attempts[n-1].LastValid {
			c.stall("its marker exists, but no endpoint shows the transaction that made the distributor: configure another RPC endpoint that keeps history")
		}
	}
	return c.unsure
}

// funded reads the transaction that made the distributor.
func (c *claims) funded(ctx context.Context, e *Epoch, l landing) error {
	d, err := c.chain.Funded(ctx, l.signature, guard(e.Epoch))
	switch {
	case errors.Is(err, ErrNotFinal), errors.Is(err, ErrStranger):
		if _, again := c.doubt(l); again && l.expect != nil {
			return c.signFund(ctx, e)
		}
		return nil // another answer, another time
	case errors.Is(err, ErrForeign), err == nil && (d.Root != e.Root || d.Total != e.Total || d.Count != e.Count):
		c.refused = fmt.Sprintf("transaction %s has used the marker of its distributor, and not as this list says: compare the published list with the commit memo (oraclectl audit), then stop the oracle and look at the transaction", l.signature)
		return nil
	case err != nil:
		return fmt.Errorf("settle: read transaction %s: %w", l.signature, err)
	}
	e.Claims.Made, e.Claims.Signature = &d, l.signature
	return nil
}

// signFund signs a variant, persists it and sends it, in this order.
func (c *claims) signFund(ctx context.Context, e *Epoch) error {
	if !c.dated {
		return nil // without a blockhash the next look takes one
	}
	tokens, lamports, err := c.chain.Funds(ctx)
	var trouble *TreasuryTrouble
	if errors.As(err, &trouble) {
		c.stall(trouble.Why)
		return nil
	}
	if err != nil {
		return fmt.Errorf("settle: ask for the treasury: %w", err)
	}
	switch {
	case tokens < e.Total:
		c.stall(fmt.Sprintf("the treasury or the hot key's allowance is down to %d, the distributor needs %d: fund it, or raise the allowance", tokens, e.Total))
		return nil
	case lamports < fundReserve:
		c.stall(fmt.Sprintf("the fee payer has %d lamports left, a distributor needs up to %d: send it SOL", lamports, fundReserve))
		return nil
	}
	d, err := c.draw(ctx, e)
	if err != nil {
		return err
	}
	tx, err := c.signer.Distribute(ctx, guard(e.Epoch), d, c.hash, len(e.Claims.Attempts))
	var no *NoSignature
	if errors.As(err, &no) {
		c.stall(signerStalled + no.Why)
		c.forgotList(e.Epoch, no)
		return nil
	}
	if err != nil {
		return fmt.Errorf("settle: sign the distributor of epoch %d: %w", e.Epoch, err)
	}
	next := *e.Claims
	next.Attempts = append(slices.Clone(next.Attempts), FundAttempt{Tx: tx, Distribution: d})
	if len(next.Attempts) > maxAttempts {
		next.Attempts = next.Attempts[1:]
	}
	next.Expiry = max(next.Expiry, tx.LastValid)
	e.Claims = &next
	if err := c.save(ctx, epochKey(e.Epoch), *e); err != nil {
		return fmt.Errorf("settle: persist the distributor of epoch %d: %w", e.Epoch, err)
	}
	return c.sendFund(ctx, tx)
}

// draw chooses a distributor's terms.
func (c *claims) draw(ctx context.Context, e *Epoch) (d Distribution, err error) {
	now, err := c.chain.Now(ctx)
	if err != nil {
		return d, fmt.Errorf("settle: ask for the cluster's clock: %w", err)
	}
	var version [8]byte
	if c.cfg.Claim == nil {
		return d, errNoClaims
	}
	if _, err := io.ReadFull(c.cfg.Claim.Random, version[:]); err != nil {
		return d, fmt.Errorf("settle: draw a version: %w", err)
	}
	back := now + int64(e.Claims.For.Seconds())
	return Distribution{Version: binary.BigEndian.Uint64(version[:]), Root: e.Root, Total: e.Total, Count: e.Count,
		Start: now + startDelay, End: back - day, Clawback: back}, nil
}

// sendFund hands a variant over. What refuses it is seen in the next round, or another
// variant is signed when this one has expired.
func (c *claims) sendFund(ctx context.Context, tx Tx) error {
	err := c.chain.Send(ctx, tx)
	var r *Rejected
	if !errors.As(err, &r) {
		return err
	}
	c.log.Debug("distributor was refused", "epoch", c.epoch.Epoch, "detail", r.Detail)
	switch r.Cause {
	case CauseFunds:
		c.stall("the treasury or the fee payer ran dry: " + r.Detail + ": fund it, or raise the allowance")
	case CauseMarker, CauseExpired:
	default: // its version may be taken: the next variant has another
		c.stall("the cluster refuses the distributor (" + r.Detail + "): it is tried again with another version; if this stays, check payout.program")
	}
	return nil
}

// bookedAtOnce keeps a booking of claim batches below the store's limit of keys.
const bookedAtOnce = 4

// announce books what the distributor holds, and reveals the secret: the epoch can be
// audited while wallets claim.
func (c *claims) announce(ctx context.Context, e *Epoch, save func() error) error {
	if e.Close.Text != "" {
		return c.revealed(ctx, e, save)
	}
	q, err := c.queueOf(ctx, *e)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(slices.Clone(q.open), bookedAtOnce) {
		if err := c.kv.Update(ctx, func(tx store.Tx) error {
			for _, n := range group {
				if err := openClaims(tx, e, n); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("settle: book the distributor of epoch %d: %w", e.Epoch, err)
		}
	}
	e.Close = Memo{Text: CloseText(e.Epoch, e.Secret, 0, e.Total)}
	return save()
}

// revealed waits for the close memo.
func (c *claims) revealed(ctx context.Context, e *Epoch, save func() error) error {
	if err := c.stepMemo(ctx, &e.Close, c.height, save); err != nil || !e.Close.Final {
		return err
	}
	e.State = Claimable
	c.log.Info("wallets can claim", "epoch", e.Epoch, "wallets", e.Count, "total", e.Total, "version", e.Claims.Made.Version, "until", e.Claims.Made.Clawback)
	return save()
}

// openClaims books one batch as being in the distributor.
func openClaims(tx store.Tx, e *Epoch, n uint32) error {
	var b Batch
	if found, err := get(tx, batchKey(e.Epoch, n), &b); err != nil || !found || b.Claim != ClaimPlanned {
		return err
	}
	moved := ledger.Batch{Cause: fmt.Sprintf("fund/%d/%d", e.Epoch, n)}
	for _, p := range b.Payouts {
		moved.Entries = append(moved.Entries, ledger.Entry{Account: ledger.Owed(p.Wallet), Debit: p.Amount}, ledger.Entry{Account: ledger.Claimable(p.Wallet), Credit: p.Amount})
	}
	b.Claim = ClaimOpen
	if n == 0 { // its marker is the guard: it may be closed when no variant is alive
		b.Expiry = max(b.Expiry, e.Claims.Expiry)
	}
	return errors.Join(ledger.PostTx(tx, moved), putBatch(tx, b))
}
