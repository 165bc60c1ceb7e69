package forwarder

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"heliograph/radio"
	"heliograph/radio/gwmp"
)

// fakeForwarder is a packet forwarder as the Semtech one behaves: two sockets, a
// 32-bit counter, and a queue that refuses what is late or far ahead.
type fakeForwarder struct {
	t        *testing.T
	mac      gwmp.MAC
	version  gwmp.Version
	up, down *net.UDPConn
	start    time.Time
	base     uint32 // counter at start

	replies chan gwmp.Message   // acknowledgements from the server
	sent    chan radio.TxPacket // what was queued for transmission
	answer  func(a *gwmp.TxAck) // changes TX_ACKs; nil leaves them
	mute    bool                // sends no TX_ACK
	asked   chan gwmp.PullResp  // every PULL_RESP
	token   gwmp.Token
	mu      sync.Mutex
}

func newFake(t *testing.T, f *Forwarder, mac gwmp.MAC, v gwmp.Version) *fakeForwarder {
	t.Helper()
	dial := func() *net.UDPConn {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(f.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	g := &fakeForwarder{
		t: t, mac: mac, version: v, up: dial(), down: dial(), start: time.Now(), base: 4_294_900_000,
		replies: make(chan gwmp.Message, 64), sent: make(chan radio.TxPacket, 64), asked: make(chan gwmp.PullResp, 64),
	}
	var wg sync.WaitGroup
	for _, c := range []*net.UDPConn{g.up, g.down} {
		wg.Go(func() { g.serve(c) })
	}
	t.Cleanup(func() {
		g.up.Close()
		g.down.Close()
		wg.Wait()
	})
	return g
}

func (g *fakeForwarder) tmst() uint32 { return g.base + uint32(time.Since(g.start).Microseconds()) }

func (g *fakeForwarder) serve(c *net.UDPConn) {
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the other end is closed: ICMP says so
		}
		m, err := gwmp.Parse(buf[:n])
		if err != nil {
			g.t.Errorf("the server sent nonsense: %v", err)
			continue
		}
		if r, ok := m.(gwmp.PullResp); ok {
			g.transmit(c, r)
			continue
		}
		g.replies <- m
	}
}

// transmit is the just-in-time queue.
func (g *fakeForwarder) transmit(c *net.UDPConn, r gwmp.PullResp) {
	g.asked <- r
	ack := gwmp.TxAck{Version: g.version, Token: r.Token, MAC: g.mac, Status: radio.TxOK}
	if r.TxPK.When == radio.AtTick {
		switch lead := int32(r.TxPK.Tmst - g.tmst()); {
		case lead < 2500:
			ack.Status = radio.TxTooLate
		case lead > 512_000_000:
			ack.Status = radio.TxTooEarly
		}
	}
	g.mu.Lock()
	answer, mute := g.answer, g.mute
	g.mu.Unlock()
	if answer != nil {
		answer(&ack)
	}
	if ack.Status == radio.TxOK {
		g.sent <- r.TxPK.Packet(0)
	}
	if g.version == gwmp.V1 || mute {
		return
	}
	g.write(c, ack)
}

func (g *fakeForwarder) behave(mute bool, answer func(*gwmp.TxAck)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mute, g.answer = mute, answer
}

func (g *fakeForwarder) write(c *net.UDPConn, m gwmp.Message) {
	b, err := m.AppendBinary(nil)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		g.t.Errorf("send %s: %v", m.Kind(), err)
	}
}

func (g *fakeForwarder) reply(want gwmp.Message) {
	g.t.Helper()
	select {
	case m := <-g.replies:
		if m != want {
			g.t.Fatalf("the server answered %T %+v, want %T %+v", m, m, want, want)
		}
	case <-time.After(10 * time.Second):
		g.t.Fatalf("no answer from the server, want %s", want.Kind())
	}
}

// pull registers for downlinks.
func (g *fakeForwarder) pull() {
	g.t.Helper()
	g.token++
	g.write(g.down, gwmp.PullData{Version: g.version, Token: g.token, MAC: g.mac})
	g.reply(gwmp.PullAck{Version: g.version, Token: g.token})
}

// push sends packets, and stamps those without a counter value.
func (g *fakeForwarder) push(packets ...gwmp.RxPK) gwmp.PushData {
	g.t.Helper()
	g.token++
	for i := range packets {
		if packets[i].Tmst == 0 {
			packets[i].Tmst = g.tmst()
		}
	}
	m := gwmp.PushData{Version: g.version, Token: g.token, MAC: g.mac, RxPKs: packets}
	g.write(g.up, m)
	g.reply(gwmp.PushAck{Version: g.version, Token: g.token})
	return m
}

func rxpk(n byte) gwmp.RxPK {
	return gwmp.RxPK{
		Payload: []byte{0x40, 1, 2, 3, 4, 0, n, 0}, Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
		Coding: 1, CRC: radio.CRCOK, RSSI: -6000, SNR: 700,
	}
}

func downlink() radio.TxPacket {
	return radio.TxPacket{
		Payload: []byte{0x60, 1, 2, 3}, Frequency: 869_525_000, DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1,
		Power: 2000, InvertIQ: true, NoCRC: true, When: radio.Immediate,
	}
}

func listen(t *testing.T, cfg Config) *Forwarder {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	f, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func receive(t *testing.T, f *Forwarder) []radio.RxPacket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := f.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func send(t *testing.T, f *Forwarder, p radio.TxPacket) radio.TxResult {
	t.Helper()
	r, err := f.Send(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
