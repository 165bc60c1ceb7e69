package router

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/gwmp"
	"heliograph/radio/lorawan"
)

// lns is the network server's end: a UDP socket.
type lns struct {
	t    *testing.T
	conn *net.UDPConn
}

func newLNS(t *testing.T) *lns {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &lns{t, c}
}

// expect reads datagrams until one of the kind comes.
func (l *lns) expect(k gwmp.Kind) (gwmp.Message, *net.UDPAddr) {
	l.t.Helper()
	buf := make([]byte, gwmp.MaxDatagram)
	_ = l.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		n, from, err := l.conn.ReadFromUDP(buf)
		if err != nil {
			l.t.Fatalf("waiting for %v: %v", k, err)
		}
		m, err := gwmp.Parse(buf[:n])
		if err != nil {
			l.t.Fatal(err)
		}
		if m.Kind() == k {
			return m, from
		}
	}
}

func (l *lns) send(m gwmp.Message, to *net.UDPAddr) {
	l.t.Helper()
	b, err := m.AppendBinary(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.conn.WriteToUDP(b, to); err != nil {
		l.t.Fatal(err)
	}
}

type setup struct {
	*Router
	j      *journal.Journal
	log    *mem.Log
	pushed chan *pb.ToHotspot
	online atomic.Bool
}

func start(t *testing.T, routes ...Route) *setup {
	t.Helper()
	table, err := NewTable(routes)
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{log: mem.NewLog(), pushed: make(chan *pb.ToHotspot, 16)}
	s.online.Store(true)
	if s.j, err = journal.New(t.Context(), s.log); err != nil {
		t.Fatal(err)
	}
	s.Router, err = New(Config{Table: table, Journal: s.j, KeepAlive: 20 * time.Millisecond,
		Push: func(_ identity.HotspotID, m *pb.ToHotspot) bool {
			if s.online.Load() {
				s.pushed <- m
			}
			return s.online.Load()
		},
		RX2: func(identity.HotspotID) (radio.Hertz, radio.DataRate, bool) {
			return 869_525_000, radio.LoRaRate(12, 125*radio.KHz), true
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func uplink(t *testing.T, addr lorawan.DevAddr, fcnt uint32) []byte {
	t.Helper()
	phy, err := lorawan.BuildData10(lorawan.Data{DevAddr: addr, FCnt: fcnt, HasFPort: true, FPort: 1, FRMPayload: []byte("hello heliograph")}, lorawan.SessionKeys{})
	if err != nil {
		t.Fatal(err)
	}
	return phy
}

func packet(key *identity.Key, phy []byte, tick radio.Tick) ingest.Accepted {
	p := &poc.Packet{Hotspot: key.ID(), PHY: phy, Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
		RSSI: radio.DBm(-80), SNR: radio.DB(9), Tick: tick, Time: radio.WallTime{UnixNano: time.Now().UnixNano(), Bound: time.Millisecond}}
	body, _ := p.AppendBinary(nil)
	id := poc.IDOf(body)
	return ingest.Accepted{Report: poc.Report{Kind: poc.KindPacket, ID: id, Hotspot: key.ID(), Packet: p},
		Epoch: 7, Received: time.Now().UnixNano(), At: journal.Position{Shard: store.Shard(id[0])}}
}

// carried reads what the router has journaled.
func (s *setup) carried(t *testing.T) (out []journal.Carried) {
	t.Helper()
	for sh := range store.Shard(store.Shards) {
		err := s.j.Read(t.Context(), sh, 0, s.log.End(sh), func(_ journal.Position, e journal.Entry) error {
			c, err := journal.ParseCarried(e.Data)
			out = append(out, c)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func ranges(s string) []AddrRange {
	var r AddrRange
	if err := r.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return []AddrRange{r}
}

// Two hotspots hear one packet: one copy is bought, journaled before it leaves,
// and sent under the gateway id of the first.
func TestFirstCopyIsBought(t *testing.T) {
	server := newLNS(t)
	s := start(t, Route{Number: 3, Name: "a", Server: server.conn.LocalAddr().String(), DevAddrs: ranges("26000000-26ffffff")})
	one, two := identity.NewEd25519([32]byte{1}), identity.NewEd25519([32]byte{2})
	phy := uplink(t, 0x26010203, 1)
	first := packet(one, phy, 1<<32+5_000_000)
	s.Offer(first)
	m, _ := server.expect(gwmp.KindPushData)
	got := m.(gwmp.PushData)
	if got.MAC != gwmp.MACFromPublicKey(one.ID().Bytes()) || len(got.RxPKs) != 1 {
		t.Fatalf("%+v", got)
	}
	rx := got.RxPKs[0]
	if string(rx.Payload) != string(phy) || rx.Tmst != 5_000_000 || rx.Frequency != 868_100_000 || rx.RSSI != radio.DBm(-80) || rx.SNR != radio.DB(9) || rx.CRC != radio.CRCOK {
		t.Errorf("rxpk %+v", rx)
	}
	c := s.carried(t)
	if len(c) != 1 || c[0] != (journal.Carried{Packet: first.ID, Credits: 2, Route: 3}) {
		t.Fatalf("journal: %+v", c)
	}
	s.Offer(packet(two, phy, 9))
	s.Offer(packet(one, uplink(t, 0x27010203, 1), 10)) // no route
	s.Offer(packet(two, uplink(t, 0x26010203, 2), 11)) // the next packet
	if m, _ := server.expect(gwmp.KindPushData); m.(gwmp.PushData).MAC != gwmp.MACFromPublicKey(two.ID().Bytes()) {
		t.Error("the second copy, or the packet without route, was forwarded")
	}
	if c := s.carried(t); len(c) != 2 {
		t.Errorf("journal: %+v", c)
	}
}

func TestRouteLookup(t *testing.T) {
	dev := lorawan.EUI64(2)
	table, err := NewTable([]Route{
		{Number: 1, Server: "a:1", DevAddrs: ranges("26000000-26ffffff")},
		{Number: 2, Server: "b:1", EUIs: []EUIPair{{JoinEUI: 1, DevEUI: &dev}}},
		{Number: 3, Server: "c:1", EUIs: []EUIPair{{JoinEUI: 9}}},
		{Number: 4, Server: "d:1", Default: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		frame lorawan.Frame
		want  uint32
	}{
		{"in the range", lorawan.Frame{Kind: lorawan.DataUp, DevAddr: 0x26ffffff}, 1},
		{"outside: default", lorawan.Frame{Kind: lorawan.DataUp, DevAddr: 0x27000000}, 4},
		{"device", lorawan.Frame{Kind: lorawan.JoinRequest, JoinEUI: 1, DevEUI: 2}, 2},
		{"another device: default", lorawan.Frame{Kind: lorawan.JoinRequest, JoinEUI: 1, DevEUI: 3}, 4},
		{"any device", lorawan.Frame{Kind: lorawan.JoinRequest, JoinEUI: 9, DevEUI: 3}, 3},
		{"rejoin", lorawan.Frame{Kind: lorawan.Rejoin, DevEUI: 2}, 2},
		{"downlink", lorawan.Frame{Kind: lorawan.DataDown, DevAddr: 0x26000001}, 0},
		{"beacon", lorawan.Frame{Kind: lorawan.Proprietary}, 0},
	} {
		var got uint32
		for _, r := range table.Lookup(c.frame) {
			got = r.Number
		}
		if got != c.want {
			t.Errorf("%s: route %d, want %d", c.name, got, c.want)
		}
	}
}

func TestTableRefusals(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`{"routes":[{"number":0,"server":"a:1","default":true}]}`, "own"},
		{`{"routes":[{"number":1,"server":"a:1","default":true},{"number":1,"server":"a:1","default":true}]}`, "own"},
		{`{"routes":[{"number":1,"server":"a","default":true}]}`, "host:port"},
		{`{"routes":[{"number":1,"server":"a:1"}]}`, "matches nothing"},
		{`{"routes":[{"number":1,"server":"a:1","default":true,"max_copies":101}]}`, "max_copies"},
		{`{"routes":[{"number":1,"server":"a:1","dev_addrs":["27000000-26000000"]}]}`, "before it begins"},
		{`{"routes":[{"number":1,"server":"a:1","devaddrs":[]}]}`, "unknown field"},
		{`{"routes":[]} x`, "follows"},
	} {
		if _, err := ReadTable(strings.NewReader(c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want ...%s...", c.json, err, c.want)
		}
	}
	good := `{"routes":[{"number":1,"name":"home","server":"127.0.0.1:1700","dev_addrs":["26000000-26ffffff"],"euis":[{"join_eui":"0000000000000001"}],"default":true,"max_copies":2}]}`
	if _, err := ReadTable(strings.NewReader(good)); err != nil {
		t.Error(err)
	}
}

// PULL_RESP reaches the hotspot's session with both windows, and the server gets
// the hotspot's own result.
func TestDownlink(t *testing.T) {
	server := newLNS(t)
	s := start(t, Route{Number: 1, Server: server.conn.LocalAddr().String(), Default: true})
	key := identity.NewEd25519([32]byte{1})
	tick := radio.Tick(3<<32 - 200_000) // the first window lies behind a wrap of the counter
	s.Offer(packet(key, uplink(t, 1, 1), tick))
	_, gw := server.expect(gwmp.KindPushData)
	server.expect(gwmp.KindPullData)
	ask := func(token gwmp.Token, when radio.When, freq radio.Hertz, sf radio.SpreadingFactor) {
		server.send(gwmp.PullResp{Version: gwmp.V2, Token: token, TxPK: gwmp.TxPK{Payload: []byte{0x60, 1, 2}, When: when,
			Tmst: tick.Add(1_000_000).Low32(), GPS: 1_400_000_000_000, Frequency: freq, DataRate: radio.LoRaRate(sf, 125*radio.KHz), Coding: 1, Power: radio.DBm(14), InvertIQ: true}}, gw)
	}
	answer := func(token gwmp.Token, want radio.TxStatus) gwmp.TxAck {
		t.Helper()
		m, _ := server.expect(gwmp.KindTxAck)
		ack := m.(gwmp.TxAck)
		if ack.Token != token || ack.Status != want {
			t.Fatalf("%+v, want token %d %v", ack, token, want)
		}
		return ack
	}
	ask(77, radio.AtTick, 868_100_000, 7)
	d := (<-s.pushed).GetDownlink()
	if len(d.GetWindows()) != 2 || d.GetWindows()[0].GetTick() != uint64(tick)+1_000_000 || d.GetWindows()[1].GetTick() != uint64(tick)+2_000_000 ||
		d.GetWindows()[0].GetDataRate() != "SF7BW125" || d.GetWindows()[1].GetFrequencyHz() != 869_525_000 || d.GetWindows()[0].GetEirpCdbm() != 1400 {
		t.Fatalf("%v", d)
	}
	s.Result(identity.NewEd25519([32]byte{9}).ID(), &pb.DownlinkResult{Id: d.GetId(), Status: uint32(radio.TxOK)}) // not its business
	s.Result(key.ID(), &pb.DownlinkResult{Id: d.GetId(), Status: uint32(radio.TxOK), PowerCdbm: 1200})
	if ack := answer(77, radio.TxOK); !ack.HasPower || ack.Power != 1200 {
		t.Errorf("power: %+v", ack)
	}
	s.Result(key.ID(), &pb.DownlinkResult{Id: d.GetId(), Status: uint32(radio.TxTooLate)}) // answered already: no second TX_ACK

	ask(78, radio.AtTick, 869_525_000, 12) // on the second window's parameters: one window
	d = (<-s.pushed).GetDownlink()
	if len(d.GetWindows()) != 1 {
		t.Errorf("%v", d)
	}
	s.Result(key.ID(), &pb.DownlinkResult{Id: d.GetId(), Status: uint32(radio.TxTooLate)})
	answer(78, radio.TxTooLate)

	ask(79, radio.Immediate, 868_100_000, 7)
	if d = (<-s.pushed).GetDownlink(); len(d.GetWindows()) != 1 || !d.GetWindows()[0].GetImmediate() {
		t.Errorf("%v", d)
	}
	s.Result(key.ID(), &pb.DownlinkResult{Id: d.GetId(), Status: 200})
	answer(79, radio.TxFailed)

	ask(80, radio.AtGPS, 868_100_000, 7)
	answer(80, radio.TxGPSUnlocked)

	s.online.Store(false)
	ask(81, radio.AtTick, 868_100_000, 7)
	answer(81, radio.TxFailed) // INTERNAL_ERROR: nobody there to send

	other := newLNS(t) // a stranger gets nothing sent and no answer
	before := len(s.pushed)
	s.online.Store(true)
	b, _ := gwmp.PullResp{Version: gwmp.V2, Token: 1, TxPK: gwmp.TxPK{Payload: []byte{1}, When: radio.Immediate, Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1}}.AppendBinary(nil)
	_, _ = other.conn.WriteToUDP(b, gw)
	ask(82, radio.AtGPS, 868_100_000, 7)
	answer(82, radio.TxGPSUnlocked) // came after the stranger's
	if len(s.pushed) != before {
		t.Error("a stranger's downlink was passed on")
	}
}

func TestCopiesWindowAndBound(t *testing.T) {
	c := newCopies(time.Minute, 8)
	at := time.Unix(1000, 0)
	k := func(n byte) copyKey { return copyKey{1, [32]byte{n}} }
	for i, want := range []bool{true, true, false} {
		if got := c.take(k(1), 2, at.Add(time.Duration(i)*29*time.Second)); got != want {
			t.Errorf("copy %d: %v", i+1, got)
		}
	}
	c.undo(k(1))
	if !c.take(k(1), 2, at.Add(61*time.Second)) || c.take(k(1), 2, at.Add(62*time.Second)) {
		t.Error("a copy given back can be bought once")
	}
	for n := range byte(100) {
		c.take(k(n), 1, at)
	}
	if n := len(c.now) + len(c.old); n > 8 {
		t.Errorf("%d packets remembered", n)
	}
}
