package gwmp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// MAC is a gateway's 64-bit identifier, in the order of the wire.
type MAC [8]byte

// MACFromPublicKey gives the identifier under which Helium traffic shows a
// hotspot to network servers: the xxHash64 (seed 0) of the key's binary form,
// that is the tag byte and 32 key bytes, written big-endian.
func MACFromPublicKey(bin []byte) MAC {
	var m MAC
	binary.BigEndian.PutUint64(m[:], xxhash.Sum64(bin))
	return m
}

// ParseMAC reads the 16 hexadecimal digits that [MAC.String] prints, in either
// letter case.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != hex.EncodedLen(len(m)) {
		return MAC{}, fmt.Errorf("gwmp: parse gateway id: %d characters, want 16 hexadecimal digits", len(s))
	}
	if _, err := hex.Decode(m[:], []byte(s)); err != nil {
		return MAC{}, fmt.Errorf("gwmp: parse gateway id %q: %w", s, err)
	}
	return m, nil
}

// String prints 16 lower-case hexadecimal digits.
func (m MAC) String() string { return hex.EncodeToString(m[:]) }
