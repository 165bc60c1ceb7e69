package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
)

// Signer signs for one hotspot. Implementations are safe for concurrent use; a
// secure element may take 100 ms for one signature.
type Signer interface {
	ID() HotspotID
	// Sign gives a signature over msg that ID().Verify accepts.
	Sign(msg []byte) ([]byte, error)
}

// Key is a private key in memory. Printing it shows the public key only.
type Key struct {
	id HotspotID
	ed ed25519.PrivateKey // when the type is Ed25519
	ec *ecdsa.PrivateKey  // when the type is ECCCompact
}

// maxDraws bounds key generation. Each draw succeeds with probability 1/2, so a
// sound source fails once in 2^128 times.
const maxDraws = 128

// NewKey makes a mainnet key out of the bytes that rnd gives: crypto/rand.Reader
// in products, anything repeatable in tests.
func NewKey(t KeyType, rnd io.Reader) (*Key, error) {
	switch t {
	case Ed25519:
		var seed [32]byte
		if _, err := io.ReadFull(rnd, seed[:]); err != nil {
			return nil, fmt.Errorf("identity: new key: read randomness: %w", err)
		}
		return NewEd25519(seed), nil
	case ECCCompact:
		for range maxDraws {
			var d [32]byte
			if _, err := io.ReadFull(rnd, d[:]); err != nil {
				return nil, fmt.Errorf("identity: new key: read randomness: %w", err)
			}
			if k, err := newECC(Mainnet, d[:]); err == nil {
				return k, nil
			}
		}
		return nil, errors.New("identity: new key: the source of randomness gives no usable scalar")
	}
	return nil, fmt.Errorf("identity: new key: %s: %w", t, ErrUnsupportedKeyType)
}

// NewEd25519 is the mainnet key of an RFC 8032 seed.
func NewEd25519(seed [32]byte) *Key { return newEd(Mainnet, seed[:]) }

func newEd(n Network, seed []byte) *Key {
	priv := ed25519.NewKeyFromSeed(seed)
	return &Key{id: newID(n, Ed25519, priv[32:]), ed: priv}
}

var errNotCompactable = errors.New("the public point has the greater y and has no compact form")

// newECC makes the key of a P-256 scalar, 32 bytes big-endian, 1..n-1.
func newECC(n Network, scalar []byte) (*Key, error) {
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, err
	}
	point, err := priv.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	if !compactable(point) {
		return nil, errNotCompactable
	}
	return &Key{id: newID(n, ECCCompact, point[1:33]), ec: priv}, nil
}

// ID is the public key.
func (k *Key) ID() HotspotID { return k.id }

// Sign signs msg. Both types are deterministic (RFC 8032, RFC 6979): the same
// key and message give the same signature.
func (k *Key) Sign(msg []byte) ([]byte, error) {
	if k.ed != nil {
		return ed25519.Sign(k.ed, msg), nil
	}
	digest := sha256.Sum256(msg)
	der, err := k.ec.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("identity: sign: %w", err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("identity: sign: %w", err)
	}
	var raw [64]byte
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	return NormalizeECDSA(raw)
}

// String is the public key's text form.
func (k *Key) String() string { return k.id.String() }

// Format prints the public key's text form whatever the verb, so that no form of
// printing (%v, %#v, %d, %x) gives the private half away.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, k.id.String())
}
