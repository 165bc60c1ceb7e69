package epoch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// unfinished lists the opened epochs up to last that are not done, oldest first.
func (m *Manager) unfinished(last poc.Epoch) []poc.Epoch {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []poc.Epoch
	for _, e := range m.cfg.Journal.Openings() {
		if e <= last && !m.done[e] {
			out = append(out, e)
		}
	}
	slices.Sort(out)
	return out
}

// owed lists the epochs that are cut and not done.
func (m *Manager) owed() []poc.Epoch {
	closed, ok := m.cfg.Journal.Closed()
	if !ok {
		return nil
	}
	return m.unfinished(closed)
}

// finish brings one epoch from its cut to the settler, in steps that are each
// stored before the next begins. waits is why the settler does not take it; that
// does not keep later epochs from being judged.
func (m *Manager) finish(ctx context.Context, e poc.Epoch) (waits, err error) {
	r, judged, err := m.record(ctx, e)
	if err != nil {
		return nil, err
	}
	if judged && r.State == Frozen {
		m.setDone(e)
		return nil, nil
	}
	result, secret, err := m.result(ctx, e)
	if err != nil {
		return nil, err
	}
	if judged && (r.Root != result.Root || r.Verdicts != result.Digest || r.List != result.List) {
		return nil, fmt.Errorf("computing it again gives root %v and verdicts %v, stored are %v and %v: the journal, the rules or the registry changed under it; do not pay, run oraclectl epoch verify",
			result.Root, result.Digest, r.Root, r.Verdicts)
	}
	if !judged {
		if r, err = m.store(ctx, result); err != nil {
			return nil, err
		}
		m.cfg.Metrics.judged(result)
		m.announce(result)
	}
	if r.State == Judged {
		if err := m.book(ctx, result); err != nil {
			return nil, err
		}
		r.State = Booked
		if err := m.saveRecord(ctx, r); err != nil {
			return nil, err
		}
	}
	list := settle.List{Epoch: e, Rewards: result.Root, ListHash: result.List, Payouts: result.Owing.Payouts, Secret: secret, Rules: result.Rules}
	if err := m.cfg.Settler.Freeze(ctx, list); err != nil {
		return fmt.Errorf("epoch %d waits for the settler: %w", e, err), nil
	}
	r.State = Frozen
	if err := m.saveRecord(ctx, r); err != nil {
		return nil, err
	}
	m.setDone(e)
	m.cfg.Logger.Info("epoch frozen", "epoch", e, "root", r.Root.String(), "payouts", r.Payouts, "payable", r.Payable)
	return nil, nil
}

// result computes an epoch, or takes what was computed a moment ago: while the
// settler is away the same epoch is looked at again and again.
func (m *Manager) result(ctx context.Context, e poc.Epoch) (Result, poc.Secret, error) {
	if m.computed.Epoch == e && m.computed.Rules != "" {
		return m.computed, m.computedSecret, nil
	}
	evidence, err := m.Evidence(ctx, e)
	if err != nil {
		return Result{}, poc.Secret{}, err
	}
	res, err := Compute(ctx, evidence)
	if err != nil {
		return Result{}, poc.Secret{}, err
	}
	if res.Evidence, err = evidence.Digest(); err != nil {
		return Result{}, poc.Secret{}, err
	}
	m.computed, m.computedSecret = res, evidence.Secret
	return res, evidence.Secret, nil
}

func (m *Manager) setDone(e poc.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[e] = true
	m.computed = Result{}
}

// write is one key of a large result.
type write struct {
	key   []byte
	value []byte
}

// store persists a result. The record comes last: what it summarises is there
// when it is. A crash before leaves keys that the next try writes again.
func (m *Manager) store(ctx context.Context, res Result) (Record, error) {
	writes, err := res.writes()
	if err != nil {
		return Record{}, err
	}
	for chunk := range slices.Chunk(writes, perTransaction) {
		err := m.cfg.KV.Update(ctx, func(tx store.Tx) error {
			for _, w := range chunk {
				if err := tx.Put(w.key, w.value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return Record{}, fmt.Errorf("store results: %w", err)
		}
	}
	r := res.Record()
	if r.Checkpoint, err = m.checkpoint(ctx, res.Epoch); err != nil {
		return Record{}, err
	}
	r.State = Judged
	if err := m.saveRecord(ctx, r); err != nil {
		return Record{}, err
	}
	m.cfg.Logger.Info("epoch judged", "epoch", r.Epoch, "rows", r.Rows, "root", r.Root.String(), "remainder", r.Remainder)
	return r, nil
}

func (res Result) writes() ([]write, error) {
	var out []write
	add := func(key []byte, v any) error {
		b, err := json.Marshal(v)
		out = append(out, write{key, b})
		return err
	}
	for _, r := range res.Rows {
		b, err := r.AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("encode row: %w", err)
		}
		out = append(out, write{rowKey(res.Epoch, r.Hotspot), b})
	}
	for _, b := range res.Beacons {
		if err := add(beaconKey(res.Epoch, b), b); err != nil {
			return nil, fmt.Errorf("encode beacon: %w", err)
		}
	}
	by := make(map[identity.HotspotID][]byte)
	for _, v := range res.Verdicts {
		if old := by[v.Hotspot]; len(old) < maxVerdicts*verdictSize {
			by[v.Hotspot] = appendVerdict(old, v)
		}
	}
	for h, b := range by {
		out = append(out, write{verdictKey(res.Epoch, h), b})
	}
	out = append(out, carryWrites(res.Epoch, res.Owing.Carried)...)
	slices.SortFunc(out, func(a, b write) int { return slices.Compare(a.key, b.key) })
	return out, nil
}

// chainState is where the running hashes of the journal stand.
type chainState struct {
	Epoch poc.Epoch  `json:"epoch"`
	Set   bool       `json:"set"`
	Chain []byte     `json:"chain"`
	Last  checkpoint `json:"last"`
}

type checkpoint = journal.Checkpoint

// checkpoint signs the journal at an epoch's cut and moves the running hashes
// on. It can be repeated for the newest epoch.
func (m *Manager) checkpoint(ctx context.Context, e poc.Epoch) (journal.Checkpoint, error) {
	var st chainState
	err := m.cfg.KV.View(ctx, func(tx store.Tx) error {
		st = chainState{}
		_, err := getJSON(tx, []byte(chainKey), &st)
		return err
	})
	if err != nil {
		return journal.Checkpoint{}, err
	}
	if st.Set && st.Epoch == e {
		return st.Last, nil
	}
	var chain journal.Chain
	if st.Set {
		if chain, err = journal.ParseChain(st.Chain); err != nil {
			return journal.Checkpoint{}, err
		}
	}
	from := int64(-1)
	if st.Set {
		from = int64(st.Epoch)
	}
	c, err := m.cfg.Journal.Sign(ctx, from, e, &chain, m.cfg.Key)
	if err != nil {
		return journal.Checkpoint{}, err
	}
	b, err := chain.AppendBinary(nil)
	if err != nil {
		return journal.Checkpoint{}, err
	}
	next := chainState{Epoch: e, Set: true, Chain: b, Last: c}
	return c, m.cfg.KV.Update(ctx, func(tx store.Tx) error { return putJSON(tx, []byte(chainKey), next) })
}

// Bookings are what the epoch created: to each hotspot, from there to its owner; to
// whom operates the network; and what nobody earned to the remainder. Causes name
// epoch and hotspot, so that posting again changes nothing.
func (res Result) Bookings() ([]ledger.Batch, error) {
	batches := make([]ledger.Batch, 0, len(res.Rows)+2)
	for _, r := range res.Rows {
		sum, err := r.Total()
		if err != nil {
			return nil, err
		}
		h := ledger.HotspotAccount(r.Hotspot)
		batches = append(batches, ledger.Batch{
			Cause: fmt.Sprintf("epoch/%d/hotspot/%v", res.Epoch, r.Hotspot),
			Entries: []ledger.Entry{
				{Account: ledger.Issued, Debit: sum}, {Account: h, Credit: sum},
				{Account: h, Debit: sum}, {Account: ledger.Owed(r.Owner), Credit: sum},
			},
		})
	}
	if res.Operations > 0 {
		batches = append(batches, ledger.Move(fmt.Sprintf("epoch/%d/operations", res.Epoch), ledger.Issued, ledger.Owed(res.Operator), res.Operations))
	}
	if res.Remainder > 0 {
		batches = append(batches, ledger.Move(fmt.Sprintf("epoch/%d/remainder", res.Epoch), ledger.Issued, ledger.Remainder, res.Remainder))
	}
	return batches, nil
}

// book posts what the epoch created.
func (m *Manager) book(ctx context.Context, res Result) error {
	batches, err := res.Bookings()
	if err != nil {
		return err
	}
	if err := m.cfg.Book.Post(ctx, batches...); err != nil {
		return fmt.Errorf("book: %w", err)
	}
	if err := m.cfg.Book.CheckRunning(ctx); err != nil {
		return errors.Join(errors.New("book: the books do not balance: nothing is paid until a person has looked"), err)
	}
	return nil
}
