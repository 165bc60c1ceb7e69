package uplink

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
)

// Client is the hotspot's side of the contract. One goroutine decides about all
// reports; each link has one more that receives, and a successor is opened by
// another.
type Client struct {
	cfg     Config
	events  chan event
	results chan *pb.DownlinkResult
	again   atomic.Bool // the oracle does not know us: assert again

	// Owned by Run's goroutine.
	flying  map[poc.ID]flight
	paused  time.Duration // monotonic: send nothing before
	retries int           // retryable outcomes in a row
	probing int           // deliveries to go one at a time

	mu    sync.Mutex
	stats Stats
}

// flight is a report that was sent and not answered.
type flight struct {
	entry uint64
	link  *link
	sent  time.Duration
}

// Stats is the state and the counters.
type Stats struct {
	Connected   bool              `json:"connected"`
	SessionEnds time.Duration     `json:"session_ends"` // monotonic
	InFlight    int               `json:"in_flight"`
	Sessions    uint64            `json:"sessions"`   // opened
	Failures    uint64            `json:"failures"`   // connections that failed or broke
	LastError   string            `json:"last_error"` // of the last failure
	Delivered   uint64            `json:"delivered"`  // receipts that verified
	BadReceipts uint64            `json:"bad_receipts"`
	Unasked     uint64            `json:"unasked"`  // outcomes that nobody waited for, as after a resend
	Outcomes    map[string]uint64 `json:"outcomes"` // by reason
}

// New checks the configuration. Nothing happens before [Client.Run].
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Client{
		cfg: cfg, events: make(chan event), results: make(chan *pb.DownlinkResult, 16),
		flying: map[poc.ID]flight{}, stats: Stats{Outcomes: map[string]uint64{}},
	}, nil
}

// Stats is a copy of the counters; safe for concurrent use.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Outcomes = maps.Clone(s.Outcomes)
	return s
}

func (c *Client) count(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

// Downlinked hands in what became of a downlink. It never blocks: results are
// dropped while no session takes them, as the oracle has given up by then. Safe
// for concurrent use.
func (c *Client) Downlinked(r *pb.DownlinkResult) bool {
	select {
	case c.results <- r:
		return true
	default:
		return false
	}
}

// Run keeps a session open and delivers the outbox until ctx ends, whose error
// it returns. It never gives up.
func (c *Client) Run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		l, err := c.open(ctx)
		if err == nil {
			before := c.Stats().Delivered
			c.cfg.Log.Info("session open", "oracle", c.cfg.Addr, "valid_s", int((l.ends-l.opened)/time.Second))
			err = c.serve(ctx, l)
			if c.cfg.Mono()-l.opened > time.Minute || c.Stats().Delivered > before {
				failures = 0 // it worked: a new start
			}
		}
		if ctx.Err() != nil {
			break
		}
		wait := c.backoff(failures)
		failures++
		c.count(func(s *Stats) { s.Failures++; s.LastError = err.Error() })
		c.cfg.Log.Warn("no session", "oracle", c.cfg.Addr, "error", err.Error(), "retry_in_ms", wait.Milliseconds())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return ctx.Err()
}

// backoff doubles with each failure, and draws from the upper half so that
// hotspots do not come back together.
func (c *Client) backoff(failures int) time.Duration {
	d := c.cfg.BackoffMin
	for range min(failures, 30) {
		d = min(2*d, c.cfg.BackoffMax)
	}
	return d/2 + c.jitter(d/2)
}

// jitter draws from 0..limit.
func (c *Client) jitter(limit time.Duration) time.Duration {
	var b [8]byte
	if _, err := io.ReadFull(c.cfg.Rand, b[:]); err != nil || limit <= 0 {
		return max(limit, 0)
	}
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(limit+1))
}

// errUnknown makes Run assert anew.
var errUnknown = errors.New("uplink: the oracle does not know this hotspot")

// serve runs sessions, each replaced by the next before it ends, until one
// breaks without a successor.
func (c *Client) serve(ctx context.Context, first *link) (err error) {
	s := service{c: c, cur: first}
	ctx, cancel := context.WithCancel(ctx)
	c.up(first)
	defer func() {
		cancel()
		s.cleanUp()
		c.count(func(st *Stats) { st.Connected, st.InFlight = false, 0 })
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := s.send(); err != nil {
			return err
		}
		timer.Reset(max(0, s.wake()-c.cfg.Mono()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-c.events:
			err = s.event(e)
		case r := <-c.results:
			s.cur.put(&pb.FromHotspot{Message: &pb.FromHotspot_DownlinkResult{DownlinkResult: r}})
		case <-c.cfg.Outbox.Ready():
		case o := <-s.opening:
			s.replace(o)
		case <-timer.C:
			err = s.tick(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) up(l *link) {
	c.count(func(s *Stats) {
		s.Sessions++
		s.Connected, s.SessionEnds = true, l.ends
	})
}
