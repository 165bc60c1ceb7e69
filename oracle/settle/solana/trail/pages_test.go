package trail

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"

	"heliograph/poc"
)

// TestShortPageIsNotTheLast: what lies behind a short page is read, too.
func TestShortPageIsNotTheLast(t *testing.T) {
	sizes := []int{pageSize, 3, pageSize, 5, 0}
	page := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			ID json.RawMessage `json:"id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		out := []map[string]any{}
		for i := range sizes[min(page, len(sizes)-1)] {
			s := solana.Signature{1, byte(page), byte(i >> 8), byte(i)}
			out = append(out, map[string]any{"signature": s.String(), "slot": 99, "err": nil})
		}
		page++
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": out})
	}))
	defer srv.Close()
	r := NewReader(srv.URL)
	sigs, err := r.signatures(t.Context(), solana.PublicKey{1}, 0)
	if err != nil || len(sigs) != 2*pageSize+8 || sigs[0] != (solana.Signature{1, 3, 0, 4}) {
		t.Errorf("%d signatures, %v", len(sigs), err)
	}
	page = 0
	if sigs, err := r.signatures(t.Context(), solana.PublicKey{1}, 100); err != nil || len(sigs) != 0 || page != 1 {
		t.Errorf("from a later slot on: %d signatures on %d pages, %v", len(sigs), page, err)
	}
	page = 0
	if _, err := r.Committed(t.Context(), solana.PublicKey{1}.String(), map[poc.Epoch]uint64{1: 50}); err != nil || page != len(sizes) {
		t.Errorf("Committed read %d of %d pages: %v", page, len(sizes), err)
	}
}

// TestEndpointThatBeginsAgain: a proxy that drops what it is asked for keeps nobody for
// ever.
func TestEndpointThatBeginsAgain(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			ID json.RawMessage `json:"id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		out := []map[string]any{}
		for i := range 3 {
			out = append(out, map[string]any{"signature": solana.Signature{1, byte(i)}.String(), "slot": 99, "err": nil})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": out})
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if sigs, err := NewReader(srv.URL).signatures(ctx, solana.PublicKey{1}, 0); err == nil || ctx.Err() != nil {
		t.Errorf("%d signatures, %v", len(sigs), err)
	}
}
