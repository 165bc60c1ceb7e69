package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
)

const (
	textVersion = 0x00
	checksumLen = 4
	// maxText bounds the work of base58, which is quadratic. A hotspot's key has
	// at most 53 characters, the longest key that we name in an error
	// (secp256k1) 54; RSA keys are longer and refused by length.
	maxText = 64
)

// ParseText reads the base58check text form. It accepts exactly what
// [HotspotID.String] prints.
func ParseText(s string) (HotspotID, error) {
	if len(s) > maxText {
		return HotspotID{}, fmt.Errorf("identity: parse key text: %d characters, a hotspot's key has at most 53", len(s))
	}
	raw, err := base58.Decode(s)
	if err != nil {
		return HotspotID{}, fmt.Errorf("identity: parse key text %q: not base58: %w", s, err)
	}
	if len(raw) < 1+1+checksumLen {
		return HotspotID{}, fmt.Errorf("identity: parse key text %q: too short", s)
	}
	body, sum := raw[:len(raw)-checksumLen], raw[len(raw)-checksumLen:]
	if want := checksum(body); string(sum) != string(want[:]) {
		return HotspotID{}, fmt.Errorf("identity: parse key text %q: checksum differs: a character is wrong or missing", s)
	}
	if body[0] != textVersion {
		return HotspotID{}, fmt.Errorf("identity: parse key text %q: version %d, want %d", s, body[0], textVersion)
	}
	return ParseHotspotID(body[1:])
}

func checksum(b []byte) [checksumLen]byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return [checksumLen]byte(second[:checksumLen])
}

// String is the base58check text form, 51 to 53 characters.
func (id HotspotID) String() string {
	b := make([]byte, 0, 1+Size+checksumLen)
	b = append(b, textVersion)
	b = append(b, id[:]...)
	sum := checksum(b)
	return base58.Encode(append(b, sum[:]...))
}

// MarshalText is [HotspotID.String] for encoding/json and configuration files.
// It refuses the zero value.
func (id HotspotID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, errors.New("identity: marshal key: zero value")
	}
	return []byte(id.String()), nil
}

// UnmarshalText is [ParseText] for encoding/json and configuration files.
func (id *HotspotID) UnmarshalText(b []byte) error {
	v, err := ParseText(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}
