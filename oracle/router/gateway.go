package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"heliograph/oracle/ingest"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/gwmp"
)

// maxServers bounds the network servers that one hotspot's socket talks to.
const maxServers = 16

// gateway is one hotspot towards network servers: a UDP socket of its own, so
// that servers can tell hotspots apart by address too.
type gateway struct {
	router *Router
	id     identity.HotspotID
	mac    gwmp.MAC
	conn   *net.UDPConn

	mu      sync.Mutex
	servers map[netip.AddrPort]bool
	token   gwmp.Token
	tick    radio.Tick // of the last uplink
	tickAt  time.Time  // when that was received
}

func newGateway(r *Router, id identity.HotspotID) (*gateway, error) {
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, fmt.Errorf("router: open a socket: %w", err)
	}
	return &gateway{router: r, id: id, mac: gwmp.MACFromPublicKey(id.Bytes()), conn: c,
		servers: make(map[netip.AddrPort]bool), tickAt: r.cfg.Now()}, nil
}

// close makes receive return.
func (g *gateway) close() { _ = g.conn.Close() }

func (g *gateway) lastUplink() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tickAt
}

// push sends one packet to a server, and first of all tells the server where
// downlinks go.
func (g *gateway) push(a ingest.Accepted, to netip.AddrPort) error {
	g.mu.Lock()
	known := g.servers[to]
	if !known && len(g.servers) >= maxServers {
		g.mu.Unlock()
		return fmt.Errorf("router: the hotspot talks to %d servers already", maxServers)
	}
	g.servers[to] = true
	g.token++
	token := g.token
	g.tick, g.tickAt = a.Packet.Tick, time.Unix(0, a.Received).Add(-a.Held)
	g.mu.Unlock()
	if !known {
		g.pull(to)
	}
	m := gwmp.PushData{Version: gwmp.V2, Token: token, MAC: g.mac, RxPKs: []gwmp.RxPK{gwmp.RxPKOf(radio.RxPacket{
		Payload:   a.Packet.PHY,
		Frequency: a.Packet.Frequency,
		DataRate:  a.Packet.DataRate,
		Coding:    1, // LoRaWAN uplinks are 4/5
		CRC:       radio.CRCOK,
		RSSI:      a.Packet.RSSI,
		SNR:       a.Packet.SNR,
		Tick:      a.Packet.Tick,
		Time:      a.Packet.Time,
	})}}
	return g.send(m, to)
}

func (g *gateway) send(m gwmp.Message, to netip.AddrPort) error {
	b, err := m.AppendBinary(nil)
	if err != nil {
		return err
	}
	if _, err := g.conn.WriteToUDPAddrPort(b, to); err != nil {
		return fmt.Errorf("router: send %v to %v: %w", m.Kind(), to, err)
	}
	return nil
}

// pull sends PULL_DATA. Loss is repaired by the next one.
func (g *gateway) pull(to netip.AddrPort) {
	g.mu.Lock()
	g.token++
	token := g.token
	g.mu.Unlock()
	if err := g.send(gwmp.PullData{Version: gwmp.V2, Token: token, MAC: g.mac}, to); err != nil {
		g.router.cfg.Logger.Debug("keep-alive failed", "server", to.String(), "error", err)
	}
}

func (g *gateway) keepAlive() {
	g.mu.Lock()
	var all []netip.AddrPort
	for s := range g.servers {
		all = append(all, s)
	}
	g.mu.Unlock()
	for _, s := range all {
		g.pull(s)
	}
}

// knows says whether the hotspot has sent anything to the address: only from
// there a downlink is taken.
func (g *gateway) knows(a netip.AddrPort) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.servers[a]
}

// near estimates the hotspot's counter now.
func (g *gateway) near(now time.Time) radio.Tick {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tick.Add(radio.MicrosOf(now.Sub(g.tickAt)))
}

// receive takes downlinks until the socket is closed.
func (g *gateway) receive() {
	buf := make([]byte, gwmp.MaxDatagram)
	for {
		n, from, err := g.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !g.knows(from) {
			g.router.metrics.downlinks.WithLabelValues("stranger").Inc()
			continue
		}
		m, err := gwmp.Parse(buf[:n])
		if err != nil {
			g.router.metrics.downlinks.WithLabelValues("malformed").Inc()
			continue
		}
		if resp, ok := m.(gwmp.PullResp); ok {
			g.router.downlink(g, from, resp)
		}
	}
}
