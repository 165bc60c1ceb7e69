package audit_test

import (
	"strings"
	"testing"

	"heliograph/oracle/audit"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
)

// TestLaterPaymentsAreFound: whom his batch left out is found by his position in the
// list, in the treasury's history and under his marker.
func TestLaterPaymentsAreFound(t *testing.T) {
	late := payment.Payment{
		Signature: "later", Slot: 14, Before: 950, After: 940,
		Markers:   []payment.Marker{{Base: "hot", Marker: settle.Marker{Epoch: 7, Batch: settle.LaterBatch(4)}}},
		Transfers: []payment.Transfer{{Source: "treasury", Mint: "mint", Destination: "mint/04", Amount: 10}},
	}
	hidden := late
	hidden.Slot = 9 // the treasury's history, read from slot 10 on, does not show it
	for _, tt := range []struct {
		name string
		tx   payment.Payment
		bad  string
	}{
		{"in both", late, ""},
		{"under the marker only", hidden, "the treasury's history and the markers"},
	} {
		c, s := paid()
		c.txs, s.Closed = append(c.txs, tt.tx), "hsx1 e=7 s=00 p=50 h=0"
		got, comparisons, err := audit.Payments(t.Context(), c, s)
		if err != nil || got.Batches != 3 || got.Wallets != 5 || got.Sum != 50 || got.Left != 0 {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		var bad []string
		for _, x := range comparisons {
			if !x.OK {
				bad = append(bad, x.Note)
			}
		}
		if (len(bad) > 0) != (tt.bad != "") || !strings.Contains(strings.Join(bad, "\n"), tt.bad) {
			t.Errorf("%s: %q", tt.name, bad)
		}
	}
}
