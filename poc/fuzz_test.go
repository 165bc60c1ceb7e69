package poc

import (
	"bytes"
	"testing"

	"heliograph/provisioning/identity"
)

func FuzzParseReport(f *testing.F) {
	for _, v := range samples() {
		f.Add(signed(f, v))
	}
	body, _ := sampleWitness().AppendBinary(nil)
	bySession, _ := SignBySession(body, sessionKey)
	f.Add(bySession)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if err != nil {
			return
		}
		body, err := r.value().AppendBinary(nil)
		if err != nil || !bytes.Equal(body, r.Body) {
			t.Fatalf("%v is not canonical: % x, %v", r.Kind, body, err)
		}
		whole, err := putSignature(body, r.Signature)
		if err != nil || !bytes.Equal(whole, b) {
			t.Fatalf("signature block is not canonical: % x, %v", whole, err)
		}
		_ = r.Verify()
	})
}

func FuzzParseChallenge(f *testing.F) {
	b, err := SignChallenge(sampleChallenge(), oracleKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		// The oracle's signature keeps the fuzzer out: sign whatever body it found.
		if len(b) >= challengeBody {
			if again, err := SignBody(b[:challengeBody], oracleKey); err == nil {
				b = again
			}
		}
		c, err := ParseChallenge(b, oracleKey.ID())
		if err != nil {
			return
		}
		if again, err := SignChallenge(c, oracleKey); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: % x, %v", again, err)
		}
	})
}

func FuzzParseSessionCert(f *testing.F) {
	b, err := MakeSessionCert(sampleCert(), hotspotKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= sessionBody {
			if again, err := SignBody(b[:sessionBody], hotspotKey); err == nil {
				b = again
			}
		}
		c, err := ParseSessionCert(b)
		if err != nil {
			return
		}
		if again, err := MakeSessionCert(c, hotspotKey); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: % x, %v", again, err)
		}
	})
}

func FuzzParseReceipt(f *testing.F) {
	b, err := SignReceipt(sampleReceipt(), oracleKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= receiptBody {
			if again, err := SignBody(b[:receiptBody], oracleKey); err == nil {
				b = again
			}
		}
		rc, err := ParseReceipt(b, oracleKey.ID())
		if err != nil {
			return
		}
		if again, err := SignReceipt(rc, oracleKey); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: % x, %v", again, err)
		}
	})
}

func BenchmarkParseReport(b *testing.B) {
	raw := signed(b, sampleWitness())
	for name, p := range map[string]Parser{"new": {}, "known": {Known: func(identity.HotspotID) bool { return true }}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Report(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyReport(b *testing.B) {
	r, err := ParseReport(signed(b, sampleWitness()))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}
