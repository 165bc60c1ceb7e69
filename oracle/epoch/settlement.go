package epoch

import (
	"strconv"

	"heliograph/oracle/settle"
)

// Settlement is an epoch's way to the chain as it is shown to people. Amounts
// are text, because JavaScript rounds large numbers.
type Settlement struct {
	State           string       `json:"state"`
	Stalled         bool         `json:"stalled,omitempty"`
	CommitText      string       `json:"commit_text"`
	CommitSignature string       `json:"commit_signature,omitempty"` // when final
	CloseText       string       `json:"close_text,omitempty"`
	CloseSignature  string       `json:"close_signature,omitempty"`
	Paid            string       `json:"paid"`
	Owed            string       `json:"owed"`
	Held            string       `json:"held"`
	Batches         []BatchState `json:"batches,omitempty"`
	Distributor     *Distributor `json:"distributor,omitempty"` // of an epoch that wallets claim
}

// Distributor is what wallets claim from; their proofs are made from the published list.
type Distributor struct {
	Program   string `json:"program"`
	Version   string `json:"version"`   // with the mint it names the account
	Signature string `json:"signature"` // of the transaction that made it
	Until     int64  `json:"until"`     // Unix seconds: what is left may be taken back
}

// BatchState is one payout transaction.
type BatchState struct {
	Index      uint32 `json:"index"`
	State      string `json:"state"`
	Signature  string `json:"signature,omitempty"`
	Recipients int    `json:"recipients"`
	Sum        string `json:"sum"`
}

// ShowSettlement turns a settlement's record into what is shown.
func ShowSettlement(r settle.Record) Settlement {
	text := func(n uint64) string { return strconv.FormatUint(n, 10) }
	s := Settlement{State: string(r.State), Stalled: r.Stalled != "", CommitText: r.Commit.Text, CommitSignature: r.Commit.Signature,
		CloseText: r.Close.Text, CloseSignature: r.Close.Signature,
		Paid: text(uint64(r.Paid)), Owed: text(uint64(r.Owed)), Held: text(uint64(r.Held))}
	if c := r.Claims; c != nil && c.Made != nil {
		s.Distributor = &Distributor{Program: c.Program, Version: text(c.Made.Version), Signature: c.Signature, Until: c.Made.Clawback}
	}
	for _, p := range r.Parts {
		s.Batches = append(s.Batches, BatchState{Index: p.Index, State: p.State, Signature: p.Signature, Recipients: p.Recipients, Sum: text(uint64(p.Sum))})
	}
	return s
}
