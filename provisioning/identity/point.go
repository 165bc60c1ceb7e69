package identity

import (
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
)

var (
	errNotOnCurve   = errors.New("not a point of the curve")
	errNotCanonical = errors.New("not a canonical ed25519 encoding")
	errSmallOrder   = errors.New("ed25519 point of small order")
)

// decompact gives the P-256 point that a compact key means, in uncompressed
// SEC 1 form: 0x04, x, y, 65 bytes. Of the two candidates it takes the one with
// the lesser y.
func decompact(x []byte) ([]byte, error) {
	curve := elliptic.P256()
	bx, by := elliptic.UnmarshalCompressed(curve, append([]byte{2}, x...))
	if bx == nil {
		return nil, errNotOnCurve
	}
	if other := new(big.Int).Sub(curve.Params().P, by); other.Cmp(by) < 0 {
		by = other
	}
	out := make([]byte, 65)
	out[0] = 4
	bx.FillBytes(out[1:33])
	by.FillBytes(out[33:])
	return out, nil
}

// compactable says whether the uncompressed P-256 point is the one that its x
// coordinate alone would mean.
func compactable(uncompressed []byte) bool {
	got, err := decompact(uncompressed[1:33])
	return err == nil && slices.Equal(got, uncompressed)
}

// Constants of edwards25519 (RFC 8032 5.1): the field 2^255-19 and the curve's d.
var (
	edP   = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	edOne = big.NewInt(1)
	edD   = edwardsD()
)

func edwardsD() *big.Int { // -121665/121666
	d := new(big.Int).ModInverse(big.NewInt(121666), edP)
	d.Mul(d, big.NewInt(-121665))
	return d.Mod(d, edP)
}

// smallOrderY are the y coordinates of the eight points of order 1, 2, 4 and 8,
// little-endian: 1, -1, 0, and the two of order 8.
var smallOrderY = [5][32]byte{
	{1},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}

// checkEd25519Point takes an encoding whose y is less than p, for which an x
// exists, and which is not of small order. x² = (y²-1)/(dy²+1) has a root
// exactly when the product of numerator and denominator is a square, which the
// Jacobi symbol tells without computing the root.
func checkEd25519Point(b *[32]byte) error {
	le := *b
	le[31] &= 0x7f // the sign of x
	if !belowEdP(&le) {
		return errNotCanonical
	}
	if slices.Contains(smallOrderY[:], le) {
		return errSmallOrder
	}
	slices.Reverse(le[:])
	y := new(big.Int).SetBytes(le[:])
	yy := y.Mul(y, y)
	yy.Mod(yy, edP)
	v := new(big.Int).Mul(edD, yy)
	v.Add(v, edOne)
	u := yy.Sub(yy, edOne)
	u.Mul(u, v)
	if big.Jacobi(u.Mod(u, edP), edP) != 1 {
		return errNotOnCurve
	}
	return nil
}

// belowEdP says whether a little-endian number of 255 bits is below 2^255-19.
func belowEdP(le *[32]byte) bool {
	return binary.LittleEndian.Uint64(le[24:]) != 0x7fff_ffff_ffff_ffff ||
		binary.LittleEndian.Uint64(le[16:]) != 0xffff_ffff_ffff_ffff ||
		binary.LittleEndian.Uint64(le[8:]) != 0xffff_ffff_ffff_ffff ||
		binary.LittleEndian.Uint64(le[:]) < 0xffff_ffff_ffff_ffed
}
