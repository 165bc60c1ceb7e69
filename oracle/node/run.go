package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/ledger"
	"heliograph/oracle/operator"
	"heliograph/oracle/web"
	"heliograph/provisioning/identity"
	"heliograph/provisioning/settings"
)

func (n *Node) downlinkResult(id identity.HotspotID, m *pb.DownlinkResult) {
	if n.router != nil {
		n.router.Result(id, m)
	}
}

// buildPages makes the explorer and the operator's pages.
func (n *Node) buildPages(context.Context) error {
	c := web.Config{
		Core: n.core, Epochs: n.epochs, Book: ledger.NewBook(n.kv), Online: n.server.Hub().IsOnline,
		Settlement: n.link.Epoch, SeedMemo: n.link.seedMemo, Oracle: n.key.ID(), Network: n.cfg.Network,
		Calendar: n.cfg.calendar(), Bundle: n.cfg.Explorer.Bundle, Now: n.opt.Now, Logger: n.opt.Logger,
	}
	var err error
	if n.pages, err = web.New(c); err != nil {
		return err
	}
	c.Bundle = true
	api, err := web.New(c)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", n.ready)
	n.operator = mux
	return nil
}

// ready says whether reports can be taken, and what epochs wait for.
func (n *Node) ready(w http.ResponseWriter, r *http.Request) {
	if err := alive(r.Context(), n.kv); err != nil {
		http.Error(w, "state: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
	if why := n.epochs.LastError(); why != "" {
		_, _ = fmt.Fprintln(w, "epochs wait:", why)
	}
}

func (n *Node) openPorts(context.Context) error {
	open := func(to *net.Listener, addr, key string) error {
		l, err := settings.Listen(addr, key)
		if err != nil || l == nil {
			return err
		}
		*to = l
		n.onClose(func() error {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
		return nil
	}
	if err := open(&n.hotspots, n.cfg.Listen, "listen"); err != nil {
		return err
	}
	if n.hotspots == nil {
		return errors.New("listen is empty: name the address for hotspots, as in :7443")
	}
	if err := open(&n.explorer, n.cfg.Explorer.Listen, "explorer.listen"); err != nil {
		return err
	}
	if err := open(&n.admin, n.cfg.Admin.Listen, "admin.listen"); err != nil {
		return err
	}
	l, err := listenSocket(n.cfg, n.opt.Logger)
	if err != nil || l == nil {
		return err
	}
	n.orders = l
	n.onClose(func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// Addrs are the addresses that the node listens on: hotspots, explorer, admin;
// nil where there is none.
func (n *Node) Addrs() (hotspots, explorer, admin net.Addr) {
	of := func(l net.Listener) net.Addr {
		if l == nil {
			return nil
		}
		return l.Addr()
	}
	return of(n.hotspots), of(n.explorer), of(n.admin)
}

// ID is the oracle's key, which hotspots pin.
func (n *Node) ID() identity.HotspotID { return n.key.ID() }

// Run works until the context ends or a part fails for good, and closes the node.
func (n *Node) Run(ctx context.Context) error {
	n.opt.Logger.Info("oracle runs", "oracle", n.ID().String(), "name", n.ID().Name(), "listen", n.hotspots.Addr().String(), "hotspots", n.core.Registered())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.server.Serve(ctx, n.hotspots) })
	g.Go(func() error { return n.epochs.Run(ctx) })
	g.Go(func() error { return n.link.run(ctx) })
	if n.router != nil {
		g.Go(func() error { return n.router.Run(ctx) })
	}
	if n.explorer != nil {
		g.Go(func() error { return serve(ctx, n.explorer, n.pages) })
	}
	if n.admin != nil {
		g.Go(func() error { return serve(ctx, n.admin, n.operator) })
	}
	if n.orders != nil {
		orders := operator.New(operator.Config{KV: n.kv, LastError: n.link.lastError, Failures: n.link.failures, Endpoints: n.link.endpoints, Resumed: n.link.poke})
		g.Go(func() error { return serve(ctx, n.orders, orders) })
	}
	err := g.Wait()
	return errors.Join(err, n.Close())
}

// httpDrain is how long open requests may take when the node stops.
const httpDrain = 3 * time.Second

func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := web.Server(h)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %v: %w", l.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		stop, cancel := context.WithTimeout(context.Background(), httpDrain)
		defer cancel()
		if err := s.Shutdown(stop); err != nil {
			return s.Close()
		}
		return nil
	})
	return g.Wait()
}
