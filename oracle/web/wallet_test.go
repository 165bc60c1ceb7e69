package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

func TestWallet(t *testing.T) {
	book := ledger.NewBook(mem.NewKV())
	w := poc.Wallet{1, 2, 3}
	err := book.Post(t.Context(),
		ledger.Move("a", ledger.Issued, ledger.Owed(w), 1000),
		ledger.Move("b", ledger.Owed(w), ledger.Paid(w), 700),
		ledger.Move("c", ledger.Owed(w), ledger.Held(w), 100))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cfg: Config{Book: book, Logger: slog.New(slog.DiscardHandler)}}
	ask := func(text string) (int, Wallet) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetPathValue("wallet", text)
		rec := httptest.NewRecorder()
		s.wallet(rec, r)
		var out Wallet
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return rec.Code, out
	}
	address := base58.Encode(w[:])
	if code, got := ask(address); code != http.StatusOK || got != (Wallet{address, "700", "200", "100"}) {
		t.Errorf("%d, %+v", code, got)
	}
	nobody := base58.Encode(make([]byte, 32))
	if code, got := ask(nobody); code != http.StatusOK || got != (Wallet{nobody, "0", "0", "0"}) {
		t.Errorf("nobody: %d, %+v", code, got)
	}
	for _, bad := range []string{"", "x", "0OIl", address + "111", address[3:]} {
		if code, _ := ask(bad); code != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, code)
		}
	}
}
