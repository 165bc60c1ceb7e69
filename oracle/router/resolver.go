package router

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// resolveFor is how long a server's address is kept. The old one serves on while
// names cannot be resolved.
const resolveFor = time.Minute

type resolved struct {
	addr netip.AddrPort
	at   time.Time
}

// resolver keeps the addresses of servers. The names come from the routing
// table, so the map is bounded.
type resolver struct {
	now func() time.Time

	mu sync.Mutex
	by map[string]resolved
}

func newResolver(now func() time.Time) *resolver {
	return &resolver{now: now, by: make(map[string]resolved)}
}

func (r *resolver) resolve(ctx context.Context, server string) (netip.AddrPort, error) {
	r.mu.Lock()
	old, known := r.by[server]
	r.mu.Unlock()
	now := r.now()
	if known && now.Sub(old.at) < resolveFor {
		return old.addr, nil
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("router: resolve %s: %w", server, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = fmt.Errorf("no address")
	}
	var n int
	if err == nil {
		n, err = net.DefaultResolver.LookupPort(ctx, "udp", port)
	}
	if err != nil {
		if known {
			return old.addr, nil
		}
		return netip.AddrPort{}, fmt.Errorf("router: resolve %s: %w", server, err)
	}
	addr := netip.AddrPortFrom(ips[0].Unmap(), uint16(n))
	r.mu.Lock()
	r.by[server] = resolved{addr, now}
	r.mu.Unlock()
	return addr, nil
}
