package epoch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

var errInjected = errors.New("injected")

// faults makes the n-th step that can fail fail, before or after it took effect.
type faults struct {
	at    int // which step; 0 = none
	after bool
	count int
}

func (f *faults) step(do func() error) error {
	f.count++
	if f.at != f.count {
		return do()
	}
	if f.after {
		return errors.Join(do(), errInjected)
	}
	return errInjected
}

// chain is a cluster at the settler's boundary.
type chain struct {
	*faults
	seeds  map[poc.Epoch][32]byte
	asked  map[poc.Epoch]int
	frozen map[poc.Epoch]settle.List
	down   bool
}

func newChain(f *faults) *chain {
	return &chain{faults: f, seeds: map[poc.Epoch][32]byte{}, asked: map[poc.Epoch]int{}, frozen: map[poc.Epoch]settle.List{}}
}

func (c *chain) Commit(_ context.Context, e poc.Epoch, h [32]byte) error {
	if c.down {
		return errInjected
	}
	return c.step(func() error {
		if old, ok := c.seeds[e]; ok && old != h {
			return settle.ErrConflict
		}
		c.seeds[e] = h
		return nil
	})
}

func (c *chain) Commitment(_ context.Context, e poc.Epoch) (st settle.CommitState, err error) {
	if c.down {
		return st, errInjected
	}
	err = c.step(func() error {
		if _, ok := c.seeds[e]; !ok {
			return settle.ErrUnknown
		}
		c.asked[e]++
		st = settle.CommitState{Final: c.asked[e] > 1, Slot: 100 * uint64(e), Signature: fmt.Sprint("seed", e)}
		return nil
	})
	return st, err
}

func (c *chain) Blockhash(context.Context) (h [32]byte, slot uint64, err error) {
	if c.down {
		return h, 0, errInjected
	}
	err = c.step(func() error { return nil })
	return sha256.Sum256([]byte("block")), 1 << 40, err
}

func (c *chain) Freeze(_ context.Context, l settle.List) error {
	if c.down {
		return errInjected
	}
	return c.step(func() error {
		if old, ok := c.frozen[l.Epoch]; ok && (old.Root != l.Root || old.ListHash != l.ListHash || old.Secret != l.Secret) {
			return settle.ErrConflict
		}
		c.frozen[l.Epoch] = l
		return nil
	})
}

// constant is a source of secrets that restarts do not set back.
type constant byte

func (c constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c)
	}
	return len(b), nil
}

type faultyKV struct {
	store.KV
	*faults
}

func (k faultyKV) Update(ctx context.Context, f func(store.Tx) error) error {
	return k.step(func() error { return k.KV.Update(ctx, f) })
}

type faultyLog struct {
	store.Log
	*faults
	armed bool // the reports themselves are ingest's business
}

func (l *faultyLog) Append(ctx context.Context, s store.Shard, b []byte) (o store.Offset, err error) {
	if !l.armed {
		return l.Log.Append(ctx, s, b)
	}
	err = l.step(func() (err error) { o, err = l.Log.Append(ctx, s, b); return err })
	return o, err
}

// world is an oracle without network, on stores that survive its crashes.
type world struct {
	t      testing.TB
	now    time.Time
	log    *faultyLog
	kv     faultyKV
	chain  *chain
	f      *faults
	core   *ingest.Core
	j      *journal.Journal
	m      *Manager
	keys   []*identity.Key
	pushed []*pb.ToHotspot
}

var calendar = ingest.Calendar{Length: time.Hour, Grace: 5 * time.Minute, Tolerance: 2 * time.Second}

const first = poc.Epoch(480_000) // an hour of 2024

func testTerms() Terms {
	t := DefaultTerms(calendar, reward.DefaultPolicy(1_000_000_007, 10))
	t.Challenge.PerEpoch, t.Challenge.Guard = 4, time.Minute
	t.Operator = poc.Wallet{9, 9, 9}
	return t
}

func newWorld(t testing.TB, hotspots int) *world {
	t.Helper()
	f := &faults{}
	w := &world{t: t, now: time.Unix(0, calendar.Start(first)).Add(5 * time.Second), f: f,
		log: &faultyLog{Log: mem.NewLog(), faults: f}, kv: faultyKV{mem.NewTwiceKV(), f}, chain: newChain(f)}
	for i := range hotspots {
		w.keys = append(w.keys, identity.NewEd25519([32]byte{byte(i + 1), 7}))
	}
	w.restart()
	for i, k := range w.keys {
		w.admit(k, poc.Assertion{Hotspot: k.ID(), Owner: poc.Wallet{byte(i / 2)}, Region: "EU868", Sequence: 1, Gain: 300,
			Position: poc.Position{LatE7: 525_000_000 + int32(i)*150_000, LonE7: 134_000_000}, Time: radio.WallTime{UnixNano: w.now.UnixNano()}})
	}
	return w
}

// restart makes everything that is not on disk anew.
func (w *world) restart() {
	w.t.Helper()
	var err error
	if w.j, err = journal.New(context.Background(), w.log); err != nil {
		w.t.Fatal(err)
	}
	oracle := identity.NewEd25519([32]byte{0xee})
	now := func() time.Time { return w.now }
	if w.core, err = ingest.NewCore(context.Background(), ingest.Config{Journal: w.j, Key: oracle, Calendar: calendar, Now: now}); err != nil {
		w.t.Fatal(err)
	}
	w.m, err = New(Config{Journal: w.j, KV: w.kv, Book: ledger.NewBook(w.kv), Settler: w.chain, Key: oracle, Terms: testTerms(),
		OnCut: w.core.Forget, Now: now, Rand: constant(0x42),
		Push: func(_ identity.HotspotID, m *pb.ToHotspot) bool { w.pushed = append(w.pushed, m); return true }})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) admit(k *identity.Key, body interface {
	AppendBinary([]byte) ([]byte, error)
}) {
	w.t.Helper()
	b, err := body.AppendBinary(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := poc.SignBody(b, k)
	if err != nil {
		w.t.Fatal(err)
	}
	if o := w.core.Admit(context.Background(), ingest.Source{}, raw); o.Reason != poc.OK {
		w.t.Fatalf("not admitted: %v %s", o.Reason, o.Detail)
	}
}

// advance drives the epochs until they are quiet, restarting after each fault.
func (w *world) advance() {
	w.t.Helper()
	w.log.armed = true
	defer func() { w.log.armed = false }()
	calm := 0
	for range 50 {
		err := w.m.Advance(context.Background())
		if err == nil {
			if calm++; calm == 3 {
				return
			}
			continue
		}
		if !errors.Is(err, errInjected) {
			w.t.Fatal(err)
		}
		calm = 0
		w.restart()
	}
	w.t.Fatal("the epochs do not get on")
}

// flash plays one epoch: every hotspot answers every challenge, all others hear it.
func (w *world) flash(e poc.Epoch) {
	w.t.Helper()
	b, open := w.j.Opening(e)
	if !open {
		w.t.Fatalf("epoch %d is not open", e)
	}
	secret, err := w.m.secret(context.Background(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	challenges, err := w.m.schedule(context.Background(), b, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(challenges) == 0 {
		w.t.Fatal("no challenges")
	}
	for _, c := range challenges {
		from := w.index(c.Hotspot)
		key := w.keys[from]
		reg, _ := w.core.Registration(c.Hotspot)
		proof, err := c.Prove(key)
		if err != nil {
			w.t.Fatal(err)
		}
		tx := native.Answer(c, proof, reg.Gain)
		w.now = time.Unix(0, c.UnixNano).Add(3 * time.Second)
		beacon := poc.Beacon{Hotspot: key.ID(), Challenge: c.ID(), Proof: proof, Frequency: tx.Frequency, DataRate: tx.DataRate, Power: tx.Power,
			Time: radio.WallTime{UnixNano: c.UnixNano, Bound: 50 * time.Microsecond}}
		w.admit(key, beacon)
		for i, k := range w.keys {
			if i != from {
				w.admit(k, w.hear(k, reg.Assertion, beacon))
			}
		}
	}
}

func (w *world) index(id identity.HotspotID) int {
	for i, k := range w.keys {
		if k.ID() == id {
			return i
		}
	}
	w.t.Fatal("unknown hotspot")
	return -1
}

func (w *world) hear(k *identity.Key, from poc.Assertion, b poc.Beacon) poc.Witness {
	own, _ := w.core.Registration(k.ID())
	a, s := native.SiteOf(from), native.SiteOf(own.Assertion)
	p := b.Payload()
	level := native.Ceiling(a, s, b.Power, b.Frequency) - 1500 + radio.CentiDBm(p[0]%64)
	return poc.Witness{Hotspot: k.ID(), Payload: p, Frequency: b.Frequency, DataRate: b.DataRate, RSSI: level,
		SNR:  min(radio.CentiDB(level+11_700), 1200),
		Time: radio.WallTime{UnixNano: b.Time.UnixNano + int64(native.OnAir(b.DataRate).Duration()) + int64(geo.Distance(a.Place, s.Place))*10/3, Bound: 50 * time.Microsecond}}
}

// run plays two epochs to their end and returns their records.
func (w *world) run() (out [2]Record) {
	w.t.Helper()
	for i := range out {
		e := first + poc.Epoch(i)
		if at := time.Unix(0, calendar.Start(e)).Add(6 * time.Second); at.After(w.now) {
			w.now = at
		}
		w.advance()
		w.flash(e)
		w.now = time.Unix(0, calendar.CutDue(e))
		w.advance()
	}
	for i := range out {
		rec, found, err := w.m.Record(context.Background(), first+poc.Epoch(i))
		if err != nil || !found || rec.State != Frozen {
			w.t.Fatalf("epoch %d: %+v, %v, %v", first+poc.Epoch(i), rec, found, err)
		}
		out[i] = rec
	}
	return out
}

func (w *world) totals() ledger.Totals {
	w.t.Helper()
	b := ledger.NewBook(w.kv)
	if err := b.Audit(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	totals, err := b.Totals(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return totals
}

func TestTwoEpochs(t *testing.T) {
	w := newWorld(t, 5)
	recs := w.run()
	for i, r := range recs {
		if r.Reasons["ok"] < 10 || r.Rows == 0 || r.Payable == 0 || r.Root == (Hash{}) {
			t.Errorf("epoch %d: %+v", first+poc.Epoch(i), r)
		}
		sum, err := r.Payable.Add(r.Remainder)
		if err != nil || sum != r.Emission {
			t.Errorf("paid %d and remainder %d are not the emission %d", r.Payable, r.Remainder, r.Emission)
		}
		l := w.chain.frozen[r.Epoch]
		if l.Root != r.Root || ListHash(l.Payouts) != r.List || l.Secret.Commitment(r.Epoch) != w.chain.seeds[r.Epoch] {
			t.Errorf("frozen list: %+v", l)
		}
		if err := r.Checkpoint.Verify(identity.NewEd25519([32]byte{0xee}).ID()); err != nil {
			t.Error(err)
		}
		for _, k := range w.keys {
			p, found, err := w.m.Proof(t.Context(), r, k.ID())
			if err != nil || !found {
				t.Fatalf("proof: %v, %v", found, err)
			}
			if err := p.Check(); err != nil {
				t.Error(err)
			}
			p.Root[0] ^= 1
			if p.Check() == nil {
				t.Error("the proof leads to another root too")
			}
		}
	}
	totals := w.totals()
	if totals.Issued != 2*1_000_000_007 || totals.Owed != recs[0].Payable+recs[1].Payable {
		t.Errorf("%+v", totals)
	}
	bs, err := w.m.Beacons(t.Context(), 3)
	if err != nil || len(bs) != 3 || bs[0].Epoch != first+1 || bs[0].UnixNano < bs[1].UnixNano || len(bs[0].Witnesses) != 4 {
		t.Errorf("newest beacons: %+v, %v", bs, err)
	}
}

// Whatever step fails, before or after it took effect, the oracle that starts
// again comes to the same roots and books everything once.
func TestCrashAtEveryStep(t *testing.T) {
	clean := newWorld(t, 4)
	want := clean.run()
	totals := clean.totals()
	steps := clean.f.count
	if steps < 20 {
		t.Fatalf("only %d steps can fail", steps)
	}
	for at := 1; at <= steps; at++ {
		for _, after := range []bool{false, true} {
			w := newWorld(t, 4)
			w.f.at, w.f.after = at, after
			got := w.run()
			for i := range want {
				if got[i].Root != want[i].Root || got[i].List != want[i].List || got[i].Verdicts != want[i].Verdicts {
					t.Fatalf("step %d (after: %v): epoch %d differs", at, after, want[i].Epoch)
				}
			}
			if w.totals() != totals {
				t.Fatalf("step %d (after: %v): booked %+v, want %+v", at, after, w.totals(), totals)
			}
		}
	}
	t.Logf("%d steps, each failed before and after", steps)
}

// While the chain is away, reports are taken and what was opened is cut; when it
// is back, what is owed gets paid.
func TestChainAway(t *testing.T) {
	w := newWorld(t, 4)
	w.advance()
	w.flash(first)
	w.chain.down = true
	w.now = time.Unix(0, calendar.CutDue(first))
	if err := w.m.Advance(t.Context()); !errors.Is(err, errInjected) {
		t.Fatalf("advance without a chain: %v", err)
	}
	rec, judged, err := w.m.Record(t.Context(), first)
	if err != nil || !judged || rec.State != Booked {
		t.Fatalf("%+v, %v, %v", rec, judged, err)
	}
	k := w.keys[0]
	w.admit(k, poc.Decline{Hotspot: k.ID(), Cause: poc.DeclineRadio, Time: radio.WallTime{UnixNano: w.now.UnixNano()}})
	w.now = time.Unix(0, calendar.CutDue(first+1))
	_ = w.m.Advance(t.Context())
	w.chain.down = false
	w.restart()
	w.advance()
	if _, ok := w.chain.frozen[first]; !ok {
		t.Error("the owed epoch was not frozen")
	}
	if _, ok := w.chain.frozen[first+1]; ok {
		t.Error("an epoch that was never opened was frozen")
	}
	if _, open := w.j.Opening(first + 2); !open {
		t.Error("the current epoch was not opened")
	}
}

// An oracle that starts in the middle of an epoch draws only challenges that
// could still be delivered.
func TestOpensLate(t *testing.T) {
	w := newWorld(t, 4)
	w.now = time.Unix(0, calendar.Start(first)).Add(30 * time.Minute)
	w.advance()
	b, _ := w.j.Opening(first)
	secret, err := w.m.secret(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.m.schedule(t.Context(), b, secret)
	if err != nil || len(all) == 0 || len(all) > 4*3 {
		t.Fatalf("%d challenges, %v", len(all), err)
	}
	for _, c := range all {
		if c.UnixNano < b.Received+int64(30*time.Second) {
			t.Errorf("challenge at %d, opened at %d", c.UnixNano, b.Received)
		}
	}
}

// Challenges go out shortly before they are due, once, signed.
func TestChallengesAreDelivered(t *testing.T) {
	w := newWorld(t, 2)
	w.advance()
	b, _ := w.j.Opening(first)
	secret, _ := w.m.secret(t.Context(), first)
	all, err := w.m.schedule(t.Context(), b, secret)
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	w.m.push.deliver(time.Unix(0, c.UnixNano).Add(-11 * time.Second))
	if len(w.pushed) != 0 {
		t.Fatal("too early")
	}
	for range 2 {
		w.m.push.deliver(time.Unix(0, c.UnixNano).Add(-9 * time.Second))
	}
	if len(w.pushed) != 1 {
		t.Fatalf("%d messages", len(w.pushed))
	}
	got, err := poc.ParseChallenge(w.pushed[0].GetChallenge().GetChallenge(), identity.NewEd25519([32]byte{0xee}).ID())
	if err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

// A secret that does not fit the journal's commitment stops the epoch.
func TestForeignSecret(t *testing.T) {
	w := newWorld(t, 2)
	w.advance()
	err := w.kv.KV.Update(t.Context(), func(tx store.Tx) error { return tx.Put(epochKey(secretPrefix, first), make([]byte, 32)) })
	if err != nil {
		t.Fatal(err)
	}
	w.now = time.Unix(0, calendar.CutDue(first))
	if err := w.m.closeDue(t.Context(), w.now); err == nil || !strings.Contains(err.Error(), "does not fit its commitment") {
		t.Fatalf("%v", err)
	}
}
