package poc

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"heliograph/provisioning/identity"
)

// SessionKey is the public half of an Ed25519 session key.
type SessionKey [ed25519.PublicKeySize]byte

// ErrSignature: the signature does not fit the body and the key.
var ErrSignature = errors.New("poc: bad signature")

const domain = "heliograph/v1\n"

// signer values of a signature block.
const (
	byHotspot = 0
	bySession = 1
)

// Signature is the block that follows a body.
type Signature struct {
	Session   SessionKey // the signing session key; meaningful when BySession
	BySession bool
	Bytes     []byte // 64 bytes for Ed25519; DER for P-256
}

// signedBytes is what a signature covers.
func signedBytes(body []byte) []byte {
	return append(append(make([]byte, 0, len(domain)+len(body)), domain...), body...)
}

// SignBody appends to a copy of body the signature of a hotspot's or an oracle's
// own key.
func SignBody(body []byte, key identity.Signer) ([]byte, error) {
	sig, err := key.Sign(signedBytes(body))
	if err != nil {
		return nil, fmt.Errorf("poc: sign: %w", err)
	}
	return putSignature(body, Signature{Bytes: sig})
}

// SignBySession appends to a copy of body the signature of a session key.
func SignBySession(body []byte, key ed25519.PrivateKey) ([]byte, error) {
	s := Signature{BySession: true, Bytes: ed25519.Sign(key, signedBytes(body))}
	copy(s.Session[:], key.Public().(ed25519.PublicKey))
	return putSignature(body, s)
}

func putSignature(body []byte, s Signature) ([]byte, error) {
	if len(s.Bytes) == 0 || len(s.Bytes) > maxProof {
		return nil, fmt.Errorf("poc: sign: signature of %d bytes", len(s.Bytes))
	}
	b := append(make([]byte, 0, len(body)+34+len(s.Bytes)), body...)
	if s.BySession {
		b = append(append(b, bySession), s.Session[:]...)
	} else {
		b = append(b, byHotspot)
	}
	return putVar(b, s.Bytes), nil
}

// Verify checks the signature over body: by the session key if the block names
// one (whether that key speaks for the hotspot is a [SessionCert]'s business),
// otherwise by owner.
func (s Signature) Verify(body []byte, owner identity.HotspotID) error {
	if s.BySession {
		if !ed25519.Verify(s.Session[:], signedBytes(body), s.Bytes) {
			return ErrSignature
		}
		return nil
	}
	if err := owner.Verify(signedBytes(body), s.Bytes); err != nil {
		return ErrSignature
	}
	return nil
}

// splitSigned cuts b into its body and signature, given where the body ends.
func splitSigned(b []byte, bodyLen int) (body []byte, s Signature, err error) {
	if bodyLen < 0 || bodyLen > len(b) {
		return nil, s, fmt.Errorf("%w: body is cut short", ErrMalformed)
	}
	r := reader{b: b[bodyLen:]}
	switch who := r.u8("signer"); who {
	case byHotspot:
	case bySession:
		s.BySession = true
		copy(s.Session[:], r.take(len(s.Session), "session key"))
	default:
		r.fail("signer %d is not known", who)
	}
	s.Bytes = r.varBytes(maxProof, "signature")
	if len(s.Bytes) == 0 {
		r.fail("signature is empty")
	}
	if s.BySession && len(s.Bytes) != ed25519.SignatureSize {
		r.fail("session signature is %d bytes, want %d", len(s.Bytes), ed25519.SignatureSize)
	}
	if r.bad == "" && len(r.b) != 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.bad != "" {
		return nil, Signature{}, fmt.Errorf("%w signature: %s", ErrMalformed, r.bad)
	}
	return append([]byte(nil), b[:bodyLen]...), s, nil
}
