package audit_test

import (
	"slices"
	"strings"
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/settle/payment"
)

// claimed is an epoch of five wallets that claim: three have, the rest came back.
func claimed(t *testing.T) (*cluster, audit.Search) {
	t.Helper()
	_, s := paid()
	root, err := claim.Root(s.List)
	if err != nil {
		t.Fatal(err)
	}
	d := payment.Distributor{Program: payment.KnownProgram, Mint: "mint", Vault: "vault", Receiver: "treasury", Admin: "hot", Version: 9,
		Root: root, Total: 50, Count: 5, Start: 100, End: 200, Clawback: 200 + 24*3600}
	s.Closed = "hsx1 e=7 s=00 p=30 h=20"
	return &cluster{claims: payment.Claims{Terms: d, Amounts: []ledger.Amount{10, 0, 10, 10, 0}, Claimed: 30, Back: true}, txs: []payment.Payment{
		{Signature: "make", Slot: 12, Before: 100, After: 50, Markers: []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7}}}, Distributors: []payment.Distributor{d},
			Transfers: []payment.Transfer{{Source: "treasury", Mint: "mint", Destination: "vault", Amount: 50}}},
		{Signature: "back", Slot: 90, Before: 50, After: 70},
	}}, s
}

func TestClaimsAreFound(t *testing.T) {
	for name, tell := range map[string]func(*cluster, *audit.Search){
		"given back":       func(*cluster, *audit.Search) {},
		"first close memo": func(_ *cluster, s *audit.Search) { s.Closed = "hsx1 e=7 s=00 p=0 h=50" },
		"still open": func(c *cluster, s *audit.Search) {
			c.claims.Back, c.claims.Vault, c.txs, s.Closed = false, 20, c.txs[:1], "hsx1 e=7 s=00 p=0 h=50"
		},
		"tokens added to the vault": func(c *cluster, _ *audit.Search) { c.txs[1].After++ },
	} {
		c, s := claimed(t)
		tell(c, &s)
		got, comparisons, err := audit.Payments(t.Context(), c, s)
		if err != nil || got.Batches != 1 || got.Wallets != 3 || got.Sum != 30 || got.Left != 20 || got.Distributor != "vault" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for _, x := range comparisons {
			if !x.OK {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
}

// Each lie about a distributor is found, and named.
func TestClaimLies(t *testing.T) {
	terms := func(c *cluster, change func(*payment.Distributor)) {
		change(&c.txs[0].Distributors[0])
		change(&c.claims.Terms)
	}
	for _, c := range []struct {
		name, want string
		tell       func(*cluster, *audit.Search)
	}{
		{"another program", "its program is", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Program = "mine" }) }},
		{"another root", "its root is", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Root[0] ^= 1 }) }},
		{"another count", "it is for 6 wallets", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Count = 6 }) }},
		{"another total", "51 in all", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Total = 51 }) }},
		{"a thief takes back", "goes to thief", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Receiver = "thief" }) }},
		{"another maker", "maker", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Admin = "x" }) }},
		{"taken back early", "before its end", func(c *cluster, _ *audit.Search) { terms(c, func(d *payment.Distributor) { d.Clawback = 201 }) }},
		{"paid elsewhere", "give it the total", func(c *cluster, _ *audit.Search) { c.txs[0].Transfers[0].Destination = "thief" }},
		{"paid in part", "give it the total", func(c *cluster, _ *audit.Search) { c.txs[0].Transfers[0].Amount, c.txs[0].After = 40, 60 }},
		{"marker of another batch", "not of the first", func(c *cluster, _ *audit.Search) { c.txs[0].Markers[0].Marker.Batch = 1 }},
		{"two of them", "not the only one", func(c *cluster, _ *audit.Search) {
			c.txs[0].Distributors = append(c.txs[0].Distributors, c.txs[0].Distributors[0])
		}},
		{"another amount claimed", "has claimed 11", func(c *cluster, _ *audit.Search) { c.claims.Amounts[0], c.claims.Claimed = 11, 31 }},
		{"a stranger has claimed", "have claimed 30", func(c *cluster, _ *audit.Search) { c.claims.Claimed = 40 }},
		{"sent besides", "besides", func(c *cluster, _ *audit.Search) {
			c.txs = append(c.txs, payment.Payment{Signature: "sent", Slot: 95, Before: 70, After: 60, Markers: []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7, Batch: 1}}},
				Transfers: []payment.Transfer{{Source: "treasury", Mint: "mint", Destination: "mint/00", Amount: 10}}})
		}},
		{"it never came back", "did not come to the treasury", func(c *cluster, _ *audit.Search) { c.txs = c.txs[:1] }},
		{"the vault is empty", "holds 0", func(c *cluster, _ *audit.Search) { c.claims.Back = false }},
		{"the account is gone", "not as it was made", func(c *cluster, _ *audit.Search) { c.claims = payment.Claims{} }},
		{"the close memo lies", "close memo", func(_ *cluster, s *audit.Search) { s.Closed = "hsx1 e=7 s=00 p=40 h=10" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, s := claimed(t)
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
