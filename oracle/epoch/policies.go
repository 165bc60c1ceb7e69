package epoch

import (
	"context"
	"errors"
	"fmt"

	"heliograph/oracle/policy"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// builtIn is the chain of one unsigned document that says what the terms say.
func (t Terms) builtIn() (policy.Chain, error) {
	shares := t.Policy
	shares.Emission = 0
	d, err := policy.Unsigned(policy.Document{Version: 1, Schedule: policy.Schedule{Kind: policy.Fixed, Initial: t.Policy.Emission},
		Shares: shares, Threshold: t.Threshold, Operator: t.Operator})
	if err != nil {
		return policy.Chain{}, err
	}
	return policy.NewChain(identity.HotspotID{}, []policy.Signed{d})
}

// under are the terms of an epoch with the policy that counts for it.
func (t Terms) under(c policy.Chain, e poc.Epoch) (Terms, error) {
	d, err := c.At(e)
	if err != nil {
		return t, err
	}
	t.Policy, t.Threshold, t.Operator, t.PolicyHash = d.Reward(e), d.Threshold, d.Operator, d.ID()
	return t, nil
}

// CheckPolicies refuses policy documents that change an epoch which was opened
// under others: no further epoch is opened until the documents are what they were.
// What was opened is judged under what it was opened under in any case.
func (m *Manager) CheckPolicies(ctx context.Context) error {
	if m.policiesChecked {
		return nil
	}
	if err := m.recall(ctx); err != nil {
		return err
	}
	signed := !m.cfg.Policies.Key().IsZero()
	err := m.cfg.KV.View(ctx, func(tx store.Tx) error {
		var bad error
		err := tx.Scan([]byte(termsPrefix), nil, func(k, v []byte) bool {
			if !signed {
				return false
			}
			bad = keeps(m.cfg.Policies, k, v)
			return bad == nil
		})
		return errors.Join(bad, err)
	})
	if err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	m.policiesChecked = true
	return nil
}

// keeps compares one epoch's stored terms with the documents.
func keeps(c policy.Chain, k, v []byte) error {
	var fixed fixedTerms
	if err := decodeJSON(k, v, &fixed); err != nil {
		return err
	}
	if fixed.PolicyKey.IsZero() || len(k) != len(termsPrefix)+4 {
		return nil // from before the network's policy was signed
	}
	return c.Keeps(epochOfKey(termsPrefix, k), fixed.Terms.PolicyHash)
}

// policies reads the documents that an epoch was opened under.
func (m *Reader) policies(ctx context.Context, hashes []policy.Hash) (out []policy.Signed, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		out = nil
		for _, h := range hashes {
			var d policy.Signed
			found, err := getJSON(tx, policyKey(h), &d)
			if err != nil {
				return err
			}
			if !found || d.ID() != h {
				return fmt.Errorf("epoch: the policy document %v is not stored: the store is damaged", h)
			}
			out = append(out, d)
		}
		return nil
	})
	return out, err
}
