package ingest

import (
	"net"
	"net/netip"
	"sync"
)

// boundedListener limits connections in all and from one address.
type boundedListener struct {
	net.Listener
	max, perPeer int
	refused      func(cause string)

	mu    sync.Mutex
	count int
	peers map[string]int
}

func newBoundedListener(l net.Listener, max, perPeer int, refused func(string)) *boundedListener {
	return &boundedListener{Listener: l, max: max, perPeer: perPeer, refused: refused, peers: make(map[string]int)}
}

// Accept closes what is over the limits and goes on.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := hostOf(c.RemoteAddr())
		if cause := l.enter(peer); cause != "" {
			l.refused(cause)
			_ = c.Close() // nothing was said on it
			continue
		}
		return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(peer) })}, nil
	}
}

func (l *boundedListener) enter(peer string) (cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= l.max {
		return "total"
	}
	if l.peers[peer] >= l.perPeer {
		return "per_address"
	}
	l.count++
	l.peers[peer]++
	return ""
}

func (l *boundedListener) leave(peer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	if l.peers[peer]--; l.peers[peer] == 0 {
		delete(l.peers, peer)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// hostOf is whom a limit for an address counts against. Whoever has one IPv6
// address has the 2^64 of its network.
func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	net64, _ := ip.Prefix(64) // 64 bits are within every IPv6 address
	return net64.String()
}
