package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/journal"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// pinned is a client's transport that accepts the oracle's key and nothing else.
func pinned(oracle identity.HotspotID, maxVersion uint16) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12, MaxVersion: maxVersion,
		InsecureSkipVerify: true, // the key is compared below
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			c, err := x509.ParseCertificate(raw[0])
			if err != nil {
				return err
			}
			if pub, ok := c.PublicKey.(ed25519.PublicKey); !ok || !bytes.Equal(pub, oracle[1:]) {
				return errors.New("not the oracle's key")
			}
			return nil
		},
	})
}

func dial(t testing.TB, addr string, creds credentials.TransportCredentials) pb.HotspotsClient {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return pb.NewHotspotsClient(c)
}

// serve runs a server in front of the environment's core until the test ends.
func (e *env) serve(c ServerConfig) (*Server, string, context.CancelFunc) {
	e.t.Helper()
	s, err := NewServer(e.Core, c)
	if err != nil {
		e.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			e.t.Error(err)
		}
		done <- nil
	}
	e.t.Cleanup(stop)
	return s, l.Addr().String(), cancel
}

func TestInfoAndSubmit(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.Rules, c.Network = "native-1", "test" })
	key := testKey(1)
	_, addr, _ := e.serve(ServerConfig{})
	cl := dial(t, addr, pinned(testKey(0).ID(), 0))
	info, err := cl.Info(t.Context(), &pb.InfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(info.GetOracleKey(), testKey(0).ID().Bytes()) || info.GetEpochSeconds() != 86400 || info.GetGraceSeconds() != 3600 || info.GetUnixNano() != noon.UnixNano() {
		t.Errorf("info %v", info)
	}
	raw := e.signed(witness(key.ID(), 1, noon), key)
	o, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: raw})
	if err != nil || poc.Reason(o.GetReason()) != poc.UnknownHotspot || len(o.GetReportId()) != 32 {
		t.Fatalf("%v, %v", o, err)
	}
	for _, b := range [][]byte{e.assertion(key, 1), raw} {
		o, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: b})
		if err != nil || o.GetReason() != 0 {
			t.Fatalf("%v, %v", o, err)
		}
		if _, err := poc.ParseReceipt(o.GetReceipt(), testKey(0).ID()); err != nil {
			t.Error(err)
		}
	}
	if _, err := cl.Submit(t.Context(), &pb.SubmitRequest{Report: make([]byte, 5000)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("message over 4 kB: %v", err)
	}
}

func TestTransport(t *testing.T) {
	e := newEnv(t, nil)
	_, addr, _ := e.serve(ServerConfig{})
	if _, err := dial(t, addr, pinned(testKey(3).ID(), 0)).Info(t.Context(), &pb.InfoRequest{}); err == nil || !strings.Contains(err.Error(), "not the oracle's key") {
		t.Errorf("a client that expects another key: %v", err)
	}
	if _, err := dial(t, addr, pinned(testKey(0).ID(), tls.VersionTLS12)).Info(t.Context(), &pb.InfoRequest{}); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	e := newEnv(t, nil)
	_, addr, _ := e.serve(ServerConfig{MaxConnsPerPeer: 1})
	if _, err := dial(t, addr, pinned(testKey(0).ID(), 0)).Info(t.Context(), &pb.InfoRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, addr, pinned(testKey(0).ID(), 0)).Info(t.Context(), &pb.InfoRequest{}); err == nil {
		t.Error("a second connection from the address was accepted")
	}
}

// device is the hotspot's end of a session.
type device struct {
	t    *testing.T
	key  *identity.Key
	priv ed25519.PrivateKey
	st   grpc.BidiStreamingClient[pb.FromHotspot, pb.ToHotspot]
}

func (d *device) recv() *pb.ToHotspot {
	d.t.Helper()
	m, err := d.st.Recv()
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

func (d *device) send(m *pb.FromHotspot) {
	d.t.Helper()
	if err := d.st.Send(m); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) report(at time.Time, n uint64) {
	d.t.Helper()
	body, _ := witness(d.key.ID(), n, at).AppendBinary(nil)
	raw, err := poc.SignBySession(body, d.priv)
	if err != nil {
		d.t.Fatal(err)
	}
	d.send(&pb.FromHotspot{Message: &pb.FromHotspot_Report{Report: &pb.Report{Report: raw}}})
}

// connect opens a session and answers the offer.
func (e *env) connect(t *testing.T, cl pb.HotspotsClient, key *identity.Key, n byte) *device {
	t.Helper()
	st, err := cl.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, key: key, priv: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)), st: st}
	d.init(noon, noon.Add(time.Hour))
	return d
}

func (d *device) init(from, to time.Time) {
	d.t.Helper()
	offer := d.recv().GetOffer()
	if offer == nil {
		d.t.Fatal("the first message is not an offer")
	}
	c := poc.SessionCert{Hotspot: d.key.ID(), NotBefore: from.Unix(), NotAfter: to.Unix()}
	copy(c.Nonce[:], offer.GetNonce())
	copy(c.Key[:], d.priv.Public().(ed25519.PublicKey))
	raw, err := poc.MakeSessionCert(c, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.send(&pb.FromHotspot{Message: &pb.FromHotspot_Init{Init: &pb.SessionInit{Certificate: raw, Firmware: "test"}}})
}

func TestSessionPipeline(t *testing.T) {
	e := newEnv(t, nil)
	key := testKey(1)
	e.register(key)
	s, addr, _ := e.serve(ServerConfig{})
	cl := dial(t, addr, pinned(testKey(0).ID(), 0))
	d := e.connect(t, cl, key, 1)
	if r := d.recv().GetReady(); r == nil || r.GetNotAfter() != noon.Add(time.Hour).Unix() {
		t.Fatalf("not ready: %v", r)
	}
	if n := e.entries(journal.TypeSession); n != 1 {
		t.Fatalf("ready, but %d certificates in the journal", n)
	}
	const reports = 200
	go func() {
		for i := range uint64(reports) {
			body, _ := witness(key.ID(), i, noon).AppendBinary(nil)
			raw, _ := poc.SignBySession(body, d.priv)
			if d.st.Send(&pb.FromHotspot{Message: &pb.FromHotspot_Report{Report: &pb.Report{Report: raw}}}) != nil {
				return
			}
		}
		_ = d.st.Send(&pb.FromHotspot{Message: &pb.FromHotspot_Time{Time: &pb.TimeRequest{Cookie: 42}}})
	}()
	got := map[string]bool{}
	timed := false
	for len(got) < reports || !timed {
		switch m := d.recv().GetMessage().(type) {
		case *pb.ToHotspot_Outcome:
			if m.Outcome.GetReason() != 0 {
				t.Fatalf("%v", m.Outcome)
			}
			got[string(m.Outcome.GetReportId())] = true
		case *pb.ToHotspot_Time:
			timed = m.Time.GetCookie() == 42 && m.Time.GetUnixNano() == noon.UnixNano()
		}
	}
	if !s.Hub().Push(key.ID(), &pb.ToHotspot{Message: &pb.ToHotspot_Challenge{Challenge: &pb.Challenge{Challenge: []byte{1}}}}) {
		t.Fatal("no session to push to")
	}
	if d.recv().GetChallenge() == nil {
		t.Error("the challenge did not arrive")
	}
	// Half-closed with a report on the way: its outcome still comes.
	d.report(noon, 9999)
	if err := d.st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if o := d.recv().GetOutcome(); o == nil || o.GetReason() != 0 {
		t.Errorf("last outcome: %v", o)
	}
}

// A new session leaves the old one alone until it is ready, and a third one ends
// the first.
func TestMakeBeforeBreak(t *testing.T) {
	e := newEnv(t, nil)
	key := testKey(1)
	e.register(key)
	s, addr, _ := e.serve(ServerConfig{})
	cl := dial(t, addr, pinned(testKey(0).ID(), 0))
	old := e.connect(t, cl, key, 1)
	old.recv()
	push := func() {
		s.Hub().Push(key.ID(), &pb.ToHotspot{Message: &pb.ToHotspot_Challenge{Challenge: &pb.Challenge{}}})
	}
	// A second one that offers a bad certificate does not disturb the first.
	bad, err := cl.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &device{t: t, key: key, priv: old.priv, st: bad}
	b.init(noon, noon.Add(2*time.Hour))
	if o := b.recv().GetOutcome(); poc.Reason(o.GetReason()) != poc.BadSession {
		t.Fatalf("certificate of two hours: %v", o)
	}
	if _, err := bad.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Fatalf("%v", err)
	}
	push()
	if old.recv().GetChallenge() == nil {
		t.Fatal("the old session does not get challenges any more")
	}
	second := e.connect(t, cl, key, 2)
	second.recv()
	waitFor(t, func() bool { s := s.Hub(); s.mu.Lock(); defer s.mu.Unlock(); return len(s.open[key.ID()]) == 2 })
	push()
	if second.recv().GetChallenge() == nil {
		t.Fatal("the newest session does not get the challenge")
	}
	old.report(noon, 5) // the old one still works
	if o := old.recv().GetOutcome(); o.GetReason() != 0 {
		t.Fatalf("old session: %v", o)
	}
	third := e.connect(t, cl, key, 3)
	third.recv()
	if _, err := old.st.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("the first of three sessions: %v", err)
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for range 2000 {
		if cond() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it does not happen")
}

func TestDrain(t *testing.T) {
	e := newEnv(t, nil)
	key := testKey(1)
	e.register(key)
	s, addr, cancel := e.serve(ServerConfig{DrainAfter: 50 * time.Millisecond})
	d := e.connect(t, dial(t, addr, pinned(testKey(0).ID(), 0)), key, 1)
	d.recv()
	waitFor(t, func() bool { return s.Hub().IsOnline(key.ID()) })
	cancel()
	if m := d.recv().GetDrain(); m == nil || m.GetReconnectAfterMs() != 50 {
		t.Errorf("drain: %v", m)
	}
	if _, err := d.st.Recv(); err == nil {
		t.Error("the session goes on")
	}
}

// FuzzSession throws raw messages at a session, before and after it is ready.
func FuzzSession(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte{0x0a, 0x02, 0x0a, 0x00}, true)
	f.Add([]byte{0x12, 0x03, 0x0a, 0x01, 0x01}, false)
	f.Fuzz(func(t *testing.T, raw []byte, first bool) {
		e := newEnv(t, nil)
		key := testKey(1)
		e.register(key)
		s, err := NewServer(e.Core, ServerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		m := new(pb.FromHotspot)
		if unmarshal(raw, m) != nil {
			return
		}
		st := &scripted{ctx: t.Context(), e: e, key: key, first: first, message: m}
		_ = s.serve(st) // must return, without panic
		if len(s.Hub().Online()) != 0 {
			t.Error("the session is still open")
		}
	})
}

// scripted plays a hotspot: its certificate, unless the fuzzed message is to be
// the first, then that message, then the end.
type scripted struct {
	grpc.ServerStream
	ctx     context.Context
	e       *env
	key     *identity.Key
	first   bool
	message *pb.FromHotspot
	nonce   chan []byte
	step    int
}

func (s *scripted) Context() context.Context { return s.ctx }

func (s *scripted) Send(m *pb.ToHotspot) error {
	if o := m.GetOffer(); o != nil {
		s.channel() <- o.GetNonce()
	}
	return nil
}

func (s *scripted) channel() chan []byte {
	s.e.clk.mu.Lock()
	defer s.e.clk.mu.Unlock()
	if s.nonce == nil {
		s.nonce = make(chan []byte, 1)
	}
	return s.nonce
}

func (s *scripted) Recv() (*pb.FromHotspot, error) {
	s.step++
	switch {
	case s.step == 1 && !s.first:
		c := poc.SessionCert{Hotspot: s.key.ID(), Key: poc.SessionKey{1}, NotBefore: noon.Unix(), NotAfter: noon.Unix() + 60}
		copy(c.Nonce[:], <-s.channel())
		raw, err := poc.MakeSessionCert(c, s.key)
		return &pb.FromHotspot{Message: &pb.FromHotspot_Init{Init: &pb.SessionInit{Certificate: raw}}}, err
	case s.step == 1 || s.step == 2 && !s.first:
		return s.message, nil
	}
	return nil, fmt.Errorf("gone")
}
