package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"heliograph/oracle/epoch"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/router"
	"heliograph/oracle/store"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/region"
)

// Options are what tests set and operators do not.
type Options struct {
	Logger *slog.Logger     // nil = silence
	Now    func() time.Time // nil = time.Now
	Rand   io.Reader        // nil = crypto/rand.Reader
}

// Node is an oracle. Make one with [New], then call Run once, or Close.
type Node struct {
	cfg    Config
	opt    Options
	key    identity.Signer
	log    store.Log
	kv     store.KV
	core   *ingest.Core
	server *ingest.Server
	router *router.Router // nil: packets are not forwarded
	epochs *epoch.Manager
	link   *link
	reg    *prometheus.Registry

	hotspots, explorer, admin net.Listener // the last two may be nil
	orders                    net.Listener // the operator's socket
	pages, operator           http.Handler
	closers                   []func() error
}

// New opens stores and ports and puts the parts together. Errors are one line
// that names cause and remedy.
func New(ctx context.Context, c Config, o Options) (n *Node, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	n = &Node{cfg: c, opt: o, reg: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	n.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, step := range []func(context.Context) error{n.openData, n.buildDoor, n.buildPages, n.openPorts} {
		if err := step(ctx); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

// Close gives everything back, in reverse order. Run does it too.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

func (n *Node) openData(context.Context) (err error) {
	if err := prepareData(n.cfg.Data); err != nil {
		return err
	}
	if n.key, err = loadKey(n.cfg, n.opt.Logger); err != nil {
		return err
	}
	if n.log, n.kv, err = openStores(n.cfg, n.opt.Logger); err != nil {
		return err
	}
	n.onClose(n.log.Close)
	n.onClose(n.kv.Close)
	if n.link, err = newLink(n.cfg.Solana, n.kv, n.opt.Logger); err != nil {
		return err
	}
	n.link.payout = n.cfg.Payout
	n.reg.MustRegister(newEndpointMetrics(n.link.endpoints))
	return nil
}

func (n *Node) buildDoor(ctx context.Context) error {
	j, err := journal.New(ctx, n.log)
	if err != nil {
		return explainStore(n.cfg, err)
	}
	var allow func(identity.HotspotID) bool
	if n.cfg.Register.Mode == "allowlist" {
		list, err := loadAllow(n.cfg.Register.Allow)
		if err != nil {
			return err
		}
		allow = func(id identity.HotspotID) bool { return list[id] }
	}
	l := n.cfg.Limits
	terms, err := n.cfg.terms()
	if err != nil {
		return err
	}
	n.core, err = ingest.NewCore(ctx, ingest.Config{
		Journal: j, Key: n.key, Calendar: n.cfg.calendar(), Rules: terms.Rules, Network: n.cfg.Network,
		PerHotspot: perMinute(l.ReportsPerMinute, l.ReportsBurst), PerPeer: perMinute(l.PeerPerMinute, l.PeerBurst),
		Sessions: sessionRate(l.SessionsPerHour), MaxReports: l.Reports, MaxSession: l.Session,
		Allow: allow, RegionKnown: func(name string) bool { _, err := region.ByName(name); return err == nil },
		OnAccept: func(a ingest.Accepted) {
			if n.router != nil {
				n.router.Offer(a)
			}
		},
		Now: n.opt.Now, Logger: n.opt.Logger, Metrics: ingest.NewMetrics(n.reg),
	})
	if err != nil {
		return explainStore(n.cfg, fmt.Errorf("start the door: %w", err))
	}
	n.server, err = ingest.NewServer(n.core, ingest.ServerConfig{
		MaxConns: l.Conns, MaxConnsPerPeer: l.ConnsPerPeer, MaxHandshakes: l.Handshakes,
		OnSession:        func(id identity.HotspotID) { n.epochs.SessionReady(id) },
		OnDownlinkResult: n.downlinkResult,
	})
	if err != nil {
		return err
	}
	policies, err := n.cfg.Reward.policies()
	if err != nil {
		return err
	}
	n.epochs, err = epoch.New(epoch.Config{
		Journal: j, KV: n.kv, Book: ledger.NewBook(n.kv), Settler: n.link, Key: n.key, Terms: terms, Policies: policies,
		OnCut: n.core.Forget, Push: n.server.Hub().Push, Deliver: n.cfg.Epoch.Deliver, Poll: n.cfg.Epoch.Poll,
		Rand: n.opt.Rand, Now: n.opt.Now, Logger: n.opt.Logger, Metrics: epoch.NewMetrics(n.reg),
	})
	if err != nil {
		return err
	}
	if err := n.epochs.CheckPolicies(ctx); err != nil {
		return err
	}
	return n.buildRouter(j)
}

// sessionBurst lets a hotspot on a bad line reconnect a few times at once.
const sessionBurst = 20

func sessionRate(perHour int) ingest.Rate {
	if perHour <= 0 {
		return ingest.Rate{}
	}
	return ingest.Rate{Interval: time.Hour / time.Duration(perHour), Burst: sessionBurst}
}

func (n *Node) buildRouter(j *journal.Journal) error {
	if n.cfg.Router.Routes == "" {
		return nil
	}
	table, err := router.LoadTable(n.cfg.Router.Routes)
	if err != nil {
		return fmt.Errorf("router.routes: %w", err)
	}
	n.router, err = router.New(router.Config{
		Table: table, Journal: j, Push: n.server.Hub().Push, RX2: n.rx2, MaxGateways: n.cfg.Router.MaxGateways,
		Now: n.opt.Now, Logger: n.opt.Logger, Registerer: n.reg,
	})
	return err
}

func (n *Node) rx2(id identity.HotspotID) (radio.Hertz, radio.DataRate, bool) {
	reg, ok := n.core.Registration(id)
	if !ok {
		return 0, radio.DataRate{}, false
	}
	plan, err := region.ByName(reg.Region)
	if err != nil {
		return 0, radio.DataRate{}, false
	}
	f, d := plan.RX2()
	return f, d, true
}
