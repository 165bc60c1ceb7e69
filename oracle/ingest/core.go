package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"heliograph/oracle/journal"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Config is what a [Core] needs. Journal, Key and Calendar are required.
type Config struct {
	Journal  *journal.Journal
	Key      identity.Signer // the oracle's, Ed25519: receipts must be repeatable
	Calendar Calendar
	Rules    string // name of the rule set, for Info
	Network  string // free text, for Info

	// PerHotspot limits the reports of one hotspot; PerPeer the reports of one
	// network address outside sessions, before their signature is checked;
	// Sessions how often one hotspot may open a session.
	PerHotspot, PerPeer, Sessions Rate
	MaxReports                    int // reports remembered for deduplication; 0 = 4,000,000
	MaxInFlight                   int // reports between door and disk; 0 = 1024
	MaxSession                    time.Duration

	// Allow says who may register; nil = everybody. RegionKnown says whether an
	// assertion names a region that exists; nil accepts all.
	Allow       func(identity.HotspotID) bool
	RegionKnown func(string) bool
	// OnAccept is called once for each journaled report, from many goroutines. It
	// must not block.
	OnAccept func(Accepted)

	Now     func() time.Time // nil = time.Now
	Logger  *slog.Logger     // nil = silence
	Metrics *Metrics         // nil = not counted
}

func (c Config) withDefaults() (Config, error) {
	if c.Journal == nil || c.Key == nil {
		return c, errors.New("ingest: journal and key are required")
	}
	if c.Key.ID().Type() != identity.Ed25519 {
		return c, fmt.Errorf("ingest: the oracle's key is %v: make an ed25519 key", c.Key.ID().Type())
	}
	if err := c.Calendar.Check(); err != nil {
		return c, err
	}
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.MaxReports, 4_000_000)
	def(&c.MaxInFlight, 1024)
	if c.MaxSession <= 0 {
		c.MaxSession = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	return c, nil
}

// maxPeers bounds the network addresses whose rate is tracked.
const maxPeers = 1 << 16

// Core admits reports. Safe for concurrent use.
type Core struct {
	cfg      Config
	roll     *roll
	certs    *certs
	window   *window
	hotspots *limiter[identity.HotspotID]
	opening  *limiter[identity.HotspotID]
	peers    *limiter[string]
	slots    chan struct{} // one token for each report between door and disk
	register chan struct{} // one token: registrations are taken one by one
}

// NewCore makes a core and brings back from the journal who is registered, which
// session keys are valid, and which reports are there already.
func NewCore(ctx context.Context, c Config) (*Core, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	k := &Core{
		cfg:      c,
		roll:     newRoll(),
		certs:    newCerts(),
		window:   newWindow(c.MaxReports),
		hotspots: newLimiter[identity.HotspotID](c.PerHotspot, c.MaxReports),
		opening:  newLimiter[identity.HotspotID](c.Sessions, c.MaxReports),
		peers:    newLimiter[string](c.PerPeer, maxPeers),
		slots:    make(chan struct{}, c.MaxInFlight),
		register: make(chan struct{}, 1),
	}
	if err := k.restore(ctx); err != nil {
		return nil, fmt.Errorf("ingest: restore from the journal: %w", err)
	}
	return k, nil
}

func (k *Core) restore(ctx context.Context) error {
	now := k.cfg.Now()
	err := k.cfg.Journal.Control(ctx, k.cfg.Journal.ControlEnd(), func(p journal.Position, e journal.Entry) error {
		m := mark{epoch: e.Epoch, received: e.Received, at: p}
		switch e.Type {
		case journal.TypeReport:
			r, err := poc.ParseReport(e.Data)
			if err != nil {
				return fmt.Errorf("control shard, offset %d: %w", p.Offset, err)
			}
			if r.Kind == poc.KindAssertion {
				k.roll.apply(Registration{Assertion: *r.Assertion, ID: r.ID, mark: m})
			}
		case journal.TypeSession:
			s, err := poc.ParseSessionCert(e.Data)
			if err != nil {
				return fmt.Errorf("control shard, offset %d: %w", p.Offset, err)
			}
			if s.NotAfter >= now.Unix() {
				k.certs.add(s)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	oldest := k.cfg.Calendar.Epoch(now.UnixNano())
	oldest -= min(oldest, 1)
	if closed, ok := k.cfg.Journal.Closed(); ok {
		oldest = min(oldest, closed)
	}
	for _, r := range k.cfg.Journal.Tail(oldest) {
		if r.Shard == store.ControlShard {
			continue
		}
		err := k.cfg.Journal.Read(ctx, r.Shard, r.From, r.To, func(p journal.Position, e journal.Entry) error {
			if e.Type != journal.TypeReport || e.Epoch < oldest {
				return nil
			}
			r, err := poc.ParseReport(e.Data)
			if err != nil {
				return fmt.Errorf("shard %d, offset %d: %w", p.Shard, p.Offset, err)
			}
			k.window.restore(r.ID, mark{epoch: e.Epoch, received: e.Received, at: p})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Registration is the assertion on record of a hotspot.
func (k *Core) Registration(id identity.HotspotID) (Registration, bool) { return k.roll.get(id) }

// Registered is the number of hotspots on record.
func (k *Core) Registered() int { return k.roll.len() }

// Hotspots lists up to limit registered hotspots in the order of their keys, from
// the first after the given one on.
func (k *Core) Hotspots(after identity.HotspotID, limit int) []Registration {
	return k.roll.list(after, limit)
}

// Forget is to be called when an epoch was cut: it takes no more reports.
func (k *Core) Forget(e poc.Epoch) { k.window.forget(e) }
