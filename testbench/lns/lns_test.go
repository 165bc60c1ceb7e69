package lns

import (
	"bytes"
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"heliograph/radio"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

var (
	appKey = lorawan.AESKey{1, 2, 3, 4, 5, 6, 7, 8}
	dev    = Device{DevEUI: 0x0102030405060708, JoinEUI: 0xa1a2a3a4a5a6a7a8, AppKey: appKey}
	macA   = gwmp.MAC{0xaa}
	macB   = gwmp.MAC{0xbb}
)

func plan(t testing.TB) *region.Plan {
	t.Helper()
	p, err := region.ByName("EU868")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newCore(t testing.TB) *Core {
	t.Helper()
	c, err := NewCore(Config{Plan: plan(t), NetID: 0x13, Devices: []Device{dev}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rx(phy []byte, snr int) gwmp.RxPK {
	return gwmp.RxPK{
		Payload: phy, Tmst: 5_000_000, Frequency: 868_300 * radio.KHz, DataRate: radio.LoRaRate(9, 125*radio.KHz),
		Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(snr),
	}
}

func joinRequest(t testing.TB, nonce uint16) []byte {
	t.Helper()
	phy, err := lorawan.BuildJoinRequest(dev.JoinEUI, dev.DevEUI, nonce, appKey)
	if err != nil {
		t.Fatal(err)
	}
	return phy
}

// join runs a join and gives the session as the device sees it.
func join(t testing.TB, c *Core, now time.Duration, nonce uint16) (lorawan.DevAddr, lorawan.SessionKeys) {
	t.Helper()
	c.Push(now, macA, rx(joinRequest(t, nonce), 5))
	out, _ := c.Due(now + time.Second)
	if len(out) != 1 {
		t.Fatalf("join: %d downlinks", len(out))
	}
	ja, err := lorawan.DecryptJoinAccept(out[0].TxPK.Payload, appKey)
	if err != nil || !ja.VerifyMIC10(appKey) || !ja.DevAddr.Belongs(0x13) {
		t.Fatalf("join-accept %+v, %v", ja, err)
	}
	return ja.DevAddr, lorawan.DeriveSession10(appKey, ja.JoinNonce, ja.NetID, nonce)
}

func uplink(t testing.TB, a lorawan.DevAddr, k lorawan.SessionKeys, fcnt uint32, confirmed bool) []byte {
	t.Helper()
	phy, err := lorawan.BuildData10(lorawan.Data{
		DevAddr: a, FCnt: fcnt, Confirmed: confirmed, HasFPort: true, FPort: 7, FRMPayload: []byte("hello"),
	}, k)
	if err != nil {
		t.Fatal(err)
	}
	return phy
}

func TestBestGatewayAnswersInRX1(t *testing.T) {
	c := newCore(t)
	c.Push(0, macA, rx(joinRequest(t, 7), -3))
	best := rx(joinRequest(t, 7), 9)
	best.Tmst, best.Antenna, best.Board = 0xffff_fff0, 1, 0x20
	c.Push(50*time.Millisecond, macB, best)
	if out, wake := c.Due(99 * time.Millisecond); len(out) != 0 || wake != 100*time.Millisecond {
		t.Fatalf("answered before copies were gathered: %v, wake %v", out, wake)
	}
	out, wake := c.Due(100 * time.Millisecond)
	if len(out) != 1 || wake != 0 {
		t.Fatalf("%d downlinks, wake %v", len(out), wake)
	}
	d := out[0]
	if d.Gateway != macB || d.TxPK.Tmst != 5_000_000-16 || d.TxPK.Frequency != 868_300*radio.KHz ||
		d.TxPK.DataRate != radio.LoRaRate(9, 125*radio.KHz) || !d.TxPK.InvertIQ || d.TxPK.Antenna != 1 || d.TxPK.Board != 0x20 {
		t.Errorf("downlink %+v", d)
	}
	c.Push(300*time.Millisecond, gwmp.MAC{0xcc}, rx(joinRequest(t, 7), 12)) // late copy
	if out, _ := c.Due(time.Second); len(out) != 0 {
		t.Error("a late copy was answered")
	}
	r := c.Records()
	if len(r) != 1 || !slices.Equal(r[0].Gateways, []gwmp.MAC{macA, macB, {0xcc}}) || r[0].Verdict != Join {
		t.Errorf("records %+v", r)
	}
}

func TestDataFlow(t *testing.T) {
	c := newCore(t)
	addr, keys := join(t, c, 0, 1)
	now := 10 * time.Second
	step := func(phy []byte) (Record, []Downlink) {
		now += 10 * time.Second
		c.Push(now, macA, rx(phy, 5))
		out, _ := c.Due(now + time.Second)
		all := c.Records()
		return all[len(all)-1], out
	}
	for _, tt := range []struct {
		name string
		phy  []byte
		want Verdict
		ack  bool
	}{
		{"first", uplink(t, addr, keys, 0, false), Data, false},
		{"replayed", uplink(t, addr, keys, 0, false), BadMIC, false},
		{"confirmed", uplink(t, addr, keys, 1, true), Data, true},
		{"repeated", uplink(t, addr, keys, 1, true), Repeat, true},
		{"after a gap over 16 bits", uplink(t, addr, keys, 1+maxFCntGap, false), Data, false},
		{"too wide a gap", uplink(t, addr, keys, 3+2*maxFCntGap, false), BadMIC, false},
		{"wrong key", uplink(t, addr, lorawan.SessionKeys{}, 2+maxFCntGap, false), BadMIC, false},
		{"unknown address", uplink(t, addr+1, keys, 0, false), UnknownDevice, false},
		{"old nonce", joinRequest(t, 1), OldNonce, false},
		{"proprietary", []byte{0xe0, 1, 2, 3, 4, 5, 6}, NotUplink, false},
	} {
		r, out := step(tt.phy)
		if r.Verdict != tt.want || (len(out) == 1) != tt.ack {
			t.Errorf("%s: verdict %q with %d downlinks, want %q", tt.name, r.Verdict, len(out), tt.want)
		}
		if tt.want == Data && string(r.Payload) != "hello" {
			t.Errorf("%s: payload %q", tt.name, r.Payload)
		}
		if tt.ack {
			f, err := lorawan.Parse(out[0].TxPK.Payload)
			if err != nil || !f.FCtrl.ACK || !lorawan.VerifyDownlinkMIC10(f.Raw, keys.FNwkSInt, uint32(f.FCnt16)) {
				t.Errorf("%s: acknowledgement %+v, %v", tt.name, f, err)
			}
		}
	}
	if _, again := join(t, c, now+time.Minute, 2); again == keys {
		t.Error("a second join gave the first session's keys")
	}
	if s := c.stats; s.Acks != 2 || s.Accepts != 2 || s.Verdicts[Data] != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestCounterCrosses16Bits(t *testing.T) {
	c := newCore(t)
	addr, keys := join(t, c, 0, 1)
	for i, fcnt := range []uint32{16000, 32000, 48000, 64000, 70000, 70001} {
		now := time.Duration(i+1) * time.Minute
		c.Push(now, macA, rx(uplink(t, addr, keys, fcnt, false), 5))
		c.Due(now + time.Second)
		all := c.Records()
		if r := all[len(all)-1]; r.Verdict != Data || r.FCnt != fcnt {
			t.Fatalf("counter %d: %q, %d", fcnt, r.Verdict, r.FCnt)
		}
	}
}

func TestRecordsAreBounded(t *testing.T) {
	c, err := NewCore(Config{Plan: plan(t), Keep: maxGathering})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxGathering {
		c.Push(0, macA, rx([]byte{0xe0, byte(i), byte(i >> 8), 1, 2}, 0))
	}
	if len(c.records) != maxGathering || len(c.byHash) != maxGathering || len(c.gathering) != maxGathering {
		t.Errorf("%d records, %d hashes, %d gathering", len(c.records), len(c.byHash), len(c.gathering))
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no plan":            {},
		"slow":               {Plan: plan(t), Gather: time.Second},
		"few records":        {Plan: plan(t), Keep: 1},
		"twins":              {Plan: plan(t), Devices: []Device{dev, dev}},
		"tiny address space": {Plan: plan(t), NetID: 0xffffff, Devices: make([]Device, 1<<8)},
	} {
		if _, err := NewCore(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// gateway is a packet forwarder's side of the socket.
type gateway struct {
	t    *testing.T
	conn net.Conn
	mac  gwmp.MAC
}

func (g gateway) send(m gwmp.Message) {
	g.t.Helper()
	b, err := m.AppendBinary(nil)
	if err == nil {
		_, err = g.conn.Write(b)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g gateway) read() gwmp.Message {
	g.t.Helper()
	if err := g.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := g.conn.Read(buf)
	if err != nil {
		g.t.Fatal(err)
	}
	m, err := gwmp.Parse(buf[:n])
	if err != nil {
		g.t.Fatal(err)
	}
	return m
}

func TestServerOverUDP(t *testing.T) {
	s, err := Listen("127.0.0.1:0", Config{Plan: plan(t), NetID: 0x13, Devices: []Device{dev}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	g := gateway{t, conn, macA}
	if _, err := conn.Write([]byte("not gwmp at all")); err != nil {
		t.Fatal(err)
	}
	g.send(gwmp.PullData{Version: gwmp.V2, Token: 5, MAC: macA})
	if m := g.read(); m != (gwmp.PullAck{Version: gwmp.V2, Token: 5}) {
		t.Fatalf("got %+v", m)
	}
	bad := rx([]byte("bad checksum"), 1)
	bad.CRC = radio.CRCBad
	phy := joinRequest(t, 9)
	g.send(gwmp.PushData{Version: gwmp.V2, Token: 6, MAC: macA, RxPKs: []gwmp.RxPK{bad, rx(phy, 3)}})
	if m := g.read(); m != (gwmp.PushAck{Version: gwmp.V2, Token: 6}) {
		t.Fatalf("got %+v", m)
	}
	down, ok := g.read().(gwmp.PullResp)
	if !ok || down.TxPK.Tmst != 10_000_000 {
		t.Fatalf("got %+v", down)
	}
	g.send(gwmp.TxAck{Version: gwmp.V2, Token: down.Token, MAC: macA, Status: radio.TxOK})
	g.send(gwmp.PullData{Version: gwmp.V2, Token: 7, MAC: macA})
	g.read() // its acknowledgement: the TX_ACK before it has been handled
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	records, err := s.Await(ctx, func(r []Record) bool { return len(r) == 1 && r[0].Verdict == Join })
	if err != nil || !bytes.Equal(records[0].First.Payload, phy) {
		t.Fatalf("records %+v, %v", records, err)
	}
	st := s.Stats()
	if st.TxAcks[radio.TxOK] != 1 || st.Malformed != 1 || st.Accepts != 1 || st.Gateways != 1 || st.Datagrams != 5 {
		t.Errorf("stats %+v", st)
	}
}
