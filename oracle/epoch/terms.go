package epoch

import (
	"context"
	"fmt"
	"iter"

	"heliograph/oracle/challenge"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/registry"
	"heliograph/oracle/reward"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
)

// schedule draws the challenges of an open epoch that count.
func (m *Manager) schedule(ctx context.Context, b journal.Boundary, secret poc.Secret) ([]poc.Challenge, error) {
	var control []Frame
	err := m.cfg.Journal.Control(ctx, b.At, func(p journal.Position, e journal.Entry) error {
		if e.Type != journal.TypeReport {
			return nil
		}
		raw, err := e.AppendBinary(nil)
		control = append(control, Frame{Shard: p.Shard, Offset: p.Offset, Raw: raw})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("epoch: read the registry at the opening of epoch %d: %w", b.Epoch, err)
	}
	fixed, err := m.terms(ctx, b.Epoch)
	if err != nil {
		return nil, err
	}
	all, err := challenges(fixed.Terms.Challenge, b, secret, registry.FromJournal(entries(control)))
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Challenges lists the challenges of an open epoch, in the order of time. They
// are secret until they are due.
func (m *Manager) Challenges(ctx context.Context, e poc.Epoch) ([]poc.Challenge, error) {
	b, open := m.cfg.Journal.Opening(e)
	if !open {
		return nil, fmt.Errorf("epoch: epoch %d is not open", e)
	}
	secret, err := m.secret(ctx, e)
	if err != nil {
		return nil, err
	}
	return m.schedule(ctx, b, secret)
}

// challenges draws what is due late enough after the opening.
func challenges(c challenge.Config, b journal.Boundary, secret poc.Secret, hotspots *registry.Snapshot) ([]poc.Challenge, error) {
	s, err := challenge.New(secret.Seed(b.Epoch, b.Blockhash), b.Epoch, c)
	if err != nil {
		return nil, err
	}
	all := s.All(hotspots)
	return challenge.Due(all, b.Received+int64(c.MinLead), challenge.Start(b.Epoch+1, c.EpochLength)), nil
}

// entries parses frames. A frame that is not an entry ends the sequence; the
// journal never holds one.
func entries(frames []Frame) iter.Seq2[journal.Position, journal.Entry] {
	return func(yield func(journal.Position, journal.Entry) bool) {
		for _, f := range frames {
			e, err := journal.ParseEntry(f.Raw)
			if err != nil || !yield(journal.Position{Shard: f.Shard, Offset: f.Offset}, e) {
				return
			}
		}
	}
}

// before are the control frames before an offset: the registry at the opening.
func before(frames []Frame, o store.Offset) []Frame {
	for i, f := range frames {
		if f.Offset >= o {
			return frames[:i]
		}
	}
	return frames
}

// Terms are the rules of an epoch: with the journal and the secret they fix its
// result. They are published with every epoch.
type Terms struct {
	Rules     string           `json:"rules"` // name of the rule set
	Calendar  ingest.Calendar  `json:"calendar"`
	Challenge challenge.Config `json:"challenge"`
	Params    native.Params    `json:"params"`
	Policy    reward.Policy    `json:"policy"`
	Operator  poc.Wallet       `json:"operator"` // gets the operations share; zero: it goes to the remainder
	// Threshold is the least sum that is paid out; what is below is carried over to
	// the next epoch.
	Threshold ledger.Amount `json:"threshold,omitempty"`
	// PolicyHash names the policy document that Policy, Operator and Threshold come
	// from; zero: the epoch is older than policy documents.
	PolicyHash policy.Hash `json:"policy_hash"`
}

// DefaultTerms are the published ones, for a calendar and an emission policy.
func DefaultTerms(c ingest.Calendar, p reward.Policy) Terms {
	ch := challenge.Default()
	ch.EpochLength = c.Length
	return Terms{Rules: native.Rules, Calendar: c, Challenge: ch, Params: native.Default(), Policy: p}
}

// Check says whether the terms hold together.
func (t Terms) Check() error {
	if err := t.Calendar.Check(); err != nil {
		return err
	}
	if t.Challenge.EpochLength != t.Calendar.Length {
		return fmt.Errorf("epoch: challenges are for epochs of %v, the calendar's are %v", t.Challenge.EpochLength, t.Calendar.Length)
	}
	if t.Rules != native.Rules {
		return fmt.Errorf("epoch: rule set %q is not known: use %q", t.Rules, native.Rules)
	}
	if err := t.Challenge.Validate(); err != nil {
		return err
	}
	if err := t.Policy.Validate(); err != nil {
		return err
	}
	if t.Threshold > ledger.MaxAmount {
		return fmt.Errorf("epoch: threshold is above %d", ledger.MaxAmount)
	}
	return t.Params.Validate()
}

// fixedTerms are the terms that an epoch was opened under. They are stored before
// the opening, so that a later change of the configuration does not touch it.
type fixedTerms struct {
	Oracle    identity.HotspotID `json:"oracle"`
	Terms     Terms              `json:"terms"`
	PolicyKey identity.HotspotID `json:"policy_key,omitzero"`
	Policies  []policy.Hash      `json:"policies,omitempty"` // versions up to the one that counts
}

func (m *Manager) fixTerms(ctx context.Context, e poc.Epoch) error {
	fixed := fixedTerms{Oracle: m.cfg.Key.ID(), PolicyKey: m.cfg.Policies.Key()}
	var err error
	if fixed.Terms, err = m.cfg.Terms.under(m.cfg.Policies, e); err != nil {
		return fmt.Errorf("epoch: terms of epoch %d: %w", e, err)
	}
	documents := m.cfg.Policies.Upto(e)
	for _, d := range documents {
		fixed.Policies = append(fixed.Policies, d.ID())
	}
	found := false
	var fresh []policy.Signed // documents that were not kept before
	err = m.cfg.KV.View(ctx, func(tx store.Tx) (err error) {
		fresh = nil
		for _, d := range documents {
			var old policy.Signed
			if known, err := getJSON(tx, policyKey(d.ID()), &old); err != nil {
				return err
			} else if !known {
				fresh = append(fresh, d)
			}
		}
		found, err = getJSON(tx, epochKey(termsPrefix, e), &fixedTerms{})
		return err
	})
	if err == nil && found {
		return nil
	}
	for i := 0; err == nil && i < len(fresh); i++ {
		err = m.keep(ctx, e, kept{Policy: &fresh[i]})
	}
	if err == nil {
		err = m.keep(ctx, e, kept{Terms: &fixed})
	}
	if err == nil {
		err = m.cfg.KV.Update(ctx, func(tx store.Tx) error {
			for _, d := range fresh {
				if err := putJSON(tx, policyKey(d.ID()), d); err != nil {
					return err
				}
			}
			return putJSON(tx, epochKey(termsPrefix, e), fixed)
		})
	}
	if err != nil {
		return fmt.Errorf("epoch: store the terms of epoch %d: %w", e, err)
	}
	return nil
}

func (m *Reader) terms(ctx context.Context, e poc.Epoch) (t fixedTerms, err error) {
	err = m.KV.View(ctx, func(tx store.Tx) error {
		t = fixedTerms{}
		found, err := getJSON(tx, epochKey(termsPrefix, e), &t)
		if err == nil && !found {
			err = fmt.Errorf("epoch %d has no stored terms: the state database belongs to another journal; restore both from one backup, or take the terms from the epoch's bundle (oraclectl settle rebuild)", e)
		}
		return err
	})
	return t, err
}
