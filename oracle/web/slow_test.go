package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/web"
)

// deadlined notes the deadline that a handler gives its reader.
type deadlined struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error { d.at = t; return nil }

// Few requests are answered at once, so nobody may hold a place by not reading.
func TestReadersHaveADeadline(t *testing.T) {
	w := epochtest.New(t, 1)
	w.Run(1)
	h, err := web.New(web.Config{Core: w.Core, Epochs: w.Manager, Book: ledger.NewBook(w.KV), Oracle: epochtest.Oracle().ID(), Calendar: epochtest.Calendar()})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/status", "/api/hotspots", "/api/beacons", "/api/epochs"} {
		d := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(d, httptest.NewRequest(http.MethodGet, path, nil))
		if d.Code != http.StatusOK || d.at.IsZero() {
			t.Errorf("%s: status %d, deadline %v", path, d.Code, d.at)
		}
	}
}
