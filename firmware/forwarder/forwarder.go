package forwarder

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"heliograph/firmware/concentrator"
	"heliograph/radio"
	"heliograph/radio/gwmp"
)

var _ concentrator.Concentrator = (*Forwarder)(nil)

// maxReadErrors is how many errors in a row the socket may report before it
// counts as broken.
const maxReadErrors = 100

// Forwarder is the server that packet forwarders attach to. Its methods are
// safe for concurrent use.
type Forwarder struct {
	cfg    Config
	conn   *net.UDPConn
	queue  *queue
	stop   context.CancelFunc
	closed chan struct{} // when the reader has ended
	failed error         // why; set before closed is closed

	mu    sync.Mutex
	peers map[peerKey]*peer
	stats Stats // without QueueDropped and Forwarders
}

// Listen opens the port and serves forwarders until ctx ends or Close is called.
func Listen(ctx context.Context, cfg Config) (*Forwarder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp", cfg.Addr)
	if err != nil {
		return nil, listenError(cfg.Addr, err)
	}
	ctx, stop := context.WithCancel(ctx)
	f := &Forwarder{
		cfg: cfg, conn: pc.(*net.UDPConn), queue: newQueue(cfg.QueueLen), stop: stop,
		closed: make(chan struct{}), peers: make(map[peerKey]*peer),
	}
	unhook := context.AfterFunc(ctx, func() { f.conn.Close() })
	go func() {
		defer close(f.closed)
		defer unhook()
		f.failed = f.read()
		f.conn.Close()
	}()
	return f, nil
}

func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("forwarder: listen on %s: another program has the port, often a second hotspot service; "+
			"stop it (ss -ulpn shows which) or configure another port here and in the packet forwarders: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("forwarder: listen on %s: this machine does not have that address; "+
			"configure one of its own, or 127.0.0.1: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("forwarder: listen on %s: not allowed; configure a port above 1023: %w", addr, err)
	}
	return fmt.Errorf("forwarder: listen on %s: check the form host:port: %w", addr, err)
}

// Addr is the address that it listens on.
func (f *Forwarder) Addr() netip.AddrPort { return f.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends all calls and waits until nothing runs any more.
func (f *Forwarder) Close() error {
	f.stop()
	<-f.closed
	return nil
}

// Receive implements [concentrator.Concentrator]. Packets with a bad CRC have
// been dropped and counted. After Close it gives out what is left and then fails
// with an error that wraps [net.ErrClosed].
func (f *Forwarder) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p := f.queue.take(); len(p) > 0 {
			return p, nil
		}
		select {
		case <-ctx.Done():
		case <-f.queue.filled:
		case <-f.closed:
			if p := f.queue.take(); len(p) > 0 {
				return p, nil
			}
			return nil, fmt.Errorf("forwarder: receive: %w", f.failed)
		}
	}
}

// Now implements [concentrator.Concentrator]: it is [Forwarder.NowOf] board 0.
func (f *Forwarder) Now() (radio.Tick, bool) { return f.NowOf(0) }

// NowOf estimates the present tick of the forwarder that a board belongs to, a
// few milliseconds below its true value. It is false before the forwarder's
// first packet.
func (f *Forwarder) NowOf(board uint8) (radio.Tick, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.inSlot(board >> boardBits)
	if p == nil || !p.counter.known {
		return 0, false
	}
	return p.counter.now(f.cfg.Now()), true
}

func (f *Forwarder) inSlot(slot uint8) *peer {
	for _, p := range f.peers {
		if p.slot == slot {
			return p
		}
	}
	return nil
}

// read serves the socket until it is closed.
func (f *Forwarder) read() error {
	buf := make([]byte, gwmp.MaxDatagram+1)
	for errs := 0; ; {
		n, from, err := f.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return net.ErrClosed
		}
		if err != nil {
			f.count(func(s *Stats) { s.ReadErrors++ })
			if errs++; errs == maxReadErrors {
				return fmt.Errorf("read: %w", err)
			}
			continue
		}
		errs = 0
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if reply := f.handle(buf[:n], from); reply != nil {
			f.reply(reply, from)
		}
	}
}

func (f *Forwarder) count(add func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add(&f.stats)
}

func (f *Forwarder) reply(m gwmp.Message, to netip.AddrPort) {
	b, err := m.AppendBinary(nil)
	if err == nil {
		_, err = f.conn.WriteToUDPAddrPort(b, to)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		f.cfg.Log.Warn("cannot acknowledge", "kind", m.Kind().String(), "addr", to.String(), "error", err.Error())
	}
}

// handle takes one datagram in and returns the acknowledgement that is due, or nil.
func (f *Forwarder) handle(datagram []byte, from netip.AddrPort) gwmp.Message {
	m, err := gwmp.Parse(datagram)
	f.mu.Lock()
	f.stats.Datagrams++
	if err != nil {
		f.stats.Malformed++
		n := f.stats.Malformed
		f.mu.Unlock()
		if sparse(n) {
			f.cfg.Log.Warn("unusable datagram", "addr", from.String(), "error", err.Error(), "count", n)
		}
		return nil
	}
	f.mu.Unlock()

	switch m := m.(type) {
	case gwmp.PushData:
		return f.pushData(m, datagram, from)
	case gwmp.PullData:
		return f.pullData(m, from)
	case gwmp.TxAck:
		f.txAck(m, from)
	default: // what only a server sends
		f.count(func(s *Stats) { s.Malformed++ })
	}
	return nil
}

// sparse thins out log lines of a kind: the 1st, 2nd, 4th, 8th ... is written.
func sparse(n uint64) bool { return bits.OnesCount64(n) == 1 }

func (f *Forwarder) pushData(m gwmp.PushData, datagram []byte, from netip.AddrPort) gwmp.Message {
	now := f.cfg.Now()
	f.mu.Lock()
	p, report := f.attach(m.MAC, m.Version, from, now)
	defer report()
	if p == nil {
		f.mu.Unlock()
		return nil
	}
	ack := gwmp.PushAck{Version: m.Version, Token: m.Token}
	if p.duplicate(m.Token, datagram) {
		f.stats.Duplicates++
		f.mu.Unlock()
		return ack // the first acknowledgement may be lost
	}
	if m.Stat != nil {
		p.stat = m.Stat
	}
	f.stats.BadElements += uint64(len(m.Bad))
	bad := f.stats.BadElements
	var packets []radio.RxPacket
	for _, r := range m.RxPKs {
		if r.CRC == radio.CRCBad {
			f.stats.CRCBad++ // its counter value is as doubtful as its payload
			continue
		}
		if r.Board >= 1<<boardBits {
			f.stats.BadElements++
			continue
		}
		tick, restarted := p.counter.observe(r.Tmst, now)
		if restarted {
			f.stats.Restarts++
		}
		rx := r.Packet(tick)
		rx.Board = p.board(r.Board)
		packets = append(packets, rx)
	}
	f.stats.Received += uint64(len(packets))
	f.mu.Unlock()

	if len(m.Bad) > 0 && sparse(bad) {
		f.cfg.Log.Warn("unusable packet", "mac", m.MAC.String(), "error", m.Bad[0].Error(), "count", bad)
	}
	f.queue.put(packets)
	return ack
}

func (f *Forwarder) pullData(m gwmp.PullData, from netip.AddrPort) gwmp.Message {
	now := f.cfg.Now()
	f.mu.Lock()
	p, report := f.attach(m.MAC, m.Version, from, now)
	defer report()
	defer f.mu.Unlock()
	if p == nil {
		return nil
	}
	p.version, p.pullFrom, p.pulledAt = m.Version, from, now
	return gwmp.PullAck{Version: m.Version, Token: m.Token}
}

func (f *Forwarder) txAck(m gwmp.TxAck, from netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[peerKey{m.MAC, from.Addr()}]
	if p == nil || p.pending[m.Token] == nil {
		f.stats.StrayAcks++
		return
	}
	p.lastSeen = f.cfg.Now()
	p.pending[m.Token] <- m // has room for one, and gets no second
	delete(p.pending, m.Token)
}

// attach finds the forwarder, or gives it a slot: a free one, or that of the
// forwarder that has been silent longest. It returns nil when all are in use.
// The caller, who holds the lock, calls report after releasing it.
func (f *Forwarder) attach(mac gwmp.MAC, v gwmp.Version, from netip.AddrPort, now time.Time) (p *peer, report func()) {
	key := peerKey{mac, from.Addr()}
	if p := f.peers[key]; p != nil {
		p.lastSeen = now
		return p, func() {}
	}
	log := f.cfg.Log.With("mac", mac.String(), "addr", from.Addr().String())
	slot, ok := f.freeSlot(now)
	if !ok {
		f.stats.Refused++
		n := f.stats.Refused
		return nil, func() {
			if sparse(n) {
				log.Warn("forwarder refused: all slots are taken; detach one or raise the limit",
					"limit", f.cfg.MaxForwarders, "count", n)
			}
		}
	}
	p = &peer{key: key, slot: slot, version: v, lastSeen: now, pending: make(map[gwmp.Token]chan gwmp.TxAck)}
	f.peers[key] = p
	return p, func() { log.Info("forwarder attached", "board", p.board(0), "version", uint8(v)) }
}

func (f *Forwarder) freeSlot(now time.Time) (uint8, bool) {
	var silent *peer
	used := make(map[uint8]bool, len(f.peers))
	for _, p := range f.peers {
		used[p.slot] = true
		if silent == nil || p.lastSeen.Before(silent.lastSeen) {
			silent = p
		}
	}
	for slot := range uint8(f.cfg.MaxForwarders) {
		if !used[slot] {
			return slot, true
		}
	}
	if now.Sub(silent.lastSeen) < f.cfg.SlotTimeout || len(silent.pending) > 0 {
		return 0, false
	}
	delete(f.peers, silent.key)
	return silent.slot, true
}
