package solana

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Token-2022 puts extensions behind an account: zeros up to the length of a token
// account, a type byte, then entries of kind u16, length u16 and value,
// little-endian. Kind 0 ends the entries; zeros follow. An account never has the
// length of a multisig, by which the program tells the two apart.
const (
	typeMint    = 1
	typeAccount = 2

	typeAt       = tokenAccountSize
	extensionsAt = typeAt + 1
	multisigSize = 355
)

// extension is one entry; the value points into what was parsed.
type extension struct {
	kind  uint16
	value []byte
}

// parseExtensions lists the extensions of an account of Token-2022 whose own part is
// base bytes long and whose type byte is kind. It takes exactly what the program
// writes: an account that the program would read otherwise is an error.
func parseExtensions(data []byte, base int, kind byte) (out []extension, err error) {
	switch {
	case len(data) == base:
		return nil, nil
	case len(data) < extensionsAt || len(data) == multisigSize:
		return nil, fmt.Errorf("%d bytes are no account of this kind", len(data))
	case data[typeAt] != kind:
		return nil, fmt.Errorf("account type %d, want %d", data[typeAt], kind)
	case !allZero(data[base:typeAt]):
		return nil, errors.New("something stands where only zeros may")
	}
	seen := map[uint16]bool{}
	rest := data[extensionsAt:]
	for len(rest) >= 2 {
		k := binary.LittleEndian.Uint16(rest)
		if k == 0 {
			break
		}
		if len(rest) < 4 || len(rest) < 4+int(binary.LittleEndian.Uint16(rest[2:])) {
			return nil, fmt.Errorf("extension %d is cut off", k)
		}
		if seen[k] {
			return nil, fmt.Errorf("extension %d comes twice", k)
		}
		seen[k] = true
		n := int(binary.LittleEndian.Uint16(rest[2:]))
		out, rest = append(out, extension{k, rest[4 : 4+n : 4+n]}), rest[4+n:]
	}
	if !allZero(rest) {
		return nil, errors.New("something stands behind the last extension")
	}
	return out, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
