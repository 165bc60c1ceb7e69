package lns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"heliograph/radio"
	"heliograph/radio/gwmp"
)

// Bounds of what strangers can make a server remember.
const (
	maxGateways = 1024
	maxPending  = 1024 // downlinks that wait for their TX_ACK
)

// ServerStats counts what a server saw.
type ServerStats struct {
	Stats
	Datagrams uint64
	Malformed uint64
	BadRxPKs  uint64
	Refused   uint64 // from gateways beyond the limit
	NoPath    uint64 // downlinks for gateways that never sent PULL_DATA
	TxAcks    map[radio.TxStatus]uint64
	Gateways  int
}

// Server is a network server on a UDP socket. Its methods are safe for
// concurrent use.
type Server struct {
	conn  *net.UDPConn
	log   *slog.Logger
	start time.Time
	done  chan struct{}

	mu      sync.Mutex
	core    *Core
	paths   map[gwmp.MAC]path
	pending map[gwmp.Token]bool
	token   gwmp.Token
	timer   *time.Timer
	stats   ServerStats
	changed chan struct{} // closed and replaced when a record changes
}

// path is where a gateway takes downlinks.
type path struct {
	addr    netip.AddrPort
	version gwmp.Version
}

// Listen serves the UDP address, such as "127.0.0.1:0", until Close.
func Listen(addr string, cfg Config, log *slog.Logger) (*Server, error) {
	core, err := NewCore(cfg)
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("lns: listen on %q: %w", addr, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("lns: listen: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		conn: conn, log: log, start: time.Now(), done: make(chan struct{}), core: core,
		paths: map[gwmp.MAC]path{}, pending: map[gwmp.Token]bool{},
		stats: ServerStats{TxAcks: map[radio.TxStatus]uint64{}}, changed: make(chan struct{}),
	}
	s.timer = time.AfterFunc(time.Hour, s.due)
	go s.read()
	return s, nil
}

// Addr is the address that it listens on.
func (s *Server) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends the server.
func (s *Server) Close() error {
	err := s.conn.Close()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	return err
}

// Records are copies of the uplinks that are kept, oldest first.
func (s *Server) Records() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Records()
}

// Stats is a copy of the counters.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Stats = s.core.stats
	out.Verdicts, out.TxAcks = maps.Clone(s.core.stats.Verdicts), maps.Clone(s.stats.TxAcks)
	out.Gateways = len(s.paths)
	return out
}

// Await blocks until ok holds for the records, and returns them.
func (s *Server) Await(ctx context.Context, ok func([]Record) bool) ([]Record, error) {
	for {
		s.mu.Lock()
		records, changed := s.core.Records(), s.changed
		s.mu.Unlock()
		if ok(records) {
			return records, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return records, ctx.Err()
		}
	}
}

func (s *Server) read() {
	defer close(s.done)
	buf := make([]byte, gwmp.MaxDatagram+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an ICMP answer to something sent earlier
			s.log.Debug("network server: read", "err", err)
			continue
		}
		if reply := s.handle(buf[:n], from); reply != nil {
			s.write(reply, from)
		}
	}
}

// handle takes a datagram in and gives its acknowledgement, if it has one.
func (s *Server) handle(datagram []byte, from netip.AddrPort) gwmp.Message {
	m, err := gwmp.Parse(datagram)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Datagrams++
	if err != nil {
		s.stats.Malformed++
		return nil
	}
	switch m := m.(type) {
	case gwmp.PullData:
		if _, known := s.paths[m.MAC]; !known && len(s.paths) >= maxGateways {
			s.stats.Refused++
			return nil
		}
		s.paths[m.MAC] = path{from, m.Version}
		return gwmp.PullAck{Version: m.Version, Token: m.Token}
	case gwmp.PushData:
		s.stats.BadRxPKs += uint64(len(m.Bad))
		for _, p := range m.RxPKs {
			if p.CRC != radio.CRCBad {
				s.core.Push(time.Since(s.start), m.MAC, p)
			}
		}
		s.timer.Reset(0)
		return gwmp.PushAck{Version: m.Version, Token: m.Token}
	case gwmp.TxAck:
		if s.pending[m.Token] {
			delete(s.pending, m.Token)
			s.stats.TxAcks[m.Status]++
		}
	}
	return nil
}

// due sends what is due, and tells those who wait for records.
func (s *Server) due() {
	type sending struct {
		to path
		m  gwmp.Message
	}
	var out []sending
	s.mu.Lock()
	now := time.Since(s.start)
	downs, wake := s.core.Due(now)
	for _, d := range downs {
		to, ok := s.paths[d.Gateway]
		if !ok {
			s.stats.NoPath++
			continue
		}
		s.token++
		if to.version == gwmp.V2 && len(s.pending) < maxPending {
			s.pending[s.token] = true
		}
		out = append(out, sending{to, gwmp.PullResp{Version: to.version, Token: s.token, TxPK: d.TxPK}})
	}
	if wake != 0 {
		s.timer.Reset(wake - now)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	for _, d := range out {
		s.write(d.m, d.to.addr)
	}
}

func (s *Server) write(m gwmp.Message, to netip.AddrPort) {
	b, err := m.AppendBinary(nil)
	if err == nil {
		_, err = s.conn.WriteToUDPAddrPort(b, to)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("network server: write", "kind", m.Kind().String(), "to", to.String(), "err", err)
	}
}
