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
	for _, p := range r.Parts {
		s.Batches = append(s.Batches, BatchState{Index: p.Index, State: p.State, Signature: p.Signature, Recipients: p.Recipients, Sum: text(uint64(p.Sum))})
	}
	return s
}
