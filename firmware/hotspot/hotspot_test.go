package hotspot

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/forwarder"
	"heliograph/firmware/internal/oracletest"
	"heliograph/firmware/outbox"
	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/gwmp"
)

// The PUSH_DATA and its join request as captured between a test device and
// ChirpStack Network Server 3.16.8 (captured_session in testdata/README).
const (
	capturedJSON = `{"rxpk":[{"chan":0,"codr":"4/5","data":"AAECAwQFBgcIiAcGBQQDAgdnEr5fuCs=","datr":"SF7BW125","freq":868.1,"lsnr":7.5,"modu":"LORA","rfch":0,"rssi":-60,"size":23,"stat":1,"tmst":1000000}]}`
	capturedPHY  = "00010203040506070888070605040302076712be5fb82b"
)

var key = identity.NewEd25519([32]byte{5})

// air is a radio in memory.
type air struct {
	start time.Time
	rx    chan []radio.RxPacket
	mu    sync.Mutex
	sent  []radio.TxPacket
	deaf  bool // the counter is not known
}

func newAir() *air { return &air{start: time.Now(), rx: make(chan []radio.RxPacket, 16)} }

func (a *air) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	select {
	case p, ok := <-a.rx:
		if !ok {
			return nil, errors.New("the cable is out")
		}
		return p, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *air) Send(_ context.Context, p radio.TxPacket) (radio.TxResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, p)
	return radio.TxResult{Status: radio.TxOK, Power: p.Power}, nil
}

func (a *air) Now() (radio.Tick, bool) {
	return radio.Tick(5_000_000 + time.Since(a.start).Microseconds()), !a.deaf
}

func (a *air) hear(phy []byte) {
	tick, _ := a.Now()
	a.rx <- []radio.RxPacket{{
		Payload: phy, Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
		CRC: radio.CRCOK, RSSI: -9000, SNR: 500, Tick: tick,
	}}
}

func config(t *testing.T, o *oracletest.Oracle) Config {
	return Config{
		Key: key, OracleAddr: o.Addr, OracleKey: o.Key.ID(), Region: "EU868", Owner: poc.Wallet{1},
		Position: poc.Position{LatE7: 525_000_000, LonE7: 134_000_000}, Gain: radio.DB(3), DataDir: t.TempDir(),
		Outbox: outbox.Config{CommitDelay: time.Millisecond}, BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
}

// run starts a hotspot; the function that it returns stops it.
func run(t *testing.T, cfg Config) (*Hotspot, func()) {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return h, stop
}

// TestFromPacketForwarderToOracle sends the captured datagram over UDP.
func TestFromPacketForwarderToOracle(t *testing.T) {
	o := oracletest.Start(t, nil)
	f, err := forwarder.Listen(t.Context(), forwarder.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cfg := config(t, o)
	cfg.Concentrator = f
	h, _ := run(t, cfg)
	if rep := o.Next(); rep.Assertion == nil || rep.Assertion.Region != "EU868" || rep.Assertion.Gain != 300 || rep.Assertion.Owner != (poc.Wallet{1}) {
		t.Fatalf("first is %+v", rep)
	}
	conn, err := net.Dial("udp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	datagram := append([]byte{2, 0x12, 0x34, byte(gwmp.KindPushData), 1, 2, 3, 4, 5, 6, 7, 8}, capturedJSON...)
	if _, err := conn.Write(datagram); err != nil {
		t.Fatal(err)
	}
	before := time.Now().UnixNano()
	rep := o.Next()
	if rep.Packet == nil || hex.EncodeToString(rep.Packet.PHY) != capturedPHY {
		t.Fatalf("report %+v", rep)
	}
	p := rep.Packet
	if p.Frequency != 868_100_000 || p.DataRate != radio.LoRaRate(7, 125*radio.KHz) || p.RSSI != -6000 || p.SNR != 750 || p.Tick.Low32() != 1_000_000 {
		t.Errorf("packet %+v", p)
	}
	if off := time.Duration(p.Time.UnixNano - before); !p.Time.Known() || off > time.Minute || off < -time.Minute || p.Time.Bound < 20*time.Millisecond {
		t.Errorf("time %v is %v off", p.Time, off)
	}
	oracletest.Eventually(t, "delivered", func() bool { s := h.Status(); return s.Outbox.Entries == 0 && s.Session.Delivered == 1 })
}

func TestBeaconWitnessAndDownlink(t *testing.T) {
	o := oracletest.Start(t, nil)
	a := newAir()
	cfg := config(t, o)
	cfg.Concentrator = a
	h, _ := run(t, cfg)
	o.Next() // assertion
	oracletest.Eventually(t, "session", func() bool { return h.Status().Session.Connected && h.Status().TimeSynced })

	c := poc.Challenge{Hotspot: key.ID(), UnixNano: time.Now().Add(1500 * time.Millisecond).UnixNano(), Frequency: 867_900 * radio.KHz,
		DataRate: radio.LoRaRate(9, 125*radio.KHz), EIRP: radio.EIRP(radio.DBm(14))}
	o.Challenge(c)
	rep := o.Next()
	if rep.Beacon == nil || rep.Beacon.Challenge != c.ID() || c.VerifyProof(rep.Beacon.Proof) != nil || rep.Beacon.Power != radio.DBm(11) {
		t.Fatalf("report %+v", rep)
	}
	if off := time.Duration(rep.Beacon.Time.UnixNano - c.UnixNano); off > 100*time.Millisecond || off < -100*time.Millisecond {
		t.Errorf("beacon is %v off its instant", off)
	}
	bad := c
	bad.EIRP, bad.Slot = radio.EIRP(radio.DBm(30)), 1
	o.Challenge(bad)
	if rep = o.Next(); rep.Decline == nil || rep.Decline.Cause != poc.DeclineRegion || rep.Decline.Challenge != bad.ID() {
		t.Fatalf("report %+v", rep)
	}

	a.mu.Lock()
	mine := a.sent[0].Payload
	a.mu.Unlock()
	a.hear(mine) // its own flash: no report
	a.hear(poc.Payload{1, 2, 3}.Frame())
	if rep = o.Next(); rep.Witness == nil || rep.Witness.Payload != (poc.Payload{1, 2, 3}) {
		t.Fatalf("report %+v", rep)
	}

	now, _ := a.Now()
	window := func(lead radio.Micros, freq uint32) *pb.TxWindow {
		return &pb.TxWindow{Tick: uint64(now.Add(lead)), FrequencyHz: freq, DataRate: "SF9BW125"}
	}
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Downlink{Downlink: &pb.Downlink{
		Id: 77, Phy: []byte{0x60, 1, 2, 3}, Windows: []*pb.TxWindow{window(10_000, 868_100_000), window(30_000_000, 869_525_000)},
	}}})
	res := <-o.Results
	if res.GetId() != 77 || res.GetStatus() != uint32(radio.TxOK) || res.GetWindow() != 1 || res.GetPowerCdbm() != 2615 {
		t.Errorf("downlink result %v", res) // 29.15 dBm EIRP less 3 dB
	}
	a.mu.Lock()
	last := a.sent[len(a.sent)-1]
	a.mu.Unlock()
	if !last.InvertIQ || !last.NoCRC || last.Tick != now.Add(30_000_000) {
		t.Errorf("downlink %+v", last)
	}

	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Verdict{Verdict: &pb.Verdict{Reason: uint32(poc.TooClose), Got: 30, Limit: 300}}})
	oracletest.Eventually(t, "verdict in the status", func() bool { return h.Status().Verdicts["too_close"] == 1 })
	s := h.Status()
	if s.Beacons["sent"] != 1 || s.Beacons["declined_region"] != 1 || s.Downlinks["ok"] != 1 || s.Received.Drops["own_beacon"] != 1 ||
		len(s.LastBeacons) != 1 || len(s.LastVerdicts) != 1 || len(s.Problems) != 0 {
		t.Errorf("status %+v", s)
	}
	if b, err := json.Marshal(s); err != nil || !bytes.Contains(b, []byte(`"delivered":3`)) {
		t.Errorf("%s, %v", b, err)
	}
}

// TestOutageAndRestart collects reports while the oracle is away, restarts, and
// finds all of them delivered when it is back.
func TestOutageAndRestart(t *testing.T) {
	o := oracletest.Start(t, nil)
	a := newAir()
	cfg := config(t, o)
	cfg.Concentrator = a
	cfg.TrustSystemClock = true
	away := cfg
	away.Dial = func(context.Context, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	h, stop := run(t, away)
	for n := range 10 {
		a.hear(poc.Payload{byte(n)}.Frame())
	}
	oracletest.Eventually(t, "ten in the outbox", func() bool { return h.Status().Outbox.Entries == 10 })
	if s := h.Status(); len(s.Problems) < 2 || !strings.Contains(strings.Join(s.Problems, "\n"), "no route to host") {
		t.Errorf("problems: %q", s.Problems)
	}
	stop()
	h, stop = run(t, cfg)
	if rep := o.Next(); rep.Assertion == nil {
		t.Fatalf("first is %v", rep.Kind)
	}
	seen := map[byte]bool{}
	for range 10 {
		seen[o.Next().Witness.Payload[0]] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different witnesses", len(seen))
	}
	oracletest.Eventually(t, "all receipts", func() bool { return h.Status().Outbox.Entries == 0 })
	stop()

	// A third start has nothing to assert.
	h, stop = run(t, cfg)
	oracletest.Eventually(t, "session", func() bool { return h.Status().Session.Connected })
	stop()
	select {
	case rep := <-o.Reports:
		t.Errorf("%v was sent again", rep.Kind)
	default:
	}
	// A moved antenna has.
	cfg.Gain = radio.DB(5)
	run(t, cfg)
	if rep := o.Next(); rep.Assertion == nil || rep.Assertion.Gain != 500 {
		t.Errorf("%+v", rep)
	}
}

// TestNeedsNoSystemClock has a host in 1970 and no trust in it.
func TestNeedsNoSystemClock(t *testing.T) {
	o := oracletest.Start(t, nil)
	a := newAir()
	cfg := config(t, o)
	cfg.Concentrator = a
	real := time.Now()
	cfg.Now = func() time.Time { return time.Now().Add(-real.Sub(time.Unix(0, 0))) }
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := h.receiver.Step(h.clock.forward(), []radio.RxPacket{{
		Payload: poc.Payload{1}.Frame(), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), CRC: radio.CRCOK, Tick: 5_000_000,
	}})
	if len(out) != 0 || h.Status().Received.Waiting != 1 {
		t.Fatalf("a report without time: %+v", out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	o.Next() // assertion
	rep := o.Next()
	if off := time.Duration(rep.Time().UnixNano - time.Now().UnixNano()); rep.Witness == nil || off > time.Minute || off < -time.Minute {
		t.Errorf("report %v is %v off", rep.Kind, off)
	}
	cancel()
	<-done
}

func TestRadioFailureEndsRun(t *testing.T) {
	o := oracletest.Start(t, nil)
	a := newAir()
	cfg := config(t, o)
	cfg.Concentrator = a
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	close(a.rx)
	if err := h.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the cable is out") {
		t.Errorf("run: %v", err)
	}
}

func TestDamagedFilesDoNotStopAHotspot(t *testing.T) {
	o := oracletest.Start(t, nil)
	cfg := config(t, o)
	cfg.Concentrator = newAir()
	for _, name := range []string{"airtime.bin", "assertion.json", "outbox/0000000001.obx"} {
		path := filepath.Join(cfg.DataDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte("damage"), 20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, cfg)
	if rep := o.Next(); rep.Assertion == nil {
		t.Errorf("%v", rep.Kind)
	}
}

func TestBadConfigurations(t *testing.T) {
	o := &oracletest.Oracle{Addr: "127.0.0.1:1", Key: identity.NewEd25519([32]byte{6})}
	for name, change := range map[string]func(*Config){
		"region":   func(c *Config) { c.Region = "XX1" },
		"gain":     func(c *Config) { c.Gain = radio.DB(21) },
		"position": func(c *Config) { c.Position.LatE7 = 91e7 },
		"owner":    func(c *Config) { c.Owner = poc.Wallet{} },
		"key":      func(c *Config) { c.Key = nil },
		"radio":    func(c *Config) { c.Concentrator = nil },
		"dir":      func(c *Config) { c.DataDir = filepath.Join(c.DataDir, "absent") },
		"address":  func(c *Config) { c.OracleAddr = "oracle" },
	} {
		cfg := config(t, o)
		cfg.Concentrator = newAir()
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDeadlines(t *testing.T) {
	h := &Hotspot{}
	w := radio.WallTime{UnixNano: 7_250 * int64(time.Second)}
	if got := h.deadline(w); got != w.UnixNano+int64(24*time.Hour) {
		t.Errorf("unknown epoch: %d", got)
	}
	h.epoch.Store(3600)
	h.grace.Store(600)
	if got := h.deadline(w); got != 11_400*int64(time.Second) {
		t.Errorf("end of epoch 2 and grace: %d", got/int64(time.Second))
	}
	if h.deadline(radio.WallTime{}) != 0 {
		t.Error("a deadline without a time")
	}
}

func TestSequencesGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	want := poc.Assertion{Hotspot: key.ID(), Region: "EU868", Time: radio.WallTime{UnixNano: 5e9, Bound: time.Microsecond}}
	var last uint64
	for i := range 4 {
		a, err := loadAssertions(path, key.ID()) // as after a restart
		if err != nil {
			t.Fatal(err)
		}
		b, err := a.body(want, i%2 == 1)
		if err != nil || b == nil {
			t.Fatalf("%x, %v", b, err)
		}
		signed, err := poc.SignBody(b, key)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := poc.ParseReport(signed)
		if err != nil || rep.Assertion.Sequence <= last || rep.Assertion.Time != want.Time {
			t.Fatalf("after %d: %+v, %v", last, rep.Assertion, err)
		}
		last = rep.Assertion.Sequence
		if i == 0 {
			continue // not accepted
		}
		if err := a.accepted(rep.ID); err != nil {
			t.Fatal(err)
		}
		if b, err := a.body(want, false); b != nil || err != nil {
			t.Fatalf("accepted, and still %x, %v", b, err)
		}
		want.Elevation++
	}
	if last != 8 {
		t.Errorf("last sequence %d, want 8: 5 by the clock and three more", last)
	}
	a, _ := loadAssertions(path, key.ID())
	if _, err := a.body(poc.Assertion{}, true); err == nil {
		t.Error("an assertion without a time")
	}
}
