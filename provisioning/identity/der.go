package identity

import (
	"bytes"
	"errors"
	"math/big"
)

// The order n of P-256's group and n/2, big-endian (FIPS 186-5, SP 800-186 3.2.1.3).
var (
	p256Order = [32]byte{
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51}
	p256HalfOrder = [32]byte{
		0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8}
)

// ecdsaSignature is the pair (r, s), each in 1..n-1, big-endian.
type ecdsaSignature struct{ r, s [32]byte }

var (
	errDER   = errors.New("not strict DER of a P-256 signature")
	errHighS = errors.New("the greater of the two s values")
)

// parseDER reads SEQUENCE { INTEGER r, INTEGER s } in its one canonical form.
func parseDER(b []byte) (ecdsaSignature, error) {
	var sig ecdsaSignature
	// Two integers of at most 33 bytes each: the short form of the length is
	// always enough, so any other form is not canonical.
	if len(b) < 2 || b[0] != 0x30 || int(b[1]) != len(b)-2 || len(b) > 72 {
		return sig, errDER
	}
	rest, ok := parseInteger(b[2:], &sig.r)
	if !ok {
		return sig, errDER
	}
	rest, ok = parseInteger(rest, &sig.s)
	if !ok || len(rest) != 0 {
		return sig, errDER
	}
	return sig, nil
}

// lowS says whether s is the lesser of s and n-s: at most n/2.
func (g ecdsaSignature) lowS() bool { return bytes.Compare(g.s[:], p256HalfOrder[:]) <= 0 }

// parseInteger reads one INTEGER in 1..n-1 with no byte too many.
func parseInteger(b []byte, out *[32]byte) (rest []byte, ok bool) {
	if len(b) < 3 || b[0] != 0x02 {
		return nil, false
	}
	n := int(b[1])
	if n < 1 || n > 33 || len(b) < 2+n {
		return nil, false
	}
	v := b[2 : 2+n]
	if v[0]&0x80 != 0 { // negative
		return nil, false
	}
	if v[0] == 0 {
		if n == 1 || v[1]&0x80 == 0 { // zero, or a padding byte without need
			return nil, false
		}
		v = v[1:]
	}
	if len(v) > 32 {
		return nil, false
	}
	copy(out[32-len(v):], v)
	return b[2+n:], bytes.Compare(out[:], p256Order[:]) < 0
}

// appendDER writes the canonical form.
func (g ecdsaSignature) appendDER(b []byte) []byte {
	r, s := derInteger(g.r), derInteger(g.s)
	b = append(b, 0x30, byte(len(r)+len(s)))
	return append(append(b, r...), s...)
}

func derInteger(v [32]byte) []byte {
	t := bytes.TrimLeft(v[:], "\x00")
	if len(t) == 0 || t[0]&0x80 != 0 {
		t = append([]byte{0}, t...)
	}
	return append([]byte{0x02, byte(len(t))}, t...)
}

// NormalizeECDSA turns a raw r||s signature, 64 bytes as secure elements give
// it, into the DER form with the lesser s that [HotspotID.Verify] accepts.
func NormalizeECDSA(raw [64]byte) ([]byte, error) {
	n := new(big.Int).SetBytes(p256Order[:])
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return nil, errors.New("identity: normalize signature: r or s is outside 1..n-1")
	}
	if other := new(big.Int).Sub(n, s); other.Cmp(s) < 0 {
		s = other
	}
	var g ecdsaSignature
	r.FillBytes(g.r[:])
	s.FillBytes(g.s[:])
	return g.appendDER(nil), nil
}
