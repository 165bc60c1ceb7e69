package epoch_test

import (
	"bytes"
	"strings"
	"testing"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/policy"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

var policyKey = identity.NewEd25519([32]byte{0x70})

// document is a first version for the test's network.
func document(threshold ledger.Amount) policy.Document {
	shares := epochtest.Terms().Policy
	shares.Emission = 0
	return policy.Document{Version: 1, From: first, Schedule: policy.Schedule{Kind: policy.Halving, Initial: epochtest.Emission, Start: first, Span: 2},
		Shares: shares, Threshold: threshold, Operator: poc.Wallet{9, 9, 9}}
}

func signed(t *testing.T, d policy.Document) policy.Signed {
	t.Helper()
	s, err := policy.Sign(d, policyKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func chain(t *testing.T, docs ...policy.Signed) policy.Chain {
	t.Helper()
	c, err := policy.NewChain(policyKey.ID(), docs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Wallets below the threshold wait and are paid when their sum reaches it; nothing
// is lost on the way, the schedule is followed, and a stranger who has only the
// bundles comes to the same lists.
func TestThresholdCarriesOver(t *testing.T) {
	w := epochtest.New(t, 4)
	w.Rule(chain(t, signed(t, document(500_000_000))))
	checker := ledgertest.New(w.KV)
	recs := w.Run(5)
	if err := checker.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var carried ledger.Amount
	var paid, waited int
	var previous *epoch.Bundle
	for i, r := range recs {
		if want := ledger.Amount(epochtest.Emission) >> (i / 2); r.Emission != want {
			t.Errorf("epoch %d: emission %d, the schedule says %d", r.Epoch, r.Emission, want)
		}
		if r.CarriedIn != carried || r.CarriedIn+r.Emission != r.Payable+r.CarriedOut+r.Remainder {
			t.Errorf("epoch %d does not add up: %+v", r.Epoch, r)
		}
		carried = r.CarriedOut
		paid, waited = paid+r.Payouts, waited+r.Waiting
		for _, p := range w.Chain.Frozen[r.Epoch].Payouts {
			if p.Amount < 500_000_000 {
				t.Errorf("epoch %d pays %d, below the threshold", r.Epoch, p.Amount)
			}
		}
		b := reread(t, w.Bundle(r))
		res, err := epoch.Compute(t.Context(), b.Evidence)
		if err != nil || res.List != r.List || epoch.ListHash(res.Owing.Carried) != r.Carried {
			t.Errorf("epoch %d: a stranger comes to another list: %v", r.Epoch, err)
		}
		if digest, err := b.Digest(); err != nil || digest != r.Evidence {
			t.Errorf("epoch %d: digest of the evidence %v, %v", r.Epoch, digest, err)
		}
		if previous != nil && (b.Previous == nil || b.Previous.Evidence != previous.Claim.Evidence || b.Previous.Epoch != previous.Epoch) {
			t.Errorf("epoch %d does not follow on %d: %+v", r.Epoch, previous.Epoch, b.Previous)
		}
		previous = &b
	}
	if paid == 0 || waited == 0 {
		t.Errorf("%d payouts, %d waited: the test shows nothing", paid, waited)
	}
	if totals := w.Totals(); totals.Owed != carried+sumFrozen(w) {
		t.Errorf("%+v, carried %d", totals, carried)
	}
	last := recs[len(recs)-1]
	list, err := w.Manager.Carried(t.Context(), last.Epoch)
	if err != nil || len(list) != last.Waiting {
		t.Fatalf("%d wait, %v", len(list), err)
	}
	for _, p := range list {
		if a, limit, err := w.Manager.Waiting(t.Context(), p.Wallet); err != nil || a != p.Amount || limit != 500_000_000 {
			t.Errorf("wallet %v waits for %d of %d, %v", p.Wallet, a, limit, err)
		}
	}
}

func sumFrozen(w *epochtest.World) (sum ledger.Amount) {
	for _, l := range w.Chain.Frozen {
		for _, p := range l.Payouts {
			sum += p.Amount
		}
	}
	return sum
}

func reread(t *testing.T, b epoch.Bundle) epoch.Bundle {
	t.Helper()
	var text bytes.Buffer
	if _, err := b.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	back, err := epoch.ReadBundle(&text)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// Whatever step fails, nobody is paid twice or forgotten because of the threshold.
func TestThresholdSurvivesCrashes(t *testing.T) {
	run := func(at int, after bool) ([]epoch.Record, *epochtest.World) {
		w := epochtest.New(t, 3)
		w.Rule(chain(t, signed(t, document(400_000_000))))
		w.Faults.Count, w.Faults.At, w.Faults.After = 0, at, after
		return w.Run(2), w
	}
	want, clean := run(0, false)
	for at := 1; at <= clean.Faults.Count; at++ {
		got, w := run(at, at%2 == 0)
		for i := range want {
			if got[i].List != want[i].List || got[i].Carried != want[i].Carried {
				t.Fatalf("step %d: epoch %d differs", at, want[i].Epoch)
			}
			// Places in the journal depend on when the crash was, so each run has a
			// digest of its own.
			ev, err := w.Manager.Evidence(t.Context(), got[i].Epoch)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := ev.Digest(); err != nil || d != got[i].Evidence {
				t.Fatalf("step %d: epoch %d: evidence has digest %v (%v), the record says %v", at, got[i].Epoch, d, err, got[i].Evidence)
			}
		}
		if w.Totals() != clean.Totals() {
			t.Fatalf("step %d: %+v, want %+v", at, w.Totals(), clean.Totals())
		}
	}
}

// A version that counts later changes nothing before; one that claims an epoch
// that was opened under another is refused, and no further epoch is opened.
func TestPolicyVersions(t *testing.T) {
	w := epochtest.New(t, 3)
	one := signed(t, document(0))
	w.Rule(chain(t, one))
	w.Run(1)
	two := one.Document
	two.Version, two.Previous, two.Announced, two.From = 2, one.ID(), first, first+1
	two.Schedule = policy.Schedule{Kind: policy.Fixed, Initial: 77_777}
	later := chain(t, one, signed(t, two))

	w.Rule(later)
	if err := w.Manager.CheckPolicies(t.Context()); err == nil || !strings.Contains(err.Error(), "retroactive") {
		t.Errorf("epoch %d is open under version 1: %v", first+1, err) // the next epoch was opened when the first was cut
	}
	if err := w.Manager.Advance(t.Context()); err == nil || !strings.Contains(err.Error(), "retroactive") {
		t.Errorf("it opens epochs all the same: %v", err)
	}
	two.From = first + 2
	w.Rule(chain(t, one, signed(t, two)))
	recs := w.Run(4)
	for i, want := range []ledger.Amount{epochtest.Emission, epochtest.Emission, 77_777, 77_777} {
		if recs[i].Emission != want {
			t.Errorf("epoch %d: emission %d, want %d", recs[i].Epoch, recs[i].Emission, want)
		}
		if b := w.Bundle(recs[i]); len(b.Policies) != 1+i/2 || b.Policies[i/2].ID() != recs[i].Policy || b.PolicyKey != policyKey.ID() {
			t.Errorf("epoch %d: bundle with %d documents", recs[i].Epoch, len(b.Policies))
		}
	}
}
