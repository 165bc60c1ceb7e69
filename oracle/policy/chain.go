package policy

import (
	"fmt"
	"slices"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// MaxChain bounds the versions of a policy.
const MaxChain = 1000

// Chain is a network's policy from its first version on. It is immutable. The zero
// chain has no document.
type Chain struct {
	key  identity.HotspotID
	docs []Signed
}

// NewChain checks documents and puts them in order. With a key, the first must be
// signed by it, and each further one by the same key as the one before, or by the
// successor that the one before names; without one (zero) there must be exactly one, which an operator wrote
// himself and which counts for every epoch.
func NewChain(key identity.HotspotID, docs []Signed) (Chain, error) {
	if len(docs) == 0 || len(docs) > MaxChain {
		return Chain{}, fmt.Errorf("%w: %d documents, want 1 to %d", ErrChain, len(docs), MaxChain)
	}
	if key.IsZero() && len(docs) != 1 {
		return Chain{}, fmt.Errorf("%w: %d documents and no policy key: name the key that signs them", ErrChain, len(docs))
	}
	c := Chain{key: key, docs: slices.Clone(docs)}
	slices.SortStableFunc(c.docs, func(a, b Signed) int { return int(int64(a.Version) - int64(b.Version)) })
	signs := key
	for i, d := range c.docs {
		if !key.IsZero() {
			if err := d.Verify(signs); err != nil {
				return Chain{}, err
			}
		}
		if !d.Successor.IsZero() {
			signs = d.Successor
		}
		if err := c.follows(i); err != nil {
			return Chain{}, err
		}
	}
	return c, nil
}

// follows checks document i against the one before.
func (c Chain) follows(i int) error {
	d := c.docs[i]
	if i == 0 {
		if d.Version != 1 {
			return fmt.Errorf("%w: the chain begins with version %d: add the documents from version 1 on", ErrChain, d.Version)
		}
		return nil
	}
	before := c.docs[i-1]
	switch {
	case d.Version == before.Version:
		return fmt.Errorf("%w: there are two documents of version %d: remove the one that is not the network's", ErrChain, d.Version)
	case d.Version != before.Version+1:
		return fmt.Errorf("%w: version %d is followed by %d: add what is missing between them", ErrChain, before.Version, d.Version)
	case d.Previous != before.ID():
		return fmt.Errorf("%w: version %d follows on %v, but version %d here is %v", ErrChain, d.Version, d.Previous, before.Version, before.ID())
	case d.Network != before.Network:
		return fmt.Errorf("%w: version %d is for network %q, version %d for %q", ErrChain, d.Version, d.Network, before.Version, before.Network)
	case d.From <= before.From:
		return fmt.Errorf("%w: version %d counts from epoch %d, version %d from epoch %d: they overlap", ErrChain, d.Version, d.From, before.Version, before.From)
	case d.Announced < before.Announced:
		return fmt.Errorf("%w: version %d was announced in epoch %d, version %d before it in epoch %d", ErrChain, d.Version, d.Announced, before.Version, before.Announced)
	}
	return nil
}

// Key is the policy key that the chain begins with, which is the one that everybody
// knows the network by; zero when nobody signs.
func (c Chain) Key() identity.HotspotID { return c.key }

// At is the document that counts for an epoch: the newest whose From is not after
// it. An epoch before the first document is an error.
func (c Chain) At(e poc.Epoch) (Signed, error) {
	for _, d := range slices.Backward(c.docs) {
		if d.From <= e {
			return d, nil
		}
	}
	if len(c.docs) == 0 {
		return Signed{}, fmt.Errorf("%w: no document", ErrChain)
	}
	return Signed{}, fmt.Errorf("%w: epoch %d lies before version 1, which counts from epoch %d", ErrChain, e, c.docs[0].From)
}

// Upto are the documents that a stranger needs to check an epoch's policy: the
// first to the one that counts. The caller must not change them.
func (c Chain) Upto(e poc.Epoch) []Signed {
	n := 0
	for n < len(c.docs) && c.docs[n].From <= e {
		n++
	}
	return c.docs[:n]
}

// Keeps says whether the chain still gives an epoch the document that it was
// opened under.
func (c Chain) Keeps(e poc.Epoch, opened Hash) error {
	d, err := c.At(e)
	if err != nil {
		return err
	}
	if d.ID() != opened {
		return fmt.Errorf("%w: epoch %d was opened under policy %v, now version %d (%v) claims it: a change must not be retroactive; restore the documents that were in force", ErrChain, e, opened, d.Version, d.ID())
	}
	return nil
}
