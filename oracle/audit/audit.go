// Package audit recomputes an epoch from what its oracle published and compares
// the result with what the oracle claimed, and with what it wrote on chain. It
// trusts the code that judges and nothing else.
package audit

import (
	"context"
	"fmt"
	"strings"

	"heliograph/oracle/epoch"
	"heliograph/oracle/settle"
	"heliograph/provisioning/identity"
)

// Comparison is one thing that was compared.
type Comparison struct {
	What     string `json:"what"`
	Computed string `json:"computed"`
	Claimed  string `json:"claimed"`
	OK       bool   `json:"ok"`
	Note     string `json:"note,omitempty"` // what it means when it is not equal
}

// Report is the outcome of an audit.
type Report struct {
	Epoch       uint32       `json:"epoch"`
	Oracle      string       `json:"oracle"`
	Comparisons []Comparison `json:"comparisons"`
	OnChain     bool         `json:"on_chain"`       // the chain was asked
	Paid        *Paid        `json:"paid,omitempty"` // nil: payouts were not looked for
	OK          bool         `json:"ok"`             // everything compared is equal
}

// Transaction is a final transaction on chain.
type Transaction struct {
	Slot   uint64
	Payer  string
	Memos  []string
	Failed string // why it failed, "" when it succeeded
}

// Chain reads final transactions.
type Chain interface {
	Transaction(ctx context.Context, signature string) (Transaction, error)
	// BlockFrom is the first finalized block at or after a slot.
	BlockFrom(ctx context.Context, slot uint64) (settle.Block, bool, error)
}

// Options narrow an audit.
type Options struct {
	Oracle identity.HotspotID // the key that the oracle must have; zero: any
	Payer  string             // the account that must have sent the memos; "": one for all three
	Chain  Chain              // nil: the chain is not asked
	// Trail finds the payouts on chain; nil: they are not looked for. It needs Chain.
	Trail Trail
	// Treasury and Mint of the payouts; "": what the bundle says.
	Treasury, Mint string
	// Program that distributors must be of; "": [payment.KnownProgram].
	Program string
	// PolicyKey must have signed the policy; zero: the key that the bundle names.
	PolicyKey identity.HotspotID
	// Previous is the bundle of the epoch before: what it carries over is then
	// computed too. nil: what the bundle says is believed.
	Previous *epoch.Bundle
}

// Run audits a bundle. The error says why the audit could not be made; what it
// found out is in the report.
func Run(ctx context.Context, b epoch.Bundle, o Options) (Report, error) {
	if b.Claim == nil {
		return Report{}, fmt.Errorf("audit: epoch %d: the bundle holds no claim: the oracle has not judged it", b.Epoch)
	}
	a := &audit{Report: Report{Epoch: uint32(b.Epoch), Oracle: b.Oracle.String(), OnChain: o.Chain != nil}, b: b, o: o}
	if !o.Oracle.IsZero() {
		a.compare("oracle key", o.Oracle.String(), b.Oracle.String(), "the bundle is another oracle's")
	}
	commitment := epoch.Hash(b.Secret.Commitment(b.Epoch))
	a.compare("commitment to the secret", commitment.String(), epoch.Hash(b.Opening.Commitment).String(), "the revealed secret is not the one that was committed to")
	if !a.last() {
		return a.done(), nil // without the secret nothing can be computed
	}
	if first := b.Opening.CommitSlot + settle.SeedDelay; b.Opening.BlockSlot < first {
		a.compare("block of the seed", fmt.Sprintf("not before slot %d", first), fmt.Sprintf("slot %d", b.Opening.BlockSlot), "the oracle could know the blockhash when it chose the secret")
	}
	a.policy()
	if err := a.previous(ctx); err != nil {
		return Report{}, err
	}
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		return Report{}, fmt.Errorf("audit: epoch %d: %w", b.Epoch, err)
	}
	a.result(res)
	if o.Chain != nil {
		if err := a.chain(ctx, res); err != nil {
			return Report{}, err
		}
	}
	return a.done(), nil
}

type audit struct {
	Report
	b      epoch.Bundle
	o      Options
	closed string // the close memo as it is on chain, "" when there is none
	claims bool   // wallets claim, by the commit memo
}

func (a *audit) compare(what, computed, claimed, note string) {
	a.Comparisons = append(a.Comparisons, compared(what, computed, claimed, note))
}

func compared(what, computed, claimed, note string) Comparison {
	c := Comparison{What: what, Computed: computed, Claimed: claimed, OK: computed == claimed}
	if !c.OK {
		c.Note = note
	}
	return c
}

func (a *audit) last() bool { return a.Comparisons[len(a.Comparisons)-1].OK }

func (a *audit) done() Report {
	a.OK = true
	for _, c := range a.Comparisons {
		a.OK = a.OK && c.OK
	}
	return a.Report
}

// result compares what was computed with the oracle's record.
func (a *audit) result(res epoch.Result) {
	c := a.b.Claim
	rec := res.Record()
	a.compare("rules", rec.Rules, c.Rules, "the oracle names another rule set")
	a.compare("seed", rec.Seed.String(), c.Seed.String(), "challenges were drawn from another seed")
	a.compare("registry at the opening", rec.Registry.String(), c.Registry.String(), "assertions were added, left out or changed")
	a.compare("challenges", fmt.Sprintf("%d %v", rec.Challenges, rec.Schedule), fmt.Sprintf("%d %v", c.Challenges, c.Schedule), "other challenges were issued than the seed gives")
	a.compare("reports", Counts(rec.Reports), Counts(c.Reports), "reports were added or left out")
	a.compare("verdicts", rec.Verdicts.String(), c.Verdicts.String(), "the rules give other verdicts")
	a.compare("reward rows", fmt.Sprint(rec.Rows), fmt.Sprint(c.Rows), "other hotspots earned")
	a.compare("payout root", rec.PayoutRoot.String(), c.PayoutRoot.String(), "wallets could claim other amounts than the list says")
	a.compare("root", rec.Root.String(), c.Root.String(), "the rewards are not those that the verdicts give")
	a.compare("list of payouts", rec.List.String(), c.List.String(), "wallets are paid other amounts")
	a.compare("emission", fmt.Sprint(rec.Emission), fmt.Sprint(c.Emission), "another amount was created")
	a.compare("payouts and remainder", fmt.Sprintf("%d + %d", rec.Payable, rec.Remainder), fmt.Sprintf("%d + %d", c.Payable, c.Remainder), "the money does not add up")
	a.compare("carried over", fmt.Sprintf("%d from before, %d to %d wallets, list %v", rec.CarriedIn, rec.CarriedOut, rec.Waiting, rec.Carried),
		fmt.Sprintf("%d from before, %d to %d wallets, list %v", c.CarriedIn, c.CarriedOut, c.Waiting, c.Carried), "wallets below the threshold are owed other amounts")
	a.compare("all that came in goes out", fmt.Sprint(uint64(rec.CarriedIn)+uint64(rec.Emission)), fmt.Sprint(uint64(rec.Payable)+uint64(rec.CarriedOut)+uint64(rec.Remainder)), "tokens are lost or made up")
	digest, err := a.b.Digest()
	if err != nil {
		digest = epoch.Hash{}
	}
	a.compare("digest of the evidence", digest.String(), c.Evidence.String(), "the evidence is not what the oracle judged")
	valid := "valid"
	if err := c.Checkpoint.Verify(a.b.Oracle); err != nil {
		valid = err.Error()
	}
	a.compare("signature of the journal's checkpoint", "valid", valid, "the oracle did not sign for its journal")
}

// chain compares with the memos on chain.
func (a *audit) chain(ctx context.Context, res epoch.Result) error {
	rec := res.Record()
	payer, paidFrom := a.o.Payer, uint64(0)
	for _, m := range []struct {
		what, signature, text string
		prefix                bool
		slot                  uint64
	}{
		{what: "seed memo", signature: a.b.Memos.Seed, text: settle.SeedText(a.b.Epoch, a.b.Opening.Commitment), slot: a.b.Opening.CommitSlot},
		{what: "commit memo", signature: a.b.Memos.Commit, text: settle.CommitText(a.b.Epoch, rec.Payouts, rec.Payable, rec.Roots())},
		{what: "close memo", signature: a.b.Memos.Close, text: closePrefix(a.b), prefix: true},
	} {
		if m.signature == "" {
			a.compare(m.what, m.text, "", "it is not final on chain yet")
			continue
		}
		tx, err := a.o.Chain.Transaction(ctx, m.signature)
		if err != nil {
			return fmt.Errorf("audit: %s: %w", m.what, err)
		}
		if m.signature == a.b.Memos.Commit && found(tx, m.text+settle.ClaimMode, false) == m.text+settle.ClaimMode {
			m.text, a.claims = m.text+settle.ClaimMode, true // the mode is the oracle's choice, once
		}
		a.compare(m.what, m.text, found(tx, m.text, m.prefix), "the chain says something else")
		if m.prefix && a.last() {
			a.closed = whole(tx, m.text)
		}
		if m.signature == a.b.Memos.Commit {
			paidFrom = tx.Slot
		}
		if m.slot != 0 {
			a.compare(m.what+"'s slot", fmt.Sprint(m.slot), fmt.Sprint(tx.Slot), "the commitment is not where the journal says")
		}
		if payer == "" {
			payer = tx.Payer
		}
		a.compare(m.what+"'s sender", payer, tx.Payer, "somebody else sent it")
	}
	if err := a.seedBlock(ctx); err != nil || a.o.Trail == nil || payer == "" {
		return err
	}
	return a.payments(ctx, res.Owing.Payouts, payer, paidFrom)
}

// seedBlock checks that the oracle had no choice of the seed's block.
func (a *audit) seedBlock(ctx context.Context) error {
	block, ok, err := a.o.Chain.BlockFrom(ctx, a.b.Opening.CommitSlot+settle.SeedDelay)
	if err != nil {
		return fmt.Errorf("audit: block of the seed: %w", err)
	}
	want := "none is final"
	if ok {
		want = fmt.Sprintf("slot %d, %s", block.Slot, epoch.Hash(block.Hash))
	}
	a.compare("block of the seed", want, fmt.Sprintf("slot %d, %s", a.b.Opening.BlockSlot, epoch.Hash(a.b.Opening.Blockhash)), "the oracle took another block than the first that counts")
	return nil
}

// closePrefix is what the close memo must begin with: epoch and secret. The sums
// behind it depend on what could be paid.
func closePrefix(b epoch.Bundle) string {
	text, _, _ := strings.Cut(settle.CloseText(b.Epoch, b.Secret, 0, 0), " p=")
	return text
}

// found is the memo that matches, or whatever the transaction holds instead.
func found(tx Transaction, text string, prefix bool) string {
	if tx.Failed != "" {
		return "the transaction failed: " + tx.Failed
	}
	for _, m := range tx.Memos {
		if m == text || prefix && strings.HasPrefix(m, text+" ") {
			return text
		}
	}
	return strings.Join(tx.Memos, " | ")
}

// whole is the memo that begins with a text.
func whole(tx Transaction, prefix string) string {
	for _, m := range tx.Memos {
		if strings.HasPrefix(m, prefix+" ") {
			return m
		}
	}
	return ""
}
