package forwarder

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/concentrator/concentratortest"
	"heliograph/radio"
	"heliograph/radio/gwmp"
)

var macA, macB = gwmp.MAC{1, 2, 3, 4, 5, 6, 7, 8}, gwmp.MAC{8, 7, 6, 5, 4, 3, 2, 1}

func TestConcentrator(t *testing.T) {
	for name, v := range map[string]gwmp.Version{"v1": gwmp.V1, "v2": gwmp.V2} {
		t.Run(name, func(t *testing.T) {
			concentratortest.Run(t, func(t *testing.T) concentratortest.Harness {
				f := listen(t, Config{})
				g := newFake(t, f, macA, v)
				g.pull()
				return concentratortest.Harness{
					Concentrator: f,
					ExactLevels:  true,
					Inject: func(p radio.RxPacket) error {
						r := gwmp.RxPKOf(p)
						r.Tmst = 0
						g.push(r)
						return nil
					},
					Transmitted: func(ctx context.Context) (radio.TxPacket, error) {
						select {
						case p := <-g.sent:
							return p, nil
						case <-ctx.Done():
							return radio.TxPacket{}, ctx.Err()
						}
					},
				}
			})
		})
	}
}

// TestTwoForwarders sends each downlink to the forwarder that heard the uplink.
func TestTwoForwarders(t *testing.T) {
	f := listen(t, Config{})
	a, b := newFake(t, f, macA, gwmp.V2), newFake(t, f, macB, gwmp.V1)
	b.base = 77
	a.pull()
	b.pull()
	up := rxpk(1)
	up.Board = 3
	a.push(rxpk(0))
	fromA := receive(t, f)[0]
	b.push(up)
	fromB := receive(t, f)[0]
	if fromA.Board != 0 || fromB.Board != 0x13 {
		t.Fatalf("boards %#x and %#x, want 0 and 0x13", fromA.Board, fromB.Board)
	}
	for _, tt := range []struct {
		rx  radio.RxPacket
		to  *fakeForwarder
		own uint8
	}{{fromA, a, 0}, {fromB, b, 3}} {
		p := downlink()
		p.Board, p.When, p.Tick = tt.rx.Board, radio.AtTick, tt.rx.Tick.Add(2_000_000)
		if r := send(t, f, p); r.Status != radio.TxOK || r.Power != 2000 || r.Tick != p.Tick {
			t.Fatalf("board %#x: result %+v", p.Board, r)
		}
		got := <-tt.to.sent
		if got.Tick.Low32() != p.Tick.Low32() || got.Board != tt.own {
			t.Errorf("board %#x: sent at %d on board %d, want %d on %d", p.Board, got.Tick, got.Board, p.Tick.Low32(), tt.own)
		}
	}
	if len(a.asked) != 1 || len(b.asked) != 1 {
		t.Errorf("%d and %d requests, want one each", len(a.asked), len(b.asked))
	}
	s := f.Stats()
	if len(s.Forwarders) != 2 || s.Sent != 2 || s.Accepted != 1 || s.Unconfirmed != 1 || s.Received != 2 {
		t.Errorf("stats %+v", s)
	}
	if i := s.Forwarders[1]; i.MAC != macB || i.Version != gwmp.V1 || i.Board != 0x10 || !i.CanTransmit || !i.HasNow {
		t.Errorf("second forwarder %+v", i)
	}
	if n, ok := f.NowOf(fromB.Board); !ok || n.Sub(fromB.Tick) < 0 {
		t.Errorf("now of the second forwarder is %d, %t", n, ok)
	}
	if _, ok := f.NowOf(0x20); ok {
		t.Error("a slot without forwarder has a counter")
	}
}

func TestOutcomes(t *testing.T) {
	f := listen(t, Config{AckTimeout: time.Minute})
	g := newFake(t, f, macA, gwmp.V2)
	p := downlink()
	if r := send(t, f, p); r.Status != radio.TxNoRadio {
		t.Errorf("nobody attached: %s", r.Status)
	}
	g.push(rxpk(0))
	if r := send(t, f, p); r.Status != radio.TxNoRadio {
		t.Errorf("no PULL_DATA yet: %s", r.Status)
	}
	g.pull()
	g.behave(false, func(a *gwmp.TxAck) { a.Power, a.HasPower = 1600, true })
	if r := send(t, f, p); r.Status != radio.TxOK || r.Power != 1600 {
		t.Errorf("power warning: %+v", r)
	}
	for _, status := range []radio.TxStatus{radio.TxCollisionPacket, radio.TxBadFrequency, radio.TxGPSUnlocked} {
		g.behave(false, func(a *gwmp.TxAck) { a.Status = status })
		if r := send(t, f, p); r.Status != status {
			t.Errorf("result %s, want %s", r.Status, status)
		}
	}
	s := f.Stats()
	if s.NoForwarder != 2 || s.Accepted != 1 || s.Rejected != 3 || s.Sent != 4 {
		t.Errorf("stats %+v", s)
	}

	p.Payload = nil
	if r, err := f.Send(t.Context(), p); err == nil || r.Status != radio.TxFailed {
		t.Errorf("empty payload: %s, %v", r.Status, err)
	}
}

func TestAckTimeout(t *testing.T) {
	f := listen(t, Config{AckTimeout: 20 * time.Millisecond})
	g := newFake(t, f, macA, gwmp.V2)
	g.pull()
	g.behave(true, nil)
	if r := send(t, f, downlink()); r.Status != radio.TxFailed {
		t.Errorf("no TX_ACK: %s", r.Status)
	}
	late := <-g.asked
	g.write(g.down, gwmp.TxAck{Version: gwmp.V2, Token: late.Token, MAC: macA, Status: radio.TxOK})
	g.write(g.down, gwmp.TxAck{Version: gwmp.V2, Token: 1, MAC: macB, Status: radio.TxOK})
	g.pull() // the acknowledgements before it have been seen
	if s := f.Stats(); s.Sent != 1 || s.AckTimeouts != 1 || s.StrayAcks != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestSendGivesUpWithContext(t *testing.T) {
	f := listen(t, Config{AckTimeout: time.Hour})
	g := newFake(t, f, macA, gwmp.V2)
	g.pull()
	g.behave(true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Send(ctx, downlink())
		done <- err
	}()
	<-g.asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}

	// And with the listener, which tells that nobody is there.
	result := make(chan radio.TxStatus, 1)
	go func() {
		r, _ := f.Send(t.Context(), downlink())
		result <- r.Status
	}()
	<-g.asked
	f.Close()
	if s := <-result; s != radio.TxNoRadio {
		t.Errorf("after Close: %s", s)
	}
}

func TestBusyForwarder(t *testing.T) {
	f := listen(t, Config{AckTimeout: time.Hour})
	g := newFake(t, f, macA, gwmp.V2)
	g.pull()
	g.behave(true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	seen := make(map[gwmp.Token]bool)
	for range maxPending {
		wg.Go(func() { f.Send(ctx, downlink()) })
		seen[(<-g.asked).Token] = true
	}
	if len(seen) != maxPending {
		t.Errorf("%d tokens for %d transmissions", len(seen), maxPending)
	}
	if r := send(t, f, downlink()); r.Status != radio.TxBusy {
		t.Errorf("result %s, want busy", r.Status)
	}
	cancel()
	wg.Wait()
	g.behave(false, nil)
	if r := send(t, f, downlink()); r.Status != radio.TxOK {
		t.Errorf("afterwards: %s", r.Status)
	}
}

func TestDuplicatesAndBadPackets(t *testing.T) {
	f := listen(t, Config{})
	g := newFake(t, f, macA, gwmp.V2)
	crc := rxpk(1)
	crc.CRC = radio.CRCBad
	foreign := rxpk(2)
	foreign.Board = 16
	m := g.push(rxpk(0), crc, foreign)
	g.write(g.up, m)
	g.reply(gwmp.PushAck{Version: gwmp.V2, Token: m.Token}) // acknowledged again, delivered once
	again := m
	again.Token++
	g.write(g.up, again) // another token: not the same datagram
	g.reply(gwmp.PushAck{Version: gwmp.V2, Token: again.Token})
	if got := receive(t, f); len(got) != 2 {
		t.Errorf("%d packets, want 2", len(got))
	}
	for _, junk := range []string{"", "GET / HTTP/1.0", "\x02\x00\x00\x00abcdefgh{", "\x02\x00\x00\x01"} {
		if _, err := g.up.Write([]byte(junk)); err != nil {
			t.Fatal(err)
		}
	}
	bad := append([]byte("\x02\x00\x09\x00"), macA[:]...)
	bad = append(bad, `{"rxpk":[{}],"stat":{"rxnb":3}}`...)
	if _, err := g.up.Write(bad); err != nil {
		t.Fatal(err)
	}
	g.reply(gwmp.PushAck{Version: gwmp.V2, Token: 9})
	s := f.Stats()
	if s.Duplicates != 1 || s.CRCBad != 2 || s.BadElements != 3 || s.Received != 2 || s.Malformed != 4 {
		t.Errorf("stats %+v", s)
	}
	if st := s.Forwarders[0].Stat; st == nil || st.RxReceived != 3 {
		t.Errorf("statistics %+v", st)
	}
}

func TestQueueDropsOldest(t *testing.T) {
	f := listen(t, Config{QueueLen: 4})
	g := newFake(t, f, macA, gwmp.V2)
	for i := range byte(3) {
		g.push(rxpk(2*i), rxpk(2*i+1))
	}
	got := receive(t, f)
	var n []byte
	for _, p := range got {
		n = append(n, p.Payload[6])
	}
	if !bytes.Equal(n, []byte{2, 3, 4, 5}) || f.Stats().QueueDropped != 2 {
		t.Errorf("kept %v, dropped %d", n, f.Stats().QueueDropped)
	}
}

// TestSlots has more forwarders than slots, and one that falls silent.
func TestSlots(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	var log syncBuffer
	f := listen(t, Config{MaxForwarders: 2, Now: clock, SlotTimeout: time.Minute, PullTimeout: 30 * time.Second,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	a, b := newFake(t, f, macA, gwmp.V2), newFake(t, f, macB, gwmp.V2)
	a.pull()
	b.pull()
	c := newFake(t, f, gwmp.MAC{9}, gwmp.V2)
	c.write(c.down, gwmp.PullData{Version: gwmp.V2, Token: 1, MAC: c.mac})
	b.pull() // by now the refusal is over
	if s := f.Stats(); s.Refused != 1 || len(s.Forwarders) != 2 {
		t.Errorf("stats %+v", s)
	}
	if len(c.replies) != 0 {
		t.Error("a refused forwarder was acknowledged")
	}
	mu.Lock()
	now = now.Add(40 * time.Second)
	mu.Unlock()
	if r := send(t, f, downlink()); r.Status != radio.TxNoRadio {
		t.Errorf("downlink to a forwarder that does not pull: %s", r.Status)
	}
	b.pull()
	mu.Lock()
	now = now.Add(40 * time.Second)
	mu.Unlock()
	c.pull()
	s := f.Stats()
	if len(s.Forwarders) != 2 || s.Forwarders[0].MAC != c.mac || s.Forwarders[1].MAC != macB {
		t.Errorf("forwarders %+v", s.Forwarders)
	}
	if !strings.Contains(log.String(), "forwarder refused") || !strings.Contains(log.String(), "forwarder attached") {
		t.Errorf("log:\n%s", log.String())
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestListenErrors(t *testing.T) {
	f := listen(t, Config{})
	_, err := Listen(t.Context(), Config{Addr: f.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "another program has the port") || !strings.Contains(err.Error(), "configure another") {
		t.Errorf("port in use: %v", err)
	}
	for _, cfg := range []Config{
		{Addr: "nonsense"}, {Addr: "192.0.2.1:0"}, {Addr: "127.0.0.1:0", MaxForwarders: 17}, {Addr: "127.0.0.1:0", QueueLen: -1},
	} {
		if f, err := Listen(t.Context(), cfg); err == nil {
			f.Close()
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestCloseAndContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, err := Listen(ctx, Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	g := newFake(t, f, macA, gwmp.V2)
	g.push(rxpk(0))
	cancel()
	<-f.closed
	if p, err := f.Receive(t.Context()); len(p) != 1 || err != nil {
		t.Errorf("what was queued is lost: %v", err)
	}
	if _, err := f.Receive(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestCounter(t *testing.T) {
	t0 := time.Unix(0, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	var c counter
	steps := []struct {
		name    string
		tmst    uint32
		at      float64
		tick    radio.Tick
		restart bool
		now     radio.Tick // estimate afterwards
	}{
		{"first", 4_294_000_000, 0, 4_294_000_000, false, 4_294_000_000},
		{"less delayed", 4_295_000_000 - 1<<32 + 2000, 1, 4_295_002_000, false, 4_295_002_000},
		{"delayed by 10 ms", 4_295_992_000 - 1<<32, 2, 4_295_992_000, false, 4_296_001_900},
		{"three hours of silence", 15_095_992_000 - 3<<32, 10802, 15_095_992_000, false, 15_095_992_000},
		{"restart", 5_000_000, 10803, 4<<32 + 5_000_000, true, 4<<32 + 5_000_000},
		{"after restart", 6_000_000, 10804, 4<<32 + 6_000_000, false, 4<<32 + 6_000_000},
		{"jump ahead", 1_000_000_000, 10805, 4<<32 + 1_000_000_000, true, 4<<32 + 1_000_000_000},
	}
	for _, s := range steps {
		tick, restart := c.observe(s.tmst, at(s.at))
		if tick != s.tick || restart != s.restart || c.now(at(s.at)) != s.now {
			t.Errorf("%s: tick %d, restart %t, now %d; want %d, %t, %d",
				s.name, tick, restart, c.now(at(s.at)), s.tick, s.restart, s.now)
		}
	}
}
