package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/settle"
	"heliograph/oracle/store/mem"
)

// TestRefusalIsLeftInTheBooks: what keeps settlement from beginning is what
// `oraclectl settle status` shows while the node is down.
func TestRefusalIsLeftInTheBooks(t *testing.T) {
	const mint = "So11111111111111111111111111111111111111112"
	rpc := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     any    `json:"id"`
			Method string `json:"method"`
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		var answer any = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
		if q.Method == "getAccountInfo" { // there is no such mint
			answer = map[string]any{"context": map[string]any{"slot": 1}, "value": nil}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": answer})
	}))
	defer rpc.Close()
	key := filepath.Join(t.TempDir(), "hot.json")
	var numbers []int
	for _, b := range ed25519.NewKeyFromSeed(make([]byte, 32)) {
		numbers = append(numbers, int(b))
	}
	text, err := json.Marshal(numbers)
	if err == nil {
		err = os.WriteFile(key, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	good := Solana{RPC: rpc.URL, Key: key, Mint: mint}
	for _, tt := range []struct {
		name   string
		change func(*Solana)
		want   []string
	}{
		{"wrong key", func(c *Solana) { c.Key = "/nowhere" }, []string{"solana.key", "solana-keygen"}},
		{"mint that is no address", func(c *Solana) { c.Mint = "x" }, []string{"solana.mint"}},
		{"mint that is not there", func(*Solana) {}, []string{mint, "check solana.mint"}},
		{"wrong cluster", func(c *Solana) { c.Genesis = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d" }, []string{"EtWTRABZ", "5eykt4Us"}},
	} {
		c, kv, log := good, mem.NewKV(), slog.New(slog.DiscardHandler)
		tt.change(&c)
		l, err := newLink(c, kv, log)
		if err == nil {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			err = l.run(ctx)
			cancel()
		}
		why, rerr := settle.New(settle.Config{KV: kv}).Refusal(t.Context())
		if err == nil || rerr != nil || why != err.Error() {
			t.Errorf("%s: ends with %v, the books say %q (%v)", tt.name, err, why, rerr)
		}
		for _, w := range tt.want {
			if !strings.Contains(why, w) {
				t.Errorf("%s: %q lacks %q", tt.name, why, w)
			}
		}
	}
}
