package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// errNoChain is what epochs wait for while the cluster cannot be reached.
var errNoChain = errors.New("node: no connection to the chain yet")

// link is the way to the chain. It can be used before the cluster was reached
// for the first time: a node takes reports meanwhile. It is an [epoch.Settler].
type link struct {
	kv   store.KV
	conf Solana
	// payout was checked with the configuration.
	payout Payout
	keys   keys
	log    *slog.Logger

	mu      sync.Mutex
	settler *settle.Settler
	pool    *solana.Pool
	waits   string // for what, while there is no settler
}

// keys are the parsed addresses of the configuration.
type keys struct {
	hot            solana.Key
	mint, treasury solana.Address
}

// newLink reads the hot key and checks the addresses. What is wrong with them is left
// in the books, too: the node does not start, and its operator asks for the status.
func newLink(c Solana, kv store.KV, log *slog.Logger) (*link, error) {
	l, err := openLink(c, kv, log)
	if err != nil {
		refuse(kv, log, err)
	}
	return l, err
}

// refuse leaves in the books why settlement does not begin.
func refuse(kv store.KV, log *slog.Logger, why error) {
	ctx, cancel := context.WithTimeout(context.Background(), refuseTimeout)
	defer cancel()
	if err := settle.New(settle.Config{KV: kv}).Refuse(ctx, why.Error()); err != nil {
		log.Warn("the cause could not be left for oraclectl settle status", "error", err)
	}
}

// refuseTimeout bounds the writing of a refusal while the node ends.
const refuseTimeout = 5 * time.Second

func openLink(c Solana, kv store.KV, log *slog.Logger) (*link, error) {
	l := &link{kv: kv, conf: c, log: log}
	if c.RPC == "" {
		return l, nil
	}
	if c.Signer == "" {
		hot, err := solana.LoadKey(c.Key)
		if err != nil {
			return nil, fmt.Errorf("solana.key: %w", err)
		}
		l.keys.hot = solana.NewFileKey(hot)
	}
	var err error
	if l.keys.mint, err = solana.ParseAddress(c.Mint); err != nil {
		return nil, fmt.Errorf("solana.mint: %w", err)
	}
	if c.Treasury == "" {
		return l, nil
	}
	if l.keys.treasury, err = solana.ParseAddress(c.Treasury); err != nil {
		return nil, fmt.Errorf("solana.treasury: %w", err)
	}
	return l, nil
}

// run connects and settles until the context ends. Errors that only a person can
// end, such as the wrong cluster, end it.
func (l *link) run(ctx context.Context) error {
	err := l.settle(ctx)
	if err != nil && ctx.Err() == nil {
		refuse(l.kv, l.log, err)
	}
	return err
}

func (l *link) settle(ctx context.Context) error {
	if l.conf.RPC == "" {
		l.log.Warn("solana.rpc is empty: reports are taken, but no epoch is opened and nothing is paid")
		<-ctx.Done()
		return nil
	}
	if err := l.checkCluster(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := l.findSigner(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	program, err := l.payout.program()
	if err != nil {
		return err
	}
	pool, client, err := solana.DialPool(ctx, solana.PoolConfig{
		Endpoints: l.conf.endpoints(), Genesis: l.conf.Genesis, Log: l.log,
		Config: solana.Config{Hot: l.keys.hot, Mint: l.keys.mint, Treasury: l.keys.treasury,
			UnitPrice: l.conf.UnitPrice, MaxUnitPrice: l.conf.MaxUnitPrice, OffCurve: l.conf.OffCurve, Distributor: program},
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("solana: %w", err)
	}
	s := settle.New(settle.Config{KV: l.kv, Chain: pool, Signer: client, Genesis: l.conf.Genesis, Poll: l.conf.Poll,
		ReclaimAfter: l.conf.ReclaimAfter, Claim: l.payout.claiming(), Log: l.log})
	l.mu.Lock()
	l.settler, l.pool = s, pool
	l.mu.Unlock()
	l.log.Info("connected to the chain", "identity", client.Identity())
	if err := s.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// findSigner asks the signer who it is, until it answers. A signer that is bound to
// another mint or treasury will never sign: that ends the node.
func (l *link) findSigner(ctx context.Context) error {
	if l.conf.Signer == "" {
		return nil
	}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		c, err := signer.Dial(ctx, l.conf.Signer)
		if err == nil {
			return l.useSigner(c)
		}
		l.waitFor(err)
		l.log.Warn("the signer does not answer, epochs wait", "error", err, "retry_in_ms", pause.Milliseconds())
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func (l *link) useSigner(c *signer.Client) error {
	mint, treasury := solana.Address(c.Mint()), solana.Address(c.Treasury())
	if mint != l.keys.mint {
		return fmt.Errorf("solana.signer: it signs for the mint %s, solana.mint is %s: make both alike", mint, l.keys.mint)
	}
	if !l.keys.treasury.IsZero() && treasury != l.keys.treasury {
		return fmt.Errorf("solana.signer: it signs for the treasury %s, solana.treasury is %s: make both alike", treasury, l.keys.treasury)
	}
	l.keys.hot, l.keys.treasury = c, treasury
	return nil
}

// checkCluster compares the cluster with the one that is meant and with the one
// that was paid on before, until it can be reached, and before anything else is
// asked of it.
func (l *link) checkCluster(ctx context.Context) error {
	reader := settle.New(settle.Config{KV: l.kv, Chain: solana.NewPool(l.conf.Genesis, l.log, l.conf.endpoints()...), Genesis: l.conf.Genesis, Log: l.log})
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := reader.CheckCluster(ctx)
		if err == nil || errors.Is(err, settle.ErrWrongCluster) {
			return err
		}
		l.waitFor(err)
		l.log.Warn("the cluster cannot be reached, epochs wait", "error", err, "retry_in_ms", pause.Milliseconds())
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

func (l *link) get() (*settle.Settler, error) {
	if l.conf.RPC == "" {
		return nil, epoch.ErrNoChain
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settler == nil {
		return nil, errNoChain
	}
	return l.settler, nil
}

// lastError is why the chain was not looked at for the last time.
func (l *link) lastError() string {
	s, err := l.get()
	if err == nil {
		return s.LastError()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits != "" {
		return err.Error() + ": " + l.waits
	}
	return err.Error()
}

// failures is how many looks in a row failed; while there is no connection it is as
// if many had.
func (l *link) failures() int {
	s, err := l.get()
	if err != nil {
		return 1 << 30
	}
	return s.Failures()
}

func (l *link) waitFor(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = why.Error()
}

// poke makes the settler look at once.
func (l *link) poke() {
	if s, err := l.get(); err == nil {
		s.Poke()
	}
}

// Commit implements [epoch.Settler].
func (l *link) Commit(ctx context.Context, e poc.Epoch, hash [32]byte) error {
	s, err := l.get()
	if err != nil {
		return err
	}
	return s.Commit(ctx, e, hash)
}

// Commitment implements [epoch.Settler].
func (l *link) Commitment(ctx context.Context, e poc.Epoch) (settle.CommitState, error) {
	s, err := l.get()
	if err != nil {
		return settle.CommitState{}, err
	}
	return s.Commitment(ctx, e)
}

// SeedBlock implements [epoch.Settler].
func (l *link) SeedBlock(ctx context.Context, commitSlot uint64) (settle.Block, bool, error) {
	s, err := l.get()
	if err != nil {
		return settle.Block{}, false, err
	}
	return s.SeedBlock(ctx, commitSlot)
}

// Freeze implements [epoch.Settler].
func (l *link) Freeze(ctx context.Context, list settle.List) error {
	s, err := l.get()
	if err != nil {
		return err
	}
	return s.Freeze(ctx, list)
}

// Epoch reports on an epoch's payments.
func (l *link) Epoch(ctx context.Context, e poc.Epoch) (settle.Record, error) {
	s, err := l.get()
	if err != nil {
		return settle.Record{}, settle.ErrUnknown
	}
	return s.Epoch(ctx, e)
}

// seedMemo is the signature of an epoch's commitment, "" while it is not known.
func (l *link) seedMemo(ctx context.Context, e poc.Epoch) string {
	st, err := l.Commitment(ctx, e)
	if err != nil {
		return ""
	}
	return st.Signature
}
