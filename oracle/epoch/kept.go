package epoch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"heliograph/oracle/policy"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// kept is what the journal keeps of an epoch besides its evidence: one of the
// fields. A state database that is lost, or older than the journal, gets it back
// from there; everything else is computed again.
type kept struct {
	Secret *Hash          `json:"secret,omitempty"`
	Terms  *fixedTerms    `json:"terms,omitempty"`
	Policy *policy.Signed `json:"policy,omitempty"` // named by the terms
}

// keep journals something of an epoch. It comes before the state database has it.
func (m *Manager) keep(ctx context.Context, e poc.Epoch, k kept) error {
	data, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("epoch: encode what is kept of epoch %d: %w", e, err)
	}
	return m.cfg.Journal.AppendKept(ctx, e, data, m.cfg.Now().UnixNano())
}

// recall puts into the state database what the journal keeps and it lacks.
func (m *Manager) recall(ctx context.Context) error {
	epochs := m.cfg.Journal.KeptEpochs()
	for chunk := range slices.Chunk(epochs, perTransaction) {
		var lacking []poc.Epoch
		err := m.cfg.KV.View(ctx, func(tx store.Tx) error {
			lacking = nil
			for _, e := range chunk {
				for _, prefix := range []string{secretPrefix, termsPrefix} {
					if _, err := tx.Get(epochKey(prefix, e)); err == nil {
						continue
					} else if err = ignoreNotFound(err); err != nil {
						return err
					}
					lacking = append(lacking, e)
					break
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("epoch: look for what the state database lacks: %w", err)
		}
		for _, e := range lacking {
			if err := m.recallOne(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// recallOne restores secret and terms of one epoch. Where several were kept, one
// append was repeated after a crash: the last is the one that went on, and of
// secrets the one that the epoch was opened with.
func (m *Manager) recallOne(ctx context.Context, e poc.Epoch) error {
	all, err := m.cfg.Journal.Kept(ctx, e)
	if err != nil {
		return err
	}
	opening, opened := m.cfg.Journal.Opening(e)
	var secret *Hash
	var terms *fixedTerms
	var documents []policy.Signed
	for _, data := range all {
		var k kept
		if err := json.Unmarshal(data, &k); err != nil {
			return fmt.Errorf("epoch: what the journal keeps of epoch %d is damaged: %w", e, err)
		}
		if k.Secret != nil && (!opened || poc.Secret(*k.Secret).Commitment(e) == opening.Commitment) {
			secret = k.Secret
		}
		if k.Terms != nil {
			terms = k.Terms
		}
		if k.Policy != nil {
			documents = append(documents, *k.Policy)
		}
	}
	err = m.cfg.KV.Update(ctx, func(tx store.Tx) error {
		if secret != nil {
			if _, err := tx.Get(epochKey(secretPrefix, e)); err != nil {
				if err = ignoreNotFound(err); err != nil {
					return err
				}
				if err := tx.Put(epochKey(secretPrefix, e), secret[:]); err != nil {
					return err
				}
			}
		}
		for _, d := range documents {
			if err := putJSON(tx, policyKey(d.ID()), d); err != nil {
				return err
			}
		}
		var old fixedTerms
		found, err := getJSON(tx, epochKey(termsPrefix, e), &old)
		if err != nil || found || terms == nil {
			return err
		}
		return putJSON(tx, epochKey(termsPrefix, e), terms)
	})
	if err != nil {
		return fmt.Errorf("epoch: restore what the journal keeps of epoch %d: %w", e, err)
	}
	m.cfg.Logger.Warn("the state database lacked an epoch that the journal has; it is restored from there", "epoch", e, "secret", secret != nil, "terms", terms != nil)
	return nil
}

// Adopt takes secret and terms of an epoch from its bundle, for a journal that does
// not keep them. The journal must have opened that epoch, with a commitment that
// the secret fits; whether the bundle is sound is the caller's business. The
// oracle judges the epoch again at its next start.
func (m *Reader) Adopt(ctx context.Context, b Bundle) error {
	opening, opened := m.Journal.Opening(b.Epoch)
	switch {
	case !opened:
		return fmt.Errorf("epoch: the journal never opened epoch %d: the bundle is another oracle's, or the journal older than it: restore the journal from the backup", b.Epoch)
	case opening != b.Opening:
		return fmt.Errorf("epoch: the journal opened epoch %d otherwise than the bundle says: it is the bundle of another oracle", b.Epoch)
	case b.Secret.Commitment(b.Epoch) != opening.Commitment:
		return fmt.Errorf("epoch: the bundle's secret does not fit the commitment of epoch %d in the journal", b.Epoch)
	}
	if err := b.Terms.Check(); err != nil {
		return err
	}
	fixed := fixedTerms{Oracle: b.Oracle, Terms: b.Terms, PolicyKey: b.PolicyKey}
	for _, d := range b.Policies {
		fixed.Policies = append(fixed.Policies, d.ID())
	}
	err := m.KV.Update(ctx, func(tx store.Tx) error {
		for _, d := range b.Policies {
			if err := putJSON(tx, policyKey(d.ID()), d); err != nil {
				return err
			}
		}
		if err := tx.Put(epochKey(secretPrefix, b.Epoch), b.Secret[:]); err != nil {
			return err
		}
		found, err := getJSON(tx, epochKey(termsPrefix, b.Epoch), &fixedTerms{})
		if err != nil || found {
			return err
		}
		return putJSON(tx, epochKey(termsPrefix, b.Epoch), fixed)
	})
	if err != nil {
		return fmt.Errorf("epoch: adopt epoch %d: %w", b.Epoch, err)
	}
	return nil
}
