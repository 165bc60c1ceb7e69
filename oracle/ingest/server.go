package ingest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/provisioning/identity"
)

// maxMessage is the largest message that the server reads, in bytes.
const maxMessage = 4 << 10

// ServerConfig are the choices of a [Server]; the zero value is good.
type ServerConfig struct {
	MaxConns        int // connections at once; 0 = 100,000
	MaxConnsPerPeer int // from one address; 0 = 256
	MaxHandshakes   int // TLS handshakes at once; 0 = 32
	DrainAfter      time.Duration
	Rand            io.Reader // nonces; nil = crypto/rand.Reader

	// OnSession is told of a hotspot whose session is ready; OnDownlinkResult of
	// what became of a downlink. They must not block.
	OnSession        func(identity.HotspotID)
	OnDownlinkResult func(identity.HotspotID, *pb.DownlinkResult)
}

// Server serves heliograph.v1 to hotspots.
type Server struct {
	pb.UnimplementedHotspotsServer
	core *Core
	cfg  ServerConfig
	hub  *Hub
	tls  *tls.Config

	life context.Context // ends with Serve: appends do not end with requests
	stop context.CancelFunc
}

// NewServer makes a server in front of a core.
func NewServer(core *Core, c ServerConfig) (*Server, error) {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.MaxConns, 100_000)
	def(&c.MaxConnsPerPeer, 256)
	def(&c.MaxHandshakes, 32)
	if c.DrainAfter <= 0 {
		c.DrainAfter = 3 * time.Second
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	t, err := TLSConfig(core.cfg.Key)
	if err != nil {
		return nil, err
	}
	s := &Server{core: core, cfg: c, hub: newHub(core.cfg.Metrics), tls: t}
	s.life, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Hub gives access to the open sessions.
func (s *Server) Hub() *Hub { return s.hub }

// Serve answers on the listener until the context ends, then drains: hotspots
// are told to come back later, reports under way are finished. It closes the
// listener and may be called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(
		grpc.Creds(newBoundedCreds(s.tls, s.cfg.MaxHandshakes)),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(4),
		grpc.MaxHeaderListSize(4<<10),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.InitialWindowSize(64<<10), grpc.InitialConnWindowSize(64<<10),
		grpc.ReadBufferSize(0), grpc.WriteBufferSize(0),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second, MaxConnectionIdle: 5 * time.Minute}),
		grpc.WaitForHandlers(true),
	)
	pb.RegisterHotspotsServer(g, s)
	refused := func(cause string) { s.core.cfg.Metrics.conns.WithLabelValues(cause).Inc() }
	var served sync.WaitGroup
	var err error
	done := make(chan struct{})
	served.Go(func() {
		defer close(done)
		err = g.Serve(newBoundedListener(l, s.cfg.MaxConns, s.cfg.MaxConnsPerPeer, refused))
	})
	select {
	case <-ctx.Done():
		s.drain(g)
	case <-done:
	}
	served.Wait()
	g.Stop()
	s.stop()
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("ingest: serve: %w", err)
	}
	return nil
}

// drain says goodbye, gives hotspots a moment to leave, and ends what is left.
func (s *Server) drain(g *grpc.Server) {
	wait := &pb.Drain{ReconnectAfterMs: uint32(s.cfg.DrainAfter.Milliseconds())}
	s.hub.broadcast(&pb.ToHotspot{Message: &pb.ToHotspot_Drain{Drain: wait}})
	graceful := make(chan struct{})
	var w sync.WaitGroup
	w.Go(func() { g.GracefulStop(); close(graceful) })
	timer := time.NewTimer(s.cfg.DrainAfter)
	defer timer.Stop()
	select {
	case <-graceful:
	case <-timer.C:
		g.Stop()
	}
	w.Wait()
}

func (s *Server) info() *pb.InfoReply {
	c := s.core.cfg
	return &pb.InfoReply{
		OracleKey:    c.Key.ID().Bytes(),
		UnixNano:     c.Now().UnixNano(),
		EpochSeconds: uint32(c.Calendar.Length / time.Second),
		GraceSeconds: uint32(c.Calendar.Grace / time.Second),
		Rules:        c.Rules,
		Network:      c.Network,
	}
}

// Info says who the oracle is and what time it has.
func (s *Server) Info(context.Context, *pb.InfoRequest) (*pb.InfoReply, error) {
	return s.info(), nil
}

// Submit admits one report outside a session.
func (s *Server) Submit(ctx context.Context, r *pb.SubmitRequest) (*pb.Outcome, error) {
	return wire(s.core.Admit(s.life, Source{Peer: peerFrom(ctx)}, r.GetReport())), nil
}

func peerFrom(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	return hostOf(p.Addr)
}

func peerOf(st stream) string { return peerFrom(st.Context()) }

// wire is the form of an outcome on the wire.
func wire(o Outcome) *pb.Outcome {
	w := &pb.Outcome{
		Reason:       uint32(o.Reason),
		Detail:       o.Detail,
		Receipt:      o.Receipt,
		RetryAfterMs: uint32(min(o.RetryAfter, time.Hour) / time.Millisecond),
	}
	if o.ID != [32]byte{} {
		w.ReportId = o.ID[:]
	}
	return w
}
