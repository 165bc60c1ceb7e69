package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
	if code, got := ask(address); code != http.StatusOK || got != (Wallet{Wallet: address, Paid: "700", Owed: "200", Held: "100"}) {
		t.Errorf("%d, %+v", code, got)
	}
	nobody := base58.Encode(make([]byte, 32))
	if code, got := ask(nobody); code != http.StatusOK || got != (Wallet{Wallet: nobody, Paid: "0", Owed: "0", Held: "0"}) {
		t.Errorf("nobody: %d, %+v", code, got)
	}
	for _, bad := range []string{"", "x", "0OIl", address + "111", address[3:]} {
		if code, _ := ask(bad); code != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, code)
		}
	}
}

func TestWalletBelowTheThreshold(t *testing.T) {
	var w Wallet
	if w.carry(0, 500); w != (Wallet{}) {
		t.Errorf("nothing waits: %+v", w)
	}
	if w.carry(120, 500); w.CarriedOver != "120" || w.Threshold != "500" || !strings.Contains(w.Why, "below the payout threshold of 500") {
		t.Errorf("%+v", w)
	}
}
