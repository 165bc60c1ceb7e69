package identity

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

func FuzzParseHotspotID(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0}, 33))
	f.Add([]byte{3})
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		f.Add(mustKey(f, typ, 1).ID().Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseHotspotID(b)
		if err != nil {
			return
		}
		if !bytes.Equal(id.Bytes(), b) {
			t.Fatal("round trip")
		}
		if back, err := ParseText(id.String()); err != nil || back != id {
			t.Fatalf("text round trip: %v", err)
		}
		if id.Name() == "" || id.Verify(nil, nil) == nil {
			t.Fatal("name or verify")
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		f.Add(mustKey(f, typ, 1).ID().String())
	}
	f.Add("1111111111")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseText(s); err == nil && id.String() != s {
			t.Fatalf("%q is a second text of %s", s, id)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		b, _ := mustKey(f, typ, 1).fileBytes()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKeyFile(b)
		if err != nil {
			return
		}
		if back, err := k.fileBytes(); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("round trip: %v", err)
		}
		if id, err := ParseHotspotID(k.ID().Bytes()); err != nil || id != k.ID() {
			t.Fatalf("the key's id does not parse: %v", err)
		}
	})
}

func FuzzSignatureDER(f *testing.F) {
	k := mustKey(f, ECCCompact, 1)
	sig, _ := k.Sign([]byte("m"))
	f.Add(sig)
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := parseDER(b)
		if err != nil {
			if k.ID().VerifyLegacy([]byte("m"), b) == nil {
				t.Fatal("verified without parsing")
			}
			return
		}
		if !bytes.Equal(g.appendDER(nil), b) {
			t.Fatal("a second encoding of one signature")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 130)
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		k := mustKey(b, typ, 1)
		sig, _ := k.Sign(msg)
		b.Run(typ.String(), func(b *testing.B) {
			for b.Loop() {
				if err := k.ID().Verify(msg, sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	k := mustKey(b, Ed25519, 1)
	sig, _ := k.Sign(msg)
	pub, _ := k.ID().Ed25519()
	b.Run("plain ed25519", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(pub, msg, sig) {
				b.Fatal("bad")
			}
		}
	})
}

func BenchmarkParseHotspotID(b *testing.B) {
	for _, typ := range []KeyType{Ed25519, ECCCompact} {
		raw := mustKey(b, typ, 1).ID().Bytes()
		b.Run(typ.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := ParseHotspotID(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
