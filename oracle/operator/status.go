package operator

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Status is where settlement stands.
type Status struct {
	Paused    string `json:"paused,omitempty"`     // why
	Refused   string `json:"refused,omitempty"`    // why settlement does not begin
	Running   bool   `json:"running"`              // a settler is at work
	LastError string `json:"last_error,omitempty"` // of its last look at the chain
	// Owed and Held are sums over Epochs: the treasury's allowance must cover them.
	Owed      ledger.Amount `json:"owed"`
	Held      ledger.Amount `json:"held"`
	Endpoints []Endpoint    `json:"endpoints,omitempty"` // in the order of solana.rpc
	Epochs    []Epoch       `json:"epochs"`              // oldest first

	failing bool // more than one look has failed
}

// Endpoint is how one RPC endpoint does.
type Endpoint struct {
	Name   string `json:"name"`
	State  string `json:"state"`         // ok, failing, out, unreached or refused
	Why    string `json:"why,omitempty"` // cause and remedy
	Height uint64 `json:"height,omitempty"`
}

// Epoch is one epoch's settlement. Amounts are in the token's smallest unit.
type Epoch struct {
	Epoch      poc.Epoch     `json:"epoch"`
	State      string        `json:"state"`         // COMMITTING, PAYING, FUNDING, FUNDED, CLAIMING, CLOSING, CLOSED, UNCLAIMED, PAUSED, STALLED, REFUSED or HELD
	Why        string        `json:"why,omitempty"` // cause and remedy of the last five, and how far claims are
	Total      ledger.Amount `json:"total"`
	Paid       ledger.Amount `json:"paid"`
	Owed       ledger.Amount `json:"owed"`
	Held       ledger.Amount `json:"held"`
	Identity   string        `json:"identity"` // hot key, mint and treasury
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

// failuresTold looks at the chain that fail in a row are a stall, and fewer are not: a
// single call may be lost.
const failuresTold = 3

// statusOf leaves out epochs that are closed and hold nobody, unless all are asked
// for: after a year they are many.
func (s *server) statusOf(ctx context.Context, all bool) (st Status, err error) {
	st.Epochs = []Epoch{}
	if s.cfg.LastError != nil {
		st.Running, st.LastError = true, s.cfg.LastError()
		st.failing = st.LastError != "" && (s.cfg.Failures != nil && s.cfg.Failures() >= failuresTold)
	}
	if s.cfg.Endpoints != nil {
		st.Endpoints = s.cfg.Endpoints()
	}
	if st.Paused, err = s.settler.Paused(ctx); err != nil {
		return st, err
	}
	if st.Refused, err = s.settler.Refusal(ctx); err != nil {
		return st, err
	}
	list, err := s.settler.Epochs(ctx)
	if err != nil {
		return st, err
	}
	refused, err := s.settler.RefusedLists(ctx)
	if err != nil {
		return st, err
	}
	for _, e := range list {
		_, wrong := refused[e.Epoch]
		if !wrong && e.State == settle.Closed && e.Refused == "" && e.Reclaiming == "" && !unclaimed(e) && !all {
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
		one := describe(rec, st)
		if wrong {
			one.State, one.Why = "REFUSED", refused[e.Epoch]
			delete(refused, e.Epoch)
		}
		st.Epochs = append(st.Epochs, one)
		st.Owed, st.Held = st.Owed+rec.Owed, st.Held+rec.Held // parts of what was issued, which was checked
	}
	for _, n := range slices.Sorted(maps.Keys(refused)) { // never frozen
		st.Epochs = append(st.Epochs, Epoch{Epoch: n, State: "REFUSED", Why: refused[n]})
	}
	return st, nil
}

func describe(r settle.Record, st Status) Epoch {
	e := Epoch{Epoch: r.Epoch.Epoch, Total: r.Total, Paid: r.Paid, Owed: r.Owed, Held: r.Held, Identity: r.Identity,
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
	e.State, e.Why = word(r, st)
	return e
}

// remedied says what to do about an error of a look at the chain.
func remedied(why string) string {
	remedy := "it is tried again by itself; if it stays, see that the RPC endpoints (solana.rpc) answer"
	switch {
	case strings.Contains(why, store.ErrFull.Error()):
		remedy = "make room on the disk of the data directory; then it goes on by itself"
	case strings.Contains(why, "signer"):
		remedy = "it goes on by itself when that is done"
	}
	return why + ": " + remedy
}

// unclaimed says whether wallets left something of an epoch that is over.
func unclaimed(e settle.Epoch) bool { return e.Claims != nil && e.Claims.Claimed < e.Total }

// word is the state in one word, the most urgent first.
func word(r settle.Record, st Status) (state, why string) {
	open := r.State != settle.Closed
	switch {
	case r.Refused != "":
		return "REFUSED", r.Refused
	case open && st.Refused != "":
		return "REFUSED", st.Refused
	case open && st.Paused != "":
		return "PAUSED", st.Paused + ": end it with oraclectl settle resume"
	case open && r.Stalled != "":
		return "STALLED", r.Stalled
	case open && st.failing:
		return "STALLED", remedied(st.LastError)
	case r.State == settle.Frozen:
		return "COMMITTING", ""
	case r.State == settle.Committed && r.Claims != nil:
		return "FUNDING", ""
	case r.State == settle.Committed:
		return "PAYING", ""
	case r.State == settle.Funded:
		return "FUNDED", ""
	case r.State == settle.Claimable:
		return "CLAIMING", fmt.Sprintf("%d of %d is claimed; what is left on %s goes back to the treasury", r.Paid, r.Total, time.Unix(r.Claims.Made.Clawback, 0).UTC().Format(time.DateTime))
	case r.State == settle.Settled:
		return "CLOSING", ""
	case r.Reclaiming != "":
		return "STALLED", "everything is paid but held recipients; the rent of its markers stays locked: " + r.Reclaiming
	case unclaimed(r.Epoch):
		return "UNCLAIMED", fmt.Sprintf("%d was not claimed in time: it is back in the treasury, and owed in the books: pay it in another way", r.Owed)
	case r.Held > 0:
		return "HELD", "some recipients cannot be paid yet; they are tried again by themselves"
	}
	return "CLOSED", ""
}
