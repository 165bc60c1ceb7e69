package poc

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

func key(n byte) *identity.Key { return identity.NewEd25519([32]byte{n}) }

var (
	hotspotKey = key(1)
	oracleKey  = key(2)
	sessionKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	noon       = radio.WallTime{UnixNano: 1_794_995_200_123_456_789, Bound: 20 * time.Millisecond}
	sf9        = radio.LoRaRate(9, 125*radio.KHz)
)

func sampleBeacon() Beacon {
	return Beacon{Hotspot: hotspotKey.ID(), Challenge: ID{7}, Proof: []byte{1, 2, 3}, Frequency: 868_100_000,
		DataRate: sf9, Power: -150, Tick: 1 << 40, Time: noon}
}

func sampleWitness() Witness {
	return Witness{Hotspot: hotspotKey.ID(), Payload: Payload{9}, Frequency: 868_100_000, Offset: -1200, DataRate: sf9,
		RSSI: -11_350, SNR: -725, Tick: 99, Time: noon, FineNanos: 999_999_999, HasFine: true}
}

func samplePacket() Packet {
	return Packet{Hotspot: hotspotKey.ID(), PHY: bytes.Repeat([]byte{0x40}, 255), Frequency: 903_900_000,
		DataRate: radio.LoRaRate(8, 500*radio.KHz), RSSI: -4000, SNR: 1000, Tick: 5, Time: noon}
}

func sampleAssertion() Assertion {
	return Assertion{Hotspot: hotspotKey.ID(), Owner: Wallet{4}, Position: Position{LatE7: -337_000_000, LonE7: 1_512_000_000},
		Elevation: -3, Gain: -120, Region: "AS923-1B", Sequence: 1, Time: noon}
}

type encoder interface{ AppendBinary([]byte) ([]byte, error) }

// samples are one report of each kind, as values.
func samples() map[Kind]encoder {
	return map[Kind]encoder{
		KindBeacon: sampleBeacon(), KindWitness: sampleWitness(), KindPacket: samplePacket(), KindAssertion: sampleAssertion(),
		KindDecline: Decline{Hotspot: hotspotKey.ID(), Challenge: ID{7}, Cause: DeclineDisabled, Time: noon},
	}
}

func signed(t testing.TB, v encoder) []byte {
	t.Helper()
	body, err := v.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := SignBody(body, hotspotKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r Report) value() encoder {
	switch r.Kind {
	case KindBeacon:
		return *r.Beacon
	case KindWitness:
		return *r.Witness
	case KindDecline:
		return *r.Decline
	case KindPacket:
		return *r.Packet
	}
	return *r.Assertion
}

func TestReportRoundTrip(t *testing.T) {
	ids := map[ID]Kind{}
	for kind, v := range samples() {
		b := signed(t, v)
		if len(b) > MaxReport {
			t.Errorf("%v of %d bytes is over MaxReport", kind, len(b))
		}
		r, err := ParseReport(b)
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		if r.Kind != kind || !reflect.DeepEqual(r.value(), v) || r.Hotspot != hotspotKey.ID() || r.Time() != noon {
			t.Errorf("%v came back as %+v", kind, r.value())
		}
		if err := r.Verify(); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if other, taken := ids[r.ID]; taken {
			t.Errorf("%v and %v have one id", kind, other)
		}
		ids[r.ID] = kind
		clear(b)
		if !reflect.DeepEqual(r.value(), v) || r.Verify() != nil {
			t.Errorf("%v shares memory with its input", kind)
		}
	}
}

// TestReportRefusesEveryOtherLength cuts and extends each report everywhere.
func TestReportRefusesEveryOtherLength(t *testing.T) {
	for kind, v := range samples() {
		b := signed(t, v)
		for n := range b {
			if _, err := ParseReport(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v cut to %d of %d bytes: %v", kind, n, len(b), err)
			}
		}
		if _, err := ParseReport(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v with a byte too many: %v", kind, err)
		}
	}
	if _, err := ParseReport(make([]byte, MaxReport+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversized: %v", err)
	}
}

// TestNoBitIsFree flips every bit: either the parser or the signature notices.
func TestNoBitIsFree(t *testing.T) {
	for kind, v := range samples() {
		b := signed(t, v)
		for i := range b {
			c := bytes.Clone(b)
			c[i] ^= 1 << (i % 8)
			if r, err := ParseReport(c); err == nil && r.Verify() == nil {
				t.Errorf("%v: byte %d can be changed", kind, i)
			}
		}
	}
}

func TestParsersNameWhatIsWrong(t *testing.T) {
	const at = 2 + 33 // where the fields after the hotspot start
	for _, tt := range []struct {
		name string
		kind Kind
		at   int
		to   byte
		want string
	}{
		{"version", KindBeacon, 1, 2, "version 2"},
		{"key type", KindBeacon, 2, 0x0f, "hotspot"},
		{"data rate", KindBeacon, at + 32 + 1 + 3 + 4, 0x34, "data rate code 0x34"},
		{"data rate of SF4", KindBeacon, at + 32 + 1 + 3 + 4, 0x04, "data rate code 0x04"},
		{"time before 1970", KindBeacon, at + 32 + 1 + 3 + 4 + 1 + 2 + 8, 0xff, "before 1970"},
		{"empty proof", KindBeacon, at + 32, 0, "empty"},
		{"fine timestamp", KindWitness, at + 20 + 4 + 4 + 1 + 2 + 2 + 8 + 12, 0x40, "fine timestamp"},
		{"cause", KindDecline, at + 32, 200, "cause 200"},
		{"latitude", KindAssertion, at + 32, 0x7f, "Earth"},
		{"gain", KindAssertion, at + 32 + 8 + 2, 0x7f, "gain"},
		{"region", KindAssertion, at + 32 + 8 + 2 + 2 + 1, 'a', "region"},
	} {
		v := samples()[tt.kind]
		body, _ := v.AppendBinary(nil)
		if tt.to == 0 && tt.name == "empty proof" {
			body = append(body[:at+33], body[at+36:]...)
		}
		body[tt.at] = tt.to
		b, err := SignBody(body, hotspotKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseReport(b); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestWritersRefuseWhatParsersRefuse: a value that could not be read back is not
// written in a mangled form.
func TestWritersRefuseWhatParsersRefuse(t *testing.T) {
	beacon := func(f func(*Beacon)) encoder { b := sampleBeacon(); f(&b); return b }
	packet := func(f func(*Packet)) encoder { p := samplePacket(); f(&p); return p }
	witness := func(f func(*Witness)) encoder { w := sampleWitness(); f(&w); return w }
	assertion := func(f func(*Assertion)) encoder { a := sampleAssertion(); f(&a); return a }
	for name, v := range map[string]encoder{
		"long proof":     beacon(func(b *Beacon) { b.Proof = make([]byte, 73) }),
		"no proof":       beacon(func(b *Beacon) { b.Proof = nil }),
		"frequency":      beacon(func(b *Beacon) { b.Frequency = 1 << 32 }),
		"negative hertz": beacon(func(b *Beacon) { b.Frequency = -1 }),
		"FSK":            beacon(func(b *Beacon) { b.DataRate = radio.FSKRate(50_000) }),
		"power":          beacon(func(b *Beacon) { b.Power = 40_000 }),
		"time":           beacon(func(b *Beacon) { b.Time.UnixNano = -1 }),
		"bound":          beacon(func(b *Beacon) { b.Time.Bound = -1 }),
		"no hotspot":     beacon(func(b *Beacon) { b.Hotspot = identity.HotspotID{} }),
		"long packet":    packet(func(p *Packet) { p.PHY = make([]byte, 256) }),
		"empty packet":   packet(func(p *Packet) { p.PHY = nil }),
		"rssi":           packet(func(p *Packet) { p.RSSI = -40_000 }),
		"offset":         witness(func(w *Witness) { w.Offset = 1 << 31 }),
		"fine":           witness(func(w *Witness) { w.FineNanos = 1_000_000_000 }),
		"decline":        Decline{Hotspot: hotspotKey.ID(), Cause: 99, Time: noon},
		"region":         assertion(func(a *Assertion) { a.Region = "eu868" }),
		"long region":    assertion(func(a *Assertion) { a.Region = strings.Repeat("A", 17) }),
		"place":          assertion(func(a *Assertion) { a.Position.LatE7 = 900_000_001 }),
		"gain":           assertion(func(a *Assertion) { a.Gain = 2001 }),
		"sequence":       assertion(func(a *Assertion) { a.Sequence = 0 }),
		"challenge":      Challenge{Hotspot: hotspotKey.ID(), UnixNano: 1, DataRate: radio.DataRate{}},
	} {
		if b, err := v.AppendBinary(nil); !errors.Is(err, ErrValue) || b != nil {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

func TestTimeBoundsAreRoundedUp(t *testing.T) {
	w := sampleWitness()
	w.Time.Bound = 1001 * time.Nanosecond
	r, err := ParseReport(signed(t, w))
	if err != nil || r.Witness.Time.Bound != 2*time.Microsecond {
		t.Errorf("1.001 us came back as %v, %v", r.Witness.Time.Bound, err)
	}
	w.Time.Bound = 100 * time.Hour
	if r, err = ParseReport(signed(t, w)); err != nil || r.Witness.Time.Bound < time.Hour {
		t.Errorf("a huge bound came back as %v, %v", r.Witness.Time.Bound, err)
	}
	w.Time = radio.WallTime{Bound: time.Second}
	if r, err = ParseReport(signed(t, w)); err != nil || r.Witness.Time != (radio.WallTime{}) {
		t.Errorf("an unknown time came back as %v, %v", r.Witness.Time, err)
	}
}

func TestParserTrustsOnlyWhatIsKnown(t *testing.T) {
	b := signed(t, sampleWitness())
	for _, known := range []bool{true, false} {
		p := Parser{Known: func(identity.HotspotID) bool { return known }}
		if r, err := p.Report(b); err != nil || r.Hotspot != hotspotKey.ID() {
			t.Errorf("known %v: %v, %v", known, r.Hotspot, err)
		}
	}
	clear(b[3:35]) // a point of small order
	if _, err := (Parser{Known: func(identity.HotspotID) bool { return false }}).Report(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("a bad point: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	body, _ := sampleWitness().AppendBinary(nil)
	b, err := SignBySession(body, sessionKey)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseReport(b)
	if err != nil || r.Verify() != nil || !r.Signature.BySession {
		t.Fatalf("session signature: %+v, %v", r.Signature, err)
	}
	own, _ := ParseReport(signed(t, sampleWitness()))
	if own.ID != r.ID {
		t.Error("the id depends on who signed")
	}
	foreign, err := SignBody(body, oracleKey)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = ParseReport(foreign); err != nil || !errors.Is(r.Verify(), ErrSignature) {
		t.Errorf("another key's signature: %v", r.Verify())
	}
	assertion, _ := sampleAssertion().AppendBinary(nil)
	b, _ = SignBySession(assertion, sessionKey)
	if _, err := ParseReport(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("an assertion signed by a session key: %v", err)
	}
}

func TestECCReport(t *testing.T) {
	k, err := identity.NewKey(identity.ECCCompact, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	w := sampleWitness()
	w.Hotspot = k.ID()
	body, _ := w.AppendBinary(nil)
	b, err := SignBody(body, k)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ParseReport(b); err != nil || r.Verify() != nil {
		t.Errorf("%v, %v", err, r.Verify())
	}
}

// counter is a repeatable source of bytes.
type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		b[i] = c.n
	}
	return len(b), nil
}

func sampleChallenge() Challenge {
	return Challenge{Epoch: 20_000, Slot: 3, Hotspot: hotspotKey.ID(), UnixNano: noon.UnixNano, Frequency: 868_100_000,
		DataRate: sf9, EIRP: 1600, Nonce: [16]byte{1, 2}}
}

func TestChallenge(t *testing.T) {
	c := sampleChallenge()
	b, err := SignChallenge(c, oracleKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseChallenge(b, oracleKey.ID())
	if err != nil || got != c || got.ID() != c.ID() || c.ID() == (ID{}) {
		t.Fatalf("%+v, %v", got, err)
	}
	everyLengthFails(t, b, func(b []byte) error { _, err := ParseChallenge(b, oracleKey.ID()); return err })
	if got, err := ParseChallenge(b, hotspotKey.ID()); !errors.Is(err, ErrSignature) || got != (Challenge{}) {
		t.Errorf("another oracle's: %+v, %v", got, err)
	}
	if (Challenge{}).ID() != (ID{}) {
		t.Error("a challenge that cannot be written has an id")
	}
}

func TestProof(t *testing.T) {
	c := sampleChallenge()
	proof, err := c.Prove(hotspotKey)
	if err != nil || c.VerifyProof(proof) != nil {
		t.Fatalf("%v, %v", err, c.VerifyProof(proof))
	}
	other := c
	other.Slot++
	if !errors.Is(other.VerifyProof(proof), ErrSignature) {
		t.Error("a proof serves two challenges")
	}
	if foreign, _ := c.Prove(oracleKey); !errors.Is(c.VerifyProof(foreign), ErrSignature) {
		t.Error("another key's proof passes")
	}
	p := PayloadOf(proof)
	if got, ok := PayloadFromFrame(p.Frame()); !ok || got != p || len(p.Frame()) != FrameSize {
		t.Errorf("frame % x", p.Frame())
	}
	for _, bad := range [][]byte{nil, p[:], append([]byte{0x40}, p[:]...), append(p.Frame(), 0)} {
		if _, ok := PayloadFromFrame(bad); ok {
			t.Errorf("% x passes for a beacon", bad)
		}
	}
}

func sampleReceipt() Receipt {
	return Receipt{Report: ID{1}, Hotspot: hotspotKey.ID(), Epoch: 9, Received: 77, Shard: 256, Offset: 1 << 50}
}

func TestReceipt(t *testing.T) {
	b, err := SignReceipt(sampleReceipt(), oracleKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseReceipt(b, oracleKey.ID()); err != nil || got != sampleReceipt() {
		t.Errorf("%+v, %v", got, err)
	}
	everyLengthFails(t, b, func(b []byte) error { _, err := ParseReceipt(b, oracleKey.ID()); return err })
	if got, err := ParseReceipt(b, hotspotKey.ID()); !errors.Is(err, ErrSignature) || got != (Receipt{}) {
		t.Errorf("another oracle's: %+v, %v", got, err)
	}
	if _, err := SignReceipt(Receipt{Hotspot: hotspotKey.ID(), Received: -1}, oracleKey); !errors.Is(err, ErrValue) {
		t.Errorf("a receipt from before 1970: %v", err)
	}
}

func sampleCert() SessionCert {
	return SessionCert{Hotspot: hotspotKey.ID(), Key: SessionKey(sessionKey.Public().(ed25519.PublicKey)),
		Nonce: [NonceSize]byte{5}, NotBefore: 1000, NotAfter: 1000 + MaxSessionSeconds}
}

func TestSessionCert(t *testing.T) {
	b, err := MakeSessionCert(sampleCert(), hotspotKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSessionCert(b)
	want := sampleCert()
	want.Body, want.Signature = got.Body, got.Signature
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	everyLengthFails(t, b, func(b []byte) error { _, err := ParseSessionCert(b); return err })
	if foreign, _ := MakeSessionCert(sampleCert(), oracleKey); foreign != nil {
		if _, err := ParseSessionCert(foreign); !errors.Is(err, ErrSignature) {
			t.Errorf("signed by another: %v", err)
		}
	}
	for _, tt := range []struct {
		unixNano int64
		want     bool
	}{{(999 - SessionClockTolerance) * 1e9, false}, {(1000 - SessionClockTolerance) * 1e9, true}, {(1000 + MaxSessionSeconds) * 1e9, true}, {(1001 + MaxSessionSeconds) * 1e9, false}} {
		if got.Covers(tt.unixNano) != tt.want {
			t.Errorf("Covers(%d) = %v", tt.unixNano, !tt.want)
		}
	}
	for _, span := range [][2]int64{{-1, 5}, {5, 4}, {0, MaxSessionSeconds + 1}} {
		c := sampleCert()
		c.NotBefore, c.NotAfter = span[0], span[1]
		if _, err := MakeSessionCert(c, hotspotKey); !errors.Is(err, ErrValue) {
			t.Errorf("span %v: %v", span, err)
		}
	}
}

func everyLengthFails(t *testing.T, b []byte, parse func([]byte) error) {
	t.Helper()
	for n := range b {
		if err := parse(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
	if err := parse(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too many: %v", err)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x10
		if parse(c) == nil {
			t.Errorf("byte %d can be changed", i)
		}
	}
}

// TestFormsAreFrozen: a change of these hashes is a change of the protocol.
func TestFormsAreFrozen(t *testing.T) {
	want := map[Kind]string{
		KindBeacon: "5f9be54cf6bb2b58", KindWitness: "da893bec274592ee", KindDecline: "eeb76bd00439a676", KindPacket: "6df0d1191c56271a", KindAssertion: "2953cec2e8de273a",
	}
	for kind, v := range samples() {
		r, err := ParseReport(signed(t, v))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(r.ID[:8]); got != want[kind] {
			t.Errorf("%v has id %s, want %s", kind, got, want[kind])
		}
	}
	if got := hex.EncodeToString(func() []byte { id := sampleChallenge().ID(); return id[:8] }()); got != "a4b0dcf572ff2534" {
		t.Errorf("challenge has id %s", got)
	}
}

func TestSeed(t *testing.T) {
	s := Secret{1}
	if s.Commitment(1) == s.Commitment(2) || s.Commitment(1) == (Secret{2}).Commitment(1) {
		t.Error("commitments repeat")
	}
	if s.Seed(1, [32]byte{}) == s.Seed(2, [32]byte{}) || s.Seed(1, [32]byte{}) == s.Seed(1, [32]byte{1}) {
		t.Error("seeds repeat")
	}
	if [32]byte(s.Seed(1, [32]byte{})) == s.Commitment(1) {
		t.Error("the commitment gives the seed away")
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasonNames {
		if back, err := ParseReason(r.String()); err != nil || back != r {
			t.Errorf("%v reads back as %v, %v", r, back, err)
		}
		if seen[r.String()] {
			t.Errorf("two reasons are called %v", r)
		}
		seen[r.String()] = true
		if strings.HasPrefix(r.String(), "reason_") {
			t.Errorf("reason %d has no name", uint8(r))
		}
	}
	if _, err := ParseReason("nonsense"); err == nil {
		t.Error("nonsense is a reason")
	}
	if Reason(250).String() != "reason_250" || Kind(99).String() != "unknown" || DeclineCause(0).String() != "unknown" {
		t.Error("unknown values pass for known ones")
	}
	v := Verdict{Kind: KindWitness, Reason: TooFar, Got: 130_000, Limit: 120_000}
	if got := v.String(); got != "witness: too_far (130000 m, limit 120000 m)" {
		t.Error(got)
	}
	if got := (Verdict{Kind: KindBeacon, Weight: 900}).String(); got != "beacon accepted, weight 900/1000" {
		t.Error(got)
	}
	if got := (Verdict{Kind: KindBeacon, Reason: Duplicate}).String(); got != "beacon: duplicate" {
		t.Error(got)
	}
}
