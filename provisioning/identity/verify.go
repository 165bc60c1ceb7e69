package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
)

// ErrBadSignature is the only error of [HotspotID.Verify], possibly wrapped with
// its cause: the signature is malformed or does not belong to key and message.
var ErrBadSignature = errors.New("identity: bad signature")

// Verify checks a signature over msg. It is the only verifier in Heliograph:
// two implementations of Ed25519 may disagree about signatures built with
// points of small order, and then two oracles, or an oracle and an auditor,
// would disagree about money. Ed25519 follows crypto/ed25519 (cofactorless,
// RFC 8032 5.1.7). ECDSA takes strict DER with the lesser s only, so that
// nobody but the signer can make a second valid signature out of a first.
func (id HotspotID) Verify(msg, sig []byte) error { return id.verify(msg, sig, false) }

// VerifyLegacy is [HotspotID.Verify] except that it takes either s of an ECDSA
// signature. It is for messages of existing firmware only: gateway-rs passes on
// what the ATECC608 returns, and that chip gives the greater s half of the time.
// Nothing may be identified or counted by the bytes of a signature that was
// accepted here, because anybody can turn it into the other one.
func (id HotspotID) VerifyLegacy(msg, sig []byte) error { return id.verify(msg, sig, true) }

func (id HotspotID) verify(msg, sig []byte, eitherS bool) error {
	switch id.Type() {
	case Ed25519:
		// crypto/ed25519 panics on a key of the wrong length, which cannot happen
		// here, and returns false for everything else.
		if ed25519.Verify(ed25519.PublicKey(id[1:]), msg, sig) {
			return nil
		}
	case ECCCompact:
		return id.verifyECDSA(msg, sig, eitherS)
	}
	return ErrBadSignature
}

func (id HotspotID) verifyECDSA(msg, sig []byte, eitherS bool) error {
	parsed, err := parseDER(sig)
	if err != nil {
		return errors.Join(ErrBadSignature, err)
	}
	if !eitherS && !parsed.lowS() {
		return errors.Join(ErrBadSignature, errHighS)
	}
	point, err := decompact(id[1:])
	if err != nil {
		return errors.Join(ErrBadSignature, err)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return errors.Join(ErrBadSignature, err)
	}
	digest := sha256.Sum256(msg)
	if !ecdsa.VerifyASN1(pub, digest[:], sig) {
		return ErrBadSignature
	}
	return nil
}
