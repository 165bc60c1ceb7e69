package epoch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/radio"
)

const first = epochtest.First

var calendar = epochtest.Calendar()

func TestTwoEpochs(t *testing.T) {
	w := epochtest.New(t, 5)
	recs := w.Run(2)
	for i, r := range recs {
		if r.Reasons["ok"] < 10 || r.Rows == 0 || r.Payable == 0 || r.Root == (epoch.Hash{}) {
			t.Errorf("epoch %d: %+v", first+poc.Epoch(i), r)
		}
		sum, err := r.Payable.Add(r.Remainder)
		if err != nil || sum != r.Emission {
			t.Errorf("paid %d and remainder %d are not the emission %d", r.Payable, r.Remainder, r.Emission)
		}
		l := w.Chain.Frozen[r.Epoch]
		if l.Rewards != r.Root || epoch.ListHash(l.Payouts) != r.List || l.Secret.Commitment(r.Epoch) != w.Chain.Seeds[r.Epoch] {
			t.Errorf("frozen list: %+v", l)
		}
		if err := r.Checkpoint.Verify(epochtest.Oracle().ID()); err != nil {
			t.Error(err)
		}
		for _, k := range w.Keys {
			p, found, err := w.Manager.Proof(t.Context(), r, k.ID())
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
	totals := w.Totals()
	if totals.Issued != 2*epochtest.Emission || totals.Owed != recs[0].Payable+recs[1].Payable {
		t.Errorf("%+v", totals)
	}
	bs, err := w.Manager.Beacons(t.Context(), 3)
	if err != nil || len(bs) != 3 || bs[0].Epoch != first+1 || bs[0].UnixNano < bs[1].UnixNano || len(bs[0].Witnesses) != 4 {
		t.Errorf("newest beacons: %+v, %v", bs, err)
	}
}

// Whatever step fails, before or after it took effect, the oracle that starts
// again comes to the same roots and books everything once.
func TestCrashAtEveryStep(t *testing.T) {
	clean := epochtest.New(t, 4)
	want := clean.Run(2)
	totals := clean.Totals()
	steps := clean.Faults.Count
	if steps < 20 {
		t.Fatalf("only %d steps can fail", steps)
	}
	for at := 1; at <= steps; at++ {
		for _, after := range []bool{false, true} {
			w := epochtest.New(t, 4)
			w.Faults.At, w.Faults.After = at, after
			got := w.Run(2)
			for i := range want {
				if got[i].Root != want[i].Root || got[i].List != want[i].List || got[i].Verdicts != want[i].Verdicts {
					t.Fatalf("step %d (after: %v): epoch %d differs", at, after, want[i].Epoch)
				}
			}
			if w.Totals() != totals {
				t.Fatalf("step %d (after: %v): booked %+v, want %+v", at, after, w.Totals(), totals)
			}
		}
	}
	t.Logf("%d steps, each failed before and after", steps)
}

// While the chain is away, reports are taken and what was opened is cut; when it
// is back, what is owed gets paid.
func TestChainAway(t *testing.T) {
	w := epochtest.New(t, 4)
	w.Advance()
	w.Flash(first)
	w.Chain.Down = true
	w.Now = time.Unix(0, calendar.CutDue(first))
	if err := w.Manager.Advance(t.Context()); !errors.Is(err, epochtest.ErrInjected) {
		t.Fatalf("advance without a chain: %v", err)
	}
	rec, judged, err := w.Manager.Record(t.Context(), first)
	if err != nil || !judged || rec.State != epoch.Booked {
		t.Fatalf("%+v, %v, %v", rec, judged, err)
	}
	k := w.Keys[0]
	w.Admit(k, poc.Decline{Hotspot: k.ID(), Cause: poc.DeclineRadio, Time: radio.WallTime{UnixNano: w.Now.UnixNano()}})
	w.Now = time.Unix(0, calendar.CutDue(first+1))
	_ = w.Manager.Advance(t.Context())
	w.Chain.Down = false
	w.Restart()
	w.Advance()
	if _, ok := w.Chain.Frozen[first]; !ok {
		t.Error("the owed epoch was not frozen")
	}
	if _, ok := w.Chain.Frozen[first+1]; ok {
		t.Error("an epoch that was never opened was frozen")
	}
	if _, open := w.Journal.Opening(first + 2); !open {
		t.Error("the current epoch was not opened")
	}
}

// An oracle that starts in the middle of an epoch draws only challenges that
// could still be delivered.
func TestOpensLate(t *testing.T) {
	w := epochtest.New(t, 4)
	w.Now = time.Unix(0, calendar.Start(first)).Add(30 * time.Minute)
	w.Advance()
	b, _ := w.Journal.Opening(first)
	all, err := w.Manager.Challenges(t.Context(), first)
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
	w := epochtest.New(t, 2)
	w.Advance()
	all, err := w.Manager.Challenges(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	w.Manager.Deliver(time.Unix(0, c.UnixNano).Add(-11 * time.Second))
	if len(w.Pushed) != 0 {
		t.Fatal("too early")
	}
	for range 2 {
		w.Manager.Deliver(time.Unix(0, c.UnixNano).Add(-9 * time.Second))
	}
	if len(w.Pushed) != 1 {
		t.Fatalf("%d messages", len(w.Pushed))
	}
	got, err := poc.ParseChallenge(w.Pushed[0].GetChallenge().GetChallenge(), epochtest.Oracle().ID())
	if err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

// A hotspot that connects after an epoch was judged gets all its verdicts.
func TestVerdictsArePushed(t *testing.T) {
	w := epochtest.New(t, 3)
	rec := w.Run(1)[0]
	w.Restart() // nothing is left of what was announced
	id := w.Keys[1].ID()
	want, err := w.Manager.Verdicts(t.Context(), rec.Epoch, id)
	if err != nil || len(want) != 4+2*4 {
		t.Fatalf("%d verdicts, %v", len(want), err)
	}
	w.Pushed = nil
	ctx, cancel := context.WithCancel(t.Context())
	w.OnPush = func() {
		if len(w.Pushed) == len(want) {
			cancel()
		}
	}
	w.Manager.SessionReady(id)
	w.Manager.PushVerdicts(ctx)
	for i, m := range w.Pushed {
		v := m.GetVerdict()
		if poc.ID(v.GetReportId()) != want[i].Report || v.GetEpoch() != uint32(rec.Epoch) || poc.Reason(v.GetReason()) != want[i].Reason || v.GetWeight() != want[i].Weight {
			t.Errorf("verdict %d: %v, want %+v", i, v, want[i])
		}
	}
}

// A secret that does not fit the journal's commitment stops the epoch.
func TestForeignSecret(t *testing.T) {
	w := epochtest.New(t, 2)
	w.Advance()
	err := w.KV.Update(t.Context(), func(tx store.Tx) error { return tx.Put(epoch.SecretKey(first), make([]byte, 32)) })
	if err != nil {
		t.Fatal(err)
	}
	w.Now = time.Unix(0, calendar.CutDue(first))
	if err := w.Manager.Advance(t.Context()); err == nil || !strings.Contains(err.Error(), "does not fit its commitment") {
		t.Fatalf("%v", err)
	}
}

const childEnv = "HELIOGRAPH_EPOCH_CHILD"

// TestMain is also the child that recomputes a bundle in a process of its own.
func TestMain(m *testing.M) {
	path := os.Getenv(childEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	b, err := epoch.ReadBundle(f)
	if err != nil {
		panic(err)
	}
	res, err := epoch.Compute(context.Background(), b.Evidence)
	if err != nil {
		panic(err)
	}
	fmt.Println(time.Local, res.Root, res.List, res.Digest)
}

// A fresh process in another time zone, with another number of processors, comes
// to the same result.
func TestReplayElsewhere(t *testing.T) {
	w := epochtest.New(t, 4)
	rec := w.Run(1)[0]
	var bundle bytes.Buffer
	if _, err := w.Bundle(rec).WriteTo(&bundle); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/bundle"
	if err := os.WriteFile(path, bundle.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/St_Johns"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, "TZ="+zone, "GOMAXPROCS=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", zone, err)
		}
		want := fmt.Sprint(rec.Root, " ", rec.List, " ", rec.Verdicts)
		if _, got, _ := strings.Cut(strings.TrimSpace(string(out)), " "); got != want {
			t.Errorf("%s: %s, want %s", zone, got, want)
		}
	}
}

func TestBundleRoundTrip(t *testing.T) {
	w := epochtest.New(t, 3)
	b := w.Bundle(w.Run(1)[0])
	var one, two bytes.Buffer
	if _, err := b.WriteTo(&one); err != nil {
		t.Fatal(err)
	}
	text := one.String()
	back, err := epoch.ReadBundle(&one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := back.WriteTo(&two); err != nil || two.String() != text {
		t.Errorf("the bundle changed on its way: %v", err)
	}
	for name, broken := range map[string]string{
		"cut short":     text[:len(text)-10],
		"a line more":   text + "{}\n",
		"unknown field": strings.Replace(text, `"bundle"`, `"bundel"`, 1),
		"empty":         "",
		"frames gone":   strings.SplitAfter(text, "\n")[0],
	} {
		if _, err := epoch.ReadBundle(strings.NewReader(broken)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzReadBundle(f *testing.F) {
	w := epochtest.New(f, 2)
	b := w.Bundle(w.Run(1)[0])
	b.Reports = b.Reports[:2]
	var text bytes.Buffer
	if _, err := b.WriteTo(&text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := epoch.ReadBundle(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := got.WriteTo(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := epoch.ReadBundle(&again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}

// FuzzCompute puts hostile frames into the evidence: every one is judged or
// refused, and none makes the auditor panic.
func FuzzCompute(f *testing.F) {
	w := epochtest.New(f, 2)
	good := w.Bundle(w.Run(1)[0]).Evidence
	f.Add(good.Reports[0].Raw, uint16(0))
	f.Add(good.Reports[5].Raw, uint16(3))
	f.Fuzz(func(t *testing.T, raw []byte, at uint16) {
		ev := good
		ev.Reports = append([]epoch.Frame(nil), good.Reports...)
		ev.Reports[int(at)%len(ev.Reports)].Raw = raw
		res, err := epoch.Compute(t.Context(), ev)
		if err != nil {
			return
		}
		sum := res.Remainder
		for _, p := range res.Owing.Payouts {
			sum += p.Amount
		}
		if sum != res.Emission {
			t.Fatalf("payouts and remainder are %d, the emission %d", sum, res.Emission)
		}
	})
}
