package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/lorawan"
)

// Config is what a [Router] needs. Table, Journal and Push are required.
type Config struct {
	Table   *Table
	Journal *journal.Journal
	// Push hands a message to a hotspot's session; false: it has none.
	Push func(identity.HotspotID, *pb.ToHotspot) bool
	// RX2 gives the second receive window of a hotspot's region; false: unknown,
	// then downlinks have one window. nil: one window.
	RX2 func(identity.HotspotID) (radio.Hertz, radio.DataRate, bool)

	Window      time.Duration // how long copies of a packet are recognised; 0 = 2 minutes
	MaxGateways int           // hotspots with a socket at once; 0 = 10,000
	KeepAlive   time.Duration // between PULL_DATA; 0 = 10 s

	Now        func() time.Time // nil = time.Now
	Logger     *slog.Logger     // nil = silence
	Registerer prometheus.Registerer
}

const (
	queueLength = 4096
	workers     = 8
	maxPackets  = 1 << 18 // packets whose copies are counted
)

// Router forwards packets. Safe for concurrent use.
type Router struct {
	cfg     Config
	queue   chan ingest.Accepted
	copies  *copies
	servers *resolver
	metrics *metrics

	mu       sync.Mutex
	gateways map[identity.HotspotID]*gateway
	pending  map[uint64]downlink
	nextID   uint64
	closed   bool
	running  sync.WaitGroup
}

// New makes a router; Run starts it.
func New(c Config) (*Router, error) {
	if c.Table == nil || c.Journal == nil || c.Push == nil {
		return nil, errors.New("router: table, journal and push are required")
	}
	if c.Window <= 0 {
		c.Window = 2 * time.Minute
	}
	if c.MaxGateways <= 0 {
		c.MaxGateways = 10_000
	}
	if c.KeepAlive <= 0 {
		c.KeepAlive = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Router{
		cfg:      c,
		queue:    make(chan ingest.Accepted, queueLength),
		copies:   newCopies(c.Window, maxPackets),
		servers:  newResolver(c.Now),
		metrics:  newMetrics(c.Registerer),
		gateways: make(map[identity.HotspotID]*gateway),
		pending:  make(map[uint64]downlink),
	}, nil
}

// Offer hands a journaled report over. Anything but a packet is ignored. It does
// not block: when the queue is full, the packet is dropped and counted.
func (r *Router) Offer(a ingest.Accepted) {
	if a.Kind != poc.KindPacket {
		return
	}
	select {
	case r.queue <- a:
	default:
		r.metrics.uplinks.WithLabelValues("queue_full").Inc()
	}
}

// Run forwards until the context ends.
func (r *Router) Run(ctx context.Context) error {
	var w sync.WaitGroup
	for range workers {
		w.Go(func() {
			for {
				select {
				case a := <-r.queue:
					r.route(ctx, a)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	w.Go(func() { r.sweep(ctx) })
	w.Wait()
	r.closeAll()
	r.running.Wait()
	return nil
}

// route buys copies of one packet and forwards them.
func (r *Router) route(ctx context.Context, a ingest.Accepted) {
	f, err := lorawan.Parse(a.Packet.PHY)
	if err != nil {
		r.metrics.uplinks.WithLabelValues("not_lorawan").Inc()
		return
	}
	routes := r.cfg.Table.Lookup(f)
	if len(routes) == 0 {
		r.metrics.uplinks.WithLabelValues("no_route").Inc()
		return
	}
	for _, route := range routes {
		r.metrics.uplinks.WithLabelValues(r.buy(ctx, a, f, route)).Inc()
	}
}

// buy takes one copy for one route: it is journaled before it leaves.
func (r *Router) buy(ctx context.Context, a ingest.Accepted, f lorawan.Frame, route Route) (result string) {
	k := copyKey{route: route.Number, hash: lorawan.PacketHash(a.Packet.PHY)}
	if !r.copies.take(k, route.MaxCopies, r.cfg.Now()) {
		return "copy"
	}
	credits := uint64(0)
	if f.Kind != lorawan.JoinRequest {
		credits = DataCredits(len(a.Packet.PHY))
	}
	data, err := journal.Carried{Packet: a.ID, Credits: uint32(credits), Route: route.Number}.AppendBinary(nil)
	if err == nil {
		_, err = r.cfg.Journal.Append(ctx, a.At.Shard, journal.Entry{
			Type: journal.TypeCarried, Epoch: a.Epoch, Received: r.cfg.Now().UnixNano(), Data: data})
	}
	if err != nil {
		r.copies.undo(k)
		if errors.Is(err, journal.ErrEpochClosed) {
			return "too_late"
		}
		r.cfg.Logger.Error("journal a carried packet failed", "route", route.Name, "error", err)
		return "not_journaled"
	}
	if err := r.forward(ctx, a, route); err != nil {
		r.cfg.Logger.Warn("forward a packet failed", "route", route.Name, "server", route.Server, "error", err)
		return "not_sent"
	}
	return "forwarded"
}

func (r *Router) forward(ctx context.Context, a ingest.Accepted, route Route) error {
	addr, err := r.servers.resolve(ctx, route.Server)
	if err != nil {
		return err
	}
	g, err := r.gateway(a.Hotspot)
	if err != nil {
		return err
	}
	return g.push(a, addr)
}

// gateway finds or makes the socket of a hotspot.
func (r *Router) gateway(id identity.HotspotID) (*gateway, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g, ok := r.gateways[id]; ok {
		return g, nil
	}
	if r.closed {
		return nil, errors.New("router: closed")
	}
	if len(r.gateways) >= r.cfg.MaxGateways {
		return nil, fmt.Errorf("router: %d hotspots have a socket already: raise max_gateways", len(r.gateways))
	}
	g, err := newGateway(r, id)
	if err != nil {
		return nil, err
	}
	r.gateways[id] = g
	r.metrics.gateways.Set(float64(len(r.gateways)))
	r.running.Go(g.receive)
	return g, nil
}

// idleAfter is when a hotspot without uplinks loses its socket. Class C devices
// want it kept long.
const idleAfter = 30 * time.Minute

// sweep keeps sockets alive, ends idle ones, and answers downlinks whose hotspot
// never did.
func (r *Router) sweep(ctx context.Context) {
	t := time.NewTicker(r.cfg.KeepAlive)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		now := r.cfg.Now()
		for _, g := range r.takeIdle(now) {
			g.close()
		}
		for _, g := range r.all() {
			g.keepAlive()
		}
		for _, d := range r.takeOverdue(now) {
			d.answer(radio.TxFailed, 0)
			r.metrics.downlinks.WithLabelValues("no_answer").Inc()
		}
	}
}

func (r *Router) all() []*gateway {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*gateway, 0, len(r.gateways))
	for _, g := range r.gateways {
		out = append(out, g)
	}
	return out
}

func (r *Router) takeIdle(now time.Time) (idle []*gateway) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, g := range r.gateways {
		if now.Sub(g.lastUplink()) > idleAfter {
			delete(r.gateways, id)
			idle = append(idle, g)
		}
	}
	r.metrics.gateways.Set(float64(len(r.gateways)))
	return idle
}

func (r *Router) closeAll() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, g := range r.all() {
		g.close()
	}
}
