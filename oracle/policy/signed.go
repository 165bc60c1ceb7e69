package policy

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"heliograph/provisioning/identity"
)

// Signed is a document with its signature. The bytes are kept as they were
// signed. Without a signature it is what an operator wrote into his own
// configuration.
type Signed struct {
	Document
	Raw       []byte // canonical form
	Signature []byte // by the network's policy key; nil: nobody signed
}

// Errors that callers branch on.
var (
	ErrSignature = errors.New("policy: not signed by the policy key")
	ErrChain     = errors.New("policy: documents do not follow on each other")
)

// Unsigned is a document that nobody signed.
func Unsigned(d Document) (Signed, error) {
	raw, err := d.AppendBinary(nil)
	return Signed{Document: d, Raw: raw}, err
}

// Sign signs a document.
func Sign(d Document, key identity.Signer) (Signed, error) {
	s, err := Unsigned(d)
	if err != nil {
		return s, err
	}
	if s.Signature, err = key.Sign(s.Raw); err != nil {
		return Signed{}, fmt.Errorf("policy: sign version %d: %w", d.Version, err)
	}
	return s, nil
}

// Verify says whether the key signed the document.
func (s Signed) Verify(key identity.HotspotID) error {
	if len(s.Signature) == 0 {
		return fmt.Errorf("%w: version %d has no signature", ErrSignature, s.Version)
	}
	if err := key.Verify(s.Raw, s.Signature); err != nil {
		return fmt.Errorf("%w: version %d, key %v: %w", ErrSignature, s.Version, key, err)
	}
	return nil
}

// ID is the hash of the bytes.
func (s Signed) ID() Hash { return sha256.Sum256(s.Raw) }

// file is a signed document as it is published: what people read beside the bytes
// that were signed.
type file struct {
	Policy    Document `json:"policy"`
	Hash      Hash     `json:"hash"`
	Raw       []byte   `json:"signed_bytes"`
	Signature []byte   `json:"signature,omitempty"`
}

// MarshalJSON is the published form.
func (s Signed) MarshalJSON() ([]byte, error) {
	return json.Marshal(file{s.Document, s.ID(), s.Raw, s.Signature})
}

// UnmarshalJSON reads the published form. It refuses a file whose parts do not say
// the same: people must be able to trust what they read.
func (s *Signed) UnmarshalJSON(b []byte) error {
	var f file
	if err := strict(b, &f); err != nil {
		return err
	}
	d, err := Parse(f.Raw)
	if err != nil {
		return err
	}
	if d != f.Policy || sha256.Sum256(f.Raw) != f.Hash {
		return fmt.Errorf("%w: version %d: the signed bytes say something else than the text or the hash beside them", ErrDocument, d.Version)
	}
	*s = Signed{Document: d, Raw: f.Raw, Signature: f.Signature}
	return nil
}
