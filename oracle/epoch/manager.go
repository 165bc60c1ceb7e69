package epoch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Config is what a [Manager] needs. All but the fields with a default are
// required.
type Config struct {
	Journal *journal.Journal
	KV      store.KV
	Book    *ledger.Book
	Settler Settler
	Key     identity.Signer // the oracle's
	Terms   Terms
	// Policies are the network's signed policy documents; Policy, Threshold and
	// Operator of Terms then come from them. None: what Terms say counts, as a
	// document that nobody signed.
	Policies policy.Chain
	// OnCut is told of an epoch that takes no more reports; nil: nobody.
	OnCut func(poc.Epoch)
	// Push hands a message to a hotspot's session; false: it has none. nil: nobody
	// is connected.
	Push func(identity.HotspotID, *pb.ToHotspot) bool

	Deliver time.Duration    // how long before it is due a challenge is delivered; 0 = 10 s
	Poll    time.Duration    // between two looks at what is due; 0 = 1 s
	Rand    io.Reader        // secrets; nil = crypto/rand.Reader
	Now     func() time.Time // nil = time.Now
	Logger  *slog.Logger     // nil = silence
	Metrics *Metrics         // nil = not counted
}

func (c Config) withDefaults() (Config, error) {
	if c.Journal == nil || c.KV == nil || c.Book == nil || c.Settler == nil || c.Key == nil {
		return c, errors.New("epoch: journal, KV, book, settler and key are required")
	}
	if err := c.Terms.Check(); err != nil {
		return c, err
	}
	if len(c.Policies.Upto(^poc.Epoch(0))) == 0 {
		var err error
		if c.Policies, err = c.Terms.builtIn(); err != nil {
			return c, err
		}
	}
	if c.Deliver <= 0 {
		c.Deliver = 10 * time.Second
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Push == nil {
		c.Push = func(identity.HotspotID, *pb.ToHotspot) bool { return false }
	}
	if c.OnCut == nil {
		c.OnCut = func(poc.Epoch) {}
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
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

// Manager drives the epochs. Run must run once; the reading methods are safe for
// concurrent use.
type Manager struct {
	*Reader
	cfg   Config
	cal   ingest.Calendar
	push  *pusher
	ready chan identity.HotspotID // sessions that became ready

	policiesChecked bool // the opening loop's own

	computed       Result // the closing loop's own
	computedSecret poc.Secret

	mu   sync.Mutex
	done map[poc.Epoch]bool // frozen: nothing left to do here
	last map[string]string  // loop -> why its last round did not get through
}

// New makes a manager.
func New(c Config) (*Manager, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{Reader: &Reader{Journal: c.Journal, KV: c.KV}, cfg: c, cal: c.Terms.Calendar, done: make(map[poc.Epoch]bool), last: make(map[string]string), ready: make(chan identity.HotspotID, 1024)}
	m.push = newPusher(c)
	return m, nil
}

// Run drives the epochs until the context ends. Errors are logged, shown by
// [Manager.LastError] and retried, with pauses that grow to a minute.
func (m *Manager) Run(ctx context.Context) error {
	var w sync.WaitGroup
	w.Go(func() { m.push.run(ctx) })
	w.Go(func() { m.pushVerdicts(ctx) })
	w.Go(func() { m.loop(ctx, "open", m.openDue) })
	m.loop(ctx, "close", m.closeDue)
	w.Wait()
	return nil
}

// maxPause bounds the pause after errors.
const maxPause = time.Minute

func (m *Manager) loop(ctx context.Context, what string, step func(context.Context, time.Time) error) {
	pause := m.cfg.Poll
	for {
		err := step(ctx, m.cfg.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.cfg.Logger.Warn("epoch step failed, will be repeated", "step", what, "error", err, "pause_ms", pause.Milliseconds())
			m.cfg.Metrics.failed.WithLabelValues(what).Inc()
			m.note(what, err.Error())
			pause = min(2*pause, maxPause)
		default:
			m.note(what, "")
			pause = m.cfg.Poll
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

func (m *Manager) note(what, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[what] = why
}

// LastError is why the last rounds did not get through, "" when they did.
func (m *Manager) LastError() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, what := range []string{"open", "close"} {
		if why := m.last[what]; why != "" {
			all = append(all, what+": "+why)
		}
	}
	return strings.Join(all, "; ")
}

// Advance does everything that is due now, once. Run does the same in its loops;
// tests and tools call Advance.
func (m *Manager) Advance(ctx context.Context) error {
	now := m.cfg.Now()
	return errors.Join(m.openDue(ctx, now), m.closeDue(ctx, now))
}

// openDue commits to the current and the next epoch and opens the current one.
func (m *Manager) openDue(ctx context.Context, now time.Time) error {
	if err := m.CheckPolicies(ctx); err != nil {
		return err
	}
	err := m.openNow(ctx, m.cal.Epoch(now.UnixNano()))
	if errors.Is(err, ErrNoChain) {
		return nil
	}
	return err
}

func (m *Manager) openNow(ctx context.Context, current poc.Epoch) error {
	if _, open := m.cfg.Journal.Opening(current); !open {
		if err := m.commit(ctx, current); err != nil {
			return err
		}
		if err := m.open(ctx, current); err != nil {
			return err
		}
	}
	if err := m.commit(ctx, current+1); err != nil {
		return err
	}
	return m.arm(ctx, current)
}

func (m *Manager) commit(ctx context.Context, e poc.Epoch) error {
	secret, err := m.secret(ctx, e)
	if err != nil {
		return err
	}
	if err := m.cfg.Settler.Commit(ctx, e, secret.Commitment(e)); err != nil {
		return fmt.Errorf("epoch: commit to epoch %d: %w", e, err)
	}
	return nil
}

// open journals the opening when the commitment is final and a block after it
// too. Otherwise it does nothing: the next round looks again.
func (m *Manager) open(ctx context.Context, e poc.Epoch) error {
	st, err := m.cfg.Settler.Commitment(ctx, e)
	if err != nil {
		return fmt.Errorf("epoch: commitment of epoch %d: %w", e, err)
	}
	if !st.Final {
		return nil
	}
	block, final, err := m.cfg.Settler.SeedBlock(ctx, st.Slot)
	if err != nil {
		return fmt.Errorf("epoch: block for the seed of epoch %d: %w", e, err)
	}
	if !final {
		return nil
	}
	secret, err := m.secret(ctx, e)
	if err != nil {
		return err
	}
	now := m.cfg.Now()
	if m.cal.Epoch(now.UnixNano()) != e {
		return nil
	}
	if err := m.fixTerms(ctx, e); err != nil {
		return err
	}
	b, err := m.cfg.Journal.AppendOpen(ctx, journal.Open{Epoch: e, Commitment: secret.Commitment(e), CommitSlot: st.Slot, Blockhash: block.Hash, BlockSlot: block.Slot}, now.UnixNano())
	if errors.Is(err, journal.ErrEpochEarly) {
		return nil // the closing loop has to catch up first, after a long pause
	}
	if err != nil {
		return err
	}
	m.cfg.Logger.Info("epoch opened", "epoch", e, "commit_slot", b.CommitSlot, "block_slot", b.BlockSlot, "commit_signature", st.Signature)
	return nil
}

// arm gives the challenges of an open epoch to the pusher.
func (m *Manager) arm(ctx context.Context, e poc.Epoch) error {
	if _, open := m.cfg.Journal.Opening(e); !open || m.push.armed(e) {
		return nil
	}
	challenges, err := m.Challenges(ctx, e)
	if err != nil {
		return err
	}
	m.push.arm(e, challenges)
	m.cfg.Logger.Info("challenges are scheduled", "epoch", e, "challenges", len(challenges))
	return nil
}

// closeDue cuts what is due and brings every epoch that was opened and cut to
// its end.
func (m *Manager) closeDue(ctx context.Context, now time.Time) error {
	if err := m.cutDue(ctx, now); err != nil {
		return err
	}
	var waiting []error
	for _, e := range m.owed() {
		waits, err := m.finish(ctx, e)
		if err != nil {
			return fmt.Errorf("epoch: finish epoch %d: %w", e, err)
		}
		waiting = append(waiting, waits)
	}
	return errors.Join(waiting...)
}

// cutDue ends the epochs whose grace has passed, the opened ones each with a cut
// of its own.
func (m *Manager) cutDue(ctx context.Context, now time.Time) error {
	over := m.cal.Epoch(now.Add(-m.cal.Grace).UnixNano())
	if over == 0 {
		return nil
	}
	due := append(m.unfinished(over-1), over-1)
	for _, e := range due {
		if _, err := m.cfg.Journal.CutOf(e); err == nil {
			continue
		}
		if _, err := m.cfg.Journal.Close(ctx, e, now.UnixNano()); err != nil {
			return err
		}
		m.cfg.OnCut(e)
		m.cfg.Logger.Info("epoch cut", "epoch", e)
	}
	return nil
}
