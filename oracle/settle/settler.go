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
	// InFlight bounds the batches that are on their way at once, at most 256; 0 = 32.
	InFlight int
	// Workers bounds the calls to chain and signer at one time; 0 = 8.
	Workers int
	// ReclaimAfter is how many finalized blocks after an epoch was closed, and after
	// the last variant of a batch expired, its marker is closed; 0 = never. Below
	// MinReclaimAfter it is raised to that.
	ReclaimAfter uint64
	// HeldEvery is how many polls pass between two looks at held recipients and at
	// claims; 0 = 150.
	HeldEvery int
	// Claim makes new epochs ones that wallets claim; nil: payouts are sent. Epochs
	// that are frozen stay what they are.
	Claim *Claiming
	Log   *slog.Logger
}

// MinReclaimAfter is the shortest wait before markers are closed: twice the life of
// a blockhash.
const MinReclaimAfter = 300

// Settler carries frozen epochs to the chain. Its methods are safe for
// concurrent use; Run must run once.
type Settler struct {
	cfg    Config
	kv     store.KV
	chain  Chain
	signer Signer
	log    *slog.Logger
	wake   chan struct{}

	// Of the goroutine that runs rounds:
	rounds   int
	checked  bool
	queues   map[poc.Epoch]*queue
	heldFrom []byte // where the next look at held recipients begins
	// refusals are batches that the signer refuses.
	refusals refusals
	looks    map[recipient]int // how often somebody who is held was passed by
	// refused are the first markers of groups whose closing was refused at the last look.
	refused map[Marker]bool
	// lookedAt are markers of held recipients that nobody had paid under.
	lookedAt map[Marker]bool
	// lookedBack are epochs whose commit memo was looked for on chain.
	lookedBack map[poc.Epoch]bool
	// seedsLooked are epochs whose seed memo was looked for on chain.
	seedsLooked map[poc.Epoch]bool
	// seen are claims that were shown and are not booked yet.
	seen map[poc.Epoch]*claimsSeen
	// wrongMode are epochs whose commit memo names a mode that is not configured.
	wrongMode map[poc.Epoch]bool
	// sends and unsentSure are epochs of which it was read that no distributor was
	// made, and that no batch was sent.
	sends, unsentSure map[poc.Epoch]bool

	mu        sync.Mutex
	lastErr   string
	failures  int                // rounds in a row that did not get through
	strangers map[string]bool    // transactions that touched a marker and did not create it
	known     map[poc.Epoch]bool // epochs whose list the signer has taken
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
		cfg.InFlight = 32
	}
	cfg.InFlight = min(cfg.InFlight, statusesAtOnce)
	if cfg.Workers == 0 {
		cfg.Workers = 8
	}
	if cfg.ReclaimAfter > 0 {
		cfg.ReclaimAfter = max(cfg.ReclaimAfter, MinReclaimAfter)
	}
	if cfg.HeldEvery == 0 {
		cfg.HeldEvery = 150
	}
	return &Settler{
		cfg: cfg, kv: cfg.KV, chain: cfg.Chain, signer: cfg.Signer, log: cfg.Log, wake: make(chan struct{}, 1),
		known: map[poc.Epoch]bool{}, queues: map[poc.Epoch]*queue{}, lookedBack: map[poc.Epoch]bool{},
		seedsLooked: map[poc.Epoch]bool{}, seen: map[poc.Epoch]*claimsSeen{}, wrongMode: map[poc.Epoch]bool{}, sends: map[poc.Epoch]bool{},
		unsentSure: map[poc.Epoch]bool{}, lookedAt: map[Marker]bool{}, strangers: map[string]bool{},
		refusals: newRefusals(), looks: map[recipient]int{}, refused: map[Marker]bool{},
	}
}

// maxStrangers bounds the memory of transactions that concern no payout.
const maxStrangers = 100_000

func (s *Settler) isStranger(signature string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strangers[signature]
}

func (s *Settler) addStranger(signature string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strangers) >= maxStrangers {
		clear(s.strangers)
	}
	s.strangers[signature] = true
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
	for {
		err := s.Step(ctx)
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
	s.lastErr, s.failures = "", min(s.failures+1, 1<<30)
	if err != nil {
		s.lastErr = err.Error()
	} else {
		s.failures = 0
	}
}

// Failures is how many rounds in a row did not get through: one that is alone is the
// weather.
func (s *Settler) Failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures
}

// LastError is why the last round did not get through, "" when it did.
func (s *Settler) LastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// Step looks once at everything that is not finished and moves it on. [Settler.Run]
// calls it again and again; who drives a settler by hand calls one of the two.
func (s *Settler) Step(ctx context.Context) error {
	err := s.step(ctx)
	s.note(err)
	return err
}

func (s *Settler) step(ctx context.Context) error {
	if !s.checked {
		if err := s.CheckCluster(ctx); err != nil {
			if errors.Is(err, ErrWrongCluster) {
				err = errors.Join(err, s.Refuse(ctx, err.Error()))
			}
			return err
		}
		if err := s.accept(ctx); err != nil {
			return err
		}
		s.checked = true
	}
	if why, err := s.Paused(ctx); err != nil || why != "" {
		return err
	}
	todo, err := s.unfinished(ctx)
	if err != nil {
		return err
	}
	now := s.rounds
	s.rounds++
	seldom := now%s.cfg.HeldEvery == s.cfg.HeldEvery-1
	if len(todo.commits)+len(todo.epochs) == 0 && !seldom {
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
	if seldom {
		errs = append(errs, s.retryHeld(ctx))
		for _, e := range todo.claims {
			errs = append(errs, s.unsigned(ctx, e.Epoch, s.stepEpoch(ctx, e, height)))
		}
		for _, e := range todo.reclaims {
			errs = append(errs, s.reclaim(ctx, e, height))
		}
	}
	return errors.Join(errs...)
}

type work struct {
	commits []commitment
	epochs  []Epoch
	// claims are epochs that wallets claim: it takes weeks.
	claims []Epoch
	// reclaims are closed epochs whose markers may still exist.
	reclaims []Epoch
}

// unfinished reads what is open. Both kinds are few: they are closed for good
// within minutes while the cluster is up.
func (s *Settler) unfinished(ctx context.Context) (w work, err error) {
	err = s.kv.View(ctx, func(tx store.Tx) error {
		w = work{}
		if err := scan(tx, "s/c/", func(c commitment) {
			if !c.done() {
				w.commits = append(w.commits, c)
			}
		}); err != nil {
			return err
		}
		return scan(tx, "s/e/", func(e Epoch) {
			switch {
			case e.State == Claimable:
				w.claims = append(w.claims, e)
			case e.State != Closed:
				w.epochs = append(w.epochs, e)
			case e.Reclaimed < e.Batches:
				w.reclaims = append(w.reclaims, e)
			}
		})
	})
	return w, err
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
		if sure, err := s.lookBack(ctx, &e); err != nil || !sure {
			return err
		}
		if err := s.stepEpochMemo(ctx, &e, &e.Commit, height); err != nil || !e.Commit.Final {
			return err
		}
		if sure, err := s.firstCommit(ctx, &e); err != nil || !sure {
			return err
		}
		e.State = Committed
		return save()
	case Funded, Claimable:
		return s.stepClaims(ctx, &e, height, save)
	case Committed:
		if e.Claims != nil {
			return s.stepClaims(ctx, &e, height, save)
		}
		was := e
		left, err := s.pay(ctx, &e, height)
		if was.Stalled != e.Stalled || was.Refused != e.Refused {
			s.complain(e)
			err = errors.Join(err, save())
		}
		if err != nil || left > 0 {
			return err
		}
		paid, _, held, err := s.sums(ctx, e.Epoch)
		if err != nil {
			return err
		}
		e.State, e.Close = Settled, Memo{Text: CloseText(e.Epoch, e.Secret, paid, held)}
		return save()
	case Settled:
		if err := s.stepEpochMemo(ctx, &e, &e.Close, height); err != nil || !e.Close.Final {
			return err
		}
		e.State, e.ClosedAt = Closed, height
		delete(s.queues, e.Epoch)
		delete(s.lookedBack, e.Epoch)
		delete(s.sends, e.Epoch)
		delete(s.seen, e.Epoch)
		delete(s.unsentSure, e.Epoch)
		s.log.Info("epoch is settled", "epoch", e.Epoch, "recipients", e.Count, "total", e.Total)
		return save()
	}
	return nil
}

// stepEpochMemo moves a memo of an epoch on. A doubt about it is why the epoch stalls.
func (s *Settler) stepEpochMemo(ctx context.Context, e *Epoch, m *Memo, height uint64) error {
	save := func() error { return s.save(ctx, epochKey(e.Epoch), *e) }
	was := m.Doubt
	if err := s.stepMemo(ctx, m, height, save); err != nil || m.Doubt == was {
		return err
	}
	return s.stall(e, m.Doubt, save)
}

// stall records why an epoch does not move ("" when it does again). It is a
// state, not an error: nothing is retried in a hurry.
func (s *Settler) stall(e *Epoch, why string, save func() error) error {
	if e.Stalled == why {
		return nil
	}
	e.Stalled = why
	s.complain(*e)
	return save()
}

// complain tells the log why an epoch does not move.
func (s *Settler) complain(e Epoch) {
	switch {
	case e.Refused != "":
		s.log.Error("settlement is refused", "epoch", e.Epoch, "cause", e.Refused)
	case e.Stalled != "":
		s.log.Error("settlement is stalled", "epoch", e.Epoch, "cause", e.Stalled)
	default:
		s.log.Info("settlement goes on", "epoch", e.Epoch)
	}
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
