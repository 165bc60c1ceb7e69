package identity

import (
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
)

// edPoint is a point of edwards25519 in affine coordinates: slow and plain
// arithmetic that shares no code with what it checks.
type edPoint struct{ x, y *big.Int }

func (p edPoint) add(q edPoint) edPoint {
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mod(new(big.Int).Mul(a, b), edP) }
	inv := func(a *big.Int) *big.Int { return new(big.Int).ModInverse(new(big.Int).Mod(a, edP), edP) }
	xy := mul(mul(p.x, q.x), mul(p.y, q.y))
	dxy := mul(edD, xy)
	x := mul(new(big.Int).Add(mul(p.x, q.y), mul(p.y, q.x)), inv(new(big.Int).Add(edOne, dxy)))
	y := mul(new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x)), inv(new(big.Int).Sub(edOne, dxy)))
	return edPoint{x, y}
}

func (p edPoint) times(k *big.Int) edPoint {
	out := edPoint{new(big.Int), big.NewInt(1)}
	for i := k.BitLen() - 1; i >= 0; i-- {
		out = out.add(out)
		if k.Bit(i) == 1 {
			out = out.add(p)
		}
	}
	return out
}

func (p edPoint) equal(q edPoint) bool { return p.x.Cmp(q.x) == 0 && p.y.Cmp(q.y) == 0 }

func (p edPoint) encode() []byte {
	b := make([]byte, 32)
	p.y.FillBytes(b)
	slices.Reverse(b)
	return append(b[:31], b[31]|byte(p.x.Bit(0))<<7)
}

func decodeEd(t *testing.T, b []byte) edPoint {
	t.Helper()
	le := slices.Clone(b)
	sign := uint(le[31] >> 7)
	le[31] &= 0x7f
	y := littleInt(le)
	yy := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(yy, edOne)
	v := new(big.Int).Add(new(big.Int).Mul(edD, yy), edOne)
	xx := u.Mul(u, v.ModInverse(v.Mod(v, edP), edP))
	x := new(big.Int).ModSqrt(xx.Mod(xx, edP), edP)
	if x == nil {
		t.Fatalf("%x is not a point", b)
	}
	if x.Bit(0) != sign {
		x.Sub(edP, x)
	}
	return edPoint{x, y}
}

func littleInt(le []byte) *big.Int {
	be := slices.Clone(le)
	slices.Reverse(be)
	return new(big.Int).SetBytes(be)
}

var edOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func edBase(t *testing.T) edPoint {
	y := new(big.Int).Mul(big.NewInt(4), new(big.Int).ModInverse(big.NewInt(5), edP))
	b := make([]byte, 32)
	y.Mod(y, edP).FillBytes(b)
	slices.Reverse(b)
	return decodeEd(t, b)
}

// challenge is k = SHA-512(R || A || M) mod L.
func challenge(r, a, m []byte) *big.Int {
	h := sha512.Sum512(slices.Concat(r, a, m))
	k := littleInt(h[:])
	return k.Mod(k, edOrder)
}

// splitSignature makes the kind of signature about which verifiers disagree: R
// carries a point of order 8. With the cofactor (as batch verifiers and ZIP-215
// compute) it holds, without it (crypto/ed25519) it does not.
func splitSignature(t *testing.T, seed [32]byte, msg []byte) (HotspotID, []byte) {
	h := sha512.Sum512(seed[:])
	h[0], h[31] = h[0]&248, h[31]&127|64
	a := littleInt(h[:32])
	id := NewEd25519(seed).ID()
	nonce := big.NewInt(0x5eed)
	order8 := decodeEd(t, smallOrderY[3][:])
	r := edBase(t).times(nonce).add(order8).encode()
	s := new(big.Int).Mul(challenge(r, id[1:], msg), a)
	s.Add(s, nonce).Mod(s, edOrder)
	le := make([]byte, 32)
	s.FillBytes(le)
	slices.Reverse(le)
	return id, append(r, le...)
}

// The vector is kept as a file so that other verifiers can be tried with it:
// key, message and signature in hex, one a line.
func TestSplitSignature(t *testing.T) {
	msg := []byte("a witness report")
	id, sig := splitSignature(t, [32]byte{1, 2, 3}, msg)
	kept, err := os.ReadFile("testdata/ed25519_small_order_r.txt")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(kept))
	if len(f) != 3 {
		t.Fatal("the vector file has not three fields")
	}
	if !slices.Equal(unhex(t, f[0]), id.Bytes()) || !slices.Equal(unhex(t, f[1]), msg) || !slices.Equal(unhex(t, f[2]), sig) {
		t.Errorf("the vector file is not what the construction gives:\n%x\n%x\n%x", id.Bytes(), msg, sig)
	}
	// It is what it claims to be: 8(sB) = 8(R + kA), but sB != R + kA.
	left := edBase(t).times(littleInt(sig[32:]))
	right := decodeEd(t, sig[:32]).add(decodeEd(t, id[1:]).times(challenge(sig[:32], id[1:], msg)))
	eight := big.NewInt(8)
	if left.equal(right) || !left.times(eight).equal(right.times(eight)) {
		t.Fatal("not a signature that holds with the cofactor only")
	}
	if ed25519.Verify(ed25519.PublicKey(id[1:]), msg, sig) || id.Verify(msg, sig) == nil {
		t.Error("accepted: the rule for all of Heliograph is to verify without the cofactor")
	}
	// Sanity of the plain arithmetic: it agrees with crypto/ed25519 on keys.
	h := sha512.Sum512(make([]byte, 32))
	h[0], h[31] = h[0]&248, h[31]&127|64
	if zero := NewEd25519([32]byte{}); !slices.Equal(edBase(t).times(littleInt(h[:32])).encode(), zero.id[1:]) {
		t.Error("test arithmetic is wrong")
	}
}

func TestSmallOrderList(t *testing.T) {
	for _, y := range smallOrderY {
		p := decodeEd(t, y[:])
		if got := p.times(big.NewInt(8)); got.x.Sign() != 0 || got.y.Cmp(edOne) != 0 {
			t.Errorf("%x has not an order that divides 8", y)
		}
	}
}

// Whatever crypto/ed25519 makes is a good point, and about half of all random
// strings are none; both are compared with a root that is really computed.
func TestPointCheckAgainstSquareRoot(t *testing.T) {
	rnd := source(9)
	var good int
	for range 300 {
		var b [32]byte
		rnd.Read(b[:])
		b[31] &= 0x7f
		y := littleInt(b[:])
		yy := new(big.Int).Mul(y, y)
		v := new(big.Int).Add(new(big.Int).Mul(edD, yy), edOne)
		xx := new(big.Int).Mul(new(big.Int).Sub(yy, edOne), new(big.Int).ModInverse(v.Mod(v, edP), edP))
		want := new(big.Int).ModSqrt(xx.Mod(xx, edP), edP) != nil
		if got := checkEd25519Point(&b) == nil; got != want {
			t.Fatalf("%x: %v, want %v", b, got, want)
		}
		if want {
			good++
		}
	}
	if good < 100 || good > 200 {
		t.Errorf("%d of 300 random strings are points", good)
	}
}
