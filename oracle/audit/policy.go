package audit

import (
	"context"
	"fmt"

	"github.com/mr-tron/base58"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// policy compares the terms with the documents that they come from.
func (a *audit) policy() {
	t := a.b.Terms
	if t.PolicyHash == (policy.Hash{}) && len(a.b.Policies) == 0 && a.o.PolicyKey.IsZero() {
		return // an epoch of before there were policy documents
	}
	key := a.b.PolicyKey
	if !a.o.PolicyKey.IsZero() {
		a.compare("policy key", a.o.PolicyKey.String(), key.String(), "somebody else sets this network's policy")
		key = a.o.PolicyKey
	}
	sound := "sound"
	c, err := policy.NewChain(key, a.b.Policies)
	if err != nil {
		sound = err.Error()
	}
	a.compare("policy documents", "sound", sound, "signatures or versions do not hold")
	d, err := c.At(a.b.Epoch)
	if err != nil {
		a.compare("policy of the epoch", "one counts", err.Error(), "no document counts for this epoch")
		return
	}
	a.compare("policy of the epoch", d.ID().String(), t.PolicyHash.String(), "the epoch was opened under another document")
	a.compare("terms of the policy", terms(d.Reward(a.b.Epoch), d.Threshold, d.Operator), terms(t.Policy, t.Threshold, t.Operator), "the epoch's shares are not the document's")
	if a.b.Claim.Policy != t.PolicyHash {
		a.compare("policy that is claimed", t.PolicyHash.String(), a.b.Claim.Policy.String(), "the record names another document")
	}
}

// terms are the shares of an epoch in words: all of them, since they are compared.
func terms(p reward.Policy, threshold ledger.Amount, operator poc.Wallet) string {
	who := "nobody"
	if operator != (poc.Wallet{}) {
		who = base58.Encode(operator[:])
	}
	text := fmt.Sprintf("emission %d; per mille: beacons %d, witnesses %d, data %d, operations %d to %s, unused data to beacons %d; price of a credit %d; paid from %d on",
		p.Emission, p.Beacon, p.Witness, p.Data, p.Operations, who, p.DataRest, p.CreditPrice, threshold)
	if p.CapRatio > 0 || p.CapFloor > 0 {
		text += fmt.Sprintf("; emission at most %d and %d per mille of the burned credits", p.CapFloor, p.CapRatio)
	}
	return text
}

// previous recomputes what the epoch before carries over.
func (a *audit) previous(ctx context.Context) error {
	p := a.o.Previous
	if p == nil {
		return nil
	}
	said := a.b.Previous
	if said == nil {
		a.compare("epoch before", fmt.Sprint(p.Epoch), "none", "the bundle does not say what it takes over")
		return nil
	}
	a.compare("epoch before", fmt.Sprint(p.Epoch), fmt.Sprint(said.Epoch), "the bundle follows on another epoch")
	digest, err := p.Digest()
	if err != nil {
		return fmt.Errorf("audit: epoch %d: %w", p.Epoch, err)
	}
	a.compare("evidence of the epoch before", digest.String(), said.Evidence.String(), "the bundle of the epoch before is not the one that this one follows on")
	res, err := epoch.Compute(ctx, p.Evidence)
	if err != nil {
		return fmt.Errorf("audit: epoch %d: %w", p.Epoch, err)
	}
	a.compare("carried over from the epoch before", epoch.ListHash(res.Owing.Carried).String(), epoch.ListHash(said.Carried).String(), "wallets below the threshold were forgotten or favoured")
	return nil
}
