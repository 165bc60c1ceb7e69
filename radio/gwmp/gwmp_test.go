package gwmp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/radio"
)

func equal(t testing.TB, what string, got, want Message) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, show(got), show(want))
	}
}

func show(m Message) string {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Sprintf("%+v", m)
	}
	return fmt.Sprintf("%T %s", m, b)
}

// roundTrip appends m, parses that and wants m back, without the elements that
// could not be used.
func roundTrip(t testing.TB, what string, m Message) {
	t.Helper()
	if p, ok := m.(PushData); ok {
		p.Bad = nil
		m = p
	}
	b, err := m.AppendBinary([]byte("prefix"))
	if err != nil {
		t.Errorf("%s: append what was parsed: %v", what, err)
		return
	}
	if !bytes.HasPrefix(b, []byte("prefix")) {
		t.Errorf("%s: AppendBinary overwrote what was there", what)
	}
	back, err := Parse(b[len("prefix"):])
	if err != nil {
		t.Errorf("%s: parse %q: %v", what, b, err)
		return
	}
	equal(t, what+" round trip", back, m)
}

func good() RxPK {
	return RxPK{
		Payload: []byte{1, 2, 3}, Tmst: 42, Frequency: 868_100_000,
		DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK, RSSI: -6000, SNR: 750,
	}
}

const goodJSON = `{"tmst":42,"chan":0,"rfch":0,"freq":868.100000,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"lsnr":7.5,"size":3,"data":"AQID"}`

func goodTx() TxPK {
	return TxPK{
		Payload: []byte{1, 2, 3}, When: radio.AtTick, Tmst: 4294967295, Frequency: 869_525_000,
		DataRate: radio.LoRaRate(12, 125*radio.KHz), Coding: 1, Power: 2700, InvertIQ: true, NoCRC: true,
	}
}

const goodTxJSON = `{"imme":false,"tmst":4294967295,"freq":869.525000,"rfch":0,"powe":27,"modu":"LORA","datr":"SF12BW125","codr":"4/5","ipol":true,"size":3,"data":"AQID","ncrc":true}`

// TestWire holds each message against its bytes, in both directions.
func TestWire(t *testing.T) {
	mac := "\x72\x76\xff\x00\x44\x01\x00\x10"
	full := good()
	full.UnixNano, full.GPS = 1612379026500349000, 1296414244500
	full.FineNanos, full.HasFine = 999_999_999, true
	full.Offset, full.HasOffset = -12, true
	full.SignalRSSI, full.HasSignalRSSI = -6105, true
	full.IFChannel, full.RadioChain, full.Antenna, full.Board = 7, 1, 2, 3
	fsk := goodTx()
	fsk.DataRate, fsk.Coding, fsk.Deviation, fsk.Preamble = radio.FSKRate(50000), 0, 25000, 5
	fsk.When, fsk.Tmst, fsk.GPS, fsk.Board, fsk.Antenna, fsk.Power = radio.AtGPS, 0, 1296414244500, 1, 2, -350
	now := goodTx()
	now.When, now.Tmst = radio.Immediate, 0
	for _, tt := range []struct {
		name string
		msg  Message
		wire string
	}{
		{"push ack", PushAck{V2, 0x0102}, "\x02\x01\x02\x01"},
		{"push ack v1", PushAck{V1, 0xfffe}, "\x01\xff\xfe\x01"},
		{"pull data", PullData{V1, 0x0102, testMAC}, "\x01\x01\x02\x02" + mac},
		{"pull ack", PullAck{V2, 0x0102}, "\x02\x01\x02\x04"},
		{"push data, nothing", PushData{Version: V2, Token: 1, MAC: testMAC}, "\x02\x00\x01\x00" + mac + "{}"},
		{"push data", PushData{Version: V2, Token: 1, MAC: testMAC, RxPKs: []RxPK{good(), full}, Stat: &Stat{RxReceived: 4294967295}},
			"\x02\x00\x01\x00" + mac + `{"rxpk":[` + goodJSON + `,{"tmst":42,"time":"2021-02-03T19:03:46.500349Z","tmms":1296414244500,"ftime":999999999,"chan":7,"rfch":1,"ant":2,"brd":3,"freq":868.100000,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"rssis":-61.05,"lsnr":7.5,"foff":-12,"size":3,"data":"AQID"}],"stat":{"rxnb":4294967295,"rxok":0,"rxfw":0,"dwnb":0,"txnb":0}}`},
		{"pull resp", PullResp{V2, 1, goodTx()}, "\x02\x00\x01\x03" + `{"txpk":` + goodTxJSON + "}"},
		{"pull resp now", PullResp{V1, 0, now}, "\x01\x00\x00\x03" + `{"txpk":` + strings.Replace(goodTxJSON, `false,"tmst":4294967295`, "true", 1) + "}"},
		{"pull resp fsk", PullResp{V2, 1, fsk}, "\x02\x00\x01\x03" + `{"txpk":{"imme":false,"tmms":1296414244500,"freq":869.525000,"rfch":0,"ant":2,"brd":1,"powe":-3.5,"modu":"FSK","datr":50000,"fdev":25000,"ipol":true,"prea":5,"size":3,"data":"AQID","ncrc":true}}`},
		{"tx ack", TxAck{Version: V2, Token: 1, MAC: testMAC, Status: radio.TxOK}, "\x02\x00\x01\x05" + mac + `{"txpk_ack":{"error":"NONE"}}`},
		{"tx ack late", TxAck{Version: V2, Token: 1, MAC: testMAC, Status: radio.TxTooLate}, "\x02\x00\x01\x05" + mac + `{"txpk_ack":{"error":"TOO_LATE"}}`},
		{"tx ack power", TxAck{Version: V2, Token: 1, MAC: testMAC, Status: radio.TxOK, Power: 2005, HasPower: true}, "\x02\x00\x01\x05" + mac + `{"txpk_ack":{"warn":"TX_POWER","value":20.05}}`},
	} {
		b, err := tt.msg.AppendBinary(nil)
		if err != nil || string(b) != tt.wire {
			t.Errorf("%s: appended\n     %q, %v\nwant %q", tt.name, b, err, tt.wire)
		}
		m, err := Parse([]byte(tt.wire))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		equal(t, tt.name, m, tt.msg)
		if m.Kind() != Kind(tt.wire[3]) {
			t.Errorf("%s: kind %s", tt.name, m.Kind())
		}
	}
}

// rxWith parses a PUSH_DATA with one packet, in which old is replaced by new.
func rxWith(t *testing.T, old, new string) (RxPK, error) {
	t.Helper()
	if !strings.Contains(goodJSON, old) {
		t.Fatalf("the packet has no %s", old)
	}
	body := `{"rxpk":[` + strings.Replace(goodJSON, old, new, 1) + `]}`
	m, err := Parse(datagram(KindPushData, []byte(body)))
	if err != nil {
		t.Fatalf("%s: the whole datagram was refused: %v", new, err)
	}
	p := m.(PushData)
	if len(p.Bad) == 1 && len(p.RxPKs) == 0 {
		return RxPK{}, p.Bad[0]
	}
	if len(p.Bad) != 0 || len(p.RxPKs) != 1 {
		t.Fatalf("%s: %d packets, errors %v", new, len(p.RxPKs), p.Bad)
	}
	roundTrip(t, new, p)
	return p.RxPKs[0], nil
}

// TestQuirks lists what forwarders in the field really send.
func TestQuirks(t *testing.T) {
	rsig := func(s string) (string, string) { return `"rssi":-60,"lsnr":7.5`, `"rsig":[` + s + `]` }
	rsigOld, two := rsig(`{"ant":1,"chan":2,"rssic":-50,"lsnr":3},{"ant":3,"chan":7,"rssic":-90,"rssis":-91,"lsnr":9.2,"foff":-7,"ftime":5}`)
	_, tie := rsig(`{"ant":1,"rssic":-70,"lsnr":3},{"ant":2,"rssic":-60,"lsnr":3}`)
	for _, tt := range []struct {
		name, old, new string
		edit           func(*RxPK)
	}{
		{"tmst as text", `"tmst":42`, `"tmst":"3512348611"`, func(p *RxPK) { p.Tmst = 3512348611 }},
		{"tmst with noise", `"tmst":42`, `"tmst":3512348610.9999995`, func(p *RxPK) { p.Tmst = 3512348611 }},
		{"tmst exponent", `"tmst":42`, `"tmst":4.2e1`, func(*RxPK) {}},
		{"tmst printed signed", `"tmst":42`, `"tmst":-1`, func(p *RxPK) { p.Tmst = 4294967295 }},
		{"freq noise up", `868.100000`, `868.1000000000001`, func(*RxPK) {}},
		{"freq noise down", `868.100000`, `868.0999999`, func(*RxPK) {}},
		{"freq as text", `868.100000`, `"868.1"`, func(*RxPK) {}},
		{"codr reduced", `"4/5"`, `"2/3"`, func(p *RxPK) { p.Coding = 2 }},
		{"codr reduced half", `"4/5"`, `"1/2"`, func(p *RxPK) { p.Coding = 4 }},
		{"codr off", `"4/5"`, `"OFF"`, func(p *RxPK) { p.Coding = 0 }},
		{"codr absent", `"codr":"4/5",`, ``, func(p *RxPK) { p.Coding = 0 }},
		{"stat 0", `"stat":1`, `"stat":0`, func(p *RxPK) { p.CRC = radio.CRCNone }},
		{"stat absent", `"stat":1,`, ``, func(p *RxPK) { p.CRC = radio.CRCNone }},
		{"stat -1", `"stat":1`, `"stat":-1`, func(p *RxPK) { p.CRC = radio.CRCBad }},
		{"rssis", `"rssi":-60`, `"rssi":-60,"rssis":-61`, func(p *RxPK) { p.SignalRSSI, p.HasSignalRSSI = -6100, true }},
		{"rssis null", `"rssi":-60`, `"rssi":-60,"rssis":null`, func(*RxPK) {}},
		{"unknown fields", `"stat":1`, `"stat":1,"jver":1,"aesk":0,"mid":5,"meta":{"a":[{}]}`, func(*RxPK) {}},
		{"no size", `"size":3,`, ``, func(*RxPK) {}},
		{"empty payload", `"size":3,"data":"AQID"`, `"size":0,"data":""`, func(p *RxPK) { p.Payload = []byte{} }},
		{"unpadded", `"size":3,"data":"AQID"`, `"size":2,"data":"AQI"`, func(p *RxPK) { p.Payload = []byte{1, 2} }},
		{"padded", `"size":3,"data":"AQID"`, `"size":2,"data":"AQI="`, func(p *RxPK) { p.Payload = []byte{1, 2} }},
		{"mixed alphabets", `"data":"AQID"`, `"data":"+-_/"`, func(p *RxPK) { p.Payload = []byte{0xfb, 0xef, 0xff} }},
		{"stray bits", `"size":3,"data":"AQID"`, `"size":1,"data":"AR"`, func(p *RxPK) { p.Payload = []byte{1} }},
		{"modu absent", `"modu":"LORA",`, ``, func(*RxPK) {}},
		{"datr lower case", `SF7BW125`, `sf7bw125`, func(*RxPK) {}},
		{"FSK rate as text", `"LORA","datr":"SF7BW125"`, `"FSK","datr":"50000"`, func(p *RxPK) {
			p.DataRate, p.Coding, p.SNR = radio.FSKRate(50000), 0, 0
		}},
		{"best SNR of two antennas", rsigOld, two, func(p *RxPK) {
			p.Antenna, p.IFChannel, p.RSSI, p.SNR = 3, 7, -9000, 920
			p.SignalRSSI, p.HasSignalRSSI, p.Offset, p.HasOffset, p.FineNanos, p.HasFine = -9100, true, -7, true, 5, true
		}},
		{"equal SNR, better RSSI", rsigOld, tie, func(p *RxPK) { p.Antenna, p.RSSI, p.SNR = 2, -6000, 300 }},
		{"rsig completes top level", `"lsnr":7.5`, `"rsig":[{"ant":1,"lsnr":7.5}]`, func(p *RxPK) { p.Antenna = 1 }},
		{"rsig empty", `"lsnr":7.5`, `"lsnr":7.5,"rsig":[]`, func(*RxPK) {}},
		{"expanded time", `"tmst":42`, `"tmst":42,"time":"2014-01-12 08:59:28 GMT"`, func(p *RxPK) { p.UnixNano = 1389517168e9 }},
		{"time in ns", `"tmst":42`, `"tmst":42,"time":"2014-01-12T08:59:28.123456789Z"`, func(p *RxPK) { p.UnixNano = 1389517168123456789 }},
		{"time with offset", `"tmst":42`, `"tmst":42,"time":"2014-01-12T09:59:28+01:00"`, func(p *RxPK) { p.UnixNano = 1389517168e9 }},
		{"time without zone", `"tmst":42`, `"tmst":42,"time":"2014-01-12T08:59:28.5"`, func(p *RxPK) { p.UnixNano = 13895171685e8 }},
		{"time in a zone's letters", `"tmst":42`, `"tmst":42,"time":"2014-01-12 08:59:28 CET"`, func(*RxPK) {}},
		{"time unusable", `"tmst":42`, `"tmst":42,"time":"n/a"`, func(*RxPK) {}},
		{"time too far", `"tmst":42`, `"tmst":42,"time":"9999-01-12T08:59:28Z"`, func(*RxPK) {}},
		{"time of wrong type", `"tmst":42`, `"tmst":42,"time":{"a":1}`, func(*RxPK) {}},
		{"GPS clock not set", `"tmst":42`, `"tmst":42,"tmms":12345`, func(*RxPK) {}},
	} {
		want := good()
		tt.edit(&want)
		got, err := rxWith(t, tt.old, tt.new)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tt.name, got, err, want)
		}
	}
}

// TestUnusable has packets that must be refused, one by one.
func TestUnusable(t *testing.T) {
	long := strings.Repeat("A", 4*256/3+2)
	antennas := strings.TrimSuffix(strings.Repeat(`{"lsnr":1,"rssic":-1},`, maxSignals+1), ",")
	for _, tt := range []struct{ old, new, want string }{
		{`"size":3`, `"size":4`, "size is 4"},
		{`"data":"AQID"`, `"data":"AQI*"`, "data"},
		{`"data":"AQID"`, `"data":"AQIDA"`, "data"},
		{`"size":3,"data":"AQID"`, `"data":"` + long + `"`, "data"},
		{`,"data":"AQID"`, ``, "data is missing"},
		{`"tmst":42,`, ``, "tmst is missing"},
		{`"tmst":42`, `"tmst":"x"`, "not a number"},
		{`"tmst":42`, `"tmst":"NaN"`, "not a number"},
		{`"tmst":42`, `"tmst":4294967296`, "tmst"},
		{`"tmst":42`, `"tmst":true`, "not a number"},
		{`"freq":868.100000,`, ``, "freq is missing"},
		{`868.100000`, `868100000`, "freq"},
		{`868.100000`, `-1`, "freq"},
		{`868.100000`, `0`, "freq"},
		{`"LORA"`, `"LR-FHSS"`, "modu"},
		{`"SF7BW125"`, `"SF4BW125"`, "datr"},
		{`"SF7BW125"`, `50000`, "datr"},
		{`"LORA"`, `"FSK"`, "datr"},
		{`"datr":"SF7BW125",`, ``, "datr is missing"},
		{`"4/5"`, `"5/6"`, "codr"},
		{`"stat":1`, `"stat":2`, "stat"},
		{`"rssi":-60,`, ``, "rssi is missing"},
		{`"lsnr":7.5,`, ``, "lsnr is missing"},
		{`"rssi":-60`, `"rssi":-1e9`, "rssi"},
		{`"lsnr":7.5`, `"lsnr":1e9`, "lsnr"},
		{`"lsnr":7.5`, `"lsnr":7.5,"rsig":[` + antennas + `]`, "antennas"},
		{`"tmst":42`, `"tmst":42,"ftime":1000000000`, "ftime"},
		{`"tmst":42`, `"tmst":42,"foff":9e9`, "foff"},
		{`"chan":0`, `"chan":256`, "chan"},
		{`"rfch":0`, `"rfch":-1`, "rfch"},
		{`"rfch":0`, `"rfch":0,"brd":300`, "brd"},
	} {
		_, err := rxWith(t, tt.old, tt.new)
		var el ElementError
		if !errors.As(err, &el) || el.Index != 0 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s -> %.40s: error %v, want one about %q", tt.old, tt.new, err, tt.want)
		}
	}
}

// TestGoodBesideBad has a bad packet, a bad stat and a good packet in one datagram.
func TestGoodBesideBad(t *testing.T) {
	body := `{"rxpk":[{"tmst":[]},` + goodJSON + `,null,7],"stat":{"lati":91,"long":0}}`
	m, err := Parse(datagram(KindPushData, []byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	p := m.(PushData)
	if len(p.RxPKs) != 1 || !reflect.DeepEqual(p.RxPKs[0], good()) || p.Stat != nil {
		t.Errorf("got %s", show(p))
	}
	var at []int
	for _, e := range p.Bad {
		at = append(at, e.Index)
	}
	if !reflect.DeepEqual(at, []int{0, 2, 3, -1}) {
		t.Errorf("errors at %v: %v", at, p.Bad)
	}
}

// TestRefused has datagrams that hold nothing usable.
func TestRefused(t *testing.T) {
	tx := func(old, new string) []byte {
		if !strings.Contains(goodTxJSON, old) {
			t.Fatalf("the packet has no %s", old)
		}
		return datagram(KindPullResp, []byte(`{"txpk":`+strings.Replace(goodTxJSON, old, new, 1)+`}`))
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "0 bytes"},
		{"short", []byte{2, 0, 0}, "3 bytes"},
		{"long", make([]byte, MaxDatagram+1), "at most"},
		{"version 0", []byte{0, 0, 0, 1}, "version 0"},
		{"version 3", []byte{3, 0, 0, 1}, "version 3"},
		{"identifier", []byte{2, 0, 0, 6}, "kind 6"},
		{"no gateway id", []byte{2, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7}, "gateway id"},
		{"push without JSON", datagram(KindPushData, nil), "PUSH_DATA"},
		{"push cut", datagram(KindPushData, []byte(`{"rxpk":[{"tmst":`)), "PUSH_DATA"},
		{"push with an object", datagram(KindPushData, []byte(`{"rxpk":{}}`)), "PUSH_DATA"},
		{"push deep", datagram(KindPushData, bytes.Repeat([]byte(`[`), 20000)), "PUSH_DATA"},
		{"too many", datagram(KindPushData, []byte(`{"rxpk":[`+strings.Repeat("{},", MaxRxPKs)+`{}]}`)), "at most 64"},
		{"ack in version 1", append([]byte{1, 0, 0, 5}, testMAC[:]...), "version 1"},
		{"ack with bad JSON", datagram(KindTxAck, []byte("{")), "TX_ACK"},
		{"ack with mad power", datagram(KindTxAck, []byte(`{"txpk_ack":{"warn":"TX_POWER","value":1e7}}`)), "value"},
		{"resp empty", datagram(KindPullResp, []byte(`{}`)), "txpk is missing"},
		{"resp null", datagram(KindPullResp, []byte(`{"txpk":null}`)), "missing"},
		{"resp never", tx(`"tmst":4294967295,`, ``), "when to send"},
		{"resp no power", tx(`"powe":27,`, ``), "powe is missing"},
		{"resp mad power", tx(`27`, `1e6`), "powe"},
		{"resp no coding", tx(`"codr":"4/5",`, ``), "codr"},
		{"resp no payload", tx(`"size":3,"data":"AQID"`, `"size":0,"data":""`), "empty"},
		{"resp size", tx(`"size":3`, `"size":2`), "size"},
		{"resp no header", tx(`"ncrc":true`, `"nhdr":true`), "nhdr"},
		{"resp preamble", tx(`"ncrc":true`, `"prea":65536`), "prea"},
		{"resp flag", tx(`"ncrc":true`, `"ncrc":"maybe"`), "neither"},
		{"resp deviation", tx(`"LORA","datr":"SF12BW125","codr":"4/5"`, `"FSK","datr":50000,"fdev":1e9`), "fdev"},
		{"resp antenna", tx(`"ncrc":true`, `"ant":256`), "ant"},
	} {
		m, err := Parse(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want an error about %q", tt.name, m, err, tt.want)
		}
	}
	if _, err := Parse([]byte{7, 0, 0, 1}); !errors.Is(err, ErrVersion) {
		t.Errorf("error %v is no ErrVersion", err)
	}
}

func TestTxQuirks(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		edit           func(*TxPK)
	}{
		{"imme wins over tmst", `"imme":false`, `"imme":true`, func(p *TxPK) { p.When, p.Tmst = radio.Immediate, 0 }},
		{"imme as number", `"imme":false`, `"imme":1`, func(p *TxPK) { p.When, p.Tmst = radio.Immediate, 0 }},
		{"tmst wins over tmms", `"imme":false`, `"tmms":1296414244500`, func(*TxPK) {}},
		{"GPS by time", `"tmst":4294967295`, `"time":"2021-02-03T19:03:46.500Z"`, func(p *TxPK) {
			p.When, p.Tmst, p.GPS = radio.AtGPS, 0, 1296414244500
		}},
		{"power as float", `27`, `13.85`, func(p *TxPK) { p.Power = 1385 }},
		{"ncrc absent", `,"ncrc":true`, ``, func(p *TxPK) { p.NoCRC = false }},
		{"ChirpStack zeros", `"ncrc":true`, `"ncrc":true,"ant":0,"brd":0,"fdev":0,"prea":8`, func(p *TxPK) { p.Preamble = 8 }},
	} {
		want := goodTx()
		tt.edit(&want)
		body := `{"txpk":` + strings.Replace(goodTxJSON, tt.old, tt.new, 1) + "}\x00"
		m, err := Parse(datagram(KindPullResp, []byte(body)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		equal(t, tt.name, m, PullResp{V2, 0x1234, want})
		roundTrip(t, tt.name, m)
	}
}

func TestTxAckStatuses(t *testing.T) {
	for wire, want := range map[string]radio.TxStatus{
		``:                                    radio.TxOK,
		"\x00":                                radio.TxOK,
		`{}`:                                  radio.TxOK,
		`{"txpk_ack":{"error":"NONE"}}`:       radio.TxOK,
		`{"txpk_ack":{"error":null}}`:         radio.TxOK,
		`{"txpk_ack":{"error":""}}`:           radio.TxOK,
		`{"txpk_ack":{"error":"TOO_LATE"}}`:   radio.TxTooLate,
		`{"txpk_ack":{"error":"too_early"}}`:  radio.TxTooEarly,
		`{"txpk_ack":{"error":"QUEUE_FULL"}}`: radio.TxBusy,
		`{"txpk_ack":{"error":"DUTY_CYCLE_OVERFLOW"}}`:    radio.TxDutyCycle,
		`{"txpk_ack":{"error":"COLLISION_BEACON"}}`:       radio.TxCollisionBeacon,
		`{"txpk_ack":{"error":"TX_FREQ"}}`:                radio.TxBadFrequency,
		`{"txpk_ack":{"error":"TX_POWER","value":20}}`:    radio.TxBadPower,
		`{"txpk_ack":{"error":"GPS_UNLOCKED"}}` + "\x00 ": radio.TxGPSUnlocked,
		`{"txpk_ack":{"error":"UNKNOWN"}}`:                radio.TxFailed,
		`{"txpk_ack":{"error":17}}`:                       radio.TxFailed,
	} {
		m, err := Parse(datagram(KindTxAck, []byte(wire)))
		if err != nil {
			t.Errorf("%q: %v", wire, err)
			continue
		}
		equal(t, wire, m, TxAck{Version: V2, Token: 0x1234, MAC: testMAC, Status: want})
		roundTrip(t, wire, m)
	}
	for s := radio.TxOK; s <= radio.TxFailed; s++ {
		b, err := TxAck{Version: V2, Status: s}.AppendBinary(nil)
		if err != nil {
			t.Errorf("status %s: %v", s, err)
			continue
		}
		want := s
		if s == radio.TxNoRadio {
			want = radio.TxFailed
		}
		if m, err := Parse(b); err != nil || m.(TxAck).Status != want {
			t.Errorf("status %s came back as %v, %v", s, m, err)
		}
	}
}

// TestCannotAppend has values that would not come back as they went.
func TestCannotAppend(t *testing.T) {
	rx := func(edit func(*RxPK)) Message {
		p := good()
		edit(&p)
		return PushData{Version: V2, RxPKs: []RxPK{good(), p}}
	}
	tx := func(edit func(*TxPK)) Message {
		p := goodTx()
		edit(&p)
		return PullResp{Version: V2, TxPK: p}
	}
	many := make([]RxPK, MaxRxPKs+1)
	big := PushData{Version: V2}
	for range MaxRxPKs {
		p := good()
		p.Payload = make([]byte, 255)
		big.RxPKs = append(big.RxPKs, p)
	}
	if b, err := big.AppendBinary(nil); err != nil || len(b) > MaxDatagram {
		t.Errorf("the largest PUSH_DATA has %d bytes, %v", len(b), err)
	}
	for i, m := range []Message{
		PushAck{}, PullAck{Version: 3}, PullData{}, PushData{}, PullResp{TxPK: goodTx()}, TxAck{Status: radio.TxOK},
		TxAck{Version: V1, Status: radio.TxOK}, TxAck{Version: V2}, TxAck{Version: V2, Status: radio.TxTooLate, HasPower: true},
		PushData{Version: V2, RxPKs: many},
		PushData{Version: V2, Stat: &Stat{HasPosition: true, Latitude: 90.1}},
		PushData{Version: V2, Stat: &Stat{HasAckRatio: true, AckRatio: -1}},
		PushData{Version: V2, Stat: &Stat{HasTemperature: true, Temperature: 1e9}},
		rx(func(p *RxPK) { p.Payload = make([]byte, 256) }),
		rx(func(p *RxPK) { p.Frequency = 0 }),
		rx(func(p *RxPK) { p.DataRate = radio.DataRate{} }),
		rx(func(p *RxPK) { p.Coding = 5 }),
		rx(func(p *RxPK) { p.CRC = 2 }),
		rx(func(p *RxPK) { p.RSSI = -100_001 }),
		rx(func(p *RxPK) { p.HasFine, p.FineNanos = true, 1e9 }),
		rx(func(p *RxPK) { p.HasOffset, p.Offset = true, 2*radio.MHz }),
		rx(func(p *RxPK) { p.GPS = 1 }),
		rx(func(p *RxPK) { p.UnixNano = -1 }),
		tx(func(p *TxPK) { p.Payload = nil }),
		tx(func(p *TxPK) { p.Coding = 0 }),
		tx(func(p *TxPK) { p.When = 0 }),
		tx(func(p *TxPK) { p.When = radio.AtGPS }),
		tx(func(p *TxPK) { p.Deviation = 1 }),
		tx(func(p *TxPK) { p.Power = 100_001 }),
	} {
		if b, err := m.AppendBinary([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("%d: %T appended %q, %v", i, m, b, err)
		}
	}
}

// TestTickWidening has a counter that wrapped between near and the packet.
func TestTickWidening(t *testing.T) {
	near := radio.Tick(3<<32 - 1000)
	p := good()
	p.Tmst = 500
	if got := p.Packet(near).Tick; got != 3<<32+500 {
		t.Errorf("uplink tick %d", got)
	}
	d := goodTx()
	d.Tmst = 4_294_960_000
	if got := d.Packet(3<<32 + 10).Tick; got != 2<<32+4_294_960_000 {
		t.Errorf("downlink tick %d", got)
	}
}

func TestRxTime(t *testing.T) {
	p := good()
	if w := p.Packet(0).Time; w.Known() {
		t.Errorf("time out of nothing: %s", w)
	}
	p.UnixNano = 1612379026500349000
	if w := p.Packet(0).Time; w.UnixNano != p.UnixNano || w.Bound != BoundHost {
		t.Errorf("host time: %s", w)
	}
	p.GPS = 1296414244500
	if w := p.Packet(0).Time; w.UnixNano != p.UnixNano || w.Bound != BoundGPS {
		t.Errorf("both times: %s", w)
	}
	p.UnixNano = 0
	if w := p.Packet(0).Time; w.UnixNano != 1612379026500000000 || w.Bound != BoundGPS {
		t.Errorf("GPS time: %s", w)
	}
	// Semtech's own example: the two differ by a second, less 567 µs.
	p.UnixNano, p.GPS = 1601544652592567000, 1285579871592
	if w := p.Packet(0).Time; w.UnixNano != p.UnixNano || w.Bound != 999433*time.Microsecond {
		t.Errorf("times that disagree: %s", w)
	}
}

func TestRxPKOf(t *testing.T) {
	in := radio.RxPacket{
		Payload: []byte{9}, Frequency: 868_300_000, Offset: 5, HasOffset: true,
		DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK,
		RSSI: -10_049, SignalRSSI: -10_150, HasSignalRSSI: true, SNR: -745, Tick: 1<<40 + 7,
		Time: radio.WallTime{UnixNano: 1612379026500349000, Bound: time.Microsecond}, FineNanos: 3, HasFine: true,
		IFChannel: 1, RadioChain: 1, Antenna: 1, Board: 2,
	}
	out := RxPKOf(in).Packet(in.Tick)
	want := in
	want.RSSI, want.SignalRSSI, want.SNR = -10_000, -10_200, -750
	want.Time.Bound = BoundGPS
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got  %+v\nwant %+v", out, want)
	}
	if got := RxPKOf(in).Offset; got != -in.Offset {
		t.Errorf("foff is %d for a carrier %d Hz too high: servers expect channel less carrier", got, in.Offset)
	}
	in.Payload[0] = 8
	if out.Payload[0] != 9 {
		t.Error("the payload is shared")
	}
	in.Time.Bound = time.Second
	if RxPKOf(in).GPS != 0 {
		t.Error("a host clock was passed on as GPS time")
	}
}

func TestTxPKOf(t *testing.T) {
	in := radio.TxPacket{
		Payload: []byte{9}, Frequency: 868_300_000, DataRate: radio.LoRaRate(9, 125*radio.KHz), Power: 1385,
		InvertIQ: true, NoCRC: true, Preamble: 8, RadioChain: 1, Antenna: 1, Board: 2, When: radio.AtTick, Tick: 1<<40 + 7,
	}
	want := in
	want.Power, want.Coding = 1300, 1
	if out := TxPKOf(in).Packet(in.Tick); !reflect.DeepEqual(out, want) {
		t.Errorf("got  %+v\nwant %+v", out, want)
	}
	for p, floor := range map[radio.CentiDBm]radio.CentiDBm{1400: 1400, 1499: 1400, -1: -100, -100: -100, -101: -200, 0: 0} {
		if got := TxPKOf(radio.TxPacket{Power: p}).Power; got != floor {
			t.Errorf("power %s becomes %s, want %s", p, got, floor)
		}
	}
	gps := radio.TxPacket{When: radio.AtGPS, GPSTime: 1296414244500 * time.Millisecond}
	if got := TxPKOf(gps); got.GPS != 1296414244500 {
		t.Errorf("GPS time %d", got.GPS)
	}
}
