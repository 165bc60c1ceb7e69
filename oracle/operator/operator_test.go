package operator

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// paper is a signer that does no more than size batches.
type paper struct{ settle.Signer }

func (paper) Identity() string   { return "paper" }
func (paper) MaxRecipients() int { return 2 }

func setUp(t *testing.T) (http.Handler, store.KV) {
	t.Helper()
	kv := mem.NewKV()
	ctx := t.Context()
	l := settle.List{Epoch: 4, Secret: poc.Secret{1}}
	for i := range 5 {
		p := reward.Payout{Wallet: poc.Wallet{byte(i + 1)}, Amount: ledger.Amount(10 + i)}
		l.Payouts = append(l.Payouts, p)
		cause := "earn/4/" + string(rune('a'+i))
		if err := ledger.NewBook(kv).Post(ctx, ledger.Move(cause, ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
			t.Fatal(err)
		}
	}
	if err := settle.New(settle.Config{KV: kv, Signer: paper{}}).Freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	return New(Config{KV: kv, LastError: func() string { return "no answer" }}), kv
}

func call(t *testing.T, h http.Handler, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func status(t *testing.T, h http.Handler) (st Status) {
	t.Helper()
	code, text := call(t, h, "GET", "/settle", "")
	if err := json.Unmarshal([]byte(text), &st); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, text, err)
	}
	return st
}

func TestStatusAndPause(t *testing.T) {
	h, kv := setUp(t)
	st := status(t, h)
	if len(st.Epochs) != 1 || st.LastError != "no answer" || !st.Running {
		t.Fatalf("%+v", st)
	}
	if e := st.Epochs[0]; e.State != "COMMITTING" || e.Total != 60 || e.Owed != 60 || e.Batches != 3 || e.Recipients != 5 || e.Done != 0 {
		t.Errorf("%+v", e)
	}
	for _, body := range []string{"", "{}", `{"why":""}`, `{"why":"` + strings.Repeat("x", 5000) + `"}`, "why"} {
		if code, text := call(t, h, "POST", "/settle/pause", body); code != 400 {
			t.Errorf("pause %.20q: %d %s", body, code, text)
		}
	}
	if code, text := call(t, h, "POST", "/settle/pause", `{"why":"a test"}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	h = New(Config{KV: kv}) // a restart
	if st := status(t, h); st.Paused != "a test" || st.Epochs[0].State != "PAUSED" || !strings.Contains(st.Epochs[0].Why, "resume") {
		t.Errorf("%+v", st)
	}
	// The chain would panic: a paused settler does not look at it.
	s := settle.New(settle.Config{KV: kv, Chain: genesisOnly{}, Signer: paper{}})
	if err := s.Step(t.Context()); err != nil {
		t.Errorf("a paused settler: %v", err)
	}
	resumed := false
	h = New(Config{KV: kv, Resumed: func() { resumed = true }})
	if code, _ := call(t, h, "POST", "/settle/resume", ""); code != 200 || !resumed {
		t.Errorf("resume: %d, %v", code, resumed)
	}
	if st := status(t, h); st.Paused != "" || st.Epochs[0].State != "COMMITTING" {
		t.Errorf("%+v", st)
	}
	if code, _ := call(t, h, "GET", "/settle/pause", ""); code == 200 {
		t.Error("a GET paused")
	}
}

// genesisOnly answers nothing else.
type genesisOnly struct{ settle.Chain }

func (genesisOnly) Genesis(context.Context) (string, error) { return "g", nil }

func TestDue(t *testing.T) {
	h, _ := setUp(t)
	code, text := call(t, h, "GET", "/settle/4/due", "")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var d Due
	if code != 200 || len(lines) != 5 || json.Unmarshal([]byte(lines[4]), &d) != nil || d.Amount != "14" || d.Batch != 2 || d.State != "planned" {
		t.Errorf("%d %s", code, text)
	}
	for path, want := range map[string]int{"/settle/5/due": 404, "/settle/x/due": 400, "/settle/-1/due": 400} {
		if code, text := call(t, h, "GET", path, ""); code != want || !strings.Contains(text, "error") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

func TestBooks(t *testing.T) {
	h, kv := setUp(t)
	w := poc.Wallet{3}
	if err := ledger.NewBook(kv).Post(t.Context(), ledger.Move("hold/4/1/0", ledger.Owed(w), ledger.Held(w), 12)); err != nil {
		t.Fatal(err)
	}
	var tot Totals
	if _, text := call(t, h, "GET", "/ledger/totals", ""); json.Unmarshal([]byte(text), &tot) != nil || !tot.OK || tot.Issued != 60 || tot.Held != 12 || tot.Owed != 48 {
		t.Errorf("%s", text)
	}
	var s Statement
	if _, text := call(t, h, "GET", "/ledger/statement/"+base58.Encode(w[:]), ""); json.Unmarshal([]byte(text), &s) != nil || s.Earned != 12 || s.Held != 12 || len(s.Lines) != 3 {
		t.Errorf("%s", text)
	}
	if code, _ := call(t, h, "GET", "/ledger/statement/0OIl", ""); code != 400 {
		t.Errorf("a bad wallet: %d", code)
	}
	_, text := call(t, h, "GET", "/ledger/export", "")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 1+2*6 || rows[0][0] != "cause" {
		t.Errorf("%d rows, %v:\n%s", len(rows), err, text)
	}
}

// An export that breaks off does not look whole.
func TestExportBreaksOff(t *testing.T) {
	_, kv := setUp(t)
	big := ledger.NewBook(kv)
	var batches []ledger.Batch
	for i := range 1500 {
		batches = append(batches, ledger.Move("x/"+strings.Repeat("0", 4-len(itoa(i)))+itoa(i), ledger.Issued, ledger.Remainder, 1))
	}
	if err := big.Post(t.Context(), batches...); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(Config{KV: &flaky{KV: kv, left: 1}}))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/ledger/export")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken store gave a whole export of %d lines", bytes.Count(b, []byte("\n")))
	}
}

func itoa(i int) string { return digits(ledger.Amount(i)) }

// flaky fails after some reads.
type flaky struct {
	store.KV
	left int
}

func (f *flaky) View(ctx context.Context, g func(store.Tx) error) error {
	if f.left--; f.left < 0 {
		return store.ErrClosed
	}
	return f.KV.View(ctx, g)
}

// TestStatementFollowsTime: a later batch whose cause sorts before an earlier one
// comes after it.
func TestStatementFollowsTime(t *testing.T) {
	h, kv := setUp(t)
	w := poc.Wallet{1}
	for _, b := range []ledger.Batch{
		ledger.Move("pay/4/0", ledger.Owed(w), ledger.Paid(w), 10),
		ledger.Move("earn/10/a", ledger.Issued, ledger.Owed(w), 7),
		ledger.Move("hold/10/0/0", ledger.Owed(w), ledger.Held(w), 7),
	} {
		if err := ledger.NewBook(kv).Post(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	_, text := call(t, h, "GET", "/ledger/statement/"+base58.Encode(w[:]), "")
	var st Statement
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range st.Lines {
		got = append(got, l.Cause+" "+l.Account)
	}
	want := "earn/4/a owed; pay/4/0 owed; pay/4/0 paid; earn/10/a owed; hold/10/0/0 owed; hold/10/0/0 held"
	if strings.Join(got, "; ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, "; "), want)
	}
}
