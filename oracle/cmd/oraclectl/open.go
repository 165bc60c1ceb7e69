package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/oracle/web"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// openEpoch is an epoch that was recomputed, and what the chain says is not paid of
// it. Amounts are in the token's smallest unit.
type openEpoch struct {
	Epoch poc.Epoch     `json:"epoch"`
	Total ledger.Amount `json:"total"`
	Paid  ledger.Amount `json:"paid"` // has left the treasury, through the markers
	Open  ledger.Amount `json:"open"` // owed or held
	List  string        `json:"list"` // SHA-256 of the published list

	list [32]byte
}

// grant recomputes the epoch and every older one that is not paid out, holds each
// against its commit memo, and subtracts what the markers show as paid.
func (c command) grant(ctx context.Context, t approve.Treasury) (out []openEpoch, g approve.Grant, err error) {
	e, err := epochNumber(c.epochNo)
	if err != nil {
		return nil, g, err
	}
	if g.Hot, err = solana.ParseAddress(c.hot); err != nil {
		return nil, g, fmt.Errorf("--hot: %w", err)
	}
	s := search{command: c, treasury: t, hot: g.Hot, trail: &treasuryOnce{Trail: trail.NewReader(c.rpc)}}
	if c.oracle != "" {
		if s.oracle, err = identity.ParseText(c.oracle); err != nil {
			return nil, g, fmt.Errorf("--oracle: %w", err)
		}
	}
	older, err := c.olderBundles(ctx, e)
	if err != nil {
		return nil, g, err
	}
	for _, load := range older {
		b, err := load()
		if err != nil {
			return nil, g, err
		}
		if b.Epoch >= e {
			return nil, g, fmt.Errorf("--older: the bundle is of epoch %d, which is not older than epoch %d", b.Epoch, e)
		}
		o, err := s.open(ctx, b)
		if err != nil {
			return nil, g, err
		}
		if o.Open > 0 {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b openEpoch) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	for _, o := range out {
		g.Older = append(g.Older, approve.Part{Epoch: o.Epoch, Open: o.Open, List: o.list})
	}
	b, err := c.bundle(ctx, e)
	if err != nil {
		return nil, g, err
	}
	if b.Epoch != e {
		return nil, g, fmt.Errorf("the bundle is of epoch %d, asked for was %d", b.Epoch, e)
	}
	o, err := s.open(ctx, b)
	g.Epoch, g.Total, g.Paid, g.List = e, o.Total, o.Paid, o.list
	return append(out, o), g, err
}

// olderBundles finds the epochs before e that may have something to pay: those named
// by --older, or all that the oracle says are not paid out. An oracle that leaves one
// out gets less approved, and never more.
func (c command) olderBundles(ctx context.Context, e poc.Epoch) (out []func() (epoch.Bundle, error), err error) {
	for _, where := range c.older {
		out = append(out, func() (epoch.Bundle, error) { return openBundle(ctx, where) })
	}
	if c.only || len(out) > 0 || c.file != "" {
		return out, nil
	}
	var l listed
	if c.data == "" {
		err = c.getJSON(ctx, fmt.Sprintf("/api/epochs?limit=%d", oldestLooked), &l)
	} else {
		err = c.onDisk(ctx, func(d *disk) error {
			recs, err := d.Records(ctx, 1<<20)
			for _, r := range recs {
				l.Epochs = append(l.Epochs, describe(ctx, d, r))
			}
			return err
		})
	}
	for _, o := range slices.Backward(l.Epochs) { // the newest came first
		if o.Epoch < e && unpaid(o) {
			out = append(out, func() (epoch.Bundle, error) { return c.bundle(ctx, o.Epoch) })
		}
	}
	return out, err
}

// oldestLooked is how many epochs an oracle's API lists at once.
const oldestLooked = 200

// unpaid says whether the oracle owes or holds something of an epoch.
func unpaid(e web.Epoch) bool {
	if e.Settlement == nil || e.Settlement.CommitSignature == "" {
		return false // nothing was committed to
	}
	for _, text := range []string{e.Settlement.Owed, e.Settlement.Held} {
		if n, err := strconv.ParseUint(text, 10, 64); err != nil || n > 0 {
			return true
		}
	}
	return false
}

// search looks at epochs with one treasury and one hot key.
type search struct {
	command
	treasury approve.Treasury
	hot      solana.Address
	oracle   identity.HotspotID
	trail    audit.Trail
}

// open recomputes an epoch and finds its payouts on chain.
func (s search) open(ctx context.Context, b epoch.Bundle) (o openEpoch, err error) {
	rep, err := audit.Run(ctx, b, audit.Options{Oracle: s.oracle})
	if err != nil {
		return o, err
	}
	if !rep.OK {
		if err := s.printReport(rep); err != nil {
			return o, err
		}
		return o, errWrong
	}
	// The audit found the claim equal to what it computed.
	o = openEpoch{Epoch: b.Epoch, Total: b.Claim.Payable, List: hex.EncodeToString(b.Claim.List[:]), list: b.Claim.List}
	from, claims, err := s.committed(ctx, b, approve.Grant{Epoch: b.Epoch, Total: o.Total, List: o.list, Hot: s.hot})
	if err != nil {
		return o, err
	}
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		return o, err
	}
	q := audit.Search{Epoch: b.Epoch, List: res.Owing.Payouts, Hot: s.hot.String(), From: from,
		Treasury: s.treasury.Account.String(), Mint: s.treasury.Mint.String(), Program: s.program}
	if b.Payments != nil {
		q.Batches = b.Payments.Batches
	}
	paid, found, err := audit.Payments(ctx, s.trail, q)
	if err != nil {
		return o, err
	}
	for _, f := range found {
		if !f.OK {
			return o, fmt.Errorf("epoch %d: %s: %s (%s): do not approve before `oraclectl audit` finds it sound", b.Epoch, f.What, f.Claimed, f.Note)
		}
	}
	return o, o.take(paid, claims)
}

// take subtracts what has left the treasury. A distributor got the whole total: what
// wallets have not claimed of it needs no approval.
func (o *openEpoch) take(paid audit.Paid, claims bool) (err error) {
	made := paid.Distributor != ""
	if made && !claims || claims && !made && paid.Batches > 0 {
		return fmt.Errorf("epoch %d: the commit memo and the payouts do not agree on whether wallets claim: do not approve before `oraclectl audit` finds it sound", o.Epoch)
	}
	o.Paid = paid.Sum
	if made {
		o.Paid = o.Total
	}
	o.Open, err = o.Total.Sub(o.Paid)
	return err
}

// committed looks for the commit memo of exactly this list, by the hot key, and says
// in which slot it is, and whether wallets claim the payouts.
func (c command) committed(ctx context.Context, b epoch.Bundle, g approve.Grant) (slot uint64, claims bool, err error) {
	if b.Memos.Commit == "" {
		return 0, false, fmt.Errorf("the commit memo of epoch %d is not final yet: approve when it is", g.Epoch)
	}
	tx, err := solana.NewReader(c.rpc).Transaction(ctx, b.Memos.Commit)
	if err != nil {
		return 0, false, err
	}
	want := settle.CommitText(g.Epoch, b.Claim.Payouts, g.Total, settle.Roots{Payouts: b.Claim.PayoutRoot, List: g.List, Rewards: b.Claim.Root})
	if claims = slices.Contains(tx.Memos, want+settle.ClaimMode); claims {
		want += settle.ClaimMode
	}
	switch {
	case tx.Failed != "" || !slices.Contains(tx.Memos, want):
		return 0, false, fmt.Errorf("the commit memo on chain is %q, recomputed is %q: do not approve", tx.Memos, want)
	case tx.Payer != g.Hot:
		return 0, false, fmt.Errorf("the commit memo was sent by %s, --hot is %s: do not approve", tx.Payer, g.Hot)
	}
	return tx.Slot, claims, nil
}

// treasuryOnce reads the treasury's transactions once for several epochs, which are
// asked for oldest first.
type treasuryOnce struct {
	audit.Trail
	asked bool
	from  uint64
	spent []payment.Payment
}

// Spent implements [audit.Trail].
func (t *treasuryOnce) Spent(ctx context.Context, account string, from uint64) ([]payment.Payment, error) {
	if !t.asked || from < t.from {
		spent, err := t.Trail.Spent(ctx, account, from)
		if err != nil {
			return nil, err
		}
		t.asked, t.from, t.spent = true, from, spent
	}
	first := slices.IndexFunc(t.spent, func(p payment.Payment) bool { return p.Slot >= from })
	if first < 0 {
		return nil, nil
	}
	return t.spent[first:], nil
}
