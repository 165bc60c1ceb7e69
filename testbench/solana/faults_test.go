package solanavm

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"
)

func (b *bench) faults(f Faults) {
	b.t.Helper()
	if err := b.SetFaults(b.ctx, f); err != nil {
		b.t.Fatal(err)
	}
}

// try sends past preflight and returns what the client saw.
func (b *bench) try(tx *solana.Transaction) error {
	_, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{SkipPreflight: true})
	return err
}

func TestFaultDrop(t *testing.T) {
	b := newBench(t, Config{})
	tx := b.sign("drop")
	b.faults(Faults{Drop: 1, Methods: []string{"sendTransaction"}})
	if err := b.try(tx); err == nil {
		t.Error("a dropped request was answered")
	}
	if b.status(tx.Signatures[0]) != nil {
		t.Error("a dropped request was executed")
	}
	if err := b.ClearFaults(b.ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.try(tx); err != nil {
		t.Error(err)
	}
	b.wantBalance(b.Recipients[0], 1)
}

func TestFaultHangUp(t *testing.T) {
	b := newBench(t, Config{})
	tx := b.sign("hang up")
	b.faults(Faults{HangUp: 1})
	if err := b.try(tx); err == nil {
		t.Error("the node answered")
	}
	if b.status(tx.Signatures[0]) == nil {
		t.Error("the transaction did not land")
	}
	b.wantBalance(b.Recipients[0], 1)
}

func TestFaultRateLimit(t *testing.T) {
	b := newBench(t, Config{})
	b.faults(Faults{RateLimit: 1, RetryAfterSec: 7})
	_, err := b.Client().GetSlot(b.ctx, rpc.CommitmentFinalized)
	var inJSON *jsonrpc.RPCError
	if !errors.As(err, &inJSON) || inJSON.Code != 429 {
		t.Errorf("429 in JSON: %T %v", err, err)
	}
	b.faults(Faults{RateLimit: 1, RetryAfterSec: 7, RateLimitHTML: true})
	_, err = b.Client().GetSlot(b.ctx, rpc.CommitmentFinalized)
	var inHTML *jsonrpc.HTTPError
	if !errors.As(err, &inHTML) || inHTML.Code != http.StatusTooManyRequests {
		t.Errorf("429 in HTML: %T %v", err, err)
	}
	res, err := http.Post(b.URL(), "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"getSlot"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "7" || res.Header.Get("Content-Type") != "text/html" {
		t.Errorf("429: status %d, header %v", res.StatusCode, res.Header)
	}
}

func TestFaultDelay(t *testing.T) {
	b := newBench(t, Config{})
	b.faults(Faults{DelayMS: 60, Methods: []string{"getSlot"}})
	start := time.Now()
	if _, err := b.Client().GetSlot(b.ctx, rpc.CommitmentFinalized); err != nil {
		t.Fatal(err)
	}
	// Only a lower bound: a busy machine may take any time longer.
	if took := time.Since(start); took < 55*time.Millisecond {
		t.Errorf("delayed by 60 ms, answered after %v", took)
	}
}

func TestFaultSwallow(t *testing.T) {
	b := newBench(t, Config{})
	tx := b.sign("swallow")
	b.faults(Faults{Swallow: 1})
	if err := b.try(tx); err != nil {
		t.Errorf("not acknowledged: %v", err)
	}
	b.tick(130)
	if b.status(tx.Signatures[0]) != nil {
		t.Error("a swallowed transaction landed")
	}
	b.wantBalance(b.Recipients[0], 0)
}

func TestFaultDelayedLanding(t *testing.T) {
	b := newBench(t, Config{})
	tx, expires := b.sign("late"), b.sign("too late")
	b.faults(Faults{DelayLanding: 1, LandAfterMin: 3, LandAfterMax: 3})
	if err := b.try(tx); err != nil {
		t.Fatal(err)
	}
	b.faults(Faults{DelayLanding: 1, LandAfterMin: 151, LandAfterMax: 151})
	if err := b.try(expires); err != nil {
		t.Fatal(err)
	}
	b.tick(2)
	if b.status(tx.Signatures[0]) != nil {
		t.Error("landed before its block")
	}
	b.tick(1)
	if b.status(tx.Signatures[0]) == nil {
		t.Error("did not land in its block")
	}
	b.tick(160)
	if b.status(expires.Signatures[0]) != nil {
		t.Error("landed after its blockhash had expired")
	}
	s, err := b.Stats(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Dropped["BlockhashNotFound"] != 1 || s.Faults["delayLanding"] != 2 {
		t.Errorf("stats: %+v", s)
	}
	b.wantBalance(b.Recipients[0], 1)
}

// TestLyingNode: what one node hides, another shows.
func TestLyingNode(t *testing.T) {
	b := newBench(t, Config{})
	sig := b.send(b.transfer(0, 1))
	b.tick(40)
	liar := b.Node("liar")
	if err := liar.SetFaults(b.ctx, Faults{HideStatus: 1}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		out, err := liar.Client().GetSignatureStatuses(b.ctx, true, sig)
		if err != nil || out.Value[0] != nil {
			t.Fatalf("hidden status: %v, %v", out, err)
		}
	}
	if _, err := liar.Client().GetTransaction(b.ctx, sig, nil); !errors.Is(err, rpc.ErrNotFound) {
		t.Errorf("hidden transaction: %v", err)
	}
	list, err := liar.Client().GetSignaturesForAddress(b.ctx, b.Payer.PublicKey())
	if err != nil || len(list) != 0 {
		t.Errorf("hidden history: %v, %v", list, err)
	}
	if b.status(sig) == nil {
		t.Error("the honest node hides it, too")
	}
	if err := liar.SetFaults(b.ctx, Faults{NullStatus: 0.5, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	for range 40 {
		out, err := liar.Client().GetSignatureStatuses(b.ctx, true, sig)
		if err != nil {
			t.Fatal(err)
		}
		seen[out.Value[0] == nil]++
	}
	if seen[true] < 8 || seen[false] < 8 { // seeded: the same in each run
		t.Errorf("null status with probability 0.5: null or not: %v", seen)
	}
}

func TestFaultStaleHeight(t *testing.T) {
	b := newBench(t, Config{})
	honest, err := b.Client().GetBlockHeight(b.ctx, rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	b.faults(Faults{StaleBlocks: 12})
	stale, err := b.Client().GetBlockHeight(b.ctx, rpc.CommitmentProcessed)
	if err != nil || stale != honest-12 {
		t.Errorf("height %d, %v; want %d", stale, err, honest-12)
	}
	slot, err := b.Client().GetSlot(b.ctx, rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	ahead := slot + 1
	_, err = b.Client().GetAccountInfoWithOpts(b.ctx, b.Mint, &rpc.GetAccountInfoOpts{
		Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentProcessed, MinContextSlot: &ahead,
	})
	var e *jsonrpc.RPCError
	if !errors.As(err, &e) || e.Code != -32016 {
		t.Errorf("minContextSlot ahead of the node: %v, want -32016", err)
	}
}

func TestUnknownFaultIsRefused(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []any{
		map[string]any{"dorp": 1}, map[string]any{"drop": 2}, map[string]any{"landAfterMin": 9, "landAfterMax": 3}, "drop",
	} {
		if err := b.call(b.ctx, "/", nil, "x_setFaults", c); err == nil || !strings.Contains(err.Error(), "-32602") {
			t.Errorf("%v: %v, want -32602", c, err)
		}
	}
}

// post sends a body as it is.
func post(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}
