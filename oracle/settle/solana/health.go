package solana

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"heliograph/oracle/settle"
)

// outAfter is how many calls in a row an endpoint may fail before it is left out.
const outAfter = 5

// probeTimeout bounds the call by which an endpoint that was left out is tried.
const probeTimeout = 2 * time.Second

// note counts what became of a call. A refusal is an answer.
func (p *Pool) note(ctx context.Context, e *endpoint, err error) {
	var rejected *settle.Rejected
	answered := err == nil || errors.As(err, &rejected) || errors.Is(err, errBehind) ||
		errors.Is(err, settle.ErrNotFinal) || errors.Is(err, settle.ErrStranger) || errors.Is(err, settle.ErrForeign)
	var resting *restingError
	if !answered && (ctx.Err() == context.Canceled || errors.As(err, &resting)) {
		return // our own doing
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered {
		if e.fails >= outAfter {
			p.log.Info("endpoint is taken back", "endpoint", e.name)
		}
		e.fails, e.failure = 0, ""
		return
	}
	e.fails, e.failure = e.fails+1, err.Error()
	if e.fails == outAfter {
		p.log.Warn("endpoint is left out until it answers again", "endpoint", e.name, "error", err)
	}
}

// probe tries the endpoints that were left out. Their gates see to it that this is
// seldom.
func (p *Pool) probe(ctx context.Context) {
	p.mu.Lock()
	var out []*endpoint
	admitted := map[*endpoint]bool{}
	for _, e := range p.endpoints {
		if e.fails >= outAfter && e.refused == "" {
			out, admitted[e] = append(out, e), e.admitted
		}
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, e := range out {
		wg.Go(func() {
			if !admitted[e] {
				hash, err := e.Client.Genesis(ctx)
				p.note(ctx, e, err)
				if err == nil {
					p.mu.Lock()
					p.admit(e, hash)
					p.mu.Unlock()
				}
				return
			}
			height, err := e.Client.Height(ctx)
			p.note(ctx, e, err)
			if err == nil {
				p.mu.Lock()
				e.height = height
				p.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// everybody is usable, and behind those the endpoints that were left out: for calls in
// which each voice counts. Nobody waits for them for longer than probeTimeout.
func (p *Pool) everybody(ctx context.Context) ([]*endpoint, error) {
	es, err := p.usable(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.endpoints {
		if e.admitted && !slices.Contains(es, e) {
			es = append(es, e)
		}
	}
	return es, nil
}

// within bounds a call to an endpoint that was left out.
func (p *Pool) within(ctx context.Context, e *endpoint) (context.Context, context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.fails >= outAfter {
		return context.WithTimeout(ctx, probeTimeout)
	}
	return ctx, func() {}
}

// Standing is how an endpoint does.
type Standing string

// The standings.
const (
	StandingOK        Standing = "ok"
	StandingFailing   Standing = "failing"   // some calls failed in a row; it is asked all the same
	StandingOut       Standing = "out"       // left out until it answers again
	StandingUnreached Standing = "unreached" // has not said yet which cluster it serves
	StandingRefused   Standing = "refused"   // serves another cluster
)

// Endpoint is one endpoint of a [Pool] as it is shown to people.
type Endpoint struct {
	Name   string // its host
	State  Standing
	Why    string // cause and remedy; "" when it is ok
	Height uint64 // finalized block height at the last look
}

// Endpoints says how the endpoints do, in the order of the configuration.
func (p *Pool) Endpoints() []Endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Endpoint, len(p.endpoints))
	for i, e := range p.endpoints {
		out[i] = Endpoint{Name: e.name, State: StandingOK, Height: e.height}
		o := &out[i]
		switch {
		case e.refused != "":
			o.State, o.Why = StandingRefused, e.refused
		case e.fails >= outAfter:
			o.State, o.Why = StandingOut, fmt.Sprintf("%d calls failed in a row (%s): mend it, or replace it in solana.rpc", e.fails, e.failure)
		case !e.admitted:
			o.State, o.Why = StandingUnreached, "it was never reached: mend it, or replace it in solana.rpc"
		case e.fails > 0:
			o.State, o.Why = StandingFailing, e.failure
		}
	}
	return out
}

// Quorate says whether enough endpoints work for steps in which a single one must not
// be believed: more than half of those that serve the right cluster, and two at least
// where two are configured. Otherwise the error is [settle.ErrNoQuorum].
func (p *Pool) Quorate() error {
	working, wanted := 0, 0
	var down string
	for _, e := range p.Endpoints() {
		switch e.State {
		case StandingRefused:
			continue
		case StandingOK, StandingFailing:
			working++
		default:
			down = e.Name
		}
		wanted++
	}
	if enough(working, wanted, p.quorum()) {
		return nil
	}
	return noQuorum(working, p.quorum(), wanted, down)
}

// enough says whether n of all endpoints are more than half, and the quorum.
func enough(n, all, quorum int) bool { return n >= quorum && 2*n > all }

func noQuorum(n, quorum, all int, missing string) error {
	return fmt.Errorf("%w: %d of %d answer, wanted are %d; missing is %s: mend it or replace it in solana.rpc (with three endpoints, one may be down)",
		settle.ErrNoQuorum, n, all, max(quorum, all/2+1), missing)
}
