package ingest

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Limits of one session.
const (
	initWithin    = 5 * time.Second // for the certificate
	sessionSlots  = 32              // reports in flight on one stream; more wait in the transport
	sessionQueue  = 128             // messages to the hotspot that may wait
	expiryLeeway  = 5 * time.Second
	maxFirmware   = 64
	maxHeldMillis = 1 << 31
)

type stream interface {
	Context() context.Context
	Send(*pb.ToHotspot) error
	Recv() (*pb.FromHotspot, error)
}

// session is one stream whose hotspot has proved who it is.
type session struct {
	hotspot identity.HotspotID
	out     chan *pb.ToHotspot
	end     context.CancelCauseFunc
}

// push queues a message; false when the queue is full.
func (s *session) push(m *pb.ToHotspot) bool {
	select {
	case s.out <- m:
		return true
	default:
		return false
	}
}

var errReplaced = status.Error(codes.Aborted, "two newer sessions of this hotspot are open")

func (s *session) replace() { s.end(errReplaced) }

// Session serves one stream: offer, certificate, then reports and pushes until
// either side ends it or the certificate expires.
func (s *Server) Session(st pb.Hotspots_SessionServer) error { return s.serve(st) }

func (s *Server) serve(st stream) error {
	ctx, end := context.WithCancelCause(st.Context())
	defer end(nil)
	in := make(chan *pb.FromHotspot)
	go s.receive(ctx, st, in, end) // ends when gRPC ends the stream, right after serve returned

	cert, err := s.handshake(ctx, st, in)
	if err != nil {
		return err
	}
	ss := &session{hotspot: cert.Hotspot, out: make(chan *pb.ToHotspot, sessionQueue), end: end}
	s.hub.enter(ss)
	defer s.hub.leave(ss)
	if s.cfg.OnSession != nil {
		s.cfg.OnSession(cert.Hotspot)
	}
	var work sync.WaitGroup
	defer work.Wait()
	defer end(nil)
	work.Go(func() { s.take(ctx, peerOf(st), ss, in) })
	return s.writeOrLeave(ctx, st, ss, time.Unix(cert.NotAfter, 0))
}

var errNotReading = status.Error(codes.DeadlineExceeded, "the hotspot does not read what it is sent: open a new session")

// writeOrLeave ends with the session, also when the hotspot does not read and a
// Send hangs: that ends when gRPC ends the stream, right after serve returned.
func (s *Server) writeOrLeave(ctx context.Context, st stream, ss *session, notAfter time.Time) error {
	left := notAfter.Sub(s.core.cfg.Now()) + expiryLeeway
	wrote := make(chan error, 1)
	go func() { wrote <- s.write(ctx, st, ss, left) }()
	over := time.NewTimer(left)
	defer over.Stop()
	select {
	case err := <-wrote:
		return err
	case <-over.C:
	case <-ctx.Done():
	}
	flush := time.NewTimer(s.cfg.DrainAfter)
	defer flush.Stop()
	select {
	case err := <-wrote:
		return err
	case <-flush.C:
		return errNotReading
	}
}

// receive moves messages from the stream to in, which it closes when the hotspot
// closes its side.
func (s *Server) receive(ctx context.Context, st stream, in chan<- *pb.FromHotspot, end context.CancelCauseFunc) {
	for {
		m, err := st.Recv()
		if errors.Is(err, io.EOF) {
			close(in)
			return
		}
		if err != nil {
			if status.Code(err) == codes.ResourceExhausted { // over maxMessage: the transport reads no further
				s.core.cfg.Metrics.count(Outcome{Reason: poc.TooLarge}, 0)
			}
			end(err)
			return
		}
		select {
		case in <- m:
		case <-ctx.Done():
			return
		}
	}
}

// handshake offers a nonce and waits for the certificate over it.
func (s *Server) handshake(ctx context.Context, st stream, in <-chan *pb.FromHotspot) (poc.SessionCert, error) {
	var nonce [poc.NonceSize]byte
	if _, err := io.ReadFull(s.cfg.Rand, nonce[:]); err != nil {
		return poc.SessionCert{}, status.Error(codes.Internal, "no randomness")
	}
	info := s.info()
	offer := &pb.SessionOffer{Nonce: nonce[:], UnixNano: info.UnixNano, Info: info}
	if err := st.Send(&pb.ToHotspot{Message: &pb.ToHotspot_Offer{Offer: offer}}); err != nil {
		return poc.SessionCert{}, err
	}
	timer := time.NewTimer(initWithin)
	defer timer.Stop()
	select {
	case m := <-in:
		init := m.GetInit()
		if init == nil {
			return poc.SessionCert{}, status.Error(codes.FailedPrecondition, "the first message must be SessionInit")
		}
		return s.openSession(st, nonce, init)
	case <-timer.C:
		return poc.SessionCert{}, status.Errorf(codes.DeadlineExceeded, "no session certificate within %v", initWithin)
	case <-ctx.Done():
		return poc.SessionCert{}, ended(ctx)
	}
}

func (s *Server) openSession(st stream, nonce [poc.NonceSize]byte, init *pb.SessionInit) (poc.SessionCert, error) {
	if len(init.GetFirmware()) > maxFirmware {
		return poc.SessionCert{}, status.Errorf(codes.InvalidArgument, "firmware version is over %d bytes", maxFirmware)
	}
	cert, o := s.core.OpenSession(s.life, peerOf(st), nonce, init.GetCertificate())
	if o.Reason != poc.OK {
		if err := st.Send(&pb.ToHotspot{Message: &pb.ToHotspot_Outcome{Outcome: wire(o)}}); err != nil {
			return poc.SessionCert{}, err
		}
		return poc.SessionCert{}, status.Error(sessionCode(o.Reason), o.Reason.String()+": "+o.Detail)
	}
	ready := &pb.SessionReady{NotAfter: cert.NotAfter}
	return cert, st.Send(&pb.ToHotspot{Message: &pb.ToHotspot_Ready{Ready: ready}})
}

func sessionCode(r poc.Reason) codes.Code {
	switch r {
	case poc.UnknownHotspot:
		return codes.NotFound
	case poc.Overloaded, poc.RateLimited:
		return codes.ResourceExhausted
	case poc.Malformed:
		return codes.InvalidArgument
	}
	return codes.Unauthenticated
}

// take handles what the hotspot sends, several reports at a time.
func (s *Server) take(ctx context.Context, peer string, ss *session, in <-chan *pb.FromHotspot) {
	slots := make(chan struct{}, sessionSlots)
	var reports sync.WaitGroup
	defer reports.Wait()
	for {
		var m *pb.FromHotspot
		select {
		case got, open := <-in:
			if !open { // the last answers are queued before the stream ends
				reports.Wait()
				ss.end(io.EOF)
				return
			}
			m = got
		case <-ctx.Done():
			return
		}
		switch v := m.GetMessage().(type) {
		case *pb.FromHotspot_Report:
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			reports.Go(func() {
				defer func() { <-slots }()
				src := Source{Peer: peer, Session: ss.hotspot, Held: time.Duration(min(v.Report.GetHeldMs(), maxHeldMillis)) * time.Millisecond}
				o := s.core.Admit(s.life, src, v.Report.GetReport())
				s.reply(ctx, ss, &pb.ToHotspot{Message: &pb.ToHotspot_Outcome{Outcome: wire(o)}})
			})
		case *pb.FromHotspot_Time:
			t := &pb.TimeReply{Cookie: v.Time.GetCookie(), UnixNano: s.core.cfg.Now().UnixNano()}
			s.reply(ctx, ss, &pb.ToHotspot{Message: &pb.ToHotspot_Time{Time: t}})
		case *pb.FromHotspot_DownlinkResult:
			if s.cfg.OnDownlinkResult != nil {
				s.cfg.OnDownlinkResult(ss.hotspot, v.DownlinkResult)
			}
		default:
			ss.end(status.Error(codes.InvalidArgument, "unexpected message in a session"))
			return
		}
	}
}

// reply queues an answer and waits for room: a hotspot that does not read its
// answers stops being read.
func (s *Server) reply(ctx context.Context, ss *session, m *pb.ToHotspot) {
	select {
	case ss.out <- m:
	case <-ctx.Done():
	}
}

// write sends what is queued until the session ends.
func (s *Server) write(ctx context.Context, st stream, ss *session, left time.Duration) error {
	timer := time.NewTimer(left)
	defer timer.Stop()
	for {
		select {
		case m := <-ss.out:
			if err := st.Send(m); err != nil {
				return err
			}
		case <-timer.C:
			return status.Error(codes.Unauthenticated, "the session certificate has expired: open a new session")
		case <-ctx.Done():
			return s.flush(ctx, st, ss)
		}
	}
}

// flush sends what is still queued after the hotspot closed its side.
func (s *Server) flush(ctx context.Context, st stream, ss *session) error {
	if err := ended(ctx); err != nil {
		return err
	}
	for {
		select {
		case m := <-ss.out:
			if err := st.Send(m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// ended is the status with which a stream ends; nil when the hotspot closed it.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, io.EOF) {
		return nil
	}
	if _, ok := status.FromError(cause); ok {
		return cause
	}
	return status.FromContextError(cause).Err()
}
