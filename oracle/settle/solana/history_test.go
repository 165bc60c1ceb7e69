package solana

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/settle"
)

// TestHistoryIsReadToItsEnd: pages may be short, and what cannot be read to its end is
// an error beside what was read.
func TestHistoryIsReadToItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes []int  // of the pages; the last one goes on for ever unless it is 0
		from  uint64 // the first page is in slot 99, the second in slot 98, and so on
		want  int
		whole bool
	}{
		{"never touched", []int{0}, 0, 0, true},
		{"once", []int{1, 0}, 0, 1, true},
		{"a short page in between", []int{1000, 10, 1000, 3, 0}, 0, 2013, true},
		{"more than is read", []int{1000}, 0, historyPages * 1000, false},
		{"so many before anybody pays", []int{1000}, 85, historyPages * 1000, true},
		{"so many since then", []int{1000}, 80, historyPages * 1000, false},
		{"all that there is, from before, too", []int{7, 3, 0}, 99, 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var req struct {
					ID json.RawMessage `json:"id"`
				}
				_ = json.NewDecoder(r.Body).Decode(&req)
				out := []map[string]any{}
				for i := range tt.sizes[min(page, len(tt.sizes)-1)] {
					s := solana.Signature{1, byte(page), byte(i >> 8), byte(i)}
					out = append(out, map[string]any{"signature": s.String(), "slot": 99 - page, "err": nil})
				}
				page++
				_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": out})
			}))
			defer srv.Close()
			sigs, err := newReader(srv.URL, Limits{PerSecond: 1e6, Burst: 1000}).History(t.Context(), settle.Marker{Epoch: 1}, tt.from)
			if len(sigs) != tt.want || (err == nil) != tt.whole {
				t.Errorf("%d signatures, error %v", len(sigs), err)
			}
		})
	}
}
