package solana

import (
	"context"
	"fmt"
	"slices"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

// History implements settle.Chain: what any endpoint knows. That nobody touched a
// marker is believed when all endpoints say so. When some do not answer it is believed
// of more than half, if two of these (one, where one is configured) were seen to keep
// history from before the epoch's first payout (see [Pool.Reach]): one that has
// forgotten its history must not make a batch, whose marker is closed, look unpaid.
func (p *Pool) History(ctx context.Context, m settle.Marker, from uint64) ([]string, error) {
	es, err := p.everybody(ctx)
	if err != nil {
		return nil, err
	}
	all, errs := askAll(ctx, p, es, func(ctx context.Context, e *endpoint) ([]string, error) {
		ctx, cancel := p.within(ctx, e)
		defer cancel()
		return e.Client.History(ctx, m, from)
	})
	var out []string
	for _, sigs := range all {
		for _, s := range sigs {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	var answered []*endpoint
	for i, e := range es {
		if errs[i] == nil {
			answered = append(answered, e)
		}
	}
	return out, p.heard(answered, m.Epoch)
}

// heard says whether those that answered are enough to believe what they do not know.
func (p *Pool) heard(answered []*endpoint, n poc.Epoch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, reaching, missing := 0, 0, ""
	for _, e := range p.endpoints {
		if e.refused != "" {
			continue
		}
		all++
		if !slices.Contains(answered, e) {
			missing = e.name
		} else if e.reach[n] {
			reaching++
		}
	}
	quorum := min(2, len(p.endpoints))
	switch {
	case missing == "":
		return nil
	case !enough(len(answered), all, quorum):
		return noQuorum(len(answered), quorum, all, missing)
	case reaching < quorum:
		return fmt.Errorf("%w: %s does not answer, and only %d of the others were seen to keep history from before epoch %d was paid: mend it, or configure one that keeps history",
			settle.ErrNoQuorum, missing, reaching, n)
	}
	return nil
}

// Reach implements settle.Reacher: it finds out which endpoints show a final
// transaction from before an epoch's first payout. They are asked each time: one may
// forget its history at any moment, and a marker whose history is forgotten looks
// unused. While all endpoints work nobody is asked: it does not matter then.
func (p *Pool) Reach(ctx context.Context, n poc.Epoch, signature string) error {
	if !p.missesOne() {
		p.reached(n, p.endpoints, nil) // what was seen before holds no longer
		return nil
	}
	es, err := p.usable(ctx)
	if err != nil {
		return err
	}
	_, errs := askAll(ctx, p, es, func(ctx context.Context, e *endpoint) (Landed, error) { return e.Client.Transaction(ctx, signature) })
	var reach []*endpoint
	for i, e := range es {
		if errs[i] == nil { // one that does not show it does not count
			reach = append(reach, e)
		}
	}
	p.reached(n, p.endpoints, reach)
	return nil
}

// reached notes who of all was seen to keep history from before an epoch was paid.
func (p *Pool) reached(n poc.Epoch, all, reach []*endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range all {
		if !slices.Contains(reach, e) {
			delete(e.reach, n)
			continue
		}
		if e.reach == nil || len(e.reach) >= maxReach {
			e.reach = map[poc.Epoch]bool{}
		}
		e.reach[n] = true
	}
}

// maxReach bounds what is remembered of an endpoint.
const maxReach = 1000

func (p *Pool) missesOne() bool {
	return slices.ContainsFunc(p.Endpoints(), func(e Endpoint) bool { return e.State != StandingOK && e.State != StandingRefused })
}
