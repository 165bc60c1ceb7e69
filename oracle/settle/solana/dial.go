package solana

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"heliograph/oracle/settle"
)

// PoolConfig is what a [Pool] is made of.
type PoolConfig struct {
	Config             // the endpoint in it is not used
	Endpoints []string // URLs; the first that answers tells mint and rent
	Genesis   string   // hash of the cluster that is meant, base58; "": that of the first endpoint that answers
	Log       *slog.Logger
}

// maxEndpoints bounds a pool: every read asks all of them.
const maxEndpoints = 16

// DialPool makes a pool, and the client that signs, from the first endpoint that
// answers and serves the right cluster. It tries until one does or ctx ends.
func DialPool(ctx context.Context, cfg PoolConfig) (*Pool, *Client, error) {
	for wait := newPause(); ; {
		p, c, fatal, err := dialPool(ctx, cfg)
		if err == nil || fatal {
			return p, c, err
		}
		if werr := wait.next(ctx); werr != nil {
			return nil, nil, fmt.Errorf("%w (last error: %v)", werr, err)
		}
	}
}

// DialPoolOnce is [DialPool] without patience: it asks every endpoint once.
func DialPoolOnce(ctx context.Context, cfg PoolConfig) (*Pool, *Client, error) {
	p, c, _, err := dialPool(ctx, cfg)
	return p, c, err
}

func dialPool(ctx context.Context, cfg PoolConfig) (_ *Pool, _ *Client, fatal bool, err error) {
	if len(cfg.Endpoints) == 0 || len(cfg.Endpoints) > maxEndpoints {
		return nil, nil, true, fmt.Errorf("solana: %d endpoints, want 1 to %d", len(cfg.Endpoints), maxEndpoints)
	}
	var clients []*Client
	for _, e := range cfg.Endpoints {
		clients = append(clients, newReader(e, cfg.Limits))
	}
	p := newPool(cfg.Genesis, cfg.Log, clients)
	usable, err := p.usable(ctx)
	if err != nil {
		return nil, nil, errors.Is(err, settle.ErrWrongCluster), err
	}
	var lead *Client
	for _, e := range usable {
		one := cfg.Config
		one.Endpoint = e.cfg.Endpoint
		if lead, fatal, err = dialOnce(ctx, one); err == nil || fatal {
			break
		}
	}
	if err != nil {
		return nil, nil, fatal, err
	}
	for _, e := range p.endpoints {
		endpoint := e.cfg.Endpoint
		e.cfg, e.hot, e.program, e.decimals, e.rent = lead.cfg, lead.hot, lead.program, lead.decimals, lead.rent
		e.cfg.Endpoint = endpoint
	}
	return p, lead, false, nil
}

// NewPool makes a pool for those who only read, as [NewReader] does.
func NewPool(genesis string, log *slog.Logger, endpoints ...string) *Pool {
	var clients []*Client
	for _, e := range endpoints {
		clients = append(clients, NewReader(e))
	}
	return newPool(genesis, log, clients)
}

func newPool(genesis string, log *slog.Logger, clients []*Client) *Pool {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{genesis: genesis, log: log}
	for _, c := range clients {
		name := c.cfg.Endpoint
		if u, err := url.Parse(name); err == nil {
			name = u.Host
		}
		p.endpoints = append(p.endpoints, &endpoint{Client: c, name: name})
	}
	return p
}
