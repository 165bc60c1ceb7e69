package ingest

import (
	"bytes"
	"crypto/ed25519"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/journal"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Bytes that are not read are charged too, and answered by their hash.
func TestUnreadReports(t *testing.T) {
	key := testKey(1)
	for name, raw := range map[string][]byte{"empty": {}, "noise": []byte("no report"), "huge": make([]byte, 4000)} {
		for _, src := range []Source{{Peer: "a"}, {Session: key.ID()}} {
			e := newEnv(t, nil)
			e.register(key)
			e.open(func(c *Config) { c.PerPeer, c.PerHotspot = Rate{time.Minute, 1}, Rate{time.Minute, 1} })
			o := e.Admit(t.Context(), src, raw)
			if o.ID != poc.IDOf(raw) || o.Reason != poc.Malformed && o.Reason != poc.TooLarge {
				t.Errorf("%s: %v, id %v", name, o.Reason, o.ID)
			}
			if name == "huge" {
				continue // costs a comparison and a hash
			}
			if o = e.Admit(t.Context(), src, raw); o.Reason != poc.RateLimited || o.ID != poc.IDOf(raw) || o.RetryAfter <= 0 {
				t.Errorf("%s again: %v, id %v, wait %v", name, o.Reason, o.ID, o.RetryAfter)
			}
		}
	}
}

// cert makes a session certificate and its key.
func (e *env) cert(key identity.Signer, nonce [poc.NonceSize]byte, from, to time.Time) ([]byte, ed25519.PrivateKey) {
	e.t.Helper()
	priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	c := poc.SessionCert{Hotspot: key.ID(), Nonce: nonce, NotBefore: from.Unix(), NotAfter: to.Unix()}
	copy(c.Key[:], priv.Public().(ed25519.PublicKey))
	raw, err := poc.MakeSessionCert(c, key)
	if err != nil {
		e.t.Fatal(err)
	}
	return raw, priv
}

// Opening a session costs a signature check: an address has a budget for it,
// whosever certificate it shows.
func TestSessionsArePacedByAddress(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	e.open(func(c *Config) { c.PerPeer = Rate{time.Minute, 2} })
	raw, _ := e.cert(key, [poc.NonceSize]byte{1}, noon, noon.Add(time.Minute))
	forged := bytes.Clone(raw)
	forged[len(forged)-1] ^= 1
	for i, want := range []poc.Reason{poc.BadSession, poc.BadSession, poc.RateLimited} {
		if _, o := e.OpenSession(t.Context(), "a", [poc.NonceSize]byte{1}, forged); o.Reason != want {
			t.Fatalf("forged certificate %d: %v %s", i, o.Reason, o.Detail)
		}
	}
	if _, o := e.OpenSession(t.Context(), "b", [poc.NonceSize]byte{1}, raw); o.Reason != poc.OK {
		t.Fatalf("the hotspot itself, from its own address: %v %s", o.Reason, o.Detail)
	}
}

// A report that is taken in the last second of its session key is journaled with
// the instant of that check: the judge must come to the same answer.
func TestReceivedIsWhenTheKeyWasChecked(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	last := noon.Add(30 * time.Minute)
	raw, priv := e.cert(key, [poc.NonceSize]byte{1}, noon, last)
	c, o := e.OpenSession(t.Context(), "a", [poc.NonceSize]byte{1}, raw)
	if o.Reason != poc.OK {
		t.Fatal(o.Reason, o.Detail)
	}
	e.clk.add(last.Sub(noon) + 998*time.Millisecond) // the key lasts to the end of this second

	now := e.cfg.Now
	e.cfg.Now = func() time.Time { // each reading is later than the one before
		at := now()
		e.clk.add(time.Millisecond)
		return at
	}
	body, _ := witness(key.ID(), 1, last).AppendBinary(nil)
	signed, err := poc.SignBySession(body, priv)
	if err != nil {
		t.Fatal(err)
	}
	if o = e.Admit(t.Context(), Source{Session: key.ID()}, signed); o.Reason != poc.OK {
		t.Fatal(o.Reason, o.Detail)
	}
	rc, err := poc.ParseReceipt(o.Receipt, testKey(0).ID())
	if err != nil {
		t.Fatal(err)
	}
	if !c.Covers(rc.Received) {
		t.Fatalf("received %v, after the key's end %v", time.Unix(0, rc.Received).UTC(), last)
	}
}

// A key is of no use before the judge would accept it.
func TestKeyOfTomorrow(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, func(c *Config) { c.Calendar.Tolerance = time.Minute })
	e.register(key)
	raw, priv := e.cert(key, [poc.NonceSize]byte{1}, noon.Add(61*time.Second), noon.Add(10*time.Minute))
	c, o := e.OpenSession(t.Context(), "a", [poc.NonceSize]byte{1}, raw)
	if o.Reason != poc.OK {
		t.Fatal(o.Reason, o.Detail)
	}
	body, _ := witness(key.ID(), 1, noon).AppendBinary(nil)
	signed, _ := poc.SignBySession(body, priv)
	if o = e.Admit(t.Context(), Source{Session: key.ID()}, signed); (o.Reason == poc.OK) != c.Covers(noon.UnixNano()) {
		t.Fatalf("the door says %v %q, the judge %v", o.Reason, o.Detail, c.Covers(noon.UnixNano()))
	}
}

// A frame behind its epoch's cut was never promised to anybody and will not be
// judged: it gets no receipt after a restart either.
func TestNoReceiptBehindTheCut(t *testing.T) {
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	raw := e.signed(witness(key.ID(), 1, noon), key)
	r, err := poc.ParseReport(raw)
	if err != nil {
		t.Fatal(err)
	}
	epoch := day.Epoch(noon.UnixNano())
	if _, err := e.j.Close(t.Context(), epoch, noon.UnixNano()); err != nil {
		t.Fatal(err)
	}
	frame, _ := journal.Entry{Type: journal.TypeReport, Epoch: epoch, Received: noon.UnixNano(), Data: raw}.AppendBinary(nil)
	if _, err := e.log.Append(t.Context(), journal.ShardKey(r), frame); err != nil {
		t.Fatal(err)
	}
	e.open(nil)
	if o := e.Admit(t.Context(), Source{Peer: "a"}, raw); o.Reason != poc.TooOld || o.Receipt != nil {
		t.Fatalf("%v %s, receipt of %d bytes", o.Reason, o.Detail, len(o.Receipt))
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7:5":                "192.0.2.7",
		"[::ffff:192.0.2.7]:5":       "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:5":   "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:9":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:9":           "fe80::/64",
		"/run/oracled.sock":          "/run/oracled.sock",
		"not-an-address.example.:80": "not-an-address.example.",
	} {
		if got := hostOf(addr(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

type addr string

func (addr) Network() string  { return "test" }
func (a addr) String() string { return string(a) }

// Clients that connect and say nothing must not keep others out.
func TestSilentClientsHoldNoHandshake(t *testing.T) {
	e := newEnv(t, nil)
	_, at, _ := e.serve(ServerConfig{MaxHandshakes: 1})
	for range 4 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte{0x16, 0x03, 0x01}); err != nil { // the beginning of a hello
			t.Fatal(err)
		}
	}
	if _, err := dial(t, at, pinned(testKey(0).ID(), 0)).Info(t.Context(), &pb.InfoRequest{}); err != nil {
		t.Fatal("starved:", err)
	}
}

// A message that the transport does not read is a refusal like others: counted,
// with a status, and not journaled.
func TestOversizedMessageInASession(t *testing.T) {
	reg := prometheus.NewRegistry()
	key := testKey(1)
	e := newEnv(t, nil)
	e.register(key)
	e.open(func(c *Config) { c.Metrics = NewMetrics(reg) })
	_, at, _ := e.serve(ServerConfig{})
	d := e.connect(t, dial(t, at, pinned(testKey(0).ID(), 0)), key, 1)
	if m := d.recv(); m.GetReady() == nil {
		t.Fatalf("%v", m)
	}
	had := e.entries(journal.TypeReport)
	d.send(&pb.FromHotspot{Message: &pb.FromHotspot_Report{Report: &pb.Report{Report: make([]byte, maxMessage+1)}}})
	if _, err := d.st.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("%v", err)
	}
	if n := refusals(t, reg, poc.TooLarge); n != 1 {
		t.Errorf("counted %v times", n)
	}
	if n := e.entries(journal.TypeReport); n != had {
		t.Errorf("the journal has %d entries, had %d", n, had)
	}
}

// deaf is a hotspot that opens a session and then reads nothing: what is sent
// hangs until the stream is over.
type deaf struct {
	scripted
	over chan struct{}
}

func (d *deaf) Send(m *pb.ToHotspot) error {
	if m.GetOffer() != nil || m.GetReady() != nil {
		return d.scripted.Send(m)
	}
	<-d.over
	return d.ctx.Err()
}

// A session ends though its hotspot does not read.
func TestDeafHotspotLeaves(t *testing.T) {
	e := newEnv(t, nil)
	key := testKey(1)
	e.register(key)
	s, err := NewServer(e.Core, ServerConfig{DrainAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ask := &pb.FromHotspot{Message: &pb.FromHotspot_Time{Time: &pb.TimeRequest{Cookie: 1}}}
	d := &deaf{scripted{ctx: t.Context(), e: e, key: key, message: ask}, make(chan struct{})}
	defer close(d.over)
	ended := make(chan error, 1)
	go func() { ended <- s.serve(d) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the session hangs")
	}
	if len(s.Hub().Online()) != 0 {
		t.Error("the session is still open")
	}
}

// The list is in the order of keys and whole, while registrations come in.
func TestListWhileHotspotsRegister(t *testing.T) {
	r := newRoll()
	var w sync.WaitGroup
	for from := range byte(4) {
		w.Go(func() {
			for n := range byte(50) {
				var id identity.HotspotID
				id[0], id[1], id[2] = 1, n*7, from
				r.apply(Registration{Assertion: poc.Assertion{Hotspot: id, Sequence: 1}})
				list := r.list(identity.HotspotID{}, 1000)
				if !slices.IsSortedFunc(list, func(a, b Registration) int { return compareIDs(a.Hotspot, b.Hotspot) }) {
					t.Error("not in order")
				}
				if !slices.ContainsFunc(list, func(x Registration) bool { return x.Hotspot == id }) {
					t.Error("a registered hotspot is missing")
				}
			}
		})
	}
	w.Wait()
	if list := r.list(identity.HotspotID{}, 1000); len(list) != 200 {
		t.Errorf("%d hotspots, want 200", len(list))
	}
	if list := r.list(r.list(identity.HotspotID{}, 10)[9].Hotspot, 5); len(list) != 5 || list[0].Hotspot != r.order()[10] {
		t.Errorf("second page has %d hotspots", len(list))
	}
}
