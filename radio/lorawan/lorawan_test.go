package lorawan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	codec "github.com/brocaar/lorawan"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCMAC uses the examples of RFC 4493, section 4.
func TestCMAC(t *testing.T) {
	key := AESKey(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"))
	msg := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0:  "bb1d6929e95937287fa37d129b756746",
		16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827",
		64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		c := newCMAC(&key)
		if got := c.sum(nil, msg[:n]); hex.EncodeToString(got[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
		if n > 16 { // the same with the first block given apart
			if got := c.sum((*[16]byte)(msg), msg[16:n]); hex.EncodeToString(got[:]) != want {
				t.Errorf("%d bytes with a leading block: %x, want %s", n, got, want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	up := "400403020180010001a694642615d6c3b582"
	for name, phy := range map[string]string{
		"empty":                       "",
		"256 bytes":                   strings.Repeat("e0", 256),
		"major 1":                     "41" + up[2:],
		"join-request short":          "00" + strings.Repeat("11", 21),
		"join-request long":           "00" + strings.Repeat("11", 23),
		"join-accept 18":              "20" + strings.Repeat("11", 17),
		"data 11 bytes":               "40" + strings.Repeat("00", 10),
		"header only":                 "40",
		"FOpts too long":              "40040302010f0000" + strings.Repeat("00", 18),
		"FOpts reach into the MIC":    "4004030201010000" + "11223344",
		"FPort 0 with FOpts":          "4004030201010000" + "02" + "00" + "11" + "11223344",
		"FPort 0 with FOpts, no more": "4004030201010000" + "02" + "00" + "11223344",
		"rejoin of type 3":            "c003" + strings.Repeat("11", 17),
		"rejoin 1 of 19 bytes":        "c001" + strings.Repeat("11", 17),
		"rejoin 0 of 24 bytes":        "c000" + strings.Repeat("11", 22),
		"rejoin without a type":       "c0",
	} {
		b := unhex(t, phy)
		if f, err := Parse(b); err == nil {
			t.Errorf("%s: parsed as %+v", name, f)
		}
		if k := Classify(b); k != 0 {
			t.Errorf("%s: classified as %v", name, k)
		}
	}
}

func TestParseForms(t *testing.T) {
	f := mustParse(t, unhex(t, "a0010203ff3f0001"+"112233445566778899aabbccddeeff"+"deadbeef"))
	if f.Kind != DataDown || !f.Confirmed || f.DevAddr != 0xff030201 || f.FCtrl != (FCtrl{ACK: true, FPending: true}) ||
		len(f.FOpts) != 15 || f.HasFPort || f.FRMPayload != nil || f.FCnt16 != 0x100 {
		t.Errorf("downlink with FOpts only: %+v", f)
	}
	f = mustParse(t, unhex(t, "40040302015001000aaabbccdd"))
	if f.FCtrl != (FCtrl{ADRACKReq: true, ClassB: true}) || !f.HasFPort || f.FPort != 10 || len(f.FRMPayload) != 0 {
		t.Errorf("uplink with an empty payload: %+v", f)
	}
	beacon := append([]byte{0xe0}, bytes.Repeat([]byte{7}, 20)...)
	f = mustParse(t, beacon)
	if f.Kind != Proprietary || !bytes.Equal(f.Raw, beacon) || f.Kind.Uplink() {
		t.Errorf("coverage beacon: %+v", f)
	}
	beacon[1] = 99
	if f.Raw[1] != 7 {
		t.Error("the frame points into the caller's bytes")
	}
	if k := Classify([]byte{0xe0}); k != Proprietary || k.String() != "proprietary" {
		t.Errorf("a lone header byte: %v", k)
	}
	if s := Kind(77).String(); s != "invalid" {
		t.Error(s)
	}
}

// TestReservedBitsAreSigned: the three reserved bits of the first byte are part
// of what the sender signed.
func TestReservedBitsAreSigned(t *testing.T) {
	key := AESKey{1}
	phy, err := BuildData10(Data{DevAddr: 5, FCnt: 9, HasFPort: true, FPort: 1}, SessionKeys{FNwkSInt: key})
	if err != nil {
		t.Fatal(err)
	}
	if !VerifyUplinkMIC10(phy, key, 9) {
		t.Fatal("the frame is not right as built")
	}
	phy[0] |= 0x04
	if Classify(phy) != DataUp || VerifyUplinkMIC10(phy, key, 9) {
		t.Error("a reserved bit can be flipped unseen")
	}
}

func TestAddressesWithoutNetwork(t *testing.T) {
	for _, a := range []DevAddr{0xff000000, 0xffffffff} {
		if a.NetIDType() != -1 {
			t.Errorf("%v has type %d", a, a.NetIDType())
		}
		if _, ok := a.NwkID(); ok {
			t.Errorf("%v has a NwkID", a)
		}
		for n := NetID(0); n <= 0xe00000; n += 0x200000 {
			if a.Belongs(n) || a.Belongs(n|0x1fffff) {
				t.Errorf("%v belongs to %v", a, n)
			}
		}
	}
	if DevAddr(0).Belongs(MaxNetID + 1) {
		t.Error("an address belongs to a NetID of 25 bits")
	}
}

// TestAddressesAgainstBrocaar compares the arithmetic with the codec's, which is
// right for addresses that belong to a network.
func TestAddressesAgainstBrocaar(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a := DevAddr(rng.Uint32())
		n := NetID(rng.Uint32N(1 << 24))
		if rng.IntN(2) == 0 { // make it a member
			first, last := n.DevAddrs()
			a = first + DevAddr(rng.Uint64N(uint64(last-first)+1))
		}
		if a.Belongs(n) != codecAddr(a).IsNetID(codecNetID(n)) {
			t.Fatalf("%v in %v: we say %v", a, n, a.Belongs(n))
		}
		if typ := codecAddr(a).NetIDType(); typ != a.NetIDType() {
			t.Fatalf("%v: type %d, they say %d", a, a.NetIDType(), typ)
		}
		if id, ok := a.NwkID(); ok {
			var theirs uint32
			for _, b := range codecAddr(a).NwkID() {
				theirs = theirs<<8 | uint32(b)
			}
			if id != theirs {
				t.Fatalf("%v: NwkID %x, they say %x", a, id, theirs)
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, bad := range []string{"", "0x01020304", "0102030", "010203045", "0102030g", "+1020304", "-1020304", "01_20304"} {
		if a, err := ParseDevAddr(bad); err == nil {
			t.Errorf("DevAddr %q read as %v", bad, a)
		}
	}
	if e, err := ParseEUI64("0807060504030201"); err != nil || e.String() != "0807060504030201" {
		t.Errorf("%v %v", e, err)
	}
	if n, err := ParseNetID("C00053"); err != nil || n.String() != "c00053" {
		t.Errorf("%v %v", n, err)
	}
	k, err := ParseAESKey("000102030405060708090a0b0c0d0e0f")
	if err != nil || k.Hex() != "000102030405060708090a0b0c0d0e0f" {
		t.Error(err)
	}
	for _, verb := range []string{"%v", "%s", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, struct{ K AESKey }{k}); strings.Contains(s, "0e0f") || strings.Contains(s, "14 15") || strings.Contains(s, "0xe") {
			t.Errorf("%s shows the key: %s", verb, s)
		}
	}
	if js, err := json.Marshal(struct{ K AESKey }{k}); err != nil || string(js) != `{"K":"(key)"}` {
		t.Errorf("JSON shows the key: %s (%v)", js, err)
	}
	if _, err := ParseAESKey("secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestSession11 plays a device and a network through a 1.1 join, an uplink and
// an acknowledged downlink.
func TestSession11(t *testing.T) {
	nwkKey, appKey := AESKey{1, 2, 3}, AESKey{4, 5, 6}
	const joinEUI, devEUI, devNonce = EUI64(0x1122334455667788), EUI64(0x99aabbccddeeff00), 77
	req, err := BuildJoinRequest(joinEUI, devEUI, devNonce, nwkKey)
	if err != nil || !VerifyJoinRequestMIC(req, nwkKey) {
		t.Fatal(err)
	}
	jsInt, jsEnc := DeriveJoinServerKeys(nwkKey, devEUI)
	if jsInt == jsEnc {
		t.Error("the join server's keys are one")
	}
	ctx := JoinContext{Type: AnswersJoin, JoinEUI: joinEUI, DevNonce: devNonce}
	body := JoinAcceptBody{JoinNonce: 0xabcdef, NetID: 0x60002d, DevAddr: 0xe05a0001, OptNeg: true, RX1DROffset: 3,
		RX2DR: 8, RXDelay: 5, CFList: unhex(t, "184f84e85684b85e84886684586e8400")}
	acc, err := BuildJoinAccept11(body, jsInt, nwkKey, ctx)
	if err != nil {
		t.Fatal(err)
	}
	j, err := DecryptJoinAccept(acc, nwkKey)
	if err != nil || fmt.Sprint(j.JoinAcceptBody) != fmt.Sprint(body) {
		t.Fatalf("%+v (%v)", j, err)
	}
	if !j.VerifyMIC11(jsInt, ctx) || j.VerifyMIC10(jsInt) {
		t.Error("join-accept MIC")
	}
	for _, c := range []JoinContext{{AnswersRejoin0, joinEUI, devNonce}, {AnswersJoin, joinEUI + 1, devNonce}, {AnswersJoin, joinEUI, devNonce + 1}} {
		if j.VerifyMIC11(jsInt, c) {
			t.Errorf("join-accept passes for %+v", c)
		}
	}
	keys := DeriveSession11(nwkKey, appKey, j.JoinNonce, joinEUI, devNonce)
	for name, d := range map[string]Data{
		"up":               {DevAddr: j.DevAddr, FCnt: 0x30005, Confirmed: true, FCtrl: FCtrl{ACK: true, ADR: true}, FOpts: []byte{2, 3}, HasFPort: true, FPort: 7, FRMPayload: []byte("payload of more than one block")},
		"down, port 7":     {Down: true, DevAddr: j.DevAddr, FCnt: 0x20009, FCtrl: FCtrl{ACK: true}, FOpts: []byte{6}, HasFPort: true, FPort: 7, FRMPayload: []byte("x")},
		"down, no port":    {Down: true, DevAddr: j.DevAddr, FCnt: 3, FOpts: []byte{6, 7}},
		"up, MAC payload":  {DevAddr: j.DevAddr, FCnt: 1, HasFPort: true, FRMPayload: []byte{2}},
		"up, nothing more": {DevAddr: j.DevAddr, FCnt: 2},
	} {
		phy, err := BuildData11(d, keys, Context11{ConfFCnt: 0x10042, TxDR: 3, TxCh: 2})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f := mustParse(t, phy)
		ok := VerifyDownlinkMIC11(phy, keys.SNwkSInt, d.FCnt, 0x42)
		counter := ByApplicationCounter
		if !d.Down {
			ok = VerifyUplinkMIC11(phy, d.FCnt, Uplink11{FNwkSIntKey: keys.FNwkSInt, SNwkSIntKey: keys.SNwkSInt, ConfFCnt: 0x42, TxDR: 3, TxCh: 2})
		}
		if !d.Down || !d.HasFPort {
			counter = ByNetworkCounter
		}
		if !ok {
			t.Errorf("%s: MIC is refused", name)
		}
		opts, err := CryptFOpts(keys.NwkSEnc, counter, f, d.FCnt)
		if err != nil || !bytes.Equal(opts, d.FOpts) || len(opts) > 0 && bytes.Equal(f.FOpts, d.FOpts) {
			t.Errorf("%s: FOpts %x on the air, %x decrypted, want %x (%v)", name, f.FOpts, opts, d.FOpts, err)
		}
		plain, err := f.Decrypt(keys, d.FCnt)
		if err != nil || !bytes.Equal(plain, d.FRMPayload) || f.FCtrl != d.FCtrl || f.Confirmed != d.Confirmed {
			t.Errorf("%s: %+v, plain %q (%v)", name, f, plain, err)
		}
		if _, err := f.Decrypt(keys, d.FCnt+1); err == nil {
			t.Errorf("%s: decrypted with another counter", name)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	var keys SessionKeys
	for name, d := range map[string]Data{
		"payload without port": {FRMPayload: []byte{1}},
		"FOpts and port 0":     {FOpts: []byte{1}, HasFPort: true},
		"16 bytes of FOpts":    {FOpts: make([]byte, 16)},
		"243 bytes":            {HasFPort: true, FPort: 1, FRMPayload: make([]byte, 243)},
	} {
		if phy, err := BuildData10(d, keys); err == nil {
			t.Errorf("%s: built %x", name, phy)
		}
		if phy, err := BuildData11(d, keys, Context11{}); err == nil {
			t.Errorf("%s: built %x", name, phy)
		}
	}
	if phy, err := BuildData10(Data{HasFPort: true, FPort: 1, FRMPayload: make([]byte, 242)}, keys); err != nil || len(phy) != 255 {
		t.Errorf("the longest frame: %d bytes (%v)", len(phy), err)
	}
	for name, b := range map[string]JoinAcceptBody{
		"nonce": {JoinNonce: 1 << 24}, "NetID": {NetID: 1 << 24}, "offset": {RX1DROffset: 8}, "RX2": {RX2DR: 16},
		"delay": {RXDelay: 16}, "CFList": {CFList: make([]byte, 15)}, "OptNeg": {OptNeg: true},
	} {
		if phy, err := BuildJoinAccept10(b, AESKey{}); err == nil {
			t.Errorf("%s: built %x", name, phy)
		}
	}
	if _, err := BuildJoinAccept11(JoinAcceptBody{}, AESKey{}, AESKey{}, JoinContext{}); err == nil {
		t.Error("1.1 join-accept without OptNeg")
	}
	if _, err := BuildRejoin(Frame{RejoinType: 3}, AESKey{}); err == nil {
		t.Error("rejoin of type 3")
	}
	if (DecryptedJoinAccept{}).VerifyMIC10(AESKey{}) || (DecryptedJoinAccept{JoinAcceptBody: JoinAcceptBody{OptNeg: true}}).VerifyMIC11(AESKey{}, JoinContext{}) {
		t.Error("an empty join-accept verifies")
	}
}

func TestRejoinType0(t *testing.T) {
	f := Frame{RejoinType: 0, NetID: 0xc00053, DevEUI: 42, DevNonce: 7}
	phy, err := BuildRejoin(f, AESKey{9})
	if err != nil || !VerifyRejoinMIC(phy, AESKey{9}) {
		t.Fatal(err)
	}
	if g := mustParse(t, phy); g.NetID != f.NetID || g.DevEUI != 42 || g.DevNonce != 7 || g.RejoinType != 0 {
		t.Errorf("%+v", g)
	}
}

// FuzzParse feeds radio bytes to everything that takes them, and compares with
// the codec where both accept.
func FuzzParse(f *testing.F) {
	v := vectors(f)
	for _, c := range v.Frames10 {
		f.Add([]byte(c.PHY), uint32(c.FCnt))
	}
	for _, c := range v.Joins {
		f.Add([]byte(c.PHY), uint32(0))
	}
	f.Add([]byte(v.Session.Ack), uint32(0))
	f.Add([]byte(v.Session.JoinAccept), uint32(0))
	f.Add([]byte("\x40\xff\xff\xff\xff\x00\x00\x00\x01mic!"), uint32(0))
	f.Add(append([]byte{0xe0}, make([]byte, 20)...), uint32(0))
	f.Fuzz(func(t *testing.T, phy []byte, fcnt uint32) {
		key := AESKey{1, 2, 3}
		frame, err := Parse(phy)
		if (err == nil) != (Classify(phy) != 0) || err == nil && Classify(phy) != frame.Kind {
			t.Fatalf("Classify says %v, Parse %v", Classify(phy), err)
		}
		up10 := VerifyUplinkMIC10(phy, key, fcnt)
		p := Uplink11{FNwkSIntKey: key, ConfFCnt: fcnt, TxDR: 1, TxCh: 2}
		up11 := VerifyUplinkMIC11(phy, fcnt, p)
		down11 := VerifyDownlinkMIC11(phy, key, fcnt, fcnt)
		VerifyUplinkMIC11F(phy, key, fcnt)
		VerifyDownlinkMIC10(phy, key, fcnt)
		VerifyJoinRequestMIC(phy, key)
		VerifyRejoinMIC(phy, key)
		FindFCnt(phy, key, 0, 1)
		PacketHash(phy)
		if j, err := DecryptJoinAccept(phy, key); err == nil {
			j.VerifyMIC10(key)
			j.VerifyMIC11(key, JoinContext{})
		}
		if err != nil {
			return
		}
		if !bytes.Equal(frame.Raw, phy) {
			t.Fatal("Raw is not what came in")
		}
		_ = frame.DevAddr.NetIDType()
		frame.DevAddr.NwkID()
		if _, err := CryptFOpts(key, ByNetworkCounter, frame, fcnt); (err == nil) != (frame.Kind == DataUp || frame.Kind == DataDown) {
			t.Fatal(err)
		}
		compareWithCodec(t, frame, fcnt, [3]bool{up10, up11, down11})
	})
}

// compareWithCodec holds a data frame without reserved header bits against the
// codec's reading of it, and its MIC for the counter against the codec's.
func compareWithCodec(t *testing.T, f Frame, fcnt uint32, got [3]bool) {
	t.Helper()
	if f.Kind != DataUp && f.Kind != DataDown || f.Raw[0]&0x1c != 0 {
		return
	}
	var p codec.PHYPayload
	if err := p.UnmarshalBinary(f.Raw); err != nil {
		t.Fatalf("only we accept it: %v", err)
	}
	mac := p.MACPayload.(*codec.MACPayload)
	if mac.FHDR.DevAddr != codecAddr(f.DevAddr) || uint16(mac.FHDR.FCnt) != f.FCnt16 || mac.FHDR.FCtrl.ADR != f.FCtrl.ADR ||
		mac.FHDR.FCtrl.ACK != f.FCtrl.ACK || (mac.FPort != nil) != f.HasFPort || f.HasFPort && *mac.FPort != f.FPort {
		t.Fatalf("%+v, they read %+v", f, mac)
	}
	if uint16(fcnt) != f.FCnt16 {
		return
	}
	mac.FHDR.FCnt = fcnt
	key := codec.AES128Key{1, 2, 3}
	want := [3]bool{}
	if f.Kind == DataUp {
		want[0], _ = p.ValidateUplinkDataMIC(codec.LoRaWAN1_0, 0, 0, 0, key, key)
		want[1], _ = p.ValidateUplinkDataMIC(codec.LoRaWAN1_1, fcnt, 1, 2, key, codec.AES128Key{})
	} else {
		want[2], _ = p.ValidateDownlinkDataMIC(codec.LoRaWAN1_1, fcnt, key)
	}
	if got != want {
		t.Fatalf("MICs %v, they say %v", got, want)
	}
	signedByCodec(t, p, f.Kind, fcnt)
}

// signedByCodec lets the codec sign the frame and verifies that.
func signedByCodec(t *testing.T, p codec.PHYPayload, kind Kind, fcnt uint32) {
	t.Helper()
	key := codec.AES128Key{1, 2, 3}
	sign := func(err error) []byte {
		b, err2 := p.MarshalBinary()
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return b
	}
	if kind == DataDown {
		if !VerifyDownlinkMIC11(sign(p.SetDownlinkDataMIC(codec.LoRaWAN1_1, fcnt, key)), AESKey(key), fcnt, fcnt) ||
			!VerifyDownlinkMIC10(sign(p.SetDownlinkDataMIC(codec.LoRaWAN1_0, 0, key)), AESKey(key), fcnt) {
			t.Fatal("a downlink that the codec signed is refused")
		}
		return
	}
	u := Uplink11{FNwkSIntKey: AESKey(key), SNwkSIntKey: AESKey{7}, ConfFCnt: fcnt, TxDR: 1, TxCh: 2}
	signed := sign(p.SetUplinkDataMIC(codec.LoRaWAN1_1, fcnt, 1, 2, key, codec.AES128Key{7}))
	if !VerifyUplinkMIC11(signed, fcnt, u) || !VerifyUplinkMIC11F(signed, AESKey(key), fcnt) {
		t.Fatal("a 1.1 uplink that the codec signed is refused")
	}
	if !VerifyUplinkMIC10(sign(p.SetUplinkDataMIC(codec.LoRaWAN1_0, 0, 0, 0, key, key)), AESKey(key), fcnt) {
		t.Fatal("a 1.0 uplink that the codec signed is refused")
	}
}

var sink Frame

func BenchmarkParse(b *testing.B) {
	phy := unhex(b, "400403020180010001a694642615d6c3b582")
	b.ReportAllocs()
	for b.Loop() {
		f, err := Parse(phy)
		if err != nil {
			b.Fatal(err)
		}
		sink = f
	}
}

func BenchmarkClassify(b *testing.B) {
	phy := unhex(b, "400403020180010001a694642615d6c3b582")
	b.ReportAllocs()
	for b.Loop() {
		if Classify(phy) != DataUp {
			b.Fatal("not an uplink")
		}
	}
}

func BenchmarkVerifyUplinkMIC10(b *testing.B) {
	phy := unhex(b, "400403020180010001a694642615d6c3b582")
	key := AESKey(unhex(b, "02020202020202020202020202020202"))
	b.ReportAllocs()
	for b.Loop() {
		if !VerifyUplinkMIC10(phy, key, 1) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkFindFCntAll(b *testing.B) {
	phy := unhex(b, "400403020180010001a694642615d6c3b583")
	for b.Loop() {
		if _, ok := FindFCnt(phy, AESKey{}, 0, 0xffff); ok {
			b.Fatal("found")
		}
	}
}

func BenchmarkBuildData10(b *testing.B) {
	d := Data{DevAddr: 1, FCnt: 2, HasFPort: true, FPort: 3, FRMPayload: make([]byte, 12)}
	for b.Loop() {
		if _, err := BuildData10(d, SessionKeys{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFindFCntAllLongest(b *testing.B) {
	phy, err := BuildData10(Data{HasFPort: true, FPort: 1, FRMPayload: make([]byte, 242)}, SessionKeys{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := FindFCnt(phy, AESKey{1}, 0, 0xffff); ok {
			b.Fatal("found")
		}
	}
}

// TestCryptAgainstBrocaar covers payloads of several blocks, where a code that
// is its own inverse could be wrong on both ways alike.
func TestCryptAgainstBrocaar(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 243 {
		in := make([]byte, n)
		for i := range in {
			in[i] = byte(rng.Uint32())
		}
		key, addr, fcnt, down := AESKey{byte(n), 9}, DevAddr(rng.Uint32()), rng.Uint32(), n%2 == 0
		want, err := codec.EncryptFRMPayload(codec.AES128Key(key), !down, codecAddr(addr), fcnt, bytes.Clone(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := CryptFRMPayload(key, down, addr, fcnt, in); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %x, they say %x", n, got, want)
		}
	}
}
