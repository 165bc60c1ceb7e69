package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// Size is the length of a binary public key in bytes, tag included.
const Size = 33

// Network is the high nibble of a key's tag byte.
type Network byte

// The two networks.
const (
	Mainnet Network = 0x00
	Testnet Network = 0x10
)

// String is "mainnet" or "testnet".
func (n Network) String() string {
	switch n {
	case Mainnet:
		return "mainnet"
	case Testnet:
		return "testnet"
	}
	return fmt.Sprintf("network 0x%02x", byte(n))
}

// KeyType is the low nibble of a key's tag byte.
type KeyType byte

// The key types that can be a hotspot's identity.
const (
	ECCCompact KeyType = 0 // P-256, x coordinate only
	Ed25519    KeyType = 1
)

// Key types that the encoding knows and Heliograph does not take.
const (
	multisig  KeyType = 2 // retired
	secp256k1 KeyType = 3 // 34 bytes
	rsa       KeyType = 4 // variable length
)

// String is the type's name in Helium's tools, for example "ecc_compact".
func (t KeyType) String() string {
	switch t {
	case ECCCompact:
		return "ecc_compact"
	case Ed25519:
		return "ed25519"
	case multisig:
		return "multisig"
	case secp256k1:
		return "secp256k1"
	case rsa:
		return "rsa"
	}
	return fmt.Sprintf("key type %d", byte(t))
}

// ErrUnsupportedKeyType marks a well-known key type that cannot be a hotspot's
// identity here: secp256k1, RSA or multisig.
var ErrUnsupportedKeyType = errors.New("unsupported key type (use ed25519 or ecc_compact)")

// HotspotID is a binary public key: who a hotspot is. It is comparable and can
// be a map key. The zero value is invalid; every other value that did not come
// from [ParseHotspotID], [ParseText] or a [Signer] is unchecked.
type HotspotID [Size]byte

// ParseHotspotID reads a binary public key. It checks the tag, the length, and
// that the 32 bytes are a point of the curve: for P-256 an x coordinate that has
// a point, for Ed25519 a canonical encoding of a point that is not of small
// order (for such a point anybody can make valid signatures).
func ParseHotspotID(b []byte) (HotspotID, error) {
	if len(b) == 0 {
		return HotspotID{}, errors.New("identity: parse key: empty")
	}
	net, typ := Network(b[0]&0xf0), KeyType(b[0]&0x0f)
	switch typ {
	case ECCCompact, Ed25519:
	case multisig, secp256k1, rsa:
		return HotspotID{}, fmt.Errorf("identity: parse key: %s: %w", typ, ErrUnsupportedKeyType)
	default:
		return HotspotID{}, fmt.Errorf("identity: parse key: unknown %s in tag 0x%02x", typ, b[0])
	}
	if net != Mainnet && net != Testnet {
		return HotspotID{}, fmt.Errorf("identity: parse key: unknown %s in tag 0x%02x", net, b[0])
	}
	if len(b) != Size {
		return HotspotID{}, fmt.Errorf("identity: parse key: %d bytes, want %d", len(b), Size)
	}
	id := HotspotID(b)
	if id == (HotspotID{}) {
		return HotspotID{}, errors.New("identity: parse key: all zero")
	}
	var err error
	if typ == Ed25519 {
		err = checkEd25519Point((*[32]byte)(id[1:]))
	} else {
		_, err = decompact(id[1:])
	}
	if err != nil {
		return HotspotID{}, fmt.Errorf("identity: parse key: %w", err)
	}
	return id, nil
}

// newID puts a tag in front of 32 bytes that are known to be a good point.
func newID(n Network, t KeyType, point []byte) HotspotID {
	var id HotspotID
	id[0] = byte(n) | byte(t)
	copy(id[1:], point)
	return id
}

// Bytes is a copy of the binary form, the inverse of [ParseHotspotID].
func (id HotspotID) Bytes() []byte { return id[:] }

// AppendBinary appends the binary form to b.
func (id HotspotID) AppendBinary(b []byte) ([]byte, error) { return append(b, id[:]...), nil }

// IsZero says whether the value is the invalid zero value.
func (id HotspotID) IsZero() bool { return id == HotspotID{} }

// Network is the network that the key was made for.
func (id HotspotID) Network() Network { return Network(id[0] & 0xf0) }

// Type is the key's type.
func (id HotspotID) Type() KeyType { return KeyType(id[0] & 0x0f) }

// Ed25519 is the key for crypto/ed25519, a fresh copy, when it is of that type.
// The same 32 bytes are the hotspot's Solana address.
func (id HotspotID) Ed25519() (ed25519.PublicKey, bool) {
	if id.Type() != Ed25519 {
		return nil, false
	}
	return ed25519.PublicKey(append([]byte(nil), id[1:]...)), true
}
