package solana

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

// Pool is several endpoints of one cluster. It implements settle.Chain.
//
// Whom it believes: transactions go to all endpoints, and one that takes them is
// enough. What an endpoint says has landed counts at once, and what one hides does
// not: statuses and histories are united. Money is booked as paid only when a second
// endpoint confirms the transaction or its marker (see [Pool.Landed]), and a memo is final only
// when a second one names the same slot (see [Pool.Told]). A marker
// exists when more than half say so. The height is the lower median: with three
// endpoints or more, one that lags and one that runs ahead change nothing; with two
// it is the lower one, which costs time and never safety. A blockhash is taken from
// the endpoint that has seen most, every third one from another, so that one which
// invents them cannot stop payouts; its last valid height is never believed beyond
// what the height allows. Nothing is signed for a batch for the first time before
// the endpoints have said that it was not paid (see [Pool.History] for how many must,
// when some are down); at least one must keep its history for as long as a backup may
// be old.
//
// An endpoint whose calls fail outAfter times in a row is left out, so that nobody
// waits for it, and taken back as soon as it answers (see [Pool.Endpoints]). Leaving
// one out never lowers what must agree: that is counted from the configuration.
//
// An endpoint is asked for its genesis hash before anything else, and refused for
// good when it is on another cluster. Pool is safe for concurrent use.
type Pool struct {
	log     *slog.Logger
	genesis string // that is meant; "" until the first answer

	mu        sync.Mutex
	endpoints []*endpoint
	hashes    int // blockhashes handed out
}

// endpoint is one of a pool.
type endpoint struct {
	*Client
	name     string // host only: paths and queries hold customers' keys
	admitted bool
	refused  string
	height   uint64 // at the last look
	fails    int    // calls that failed in a row
	failure  string // the last of them
	// reach are epochs from before whose first payout the endpoint keeps history, as it
	// was seen the last time that it was asked.
	reach map[poc.Epoch]bool
}

// errNoEndpoint is when nobody can be asked.
var errNoEndpoint = errors.New("solana: no endpoint answers")

// usable are the endpoints that serve the right cluster. Those that have not said
// yet which one they serve are asked.
func (p *Pool) usable(ctx context.Context) ([]*endpoint, error) {
	p.mu.Lock()
	all := slices.Clone(p.endpoints)
	var unknown []*endpoint
	for _, e := range all {
		if !e.admitted && e.refused == "" && e.fails < outAfter {
			unknown = append(unknown, e)
		}
	}
	p.mu.Unlock()
	if len(unknown) > 0 {
		hashes, errs := askAll(ctx, p, unknown, func(ctx context.Context, e *endpoint) (string, error) { return e.Client.Genesis(ctx) })
		p.mu.Lock()
		for i, e := range unknown {
			if errs[i] == nil {
				p.admit(e, hashes[i])
			}
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out, down []*endpoint
	var refused error
	for _, e := range all {
		switch {
		case e.admitted && e.fails < outAfter:
			out = append(out, e)
		case e.admitted:
			down = append(down, e)
		case e.refused != "":
			refused = fmt.Errorf("%w: %s", settle.ErrWrongCluster, e.refused)
		}
	}
	if len(out) == 0 {
		out = down // with nobody else, they are asked all the same
	}
	if len(out) > 0 {
		return out, nil
	}
	if refused != nil && !slices.ContainsFunc(all, func(e *endpoint) bool { return e.refused == "" }) {
		return nil, refused
	}
	return nil, errNoEndpoint
}

func (p *Pool) admit(e *endpoint, hash string) {
	if p.genesis == "" {
		p.genesis = hash
	}
	if hash == p.genesis {
		e.admitted = true
		return
	}
	e.refused = fmt.Sprintf("the RPC endpoint %s serves genesis %s, wanted is %s: take it out of solana.rpc, or change solana.genesis", e.name, hash, p.genesis)
	p.log.Error("endpoint is refused", "endpoint", e.name, "genesis", hash, "want", p.genesis)
}

// Refused lists why endpoints are not used, for showing to people.
func (p *Pool) Refused() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.endpoints {
		if e.refused != "" {
			out = append(out, e.refused)
		}
	}
	return out
}

// askAll asks endpoints at the same time.
func askAll[T any](ctx context.Context, p *Pool, es []*endpoint, f func(context.Context, *endpoint) (T, error)) ([]T, []error) {
	out, errs := make([]T, len(es)), make([]error, len(es))
	var wg sync.WaitGroup
	for i, e := range es {
		wg.Go(func() {
			out[i], errs[i] = f(ctx, e)
			p.note(ctx, e, errs[i])
		})
	}
	wg.Wait()
	return out, errs
}

// gather asks all usable endpoints and returns what those said that answered, in
// their order.
func gather[T any](ctx context.Context, p *Pool, f func(context.Context, *endpoint) (T, error)) ([]T, error) {
	es, err := p.usable(ctx)
	if err != nil {
		return nil, err
	}
	all, errs := askAll(ctx, p, es, f)
	var out []T
	for i, e := range errs {
		if e == nil {
			out = append(out, all[i])
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("solana: none of %d endpoints answers: %w", len(es), errors.Join(errs...))
	}
	return out, nil
}

// first asks the endpoints one after the other, those nearest to the height that is
// believed first, until one answers.
func first[T any](ctx context.Context, p *Pool, f func(context.Context, *endpoint) (T, error)) (out T, err error) {
	es, err := p.usable(ctx)
	if err != nil {
		return out, err
	}
	var errs []error
	for _, e := range p.nearest(es) {
		out, err = f(ctx, e)
		p.note(ctx, e, err)
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return out, fmt.Errorf("solana: none of %d endpoints answers: %w", len(es), errors.Join(errs...))
}

func (p *Pool) nearest(es []*endpoint) []*endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	heights := make([]uint64, len(es))
	for i, e := range es {
		heights[i] = e.height
	}
	middle := lowerMedian(heights)
	out := slices.Clone(es)
	slices.SortStableFunc(out, func(a, b *endpoint) int { return cmp.Compare(distance(a.height, middle), distance(b.height, middle)) })
	return out
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// lowerMedian of at least one number.
func lowerMedian[T cmp.Ordered](n []T) T {
	s := slices.Sorted(slices.Values(n))
	return s[(len(s)-1)/2]
}

// Genesis implements settle.Chain.
func (p *Pool) Genesis(ctx context.Context) (string, error) {
	if _, err := p.usable(ctx); err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.genesis, nil
}

// Height implements settle.Chain: the lower median.
func (p *Pool) Height(ctx context.Context) (uint64, error) {
	p.probe(ctx)
	heights, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (uint64, error) {
		h, err := e.Client.Height(ctx)
		if err == nil {
			p.mu.Lock()
			e.height = h
			p.mu.Unlock()
		}
		return h, err
	})
	if err != nil {
		return 0, err
	}
	return lowerMedian(heights), nil
}

// hashLife is for how many blocks a blockhash is good.
const hashLife = 150

// Blockhash implements settle.Chain.
func (p *Pool) Blockhash(ctx context.Context) (settle.Blockhash, error) {
	height, err := p.Height(ctx)
	if err != nil {
		return settle.Blockhash{}, err
	}
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (settle.Blockhash, error) { return e.Client.Blockhash(ctx) })
	if err != nil {
		return settle.Blockhash{}, err
	}
	slices.SortStableFunc(all, func(a, b settle.Blockhash) int { return cmp.Compare(b.Slot, a.Slot) })
	p.mu.Lock()
	n := p.hashes
	p.hashes++
	p.mu.Unlock()
	b := all[0]
	if n%3 == 2 {
		b = all[(n/3)%len(all)]
	}
	// Height may be that of an endpoint which lags: leave it room.
	b.LastValid = min(b.LastValid, height+2*hashLife)
	return b, nil
}

// BlockFrom implements settle.Chain. All endpoints that answer must name the same
// block, and more than one must where there are several.
func (p *Pool) BlockFrom(ctx context.Context, slot uint64) (settle.Block, bool, error) {
	type answer struct {
		block settle.Block
		found bool
	}
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) (answer, error) {
		b, ok, err := e.Client.BlockFrom(ctx, slot)
		return answer{b, ok}, err
	})
	if err != nil {
		return settle.Block{}, false, err
	}
	all = slices.DeleteFunc(all, func(a answer) bool { return !a.found })
	if len(all) == 0 || len(all) < p.quorum() {
		return settle.Block{}, false, nil
	}
	for _, a := range all {
		if a != all[0] {
			return settle.Block{}, false, fmt.Errorf("solana: endpoints disagree about the first block from slot %d on: %x at %d and %x at %d: find the one that is wrong and remove it from solana.rpc",
				slot, all[0].block.Hash, all[0].block.Slot, a.block.Hash, a.block.Slot)
		}
	}
	return all[0].block, true, nil
}

// quorum is how many endpoints must agree on what is final.
func (p *Pool) quorum() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(2, len(p.endpoints))
}

// Send implements settle.Chain: the transaction goes to all endpoints. A refusal
// counts only if nobody took it.
func (p *Pool) Send(ctx context.Context, tx settle.Tx) error {
	es, err := p.usable(ctx)
	if err != nil {
		return err
	}
	_, errs := askAll(ctx, p, es, func(ctx context.Context, e *endpoint) (struct{}, error) { return struct{}{}, e.Client.Send(ctx, tx) })
	var worst *settle.Rejected
	for _, err := range errs {
		var r *settle.Rejected
		switch {
		case err == nil:
			return nil
		case errors.As(err, &r) && (worst == nil || weight(r.Cause) > weight(worst.Cause)):
			worst = r
		}
	}
	if worst != nil {
		return worst
	}
	return fmt.Errorf("solana: none of %d endpoints took the transaction: %w", len(es), errors.Join(errs...))
}

// weight says which of several refusals tells most.
func weight(c settle.RejectCause) int {
	return slices.Index([]settle.RejectCause{
		settle.CauseOther, settle.CauseExpired, settle.CauseFunds, settle.CauseRecipient, settle.CauseMarker,
	}, c)
}

// Statuses implements settle.Chain: of each signature the best that anybody says.
func (p *Pool) Statuses(ctx context.Context, signatures []string) ([]settle.Status, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) ([]settle.Status, error) {
		return e.Client.Statuses(ctx, signatures)
	})
	if err != nil {
		return nil, err
	}
	out := all[0]
	for _, other := range all[1:] {
		for i, s := range other {
			if standing(s) > standing(out[i]) {
				out[i] = s
			}
		}
	}
	return out, nil
}

func standing(s settle.Status) int {
	switch {
	case s.Final && s.Err == "":
		return 4
	case s.Known && s.Err == "":
		return 3
	case s.Final:
		return 2
	case s.Known:
		return 1
	}
	return 0
}

// Marks implements settle.Chain: a marker exists when more than half of the
// endpoints that answer say so.
func (p *Pool) Marks(ctx context.Context, ms []settle.Marker) ([]settle.Mark, error) {
	all, err := gather(ctx, p, func(ctx context.Context, e *endpoint) ([]settle.Mark, error) { return e.Client.Marks(ctx, ms) })
	if err != nil {
		return nil, err
	}
	out := make([]settle.Mark, len(ms))
	for i := range ms {
		votes := 0
		for _, marks := range all {
			if marks[i].Exists {
				votes++
				out[i].Dust = marks[i].Dust
			}
		}
		out[i].Exists = 2*votes > len(all)
	}
	return out, nil
}

// Units implements settle.Chain.
func (p *Pool) Units(ctx context.Context, m settle.Marker, to []reward.Payout) (uint32, error) {
	return first(ctx, p, func(ctx context.Context, e *endpoint) (uint32, error) { return e.Client.Units(ctx, m, to) })
}

// Payable implements settle.Chain. A problem counts when no endpoint that was asked,
// two at most, says otherwise.
func (p *Pool) Payable(ctx context.Context, wallets []poc.Wallet) ([]string, error) {
	es, err := p.usable(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	var errs []error
	for _, e := range p.nearest(es) {
		problems, err := e.Client.Payable(ctx, wallets)
		p.note(ctx, e, err)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		second := out != nil
		if !second {
			out = problems
		}
		bad := false
		for i := range out {
			if problems[i] == "" {
				out[i] = ""
			}
			bad = bad || out[i] != ""
		}
		if second || !bad {
			return out, nil
		}
	}
	if out == nil {
		return nil, fmt.Errorf("solana: none of %d endpoints answers: %w", len(es), errors.Join(errs...))
	}
	return out, nil
}

// Funds implements settle.Chain.
func (p *Pool) Funds(ctx context.Context) (ledger.Amount, uint64, error) {
	type funds struct {
		tokens   ledger.Amount
		lamports uint64
		trouble  *settle.TreasuryTrouble // no failure of the endpoint
	}
	f, err := first(ctx, p, func(ctx context.Context, e *endpoint) (f funds, err error) {
		f.tokens, f.lamports, err = e.Client.Funds(ctx)
		if errors.As(err, &f.trouble) {
			err = nil
		}
		return f, err
	})
	if err == nil && f.trouble != nil {
		err = f.trouble
	}
	return f.tokens, f.lamports, err
}
