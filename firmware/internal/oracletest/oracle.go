// Package oracletest is an oracle for tests of the firmware: a real gRPC server
// over TLS on the loopback interface that checks what a hotspot sends as the
// contract says, keeps it in memory, and misbehaves on request.
package oracletest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Action is what the oracle does with a report.
type Action struct {
	Reason     poc.Reason // not OK: refuse
	RetryAfter time.Duration
	Silent     bool                 // journal it, but lose the answer
	Break      bool                 // journal it, then break the stream without an answer
	Unread     bool                 // answer as if the bytes could not be read
	Nameless   bool                 // answer without any id
	Times      int                  // answer so many times; 0 is once
	Receipt    func(r *poc.Receipt) // change the receipt before it is signed
}

// Oracle is the server. Its fields are set by [Start]'s argument only.
type Oracle struct {
	Addr string
	Key  *identity.Key

	// Decide says what becomes of the n-th report (from 0). nil accepts all.
	Decide func(n int, r poc.Report) Action
	// SessionLife shortens sessions; 0 is an hour.
	SessionLife time.Duration
	// Clock is the oracle's time; nil is time.Now.
	Clock func() time.Time
	// RefuseAssertion answers Submit; OK accepts.
	RefuseAssertion poc.Reason

	// Reports receives every report that was journaled, in order, also repeated
	// ones.
	Reports chan poc.Report
	// Results receives every downlink result.
	Results chan *pb.DownlinkResult

	pb.UnimplementedHotspotsServer
	t        testing.TB
	mu       sync.Mutex
	n        int
	sessions map[*session]bool
	opened   int // sessions so far
}

type session struct {
	stream grpc.BidiStreamingServer[pb.FromHotspot, pb.ToHotspot]
	mu     sync.Mutex
	key    poc.SessionKey
	owner  identity.HotspotID
	kill   chan struct{}
}

func (s *session) send(m *pb.ToHotspot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream.Send(m)
}

// Start serves until the test ends, with a fresh key; change, which may be nil,
// sets fields before.
func Start(t testing.TB, change func(*Oracle)) *Oracle {
	t.Helper()
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails
	o := &Oracle{
		Key: identity.NewEd25519(seed), t: t, sessions: map[*session]bool{},
		Reports: make(chan poc.Report, 4096), Results: make(chan *pb.DownlinkResult, 64),
	}
	if change != nil {
		change(o)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Addr = lis.Addr().String()
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{Certificate(t, ed25519.NewKeyFromSeed(seed[:]))}, MinVersion: tls.VersionTLS13,
	})))
	pb.RegisterHotspotsServer(srv, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(lis) // ends by Stop
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
	return o
}

// Certificate is a self-signed one.
func Certificate(t testing.TB, key ed25519.PrivateKey) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)} // expired: nobody may care
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (o *Oracle) now() time.Time {
	if o.Clock != nil {
		return o.Clock()
	}
	return time.Now()
}

func (o *Oracle) info() *pb.InfoReply {
	return &pb.InfoReply{
		OracleKey: o.Key.ID().Bytes(), UnixNano: o.now().UnixNano(),
		EpochSeconds: 3600, GraceSeconds: 600, Rules: "native-1", Network: "test",
	}
}

// Info implements the contract.
func (o *Oracle) Info(context.Context, *pb.InfoRequest) (*pb.InfoReply, error) { return o.info(), nil }

// Submit takes assertions.
func (o *Oracle) Submit(_ context.Context, r *pb.SubmitRequest) (*pb.Outcome, error) {
	rep, err := poc.ParseReport(r.GetReport())
	if err != nil || rep.Verify() != nil || rep.Kind != poc.KindAssertion {
		return unread(r.GetReport()), nil
	}
	if o.RefuseAssertion != poc.OK {
		return &pb.Outcome{ReportId: rep.ID[:], Reason: uint32(o.RefuseAssertion)}, nil
	}
	o.Reports <- rep
	return o.accept(rep, Action{})
}

func (o *Oracle) accept(rep poc.Report, a Action) (*pb.Outcome, error) {
	rc := poc.Receipt{Report: rep.ID, Hotspot: rep.Hotspot, Received: o.now().UnixNano()}
	if a.Receipt != nil {
		a.Receipt(&rc)
	}
	b, err := poc.SignReceipt(rc, o.Key)
	return &pb.Outcome{ReportId: rep.ID[:], Receipt: b}, err
}

// Session implements the contract.
func (o *Oracle) Session(stream grpc.BidiStreamingServer[pb.FromHotspot, pb.ToHotspot]) error {
	var nonce [poc.NonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	now := o.now()
	offer := &pb.SessionOffer{Nonce: nonce[:], UnixNano: now.UnixNano(), Info: o.info()}
	if err := stream.Send(&pb.ToHotspot{Message: &pb.ToHotspot_Offer{Offer: offer}}); err != nil {
		return err
	}
	msg, err := stream.Recv()
	if err != nil {
		return err
	}
	cert, err := poc.ParseSessionCert(msg.GetInit().GetCertificate())
	if err != nil || cert.Nonce != nonce || now.Unix() < cert.NotBefore || now.Unix() >= cert.NotAfter {
		return status.Errorf(codes.Unauthenticated, "session certificate: %v", err)
	}
	life := time.Hour
	if o.SessionLife != 0 {
		life = o.SessionLife
	}
	ready := &pb.SessionReady{NotAfter: now.Add(life).Unix()}
	s := &session{stream: stream, key: cert.Key, owner: cert.Hotspot, kill: make(chan struct{}, 1)}
	if err := s.send(&pb.ToHotspot{Message: &pb.ToHotspot_Ready{Ready: ready}}); err != nil {
		return err
	}
	o.mu.Lock()
	o.sessions[s] = true
	o.opened++
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(o.sessions, s)
		o.mu.Unlock()
	}()
	failed := make(chan error, 1)
	go func() { failed <- o.read(s) }()
	select {
	case err := <-failed:
		return err
	case <-s.kill:
		return status.Error(codes.Unavailable, "killed by the test")
	}
}

var errBreak = errors.New("broken on purpose")

func (o *Oracle) read(s *session) error {
	for {
		msg, err := s.stream.Recv()
		if err != nil {
			return err
		}
		switch m := msg.GetMessage().(type) {
		case *pb.FromHotspot_Report:
			err = o.report(s, m.Report.GetReport())
		case *pb.FromHotspot_Time:
			err = s.send(&pb.ToHotspot{Message: &pb.ToHotspot_Time{Time: &pb.TimeReply{Cookie: m.Time.GetCookie(), UnixNano: o.now().UnixNano()}}})
		case *pb.FromHotspot_DownlinkResult:
			o.Results <- m.DownlinkResult
		}
		if err != nil {
			return err
		}
	}
}

// unread is the outcome of bytes that are no report.
func unread(b []byte) *pb.Outcome {
	id := poc.IDOf(b)
	return &pb.Outcome{ReportId: id[:], Reason: uint32(poc.Malformed), Detail: "not a report"}
}

func (o *Oracle) report(s *session, b []byte) error {
	answer := func(out *pb.Outcome) error {
		return s.send(&pb.ToHotspot{Message: &pb.ToHotspot_Outcome{Outcome: out}})
	}
	rep, err := poc.ParseReport(b)
	switch {
	case err != nil:
		return answer(unread(b))
	case rep.Hotspot != s.owner || !rep.Signature.BySession || rep.Signature.Session != s.key:
		return answer(&pb.Outcome{ReportId: rep.ID[:], Reason: uint32(poc.BadSession)})
	case rep.Verify() != nil:
		return answer(&pb.Outcome{ReportId: rep.ID[:], Reason: uint32(poc.BadSignature)})
	}
	o.mu.Lock()
	n := o.n
	o.n++
	o.mu.Unlock()
	var a Action
	if o.Decide != nil {
		a = o.Decide(n, rep)
	}
	if a.Unread {
		return answer(unread(b))
	}
	if a.Nameless {
		return answer(&pb.Outcome{Reason: uint32(poc.Malformed)})
	}
	if a.Reason != poc.OK {
		return answer(&pb.Outcome{ReportId: rep.ID[:], Reason: uint32(a.Reason), RetryAfterMs: uint32(a.RetryAfter.Milliseconds())})
	}
	o.Reports <- rep
	if a.Break {
		return errBreak
	}
	if a.Silent {
		return nil
	}
	out, err := o.accept(rep, a)
	for range max(a.Times, 1) {
		if err == nil {
			err = answer(out)
		}
	}
	return err
}

// Push sends a message on every open session and says on how many.
func (o *Oracle) Push(m *pb.ToHotspot) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.sessions {
		if s.send(m) == nil {
			n++
		}
	}
	return n
}

// Challenge signs and sends a challenge.
func (o *Oracle) Challenge(c poc.Challenge) {
	o.t.Helper()
	b, err := poc.SignChallenge(c, o.Key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.Push(&pb.ToHotspot{Message: &pb.ToHotspot_Challenge{Challenge: &pb.Challenge{Challenge: b}}})
}

// Kill breaks every open session.
func (o *Oracle) Kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.sessions {
		select {
		case s.kill <- struct{}{}:
		default:
		}
	}
}

// Opened is how many sessions were opened so far, and how many are open.
func (o *Oracle) Opened() (total, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opened, len(o.sessions)
}

// Next waits for a report.
func (o *Oracle) Next() poc.Report {
	o.t.Helper()
	select {
	case r := <-o.Reports:
		return r
	case <-time.After(20 * time.Second):
		o.t.Fatal("no report arrives")
		return poc.Report{}
	}
}

// Eventually waits until the condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 4000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
