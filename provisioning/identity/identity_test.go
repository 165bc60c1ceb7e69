package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// source is a repeatable source of randomness.
func source(seed int64) *rand.Rand { return rand.New(rand.NewSource(seed)) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustKey(t testing.TB, typ KeyType, seed int64) *Key {
	t.Helper()
	k, err := NewKey(typ, source(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Encodings and signatures that Helium's own library makes and takes
// (published test values of helium-crypto-rs).
func TestKnownKeys(t *testing.T) {
	for _, c := range []struct {
		text, binary string
		typ          KeyType
	}{
		{"11263KvqW3GZPAvag5sQYtBJSjb25azSTSwoi5Tza9kboaLRxcsv", "008f23e96ab6bbff48c8923cac831dc97111bcf33dba9f5a8539c00f9d93551af1", ECCCompact},
		{"112bUuQaE7j73THS9ABShHGokm46Miip9L361FSyWv7zSYn8hZWf", "00d1fd59271db81a5798f57ee51996cfd3686535edd44b02695e14760951c596a6", ECCCompact},
		{"14tCTJDdrecpCN29entF8btzNAoDP6qEAn8CxUiT9SdVwiyXji8", "01ff56a20947909999eabb0c32d77be13836491205974fea52959f389883621fae", Ed25519},
	} {
		id, err := ParseText(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(id.Bytes()); got != c.binary {
			t.Errorf("%s: binary %s, want %s", c.text, got, c.binary)
		}
		if id.String() != c.text || id.Type() != c.typ || id.Network() != Mainnet {
			t.Errorf("%s: got %s, %s, %s", c.text, id, id.Type(), id.Network())
		}
	}
	t.Run("ed25519 signature", func(t *testing.T) {
		id, err := ParseText("13WvV82S7QN3VMzMSieiGxvuaPKknMtf213E5JwPnboDkUfesKw")
		if err != nil {
			t.Fatal(err)
		}
		sig := unhex(t, "ef3e85dc7ea338c6b67399873131ea7b2265c516222e105fc39a59dda71f668a3b95fe27457d941a3cf5c422c9efbf0da112171d2997d74bc68f7b8118c6930e")
		checkVerify(t, id, []byte("hello world"), sig)
	})
	t.Run("p-256 signature", func(t *testing.T) { // decides which of the two y is meant
		id, err := ParseText("11nYr7TBMbpGiQadiCxGCPZFZ8ENo1JNtbS7aB5U7UXn4a8Dvb3")
		if err != nil {
			t.Fatal(err)
		}
		sig := unhex(t, "304402206d791eb96bcc7d0ef403bc7a653fd99a6906374ec9e4aff1d5907d4890e8dd3302204b4c93c7637b22565b944201df9c806d684165802b8a1cd91d4d7799c950e466")
		checkVerify(t, id, []byte("hello world"), sig)
	})
}

// checkVerify takes the good signature and refuses it after any change.
func checkVerify(t *testing.T, id HotspotID, msg, sig []byte) {
	t.Helper()
	if err := id.Verify(msg, sig); err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyLegacy(msg, sig); err != nil {
		t.Fatal(err)
	}
	if err := id.Verify(append(slices.Clone(msg), 0), sig); !errors.Is(err, ErrBadSignature) {
		t.Errorf("other message: %v", err)
	}
	for i := range sig {
		bad := slices.Clone(sig)
		bad[i] ^= 1
		if err := id.Verify(msg, bad); !errors.Is(err, ErrBadSignature) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, sig[:len(sig)-1], append(slices.Clone(sig), 0)} {
		if err := id.Verify(msg, bad); !errors.Is(err, ErrBadSignature) {
			t.Errorf("length %d: %v", len(bad), err)
		}
	}
	other := id
	other[0] ^= 1 // the other key type
	if err := other.Verify(msg, sig); !errors.Is(err, ErrBadSignature) {
		t.Errorf("other key type: %v", err)
	}
}

func TestSignVerify(t *testing.T) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		for seed := range int64(20) {
			k := mustKey(t, typ, seed)
			if again, err := ParseHotspotID(k.ID().Bytes()); err != nil || again != k.ID() {
				t.Fatalf("%s: own key does not parse: %v", typ, err)
			}
			msg := []byte(fmt.Sprint("report ", seed))
			sig, err := k.Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.ID().Verify(msg, sig); err != nil {
				t.Fatalf("%s seed %d: %v", typ, seed, err)
			}
			if twice, _ := k.Sign(msg); !bytes.Equal(sig, twice) {
				t.Errorf("%s: signing is not deterministic", typ)
			}
			if seed == 0 {
				checkVerify(t, k.ID(), msg, sig)
			}
		}
	}
}

// The P-256 point of a fresh key must be the one with the lesser y, or nobody
// could verify with the compact form.
func TestCompactPoint(t *testing.T) {
	half := new(big.Int).Rsh(elliptic.P256().Params().P, 1)
	for seed := range int64(40) {
		k := mustKey(t, ECCCompact, seed)
		point, err := k.ec.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if new(big.Int).SetBytes(point[33:]).Cmp(half) > 0 {
			t.Fatalf("seed %d: the key has the greater y", seed)
		}
	}
	// d and n-d have the same x and opposite y: exactly one can be used.
	n := new(big.Int).SetBytes(p256Order[:])
	for d := int64(1); d < 30; d++ {
		var lo, hi [32]byte
		big.NewInt(d).FillBytes(lo[:])
		new(big.Int).Sub(n, big.NewInt(d)).FillBytes(hi[:])
		_, err1 := newECC(Mainnet, lo[:])
		_, err2 := newECC(Mainnet, hi[:])
		if (err1 == nil) == (err2 == nil) {
			t.Errorf("scalar %d: %v; %v", d, err1, err2)
		}
	}
}

func TestHighS(t *testing.T) {
	k := mustKey(t, ECCCompact, 1)
	msg := []byte("m")
	sig, _ := k.Sign(msg)
	g, err := parseDER(sig)
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).SetBytes(p256Order[:])
	new(big.Int).Sub(n, new(big.Int).SetBytes(g.s[:])).FillBytes(g.s[:])
	high := g.appendDER(nil)
	point, _ := k.ec.PublicKey.Bytes()
	if pub, _ := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); pub == nil {
		t.Fatal("no public key")
	}
	if err := k.ID().VerifyLegacy(msg, high); err != nil {
		t.Errorf("what an ATECC608 may return is refused: %v", err)
	}
	if err := k.ID().Verify(msg, high); !errors.Is(err, ErrBadSignature) || !errors.Is(err, errHighS) {
		t.Errorf("second signature made out of the first: %v", err)
	}
	raw := [64]byte(append(append([]byte{}, g.r[:]...), g.s[:]...))
	if back, err := NormalizeECDSA(raw); err != nil || !bytes.Equal(back, sig) {
		t.Errorf("NormalizeECDSA: %x, %v", back, err)
	}
	if _, err := NormalizeECDSA([64]byte{}); err == nil {
		t.Error("zero signature normalized")
	}
	half := new(big.Int).Rsh(n, 1)
	if !bytes.Equal(half.Bytes(), p256HalfOrder[:]) || n.Cmp(elliptic.P256().Params().N) != 0 {
		t.Error("constants of the group order are wrong")
	}
}

func TestStrictDER(t *testing.T) {
	const ok = "3006020101020101"
	if _, err := parseDER(unhex(t, ok)); err != nil {
		t.Fatal(err)
	}
	n := hex.EncodeToString(p256Order[:])
	for name, s := range map[string]string{
		"empty":             "",
		"not a sequence":    "3106020101020101",
		"length too long":   "3007020101020101",
		"length too short":  "3005020101020101",
		"long form length":  "308106020101020101",
		"trailing inside":   "300702010102010100",
		"trailing outside":  "300602010102010100",
		"zero r":            "3006020100020101",
		"zero s":            "3006020101020100",
		"negative r":        "3006020181020101",
		"padded r":          "300702020001020101",
		"padded s":          "300702010102020001",
		"empty integer":     "300502000201 01",
		"not an integer":    "3006030101020101",
		"one integer":       "3003020101",
		"r equal to n":      "3026022100" + n + "020101",
		"integer too long":  "3027022201" + n + "ff" + "020101",
		"33 significant":    "3026022101" + n + "020101",
		"integer truncated": "3006020101020201",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := parseDER(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := mustKey(t, Ed25519, 1).ID()
	with := func(f func(b []byte)) []byte { b := good.Bytes(); f(b); return b }
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":             {nil, "empty"},
		"short":             {good.Bytes()[:32], "32 bytes, want 33"},
		"long":              {append(good.Bytes(), 0), "34 bytes, want 33"},
		"all zero":          {make([]byte, 33), "all zero"},
		"network":           {with(func(b []byte) { b[0] = 0x21 }), "unknown network 0x20"},
		"type":              {with(func(b []byte) { b[0] = 0x07 }), "unknown key type 7"},
		"multisig":          {with(func(b []byte) { b[0] = 2 }), "multisig: unsupported"},
		"secp256k1":         {append([]byte{3}, make([]byte, 33)...), "secp256k1: unsupported"},
		"rsa":               {append([]byte{0x14}, make([]byte, 270)...), "rsa: unsupported"},
		"not on the curve":  {unhex(t, "003ca9d8667de0c07aa71d98b3c8065d2e97ab7bb9cb8776bcc0577a7ac58acd4e"), "not a point"},
		"x above the field": {append([]byte{0}, bytes.Repeat([]byte{0xff}, 32)...), "not a point"},
		"y equals p":        {append([]byte{1, 0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...), "not a canonical"},
		"y above p":         {append([]byte{1}, bytes.Repeat([]byte{0xff}, 32)...), "not a canonical"},
		"identity element":  {append([]byte{1, 1}, make([]byte, 31)...), "small order"},
		"order two":         {append([]byte{1, 0xec}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...), "small order"},
		"no x for y = 2":    {append([]byte{1, 2}, make([]byte, 31)...), "not a point"},
	} {
		_, err := ParseHotspotID(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if strings.Contains(c.want, "unsupported") && !errors.Is(err, ErrUnsupportedKeyType) {
			t.Errorf("%s: not ErrUnsupportedKeyType", name)
		}
	}
	text := good.String()
	for name, s := range map[string]string{
		"empty": "", "space": " " + text, "letter 0": "0" + text[1:], "swapped": text[:10] + text[11:12] + text[10:11] + text[12:],
		"cut": text[:len(text)-1], "leading one": "1" + text, "huge": strings.Repeat("1", 1<<20), "ones": strings.Repeat("1", 38),
	} {
		if s == text {
			continue
		}
		if id, err := ParseText(s); err == nil {
			t.Errorf("%s: parsed as %s", name, id)
		}
	}
}

func TestText(t *testing.T) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		id := mustKey(t, typ, 3).ID()
		type doc struct {
			Key HotspotID `json:"key"`
		}
		b, err := json.Marshal(doc{id})
		if err != nil {
			t.Fatal(err)
		}
		var back doc
		if err := json.Unmarshal(b, &back); err != nil || back.Key != id {
			t.Errorf("%s: %v", b, err)
		}
		if _, err := json.Marshal(doc{}); err == nil {
			t.Error("zero value marshalled")
		}
		if err := json.Unmarshal([]byte(`{"key":"x"}`), &back); err == nil {
			t.Error("rubbish unmarshalled")
		}
		test := id
		test[0] |= byte(Testnet)
		if got, err := ParseText(test.String()); err != nil || got.Network() != Testnet || got.Type() != typ {
			t.Errorf("testnet key: %v, %v", got, err)
		}
	}
}

func TestEd25519Accessor(t *testing.T) {
	var seed [32]byte
	copy(seed[:], "a seed of thirty-two bytes......")
	k := NewEd25519(seed)
	pub, ok := k.ID().Ed25519()
	if !ok || !bytes.Equal(pub, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)) {
		t.Error("not the key of crypto/ed25519")
	}
	pub[0] ^= 1
	if again, _ := k.ID().Ed25519(); bytes.Equal(again, pub) {
		t.Error("the accessor gives away its own bytes")
	}
	if _, ok := mustKey(t, ECCCompact, 1).ID().Ed25519(); ok {
		t.Error("a P-256 key passes for an Ed25519 key")
	}
}

// constant is a source that always gives the same byte.
type constant byte

func (c constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c)
	}
	return len(b), nil
}

func TestNewKeyFails(t *testing.T) {
	if _, err := NewKey(ECCCompact, constant(0)); err == nil {
		t.Error("a source of zeros makes a P-256 key")
	}
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		if _, err := NewKey(typ, bytes.NewReader(make([]byte, 31))); err == nil {
			t.Errorf("%s: a short source makes a key", typ)
		}
	}
	if _, err := NewKey(secp256k1, source(1)); !errors.Is(err, ErrUnsupportedKeyType) {
		t.Errorf("secp256k1: %v", err)
	}
}

func TestKeyPrintsNoSecret(t *testing.T) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		k := mustKey(t, typ, 5)
		content, err := k.fileBytes()
		if err != nil {
			t.Fatal(err)
		}
		f := &FileKey{Key: *k, path: "p"}
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			for _, v := range []any{k, f} {
				out := fmt.Sprintf(form, v)
				for i := 1; i+8 <= 33; i++ {
					if strings.Contains(out, hex.EncodeToString(content[i:i+8])) ||
						strings.Contains(out, strings.Trim(fmt.Sprint(content[i:i+8]), "[]")) {
						t.Fatalf("%s %T in form %s shows the private key", typ, v, form)
					}
				}
			}
		}
	}
}
