package operator

import (
	"context"
	"net/http"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

// Status is where settlement stands.
type Status struct {
	Paused    string  `json:"paused,omitempty"`     // why
	Running   bool    `json:"running"`              // a settler is at work
	LastError string  `json:"last_error,omitempty"` // of its last look at the chain
	Epochs    []Epoch `json:"epochs"`               // oldest first
}

// Epoch is one epoch's settlement. Amounts are in the token's smallest unit.
type Epoch struct {
	Epoch      poc.Epoch     `json:"epoch"`
	State      string        `json:"state"`         // COMMITTING, PAYING, CLOSING, CLOSED, PAUSED, STALLED, REFUSED or HELD
	Why        string        `json:"why,omitempty"` // cause and remedy of the last four
	Total      ledger.Amount `json:"total"`
	Paid       ledger.Amount `json:"paid"`
	Owed       ledger.Amount `json:"owed"`
	Held       ledger.Amount `json:"held"`
	Recipients int           `json:"recipients"`
	Batches    uint32        `json:"batches"`
	Done       int           `json:"done"`      // batches that are final or held
	InFlight   int           `json:"in_flight"` // batches that are signed and not final
	Reclaimed  uint32        `json:"reclaimed"` // batches whose marker's rent is back
	// HeldWhy counts the held recipients by reason.
	HeldWhy map[string]int `json:"held_why,omitempty"`
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.statusOf(r.Context(), r.URL.Query().Has("all"))
	answer(w, st, err)
}

// statusOf leaves out epochs that are closed and hold nobody, unless all are asked
// for: after a year they are many.
func (s *server) statusOf(ctx context.Context, all bool) (st Status, err error) {
	st.Epochs = []Epoch{}
	if s.cfg.LastError != nil {
		st.Running, st.LastError = true, s.cfg.LastError()
	}
	if st.Paused, err = s.settler.Paused(ctx); err != nil {
		return st, err
	}
	list, err := s.settler.Epochs(ctx)
	if err != nil {
		return st, err
	}
	for _, e := range list {
		if e.State == settle.Closed && e.Refused == "" && e.Reclaiming == "" && !all {
			if holds, err := s.settler.Holds(ctx, e.Epoch); err != nil || !holds {
				if err != nil {
					return st, err
				}
				continue
			}
		}
		rec, err := s.settler.Epoch(ctx, e.Epoch)
		if err != nil {
			return st, err
		}
		st.Epochs = append(st.Epochs, describe(rec, st.Paused))
	}
	return st, nil
}

func describe(r settle.Record, paused string) Epoch {
	e := Epoch{Epoch: r.Epoch.Epoch, Total: r.Total, Paid: r.Paid, Owed: r.Owed, Held: r.Held,
		Recipients: r.Count, Batches: r.Batches, Reclaimed: r.Reclaimed}
	for _, p := range r.Parts {
		switch p.State {
		case "final", "held":
			e.Done++
		case "signed":
			e.InFlight++
		}
		for _, why := range p.Held {
			if e.HeldWhy == nil {
				e.HeldWhy = map[string]int{}
			}
			e.HeldWhy[why]++
		}
	}
	e.State, e.Why = word(r, paused)
	return e
}

// word is the state in one word, the most urgent first.
func word(r settle.Record, paused string) (state, why string) {
	switch {
	case r.Refused != "":
		return "REFUSED", r.Refused
	case r.State != settle.Closed && paused != "":
		return "PAUSED", paused + ": end it with oraclectl settle resume"
	case r.Stalled != "" && r.State != settle.Closed:
		return "STALLED", r.Stalled
	case r.State == settle.Frozen:
		return "COMMITTING", ""
	case r.State == settle.Committed:
		return "PAYING", ""
	case r.State == settle.Settled:
		return "CLOSING", ""
	case r.Reclaiming != "":
		return "STALLED", "everything is paid but held recipients; the rent of its markers stays locked: " + r.Reclaiming
	case r.Held > 0:
		return "HELD", "some recipients cannot be paid yet; they are tried again by themselves"
	}
	return "CLOSED", ""
}
