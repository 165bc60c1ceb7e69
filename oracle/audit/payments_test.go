package audit_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/policy"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// cluster is a chain of transactions, oldest first, and the slots of commit memos.
type cluster struct {
	txs     []payment.Payment
	commits map[poc.Epoch]uint64
	claims  payment.Claims
}

func (c *cluster) Claims(context.Context, payment.Distributor, []poc.Wallet) (payment.Claims, error) {
	return c.claims, nil
}

func (c *cluster) Committed(_ context.Context, _ string, before map[poc.Epoch]uint64) (map[poc.Epoch]string, error) {
	out := map[poc.Epoch]string{}
	for e, slot := range before {
		if at, ok := c.commits[e]; ok && at < slot {
			out[e] = fmt.Sprint("commit", e)
		}
	}
	return out, nil
}

func (c *cluster) Account(_ context.Context, w poc.Wallet, mint string) (string, error) {
	return fmt.Sprintf("%s/%x", mint, w[:1]), nil
}

func (c *cluster) Marked(_ context.Context, hot, _ string, m settle.Marker) (out []payment.Payment, err error) {
	for _, tx := range c.txs {
		if slices.Contains(tx.Markers, payment.Marker{Base: hot, Marker: m}) {
			out = append(out, tx)
		}
	}
	return out, nil
}

func (c *cluster) Spent(_ context.Context, account string, from uint64) (out []payment.Payment, err error) {
	for _, tx := range c.txs {
		if tx.Slot >= from && tx.Before != tx.After {
			out = append(out, tx)
		}
	}
	return out, nil
}

// paid is an epoch of five payouts in three batches, of which the middle one had
// nobody to pay, and the search for it.
func paid() (*cluster, audit.Search) {
	var list []reward.Payout
	for i := range 5 {
		list = append(list, reward.Payout{Wallet: poc.Wallet{byte(i)}, Amount: 10})
	}
	to := func(i int) payment.Transfer {
		return payment.Transfer{Source: "treasury", Mint: "mint", Destination: fmt.Sprintf("mint/%02x", i), Amount: 10}
	}
	marker := func(b uint32) []payment.Marker {
		return []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7, Batch: b}}}
	}
	c := &cluster{commits: map[poc.Epoch]uint64{8: 11}, txs: []payment.Payment{
		{Signature: "old", Slot: 5, Before: 300, After: 250},
		{Signature: "fund", Slot: 11, Before: 250, After: 1000, Transfers: []payment.Transfer{{Source: "x", Mint: "mint", Destination: "treasury", Amount: 750}}},
		{Signature: "one", Slot: 12, Before: 1000, After: 980, Markers: marker(0), Transfers: []payment.Transfer{to(0), to(1)}},
		{Signature: "eight", Slot: 12, Before: 980, After: 970, Markers: []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 8}}}, Transfers: []payment.Transfer{to(0)}},
		{Signature: "two", Slot: 13, Before: 970, After: 950, Markers: marker(2), Transfers: []payment.Transfer{to(2), to(3)}},
	}}
	return c, audit.Search{Epoch: 7, List: list, Hot: "hot", Treasury: "treasury", Mint: "mint", From: 10, Closed: "hsx1 e=7 s=00 p=40 h=10"}
}

func TestPaymentsAreFound(t *testing.T) {
	c, s := paid()
	got, comparisons, err := audit.Payments(t.Context(), c, s)
	if err != nil || !reflect.DeepEqual(strip(got), audit.Paid{Batches: 2, Wallets: 4, Sum: 40, Left: 10}) {
		t.Errorf("%+v, %v", got, err)
	}
	if o := got.Others; len(o) != 1 || o[0].Epoch != 8 || o[0].Payments != 1 || o[0].Sum != 10 || o[0].Commit != "commit8" || got.AuditToo() != "audit these epochs, too: 8 (1 payments, 10)" {
		t.Errorf("other epochs: %+v, %q", o, got.AuditToo())
	}
	for _, x := range comparisons {
		if !x.OK {
			t.Errorf("%+v", x)
		}
	}
}

func strip(p audit.Paid) audit.Paid {
	p.Others = nil
	return p
}

// Each lie about money is found, and named.
func TestPaymentLies(t *testing.T) {
	tx := func(c *cluster, sig string) *payment.Payment {
		return &c.txs[slices.IndexFunc(c.txs, func(p payment.Payment) bool { return p.Signature == sig })]
	}
	for _, c := range []struct {
		name, want string
		tell       func(*cluster, *audit.Search)
	}{
		{"paid twice", "a second time", func(c *cluster, _ *audit.Search) { tx(c, "two").Transfers[0].Destination = "mint/00" }},
		{"a stranger is paid", "not on the list", func(c *cluster, _ *audit.Search) { tx(c, "two").Transfers[0].Destination = "mint/77" }},
		{"another amount", "the list says", func(c *cluster, _ *audit.Search) { tx(c, "two").Transfers[0].Amount = 11 }},
		{"from elsewhere", "moves tokens", func(c *cluster, _ *audit.Search) { tx(c, "two").Transfers[0].Source = "other" }},
		{"a hidden transfer", "its transfers are", func(c *cluster, _ *audit.Search) { tx(c, "two").After = 900 }},
		{"without a marker", "without a marker", func(c *cluster, _ *audit.Search) { tx(c, "two").Markers = nil }},
		{"marker of another key", "without a marker", func(c *cluster, _ *audit.Search) { tx(c, "two").Markers[0].Base = "x" }},
		{"a thief under an epoch that nobody published", "epoch 4000000000: 1 payments of 10", func(c *cluster, _ *audit.Search) {
			tx(c, "eight").Markers[0].Marker.Epoch, tx(c, "eight").Transfers[0].Destination = 4_000_000_000, "mint/77"
		}},
		{"committed to only afterwards", "epoch 8", func(c *cluster, _ *audit.Search) { c.commits[8] = 12 }},
		{"hidden from the treasury", "hides a transaction", func(c *cluster, _ *audit.Search) { c.txs = slices.Delete(c.txs, 3, 4) }},
		{"the close memo lies", "close memo", func(_ *cluster, s *audit.Search) { s.Closed = "hsx1 e=7 s=00 p=50 h=0" }},
		{"the list lies", "the list says", func(_ *cluster, s *audit.Search) { s.List[0].Amount = 12 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, s := paid()
			c.tell(cl, &s)
			_, comparisons, err := audit.Payments(t.Context(), cl, s)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(comparisons, func(x audit.Comparison) bool { return !x.OK && strings.Contains(x.What+x.Note, c.want) }) {
				t.Errorf("not found: %+v", comparisons)
			}
		})
	}
}

var policyKey = identity.NewEd25519([32]byte{0x70})

// governed is a world whose policy is signed and lets small sums wait.
func governed(t *testing.T) (*epochtest.World, []epoch.Bundle) {
	t.Helper()
	shares := epochtest.Terms().Policy
	shares.Emission = 0
	d, err := policy.Sign(policy.Document{Version: 1, From: epochtest.First, Schedule: policy.Schedule{Kind: policy.Fixed, Initial: epochtest.Emission}, Shares: shares, Threshold: 500_000_000}, policyKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.NewChain(policyKey.ID(), []policy.Signed{d})
	if err != nil {
		t.Fatal(err)
	}
	w := epochtest.New(t, 4)
	w.Rule(c)
	var out []epoch.Bundle
	for _, r := range w.Run(2) {
		out = append(out, w.Bundle(r))
	}
	if len(out[1].Previous.Carried) == 0 {
		t.Fatal("nothing is carried over: the test shows nothing")
	}
	return w, out
}

func TestPolicyAndCarryOver(t *testing.T) {
	w, b := governed(t)
	rep, err := audit.Run(t.Context(), b[1], audit.Options{PolicyKey: policyKey.ID(), Previous: &b[0], Chain: w.Chain})
	if err != nil || !rep.OK {
		t.Fatalf("%+v, %v", rep, err)
	}
	for _, c := range []struct {
		name, what string
		tell       func(*epoch.Bundle, *audit.Options)
	}{
		{"another policy key", "policy key", func(_ *epoch.Bundle, o *audit.Options) { o.PolicyKey = identity.NewEd25519([32]byte{1}).ID() }},
		{"no signature", "policy documents", func(b *epoch.Bundle, _ *audit.Options) { b.Policies[0].Signature = nil }},
		{"no document", "policy documents", func(b *epoch.Bundle, _ *audit.Options) { b.Policies = nil }},
		{"another document", "policy of the epoch", func(b *epoch.Bundle, _ *audit.Options) { b.Terms.PolicyHash[0] ^= 1 }},
		{"another threshold", "terms of the policy", func(b *epoch.Bundle, _ *audit.Options) { b.Terms.Threshold = 1 }},
		{"another emission", "terms of the policy", func(b *epoch.Bundle, _ *audit.Options) { b.Terms.Policy.Emission++ }},
		{"somebody else operates", "terms of the policy", func(b *epoch.Bundle, _ *audit.Options) { b.Terms.Operator = poc.Wallet{3} }},
		{"a wallet forgotten", "carried over from the epoch before", func(b *epoch.Bundle, _ *audit.Options) { b.Previous.Carried = b.Previous.Carried[1:] }},
		{"a wallet favoured", "carried over from the epoch before", func(b *epoch.Bundle, _ *audit.Options) { b.Previous.Carried[0].Amount++ }},
		{"all forgotten", "carried over", func(b *epoch.Bundle, o *audit.Options) { b.Previous, o.Previous = nil, nil }},
		{"what waits is claimed otherwise", "carried over", func(b *epoch.Bundle, _ *audit.Options) { b.Claim.CarriedOut++ }},
		{"other evidence", "digest", func(b *epoch.Bundle, _ *audit.Options) { b.Claim.Evidence[0] ^= 1 }},
		{"another epoch before", "evidence of the epoch before", func(b *epoch.Bundle, _ *audit.Options) { b.Previous.Evidence[0] ^= 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, b := governed(t)
			o := audit.Options{PolicyKey: policyKey.ID(), Previous: &b[0]}
			c.tell(&b[1], &o)
			rep, err := audit.Run(t.Context(), b[1], o)
			if err != nil {
				t.Fatal(err)
			}
			if rep.OK || !slices.ContainsFunc(rep.Comparisons, func(x audit.Comparison) bool { return !x.OK && strings.Contains(x.What, c.what) }) {
				t.Errorf("not found: %+v", rep)
			}
		})
	}
}

// TestRunFindsPayments: the audit of a bundle follows the memos to the payouts.
func TestRunFindsPayments(t *testing.T) {
	w, b := world(t)
	b.Payments = &epoch.Payments{Identity: "hot=" + epochtest.Payer + " mint=mint treasury=treasury", Batches: 1}
	tx := payment.Payment{Signature: "one", Slot: 1, Before: 2 * epochtest.Emission, After: 2 * epochtest.Emission,
		Markers: []payment.Marker{{Base: epochtest.Payer, Marker: settle.Marker{Epoch: b.Epoch}}}}
	list := w.Chain.Frozen[b.Epoch].Payouts
	for _, p := range list {
		tx.After -= p.Amount
		tx.Transfers = append(tx.Transfers, payment.Transfer{Source: "treasury", Mint: "mint", Destination: fmt.Sprintf("mint/%x", p.Wallet[:1]), Amount: p.Amount})
	}
	c := &cluster{txs: []payment.Payment{tx}}
	rep, err := audit.Run(t.Context(), b, audit.Options{Chain: w.Chain, Trail: c})
	if err != nil || !rep.OK || rep.Paid == nil || rep.Paid.Wallets != len(list) || rep.Paid.Left != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	for name, o := range map[string]audit.Options{"another treasury": {Treasury: "x"}, "another mint": {Mint: "x"}} {
		o.Chain, o.Trail = w.Chain, c
		if rep, err := audit.Run(t.Context(), b, o); err != nil || rep.OK {
			t.Errorf("%s passes: %v", name, err)
		}
	}
	b.Payments.Identity = "hot=x mint=mint treasury=treasury"
	if rep, err := audit.Run(t.Context(), b, audit.Options{Chain: w.Chain, Trail: c}); err != nil || rep.OK {
		t.Errorf("another hot key passes: %v", err)
	}
	b.Payments = nil
	if rep, err := audit.Run(t.Context(), b, audit.Options{Chain: w.Chain, Trail: c}); err != nil || rep.OK {
		t.Errorf("no treasury passes: %v", err)
	}
}
