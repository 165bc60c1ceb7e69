package settle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Config is what a [Settler] is made of.
type Config struct {
	KV      store.KV
	Chain   Chain
	Signer  Signer
	Genesis string        // genesis hash of the cluster that is meant, base58; "" adopts the first one seen
	Poll    time.Duration // between two looks at the chain; 0 = 2 s
	Backoff time.Duration // longest pause after errors; 0 = 1 min
	// InFlight bounds the batches that are on their way at once; 0 = 16.
	InFlight int
	// HeldEvery is how many polls pass between two looks at held recipients; 0 = 150.
	HeldEvery int
	Log       *slog.Logger
}

// Settler carries frozen epochs to the chain. Its methods are safe for
// concurrent use; Run must run once.
type Settler struct {
	cfg    Config
	kv     store.KV
	chain  Chain
	signer Signer
	log    *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	lastErr string
	known   map[poc.Epoch]bool // epochs whose list the signer has taken
}

// New makes a settler on what lies in the store.
func New(cfg Config) *Settler {
	if cfg.Poll == 0 {
		cfg.Poll = 2 * time.Second
	}
	if cfg.Backoff == 0 {
		cfg.Backoff = time.Minute
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 16
	}
	if cfg.HeldEvery == 0 {
		cfg.HeldEvery = 150
	}
	return &Settler{cfg: cfg, kv: cfg.KV, chain: cfg.Chain, signer: cfg.Signer, log: cfg.Log, wake: make(chan struct{}, 1), known: map[poc.Epoch]bool{}}
}

func (s *Settler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

var genesisKey = []byte("s/genesis")

// CheckCluster compares the cluster's genesis hash with the configured one and
// with the one that earlier payouts went to. [ErrWrongCluster] names both.
func (s *Settler) CheckCluster(ctx context.Context) error {
	got, err := s.chain.Genesis(ctx)
	if err != nil {
		return fmt.Errorf("settle: ask for the genesis hash: %w", err)
	}
	if s.cfg.Genesis != "" && got != s.cfg.Genesis {
		return fmt.Errorf("%w: the RPC endpoint serves genesis %s, the configuration wants %s: change solana.rpc or solana.genesis", ErrWrongCluster, got, s.cfg.Genesis)
	}
	return s.kv.Update(ctx, func(tx store.Tx) error {
		old, err := tx.Get(genesisKey)
		if errors.Is(err, store.ErrNotFound) {
			return tx.Put(genesisKey, []byte(got))
		}
		if err == nil && string(old) != got {
			err = fmt.Errorf("%w: the RPC endpoint serves genesis %s, this data directory has paid on %s: change solana.rpc, or start with another data directory", ErrWrongCluster, got, old)
		}
		return err
	})
}

// Run settles until ctx ends. It returns early only for [ErrWrongCluster] and
// for errors of the store: after those, start-up decides.
func (s *Settler) Run(ctx context.Context) error {
	pause := s.cfg.Poll
	checked, round := false, 0
	for {
		err := s.round(ctx, &checked, round)
		round++
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrWrongCluster) || errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			pause = min(2*pause, s.cfg.Backoff)
			s.log.Warn("settlement waits", "error", err, "retry_in_ms", pause.Milliseconds())
		default:
			pause = s.cfg.Poll
		}
		s.note(err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		}
	}
}

func (s *Settler) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = ""
	if err != nil {
		s.lastErr = err.Error()
	}
}

// LastError is why the last round did not get through, "" when it did.
func (s *Settler) LastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// round looks once at everything that is not finished.
func (s *Settler) round(ctx context.Context, checked *bool, round int) error {
	if !*checked {
		if err := s.CheckCluster(ctx); err != nil {
			return err
		}
		*checked = true
	}
	todo, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	held := round%s.cfg.HeldEvery == s.cfg.HeldEvery-1
	if len(todo.commits)+len(todo.epochs) == 0 && !held {
		return nil
	}
	height, err := s.chain.Height(ctx)
	if err != nil {
		return fmt.Errorf("settle: ask for the block height: %w", err)
	}
	var errs []error
	for _, c := range todo.commits {
		errs = append(errs, s.stepCommitment(ctx, c, height))
	}
	for _, e := range todo.epochs {
		err := s.register(ctx, e)
		if err == nil {
			err = s.stepEpoch(ctx, e, height)
		}
		errs = append(errs, s.unsigned(ctx, e.Epoch, err))
	}
	if held {
		errs = append(errs, s.retryHeld(ctx))
	}
	return errors.Join(errs...)
}

type work struct {
	commits []commitment
	epochs  []Epoch
}

// unfinished reads what is open. Both kinds are few: they are closed for good
// within minutes while the cluster is up.
func (s *Settler) unfinished(ctx context.Context) (w work, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		w = work{}
		if err := scan(tx, "s/c/", func(c commitment) {
			if !c.Memo.Final {
				w.commits = append(w.commits, c)
			}
		}); err != nil {
			return err
		}
		return scan(tx, "s/e/", func(e Epoch) {
			if e.State != Closed {
				w.epochs = append(w.epochs, e)
			}
		})
	})
	return w, err
}

func (s *Settler) stepCommitment(ctx context.Context, c commitment, height uint64) error {
	return s.stepMemo(ctx, &c.Memo, height, func() error { return s.save(ctx, commitKey(c.Epoch), c) })
}

func (s *Settler) save(ctx context.Context, key []byte, v any) error {
	return s.kv.Update(ctx, func(tx store.Tx) error { return put(tx, key, v) })
}

// stepEpoch moves an epoch on by at most one state.
func (s *Settler) stepEpoch(ctx context.Context, e Epoch, height uint64) error {
	save := func() error { return s.save(ctx, epochKey(e.Epoch), e) }
	if id := s.signer.Identity(); id != e.Identity {
		return s.stall(&e, fmt.Sprintf("frozen for %s, but now configured is %s: restore the old key, mint and treasury to finish this epoch", e.Identity, id), save)
	}
	switch e.State {
	case Frozen:
		if err := s.stepMemo(ctx, &e.Commit, height, save); err != nil || !e.Commit.Final {
			return err
		}
		e.State = Committed
		return save()
	case Committed:
		left, stalled, err := s.pay(ctx, e, height)
		if err != nil {
			return err
		}
		if stalled != e.Stalled {
			return s.stall(&e, stalled, save)
		}
		if left > 0 {
			return nil
		}
		paid, _, held, err := s.sums(ctx, e.Epoch)
		if err != nil {
			return err
		}
		e.State, e.Close = Settled, Memo{Text: CloseText(e.Epoch, e.Secret, paid, held)}
		return save()
	case Settled:
		if err := s.stepMemo(ctx, &e.Close, height, save); err != nil || !e.Close.Final {
			return err
		}
		e.State = Closed
		s.log.Info("epoch is settled", "epoch", e.Epoch, "recipients", e.Count, "total", e.Total)
		return save()
	}
	return nil
}

// stall records why an epoch does not move ("" when it does again). It is a
// state, not an error: nothing is retried in a hurry.
func (s *Settler) stall(e *Epoch, why string, save func() error) error {
	if e.Stalled == why {
		return nil
	}
	e.Stalled = why
	if why != "" {
		s.log.Error("settlement is stalled", "epoch", e.Epoch, "cause", why)
	}
	return save()
}

func scan[T any](tx store.Tx, prefix string, yield func(T)) error {
	var bad error
	err := tx.Scan([]byte(prefix), nil, func(k, v []byte) bool {
		var rec T
		if bad = unmarshal(k, v, &rec); bad == nil {
			yield(rec)
		}
		return bad == nil
	})
	return errors.Join(bad, err)
}

// epochOf reads one epoch's record.
func (s *Settler) epochOf(ctx context.Context, e poc.Epoch) (rec Epoch, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		found, err := get(tx, epochKey(e), &rec)
		if err == nil && !found {
			err = fmt.Errorf("%w: %d", ErrUnknown, e)
		}
		return err
	})
	return rec, err
}
