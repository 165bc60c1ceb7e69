package main

import (
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
)

// TestOpenOfClaims: a distributor that was made needs no allowance any more, however
// little was claimed from it; one that is still to be made needs the total.
func TestOpenOfClaims(t *testing.T) {
	for _, tt := range []struct {
		name   string
		paid   audit.Paid
		claims bool
		open   ledger.Amount
		bad    bool
	}{
		{"nothing sent", audit.Paid{}, false, 100, false},
		{"some sent", audit.Paid{Batches: 1, Sum: 30}, false, 70, false},
		{"distributor to be made", audit.Paid{}, true, 100, false},
		{"nothing claimed", audit.Paid{Distributor: "vault"}, true, 0, false},
		{"some claimed", audit.Paid{Distributor: "vault", Sum: 30}, true, 0, false},
		{"distributor of an epoch that is sent", audit.Paid{Distributor: "vault"}, false, 0, true},
		{"sent though wallets claim", audit.Paid{Batches: 1, Sum: 30}, true, 0, true},
	} {
		o := openEpoch{Epoch: 7, Total: 100}
		err := o.take(tt.paid, tt.claims)
		if (err != nil) != tt.bad || err == nil && (o.Open != tt.open || o.Paid != 100-tt.open) {
			t.Errorf("%s: open %d, paid %d, %v", tt.name, o.Open, o.Paid, err)
		}
	}
}
