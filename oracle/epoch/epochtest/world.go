// Package epochtest plays whole epochs without a network or a chain: hotspots that
// answer challenges and hear each other, an oracle on stores in memory that
// survive its crashes, and a cluster at the settler's boundary. Any step that
// writes can be made to fail.
package epochtest

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/oracle/epoch"
	"heliograph/oracle/ingest"
	"heliograph/oracle/journal"
	"heliograph/oracle/ledger"
	"heliograph/oracle/policy"
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

// World is an oracle with its hotspots. It is for one goroutine.
type World struct {
	TB      testing.TB
	Now     time.Time
	KV      store.KV
	Chain   *Chain
	Faults  *Faults
	Core    *ingest.Core
	Journal *journal.Journal
	Manager *epoch.Manager
	Keys    []*identity.Key
	Pushed  []*pb.ToHotspot // messages to hotspots
	OnPush  func()          // called after each; may be nil
	// Terms and Policies that the oracle starts with; see [World.Rule].
	Terms    epoch.Terms
	Policies policy.Chain

	log *faultyLog
}

// First is the first epoch, an hour of 2024.
const First = poc.Epoch(480_000)

// Calendar has epochs of an hour.
func Calendar() ingest.Calendar {
	return ingest.Calendar{Length: time.Hour, Grace: 5 * time.Minute, Tolerance: 2 * time.Second}
}

// Emission of an epoch; a prime, so that rounding shows.
const Emission = 1_000_000_007

// Terms have four challenges an epoch, and an operator.
func Terms() epoch.Terms {
	t := epoch.DefaultTerms(Calendar(), reward.DefaultPolicy(Emission, 10))
	t.Challenge.PerEpoch, t.Challenge.Guard = 4, time.Minute
	t.Operator = poc.Wallet{9, 9, 9}
	return t
}

// Oracle is the oracle's key.
func Oracle() *identity.Key { return identity.NewEd25519([32]byte{0xee}) }

// New makes a world whose clock stands five seconds after the start of the first
// epoch, with its hotspots registered.
func New(tb testing.TB, hotspots int) *World {
	tb.Helper()
	return NewOn(tb, mem.NewLog(), mem.NewTwiceKV(), hotspots)
}

// NewOn is New on stores of the caller's.
func NewOn(tb testing.TB, log store.Log, kv store.KV, hotspots int) *World {
	tb.Helper()
	f := &Faults{}
	w := &World{TB: tb, Terms: Terms(), Now: time.Unix(0, Calendar().Start(First)).Add(5 * time.Second), Faults: f,
		log: &faultyLog{Log: log, f: f}, KV: faultyKV{kv, f},
		Chain: &Chain{Faults: f, Seeds: map[poc.Epoch][32]byte{}, Frozen: map[poc.Epoch]settle.List{}, asked: map[poc.Epoch]int{}}}
	for i := range hotspots {
		w.Keys = append(w.Keys, identity.NewEd25519([32]byte{byte(i + 1), 7}))
	}
	w.Restart()
	for i, k := range w.Keys {
		w.Admit(k, poc.Assertion{Hotspot: k.ID(), Owner: poc.Wallet{byte(i / 2)}, Region: "EU868", Sequence: 1, Gain: 300,
			Position: poc.Position{LatE7: 525_000_000 + int32(i)*150_000, LonE7: 134_000_000}, Time: radio.WallTime{UnixNano: w.Now.UnixNano()}})
	}
	return w
}

// Restart makes everything that is not on disk anew.
func (w *World) Restart() {
	w.TB.Helper()
	var err error
	if w.Journal, err = journal.New(context.Background(), w.log); err != nil {
		w.TB.Fatal(err)
	}
	now := func() time.Time { return w.Now }
	w.Core, err = ingest.NewCore(context.Background(), ingest.Config{Journal: w.Journal, Key: Oracle(), Calendar: Calendar(), Now: now})
	if err != nil {
		w.TB.Fatal(err)
	}
	w.Manager, err = epoch.New(epoch.Config{Journal: w.Journal, KV: w.KV, Book: ledger.NewBook(w.KV), Settler: w.Chain, Key: Oracle(),
		Terms: w.Terms, Policies: w.Policies, OnCut: w.Core.Forget, Now: now, Rand: Constant(0x42),
		Push: func(_ identity.HotspotID, m *pb.ToHotspot) bool {
			w.Pushed = append(w.Pushed, m)
			if w.OnPush != nil {
				w.OnPush()
			}
			return true
		}})
	if err != nil {
		w.TB.Fatal(err)
	}
}

// Rule restarts the oracle under other policy documents.
func (w *World) Rule(c policy.Chain) {
	w.TB.Helper()
	w.Policies = c
	w.Restart()
}

// Admit signs a body and hands it in; it must be taken.
func (w *World) Admit(k *identity.Key, body interface {
	AppendBinary([]byte) ([]byte, error)
}) {
	w.TB.Helper()
	b, err := body.AppendBinary(nil)
	if err != nil {
		w.TB.Fatal(err)
	}
	raw, err := poc.SignBody(b, k)
	if err != nil {
		w.TB.Fatal(err)
	}
	if o := w.Core.Admit(context.Background(), ingest.Source{}, raw); o.Reason != poc.OK {
		w.TB.Fatalf("not admitted: %v %s", o.Reason, o.Detail)
	}
}

// Advance drives the epochs until they are quiet, and restarts the oracle after
// each injected fault.
func (w *World) Advance() {
	w.TB.Helper()
	w.log.armed = true
	defer func() { w.log.armed = false }()
	calm := 0
	for range 50 {
		err := w.Manager.Advance(context.Background())
		if err == nil {
			if calm++; calm == 3 {
				return
			}
			continue
		}
		if !errors.Is(err, ErrInjected) {
			w.TB.Fatal(err)
		}
		calm = 0
		w.Restart()
	}
	w.TB.Fatal("the epochs do not get on")
}

// Flash plays one open epoch: every hotspot answers every challenge, and all the
// others hear it.
func (w *World) Flash(e poc.Epoch) {
	w.TB.Helper()
	challenges, err := w.Manager.Challenges(context.Background(), e)
	if err != nil {
		w.TB.Fatal(err)
	}
	if len(challenges) == 0 {
		w.TB.Fatal("no challenges")
	}
	for _, c := range challenges {
		key := w.key(c.Hotspot)
		reg, _ := w.Core.Registration(c.Hotspot)
		proof, err := c.Prove(key)
		if err != nil {
			w.TB.Fatal(err)
		}
		tx := native.Answer(c, proof, reg.Gain)
		w.Now = time.Unix(0, c.UnixNano).Add(3 * time.Second)
		beacon := poc.Beacon{Hotspot: key.ID(), Challenge: c.ID(), Proof: proof, Frequency: tx.Frequency, DataRate: tx.DataRate, Power: tx.Power,
			Time: radio.WallTime{UnixNano: c.UnixNano, Bound: 50 * time.Microsecond}}
		w.Admit(key, beacon)
		for _, k := range w.Keys {
			if k != key {
				w.Admit(k, w.hear(k, reg.Assertion, beacon))
			}
		}
	}
}

func (w *World) key(id identity.HotspotID) *identity.Key {
	for _, k := range w.Keys {
		if k.ID() == id {
			return k
		}
	}
	w.TB.Fatal("unknown hotspot")
	return nil
}

// hear is what a hotspot reports about a beacon: level and times as physics
// would have them.
func (w *World) hear(k *identity.Key, from poc.Assertion, b poc.Beacon) poc.Witness {
	own, _ := w.Core.Registration(k.ID())
	a, s := native.SiteOf(from), native.SiteOf(own.Assertion)
	p := b.Payload()
	level := native.Ceiling(a, s, b.Power, b.Frequency) - 1500 + radio.CentiDBm(p[0]%64)
	flight := int64(geo.Distance(a.Place, s.Place)) * 10 / 3 // ns
	return poc.Witness{Hotspot: k.ID(), Payload: p, Frequency: b.Frequency, DataRate: b.DataRate, RSSI: level,
		SNR:  min(radio.CentiDB(level+11_700), 1200),
		Time: radio.WallTime{UnixNano: b.Time.UnixNano + int64(native.OnAir(b.DataRate).Duration()) + flight, Bound: 50 * time.Microsecond}}
}

// Run plays the first epochs to their end and returns their records.
func (w *World) Run(epochs int) []epoch.Record {
	w.TB.Helper()
	out := make([]epoch.Record, epochs)
	for i := range out {
		e := First + poc.Epoch(i)
		if at := time.Unix(0, Calendar().Start(e)).Add(6 * time.Second); at.After(w.Now) {
			w.Now = at
		}
		w.Advance()
		w.Flash(e)
		w.Now = time.Unix(0, Calendar().CutDue(e))
		w.Advance()
	}
	for i := range out {
		rec, found, err := w.Manager.Record(context.Background(), First+poc.Epoch(i))
		if err != nil || !found || rec.State != epoch.Frozen {
			w.TB.Fatalf("epoch %d: %+v, %v, %v", First+poc.Epoch(i), rec, found, err)
		}
		out[i] = rec
	}
	return out
}

// Totals audits the books and adds them up.
func (w *World) Totals() ledger.Totals {
	w.TB.Helper()
	b := ledger.NewBook(w.KV)
	if err := b.Audit(context.Background()); err != nil {
		w.TB.Fatal(err)
	}
	totals, err := b.Totals(context.Background())
	if err != nil {
		w.TB.Fatal(err)
	}
	return totals
}

// Bundle is the published bundle of a judged epoch.
func (w *World) Bundle(rec epoch.Record) epoch.Bundle {
	w.TB.Helper()
	ev, err := w.Manager.Evidence(context.Background(), rec.Epoch)
	if err != nil {
		w.TB.Fatal(err)
	}
	st, err := w.Chain.Settlement(context.Background(), rec.Epoch)
	if err != nil {
		w.TB.Fatal(err)
	}
	seed, err := w.Chain.Commitment(context.Background(), rec.Epoch)
	if err != nil {
		w.TB.Fatal(err)
	}
	return epoch.Bundle{Evidence: ev, Payments: &epoch.Payments{Identity: st.Identity, Batches: st.Batches}, Claim: &rec, Memos: epoch.Memos{Seed: seed.Signature, Commit: st.Commit.Signature, Close: st.Close.Signature}}
}
