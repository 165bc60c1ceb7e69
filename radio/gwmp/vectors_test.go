package gwmp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"heliograph/radio"
)

type example struct {
	Kind        string          `json:"kind"`
	JSON        json.RawMessage `json:"json"`
	HeaderHex   string          `json:"header_hex"`
	DatagramHex string          `json:"datagram_hex"`
}

type vectorFile struct {
	Examples []example `json:"gwmp_examples"`
	MACs     []struct {
		MAC string `json:"gwmp_mac"`
		Pub string `json:"pubkey_bin_hex"`
	} `json:"gateway_mac_from_pubkey"`
	Captured map[string]json.RawMessage `json:"captured"`
}

func vectors(t testing.TB) vectorFile {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Examples) == 0 || len(v.MACs) == 0 || len(v.Captured) == 0 {
		t.Fatal("a section of the vectors is empty")
	}
	return v
}

var testMAC = MAC{0x72, 0x76, 0xff, 0x00, 0x44, 0x01, 0x00, 0x10}

func datagram(kind Kind, body []byte) []byte {
	b := []byte{byte(V2), 0x12, 0x34, byte(kind)}
	if kind == KindPushData || kind == KindPullData || kind == KindTxAck {
		b = append(b, testMAC[:]...)
	}
	return append(b, body...)
}

// datagrams gives every example as whole datagrams.
func (v vectorFile) datagrams(t testing.TB) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, e := range v.Examples {
		switch {
		case e.DatagramHex != "":
			all[e.Kind] = unhex(t, e.DatagramHex)
		case e.HeaderHex != "":
			all[e.Kind] = append(unhex(t, e.HeaderHex), e.JSON...)
		case bytes.Contains(e.JSON, []byte(`"txpk_ack"`)):
			var acks []json.RawMessage
			if err := json.Unmarshal(e.JSON, &acks); err != nil {
				t.Fatal(err)
			}
			for i, a := range acks {
				all[e.Kind+" "+string(rune('a'+i))] = datagram(KindTxAck, a)
			}
		case bytes.Contains(e.JSON, []byte(`"txpk"`)):
			all[e.Kind] = datagram(KindPullResp, e.JSON)
		default:
			all[e.Kind] = datagram(KindPushData, e.JSON)
		}
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMACFromPublicKey(t *testing.T) {
	for _, v := range vectors(t).MACs {
		if got := MACFromPublicKey(unhex(t, v.Pub)).String(); got != v.MAC {
			t.Errorf("key %s: gateway id %s, want %s", v.Pub, got, v.MAC)
		}
		m, err := ParseMAC(strings.ToUpper(v.MAC))
		if err != nil || m.String() != v.MAC {
			t.Errorf("ParseMAC(%s) = %s, %v", v.MAC, m, err)
		}
	}
	for _, s := range []string{"", "00", "zz00000000000000", "000000000000000000"} {
		if _, err := ParseMAC(s); err == nil {
			t.Errorf("ParseMAC(%q) did not fail", s)
		}
	}
}

// TestExamples checks each example field by field against figures read from it
// by eye, so that the decoder is not checked against itself.
func TestExamples(t *testing.T) {
	lora := func(sf radio.SpreadingFactor) radio.DataRate { return radio.LoRaRate(sf, 125*radio.KHz) }
	push := func(r ...RxPK) PushData { return PushData{Version: V2, Token: 0x1234, MAC: testMAC, RxPKs: r} }
	stat := func(s Stat) PushData { return PushData{Version: V2, Token: 0x1234, MAC: testMAC, Stat: &s} }
	want := map[string]Message{
		"PUSH_DATA rxpk LoRa with tmms/ftime/mid/foff": push(RxPK{
			Payload: unbase64(t, "+DS4CGaDCdG+48eJNM3Vai+zDpsR71Pn9CPA9uCON84="),
			Tmst:    3512348611, UnixNano: 1601544652592567000, GPS: 1285579871592,
			FineNanos: 85224290, HasFine: true, IFChannel: 2, Frequency: 866349812,
			CRC: radio.CRCOK, DataRate: lora(7), Coding: 2, RSSI: -3500, SNR: 510, Offset: -3313, HasOffset: true,
		}),
		"rxpk FSK": push(RxPK{
			Payload: []byte("TEST_PACKET_1234"), Tmst: 3512348514, UnixNano: 1364746877530974000,
			IFChannel: 9, RadioChain: 1, Frequency: 869100000, CRC: radio.CRCOK,
			DataRate: radio.FSKRate(50000), RSSI: -7500,
		}),
		"stat": stat(Stat{
			UnixNano: 1389517168e9, HasPosition: true, Latitude: 46.24, Longitude: 3.2523, Altitude: 145,
			RxReceived: 2, RxOK: 2, RxForwarded: 2, HasAckRatio: true, AckRatio: 100, Downlinks: 2, TxSent: 2,
			HasTemperature: true, Temperature: 23.2,
		}),
		"txpk immediate": PullResp{Version: V2, Token: 0x1234, TxPK: TxPK{
			Payload: unbase64(t, "H3P3N2i9qc4yt7rK7ldqoeCVJGBybzPY5h1Dd7P7p8s="), When: radio.Immediate,
			Frequency: 864123456, Power: 1400, DataRate: lora(11), Coding: 2,
		}},
		"TX_ACK error / warn a": TxAck{Version: V2, Token: 0x1234, MAC: testMAC, Status: radio.TxCollisionPacket},
		"TX_ACK error / warn b": TxAck{Version: V2, Token: 0x1234, MAC: testMAC, Status: radio.TxOK, Power: 2000, HasPower: true},
		"PUSH_DATA json v2 with rsig array, US915": PushData{Version: V2, Token: 0x7814, MAC: testMAC, RxPKs: []RxPK{{
			Payload: unbase64(t, "QAAAAEgAEtcDvK7ndmBFBg=="), Tmst: 313998876, UnixNano: 1603987060170301000,
			Frequency: 903900000, CRC: radio.CRCOK, DataRate: lora(10), Coding: 1, RSSI: -4600, SNR: 1000,
		}}},
		"rxpk with CRC fail": push(RxPK{
			Payload: unbase64(t, "QMroCondIG6j9T4QcRKd9w=="), Tmst: 4202879084, UnixNano: 1612379026500349000,
			GPS: 1296414244500, IFChannel: 3, Frequency: 904500000, CRC: radio.CRCBad, DataRate: lora(10),
			Coding: 1, RSSI: -11500, SNR: -1550,
		}),
		"stat with null ackr":               stat(Stat{UnixNano: 1616006821e9}),
		"stat with only lati/long, no time": stat(Stat{HasPosition: true, Latitude: 48.32092720674154, Longitude: 2.9111848714527118}),
		"TX_ACK without JSON, one trailing NUL byte": TxAck{
			Version: V2, Token: 0x8ba5, MAC: MAC{0x72, 0x76, 0xff, 0x00, 0x39, 0x03, 0x00, 0xae}, Status: radio.TxOK,
		},
	}
	got := vectors(t).datagrams(t)
	for kind, d := range got {
		w, ok := want[kind]
		if !ok {
			t.Errorf("example %q has no expectation", kind)
			continue
		}
		m, err := Parse(d)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		equal(t, kind, m, w)
		roundTrip(t, kind, m)
	}
	if len(got) != len(want) {
		t.Errorf("%d examples, expectations for %d", len(got), len(want))
	}
}

// TestCaptured checks the datagrams of a session with a real network server.
func TestCaptured(t *testing.T) {
	c := vectors(t).Captured
	hexOf := func(key string) []byte {
		var s string
		if err := json.Unmarshal(c[key], &s); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		return unhex(t, s)
	}
	up, err := Parse(datagram(KindPushData, c["gwmp_push_data_json"]))
	if err != nil {
		t.Fatal(err)
	}
	rx := up.(PushData).RxPKs[0].Packet(0)
	if !bytes.Equal(rx.Payload, hexOf("join_request_hex")) || rx.Tick != 1_000_000 || rx.SNR != 750 || rx.RSSI != -6000 {
		t.Errorf("uplink is %+v", rx)
	}
	for key, payload := range map[string]string{"gwmp_pull_resp_json": "join_accept_hex", "gwmp_pull_resp_data_json": "ack_down_hex"} {
		down, err := Parse(datagram(KindPullResp, c[key]))
		if err != nil {
			t.Fatal(err)
		}
		tx := down.(PullResp).TxPK.Packet(rx.Tick)
		if !bytes.Equal(tx.Payload, hexOf(payload)) || tx.When != radio.AtTick || !tx.InvertIQ || tx.NoCRC ||
			tx.Power != 1400 || tx.Frequency != 868_100_000 || tx.DataRate != radio.LoRaRate(7, 125*radio.KHz) {
			t.Errorf("%s is %+v", key, tx)
		}
	}
}
