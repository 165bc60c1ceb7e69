package operator

import (
	"strings"
	"testing"

	"heliograph/oracle/settle"
)

// TestClaimWords: what the status says of an epoch that wallets claim.
func TestClaimWords(t *testing.T) {
	made := &settle.Distribution{Clawback: 1_800_000_000}
	for _, tt := range []struct {
		state   settle.State
		claims  settle.Claims
		word    string
		because string
	}{
		{settle.Committed, settle.Claims{}, "FUNDING", ""},
		{settle.Funded, settle.Claims{Made: made}, "FUNDED", ""},
		{settle.Claimable, settle.Claims{Made: made, Claimed: 30}, "CLAIMING", "30 of 100 is claimed; what is left on 2027-01-15"},
		{settle.Settled, settle.Claims{Made: made, Claimed: 30}, "CLOSING", ""},
		{settle.Closed, settle.Claims{Made: made, Claimed: 30}, "UNCLAIMED", "70 was not claimed in time"},
		{settle.Closed, settle.Claims{Made: made, Claimed: 100}, "CLOSED", ""},
	} {
		r := settle.Record{Epoch: settle.Epoch{State: tt.state, Total: 100, Claims: &tt.claims}, Paid: tt.claims.Claimed, Owed: 100 - tt.claims.Claimed}
		if word, why := word(r, Status{}); word != tt.word || !strings.Contains(why, tt.because) {
			t.Errorf("%s: %s, %q", tt.state, word, why)
		}
	}
}
