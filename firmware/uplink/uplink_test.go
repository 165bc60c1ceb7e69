package uplink

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/firmware/internal/oracletest"
	"heliograph/firmware/outbox"
	"heliograph/firmware/timing"
	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

var hotspot = identity.NewEd25519([32]byte{7})

// rig is a client with its outbox, running against an oracle.
type rig struct {
	t      *testing.T
	box    *outbox.Outbox
	client *Client
	stop   func()
}

func start(t *testing.T, o *oracletest.Oracle, change func(*Config)) *rig {
	t.Helper()
	box, _, err := outbox.Open(t.TempDir(), outbox.Config{CommitDelay: time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	begin := time.Now()
	cfg := Config{
		Addr: o.Addr, OracleKey: o.Key.ID(), Key: hotspot, Outbox: box,
		Mono:       func() time.Duration { return time.Since(begin) },
		UTC:        func() radio.WallTime { return radio.WallTime{UnixNano: time.Now().UnixNano(), Bound: time.Millisecond} },
		BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return &rig{t, box, c, stop}
}

// put queues n packet reports, numbered from first.
func (r *rig) put(first, n int) {
	r.t.Helper()
	var items []outbox.Item
	for i := range n {
		body, err := poc.Packet{
			Hotspot: hotspot.ID(), PHY: []byte{0x40, byte((first + i) >> 8), byte(first + i)}, DataRate: radio.LoRaRate(7, 125*radio.KHz),
			Time: radio.WallTime{UnixNano: 1e18},
		}.AppendBinary(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		items = append(items, outbox.Item{Class: outbox.Packet, Body: body, Made: time.Now().UnixNano() - 5e9})
	}
	if err := r.box.Put(0, items...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) empty() {
	r.t.Helper()
	oracletest.Eventually(r.t, "the outbox is empty", func() bool { return r.box.Len() == 0 })
}

// numbers collects which reports the oracle has, in order of first arrival, and
// how many came more than once.
func numbers(o *oracletest.Oracle) (got []int, repeated int) {
	for {
		select {
		case r := <-o.Reports:
			if r.Packet == nil {
				continue
			}
			n := int(r.Packet.PHY[1])<<8 | int(r.Packet.PHY[2])
			if slices.Contains(got, n) {
				repeated++
			} else {
				got = append(got, n)
			}
		default:
			return got, repeated
		}
	}
}

func wantAll(t *testing.T, o *oracletest.Oracle, n int) (repeated int) {
	t.Helper()
	got, repeated := numbers(o)
	slices.Sort(got)
	if len(got) != n || got[0] != 0 || got[n-1] != n-1 {
		t.Fatalf("the oracle has %v, want 0..%d", got, n-1)
	}
	return repeated
}

func TestDelivery(t *testing.T) {
	o := oracletest.Start(t, nil)
	r := start(t, o, func(c *Config) { c.MaxInFlight = 8 })
	r.put(0, 100)
	r.empty()
	if rep := wantAll(t, o, 100); rep != 0 {
		t.Errorf("%d reports came twice", rep)
	}
	oracletest.Eventually(t, "100 delivered", func() bool { return r.client.Stats().Delivered == 100 })
	if s := r.client.Stats(); !s.Connected || s.Sessions != 1 || s.Failures != 0 || s.Outcomes["ok"] != 100 {
		t.Errorf("%+v", s)
	}
}

func TestTrouble(t *testing.T) {
	tests := []struct {
		name   string
		decide func(n int, r poc.Report) oracletest.Action
		check  func(*testing.T, Stats)
	}{
		{"the stream breaks after every fifth report", func(n int, _ poc.Report) oracletest.Action {
			return oracletest.Action{Break: n%5 == 4}
		}, func(t *testing.T, s Stats) {
			if s.Sessions < 2 || s.Failures == 0 {
				t.Errorf("%+v", s)
			}
		}},
		{"every outcome comes three times", func(int, poc.Report) oracletest.Action { return oracletest.Action{Times: 3} },
			func(t *testing.T, s Stats) {
				if s.Sessions != 1 || s.Delivered != 40 {
					t.Errorf("%+v", s)
				}
			}},
		{"a receipt for another report", func(n int, _ poc.Report) oracletest.Action {
			if n == 3 {
				return oracletest.Action{Receipt: func(r *poc.Receipt) { r.Report[0] ^= 1 }}
			}
			return oracletest.Action{}
		}, func(t *testing.T, s Stats) {
			if s.BadReceipts != 1 || s.Sessions != 2 || !strings.Contains(s.LastError, "another report") {
				t.Errorf("%+v", s)
			}
		}},
		{"a receipt for another hotspot", func(n int, _ poc.Report) oracletest.Action {
			if n == 0 {
				return oracletest.Action{Receipt: func(r *poc.Receipt) { r.Hotspot = identity.NewEd25519([32]byte{9}).ID() }}
			}
			return oracletest.Action{}
		}, func(t *testing.T, s Stats) {
			if s.BadReceipts != 1 || !strings.Contains(s.LastError, "another hotspot") {
				t.Errorf("%+v", s)
			}
		}},
		{"overloaded and rate limited at times", func(n int, _ poc.Report) oracletest.Action {
			switch {
			case n%7 == 1:
				return oracletest.Action{Reason: poc.Overloaded, RetryAfter: time.Millisecond}
			case n%7 == 3:
				return oracletest.Action{Reason: poc.RateLimited}
			}
			return oracletest.Action{}
		}, func(t *testing.T, s Stats) {
			if s.Sessions != 1 || s.Outcomes["overloaded"] == 0 || s.Outcomes["rate_limited"] == 0 {
				t.Errorf("%+v", s)
			}
		}},
		{"the session is not accepted once", func(n int, _ poc.Report) oracletest.Action {
			if n == 2 {
				return oracletest.Action{Reason: poc.BadSession}
			}
			return oracletest.Action{}
		}, func(t *testing.T, s Stats) {
			if s.Sessions != 2 || s.Outcomes["bad_session"] != 1 {
				t.Errorf("%+v", s)
			}
		}},
		{"an answer is lost", func(n int, _ poc.Report) oracletest.Action {
			return oracletest.Action{Silent: n == 1}
		}, func(t *testing.T, s Stats) {
			if s.Sessions < 2 || !strings.Contains(s.LastError, "does not answer reports") {
				t.Errorf("%+v", s)
			}
		}},
		{"one report is never understood", func(_ int, r poc.Report) oracletest.Action {
			return oracletest.Action{Unread: r.Packet.PHY[2] == 13}
		}, func(t *testing.T, s Stats) {
			if s.Outcomes["malformed"] != 1 || s.Sessions != 1 {
				t.Errorf("%+v", s)
			}
		}},
		{"an outcome names no report once", func(n int, _ poc.Report) oracletest.Action {
			return oracletest.Action{Nameless: n == 5}
		}, func(t *testing.T, s Stats) {
			if s.Sessions != 2 || !strings.Contains(s.LastError, "names no report") {
				t.Errorf("%+v", s)
			}
		}},
		{"one report is refused for good", func(_ int, r poc.Report) oracletest.Action {
			if r.Packet.PHY[2] == 13 {
				return oracletest.Action{Reason: poc.TooOld}
			}
			return oracletest.Action{}
		}, func(t *testing.T, s Stats) {
			if s.Outcomes["too_old"] != 1 || s.Sessions != 1 {
				t.Errorf("%+v", s)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := oracletest.Start(t, func(o *oracletest.Oracle) { o.Decide = tt.decide })
			r := start(t, o, func(c *Config) { c.AnswerTimeout = 400 * time.Millisecond })
			r.put(0, 40)
			r.empty()
			r.stop()
			got, _ := numbers(o)
			want := 40
			if strings.HasPrefix(tt.name, "one report") {
				want = 39 // the one that was refused
			}
			if len(got) != want {
				t.Errorf("the oracle has %d reports, want %d", len(got), want)
			}
			tt.check(t, r.client.Stats())
		})
	}
}

// TestMakeBeforeBreak has sessions so short that many pass during the test, and
// reports flowing all the time: none may be sent twice, no session may be missed.
func TestMakeBeforeBreak(t *testing.T) {
	o := oracletest.Start(t, func(o *oracletest.Oracle) { o.SessionLife = 3 * time.Second })
	r := start(t, o, nil)
	n := 0
	oracletest.Eventually(t, "three sessions", func() bool {
		r.put(n, 2)
		n += 2
		total, open := o.Opened()
		if open > 2 {
			t.Errorf("%d sessions at once", open)
		}
		return total >= 3
	})
	r.empty()
	if rep := wantAll(t, o, n); rep != 0 {
		t.Errorf("%d of %d reports came twice", rep, n)
	}
	if s := r.client.Stats(); s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDrainOpensAnotherSession(t *testing.T) {
	o := oracletest.Start(t, nil)
	r := start(t, o, nil)
	r.put(0, 1)
	r.empty()
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Drain{Drain: &pb.Drain{}}})
	oracletest.Eventually(t, "a second session alone", func() bool {
		total, open := o.Opened()
		return total == 2 && open == 1
	})
	r.put(1, 1)
	r.empty()
	if s := r.client.Stats(); s.Failures != 0 || s.Sessions != 2 {
		t.Errorf("%+v", s)
	}
}

func TestSurvivesRestartOfTheOraclesSessions(t *testing.T) {
	o := oracletest.Start(t, nil)
	r := start(t, o, nil)
	for i := range 10 {
		r.put(i*10, 10)
		o.Kill()
	}
	r.empty()
	wantAll(t, o, 100)
}

func TestWrongOracleKey(t *testing.T) {
	o := oracletest.Start(t, nil)
	r := start(t, o, func(c *Config) { c.OracleKey = identity.NewEd25519([32]byte{66}).ID() })
	r.put(0, 1)
	oracletest.Eventually(t, "two failures", func() bool { return r.client.Stats().Failures >= 2 })
	if s := r.client.Stats(); !strings.Contains(s.LastError, "not the configured oracle key") || s.Sessions != 0 {
		t.Errorf("%+v", s)
	}
	if total, _ := o.Opened(); total != 0 || r.box.Len() != 1 {
		t.Error("something was given to a stranger")
	}
}

func TestTLSPolicy(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	id := identity.NewEd25519([32]byte{}).ID()
	for _, tt := range []struct {
		version uint16
		ok      bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, true}} {
		a, b := net.Pipe()
		srv := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{oracletest.Certificate(t, key)}, MaxVersion: tt.version})
		go func() { _ = srv.Handshake(); a.Close() }()
		err := tls.Client(b, TLSConfig(id)).Handshake()
		if (err == nil) != tt.ok {
			t.Errorf("TLS %x: %v", tt.version, err)
		}
		b.Close()
	}
}

func TestAssertionComesFirst(t *testing.T) {
	o := oracletest.Start(t, nil)
	body, err := poc.Assertion{Hotspot: hotspot.ID(), Region: "EU868", Sequence: 1}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var asked, done atomic.Int32
	r := start(t, o, func(c *Config) {
		c.Hooks.Assertion = func(again bool) ([]byte, error) {
			asked.Add(1)
			if done.Load() > 0 && !again {
				return nil, nil
			}
			return body, nil
		}
		c.Hooks.Asserted = func(id poc.ID) {
			if id == poc.IDOf(body) {
				done.Add(1)
			}
		}
	})
	r.put(0, 1)
	if rep := o.Next(); rep.Assertion == nil || rep.Signature.BySession {
		t.Errorf("first report is %v", rep.Kind)
	}
	r.empty()
	o.Kill()
	oracletest.Eventually(t, "asked again", func() bool { return asked.Load() == 2 })
	r.put(1, 1)
	r.empty()
	if done.Load() != 1 {
		t.Errorf("asserted %d times", done.Load())
	}
}

func TestUnknownHotspotAssertsAgain(t *testing.T) {
	o := oracletest.Start(t, func(o *oracletest.Oracle) {
		o.Decide = func(n int, _ poc.Report) oracletest.Action {
			if n == 0 {
				return oracletest.Action{Reason: poc.UnknownHotspot}
			}
			return oracletest.Action{}
		}
	})
	var again atomic.Int32
	r := start(t, o, func(c *Config) {
		c.Hooks.Assertion = func(a bool) ([]byte, error) {
			if a {
				again.Add(1)
			}
			return nil, nil
		}
	})
	r.put(0, 5)
	r.empty()
	if again.Load() != 1 {
		t.Errorf("asked to assert again %d times", again.Load())
	}
}

func TestFromAbove(t *testing.T) {
	o := oracletest.Start(t, nil)
	got := make(chan string, 16)
	var samples atomic.Int32
	r := start(t, o, func(c *Config) {
		c.TimeEvery = 10 * time.Millisecond
		c.Hooks = Hooks{
			Time: func(s timing.Sample) {
				if s.Received >= s.Sent && time.Duration(time.Now().UnixNano()-s.Oracle) < time.Minute {
					samples.Add(1)
				}
			},
			Challenge: func(ch poc.Challenge) { got <- fmt.Sprint("challenge ", ch.Slot) },
			Downlink:  func(d *pb.Downlink) { got <- fmt.Sprint("downlink ", d.GetId()) },
			Verdict:   func(v *pb.Verdict) { got <- fmt.Sprint("verdict ", v.GetWeight()) },
			Info:      func(i *pb.InfoReply) {},
		}
	})
	oracletest.Eventually(t, "time samples", func() bool { return samples.Load() >= 6 })
	ch := poc.Challenge{Hotspot: hotspot.ID(), DataRate: radio.LoRaRate(7, 125*radio.KHz), Slot: 3}
	forged, err := poc.SignChallenge(ch, hotspot)
	if err != nil {
		t.Fatal(err)
	}
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Challenge{Challenge: &pb.Challenge{Challenge: forged}}})
	o.Challenge(ch)
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Downlink{Downlink: &pb.Downlink{Id: 5}}})
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Verdict{Verdict: &pb.Verdict{Weight: 8}}})
	o.Push(&pb.ToHotspot{}) // of a later version
	for _, want := range []string{"challenge 3", "downlink 5", "verdict 8"} {
		if s := <-got; s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	if n := r.client.Stats().Outcomes["bad_challenge"]; n != 1 {
		t.Errorf("%d bad challenges counted", n)
	}
	r.client.Downlinked(&pb.DownlinkResult{Id: 5, Status: uint32(radio.TxOK)})
	if res := <-o.Results; res.GetId() != 5 {
		t.Errorf("result %v", res)
	}
}

func TestNeverGivesUp(t *testing.T) {
	o := oracletest.Start(t, nil)
	var dials atomic.Int32
	r := start(t, o, func(c *Config) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if dials.Add(1) < 20 {
				return nil, errors.New("no route")
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	})
	r.put(0, 1)
	r.empty()
	if s := r.client.Stats(); s.Failures < 5 || s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBackoff(t *testing.T) {
	c, err := New(Config{
		Addr: "x:1", OracleKey: identity.NewEd25519([32]byte{}).ID(), Key: hotspot, Outbox: &outbox.Outbox{},
		Mono: func() time.Duration { return 0 }, UTC: func() radio.WallTime { return radio.WallTime{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, top := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		for range 50 {
			if d := c.backoff(n); d < top*time.Second/2 || d > top*time.Second {
				t.Fatalf("after %d failures: %v, want %v..%v", n, d, top*time.Second/2, top*time.Second)
			}
		}
	}
	if d := c.backoff(1 << 30); d > 300*time.Second {
		t.Errorf("%v", d)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Addr: "a:1", OracleKey: hotspot.ID(), Key: hotspot, Outbox: &outbox.Outbox{},
		Mono: func() time.Duration { return 0 }, UTC: func() radio.WallTime { return radio.WallTime{} }}
	for name, f := range map[string]func(*Config){
		"no port": func(c *Config) { c.Addr = "host" }, "no key": func(c *Config) { c.Key = nil },
		"no oracle": func(c *Config) { c.OracleKey = identity.HotspotID{} }, "no outbox": func(c *Config) { c.Outbox = nil },
	} {
		c := good
		f(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
