// Package operator answers the operator's questions about money, and takes the two
// orders that there are: pause and resume. It is served on a unix socket inside the
// data directory, which only the oracle's own user may enter, and never on a port:
// who can open the socket could also change the books themselves.
//
//	GET  /settle                 state of epochs that are open or hold somebody, and why
//	                             they wait; ?all: of every epoch
//	GET  /settle/{epoch}/due     one line of JSON for each recipient
//	POST /settle/pause           {"why": "..."}
//	POST /settle/resume
//	GET  /ledger/totals
//	GET  /ledger/statement/{wallet}
//	GET  /ledger/export          CSV: cause, account, debit, credit
package operator

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/poc"
)

// Config is what the handler works on.
type Config struct {
	KV store.KV
	// LastError is why the settler's last look at the chain failed, "" when it did
	// not; nil: it is not running.
	LastError func() string
	// Failures is how many looks in a row failed; nil: not known.
	Failures func() int
	// Endpoints says how the endpoints of the chain do; nil: it is not running.
	Endpoints func() []Endpoint
	// Resumed is told that a pause has ended; may be nil.
	Resumed func()
}

type server struct {
	cfg     Config
	settler *settle.Settler // reads, and keeps the pause; never run
	book    *ledger.Book
}

// New makes the handler.
func New(c Config) http.Handler {
	s := &server{cfg: c, settler: settle.New(settle.Config{KV: c.KV}), book: ledger.NewBook(c.KV)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /settle", s.status)
	mux.HandleFunc("GET /settle/{epoch}/due", s.due)
	mux.HandleFunc("POST /settle/pause", s.pause)
	mux.HandleFunc("POST /settle/resume", s.resume)
	mux.HandleFunc("GET /ledger/totals", s.totals)
	mux.HandleFunc("GET /ledger/statement/{wallet}", s.statement)
	mux.HandleFunc("GET /ledger/export", s.export)
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who has left needs no answer
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, settle.ErrUnknown) {
		status = http.StatusNotFound
	}
	refuse(w, status, err)
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// Due is one recipient of an epoch. Amounts are text, in the token's smallest unit.
type Due struct {
	Wallet string `json:"wallet"`
	Amount string `json:"amount"`
	Batch  uint32 `json:"batch"`
	State  string `json:"state"` // paid, signed, planned or held
	Why    string `json:"why,omitempty"`
}

func (s *server) due(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseUint(r.PathValue("epoch"), 10, 32)
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("epoch %q is not a number", r.PathValue("epoch")))
		return
	}
	enc := json.NewEncoder(w)
	begun := false
	err = s.settler.Dues(r.Context(), poc.Epoch(n), func(d settle.Due) error {
		begun = true
		return enc.Encode(Due{base58.Encode(d.Wallet[:]), digits(d.Amount), d.Batch, d.State, d.Why})
	})
	end(w, begun, err)
}

// end answers an error, or breaks the connection off when a part of the answer has
// left already: a list must not look complete when it is not.
func end(w http.ResponseWriter, begun bool, err error) {
	switch {
	case err == nil:
	case begun:
		panic(http.ErrAbortHandler)
	default:
		fail(w, err)
	}
}

// maxOrder bounds the body of an order.
const maxOrder = 4 << 10

func (s *server) pause(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Why string `json:"why"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&order); err != nil || order.Why == "" {
		refuse(w, http.StatusBadRequest, errors.New("say why, as in {\"why\": \"moving the treasury\"}"))
		return
	}
	answer(w, map[string]string{"paused": order.Why}, s.settler.Pause(r.Context(), order.Why))
}

func (s *server) resume(w http.ResponseWriter, r *http.Request) {
	err := s.settler.Resume(r.Context())
	if err == nil && s.cfg.Resumed != nil {
		s.cfg.Resumed()
	}
	answer(w, map[string]string{"paused": ""}, err)
}

// Totals are the book's sums, and whether they agree.
type Totals struct {
	ledger.Totals
	OK  bool   `json:"ok"` // issued = paid + owed + held + remainder
	Why string `json:"why,omitempty"`
}

func (s *server) totals(w http.ResponseWriter, r *http.Request) {
	t, err := s.book.Totals(r.Context())
	out := Totals{Totals: t, OK: true}
	if cerr := t.Check(); err == nil && cerr != nil {
		out.OK, out.Why = false, cerr.Error()
	}
	answer(w, out, err)
}

// Statement is everything that was booked for one wallet.
type Statement struct {
	Wallet string `json:"wallet"`
	ledger.Lifetime
	Lines []Line `json:"lines"` // in the order of their booking
}

// Line is one entry of a [Statement].
type Line struct {
	// Place is the how-manieth batch of the whole book this was; 0: it was booked
	// before places were kept, and comes first.
	Place   uint64        `json:"place,omitempty"`
	Cause   string        `json:"cause"`
	Account string        `json:"account"` // owed, held or paid
	In      ledger.Amount `json:"in,omitempty"`
	Out     ledger.Amount `json:"out,omitempty"`
}

func (s *server) statement(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("wallet")
	b, err := base58.Decode(text)
	if err != nil || len(b) != len(poc.Wallet{}) || base58.Encode(b) != text {
		refuse(w, http.StatusBadRequest, fmt.Errorf("%.64q is not a wallet", text))
		return
	}
	out, err := s.statementOf(r.Context(), poc.Wallet(b))
	out.Wallet = text
	answer(w, out, err)
}

func (s *server) statementOf(ctx context.Context, w poc.Wallet) (out Statement, err error) {
	names := map[ledger.Account]string{ledger.Owed(w): "owed", ledger.Held(w): "held", ledger.Paid(w): "paid"}
	out.Lines = []Line{}
	err = s.book.Batches(ctx, func(b ledger.Batch) error {
		for _, e := range b.Entries {
			if name, ok := names[e.Account]; ok {
				out.Lines = append(out.Lines, Line{Cause: b.Cause, Account: name, In: e.Credit, Out: e.Debit})
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	causes := make([]string, len(out.Lines))
	for i, l := range out.Lines {
		causes[i] = l.Cause
	}
	places, err := s.book.Places(ctx, causes...)
	if err != nil {
		return out, err
	}
	for i := range out.Lines {
		out.Lines[i].Place = places[i]
	}
	slices.SortStableFunc(out.Lines, func(a, b Line) int { return cmp.Compare(a.Place, b.Place) })
	out.Lifetime, err = s.book.Lifetime(ctx, w)
	return out, err
}

func (s *server) export(w http.ResponseWriter, r *http.Request) {
	c := csv.NewWriter(w)
	begun := false
	err := s.book.Batches(r.Context(), func(b ledger.Batch) error {
		if !begun {
			w.Header().Set("Content-Type", "text/csv")
			begun = true
			if err := c.Write([]string{"cause", "account", "debit", "credit"}); err != nil {
				return err
			}
		}
		for _, e := range b.Entries {
			if err := c.Write([]string{b.Cause, string(e.Account), digits(e.Debit), digits(e.Credit)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.Flush()
		err = c.Error()
	}
	end(w, begun, err)
}

func digits(a ledger.Amount) string { return strconv.FormatUint(uint64(a), 10) }
