package solana

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/settle"
)

// node is an endpoint whose answers are given by method; one without an answer gets
// an error. Which minContextSlot was asked for is kept.
type node struct {
	*httptest.Server
	mu      sync.Mutex
	down    bool
	answers map[string]string
	least   []float64
	at      float64 // slot that it has come to; asked for more it refuses
}

func newNode(t *testing.T) *node {
	n := &node{answers: map[string]string{
		"getGenesisHash": `"` + solana.Hash{1}.String() + `"`, "getBlockHeight": "1000", "getSignaturesForAddress": "[]",
		"getMultipleAccounts": `{"context":{"slot":900},"value":[null]}`,
	}, at: 1e9}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *node) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	b, _ := io.ReadAll(r.Body)
	var q struct {
		ID     json.RawMessage
		Method string
		Params []json.RawMessage
	}
	_ = json.Unmarshal(b, &q)
	for _, p := range q.Params {
		var o struct{ MinContextSlot *float64 }
		if json.Unmarshal(p, &o) == nil && o.MinContextSlot != nil {
			n.least = append(n.least, *o.MinContextSlot)
			if *o.MinContextSlot > n.at {
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32016,"message":"Minimum context slot has not been reached","data":{"contextSlot":%v}}}`, q.ID, n.at)
				return
			}
		}
	}
	answer, ok := n.answers[q.Method]
	if !ok {
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, q.ID)
		return
	}
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, answer)
}

func (n *node) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// shows makes the node show a transaction, which only one that keeps history does.
func (n *node) shows(t *testing.T) (signature string) {
	t.Helper()
	k := newKey(t)
	tx, err := solana.NewTransaction([]solana.Instruction{system.NewTransferInstruction(1, k.PublicKey(), newKey(t).PublicKey()).Build()}, solana.Hash{1}, solana.TransactionPayer(k.PublicKey()))
	if err == nil {
		_, err = tx.Sign(func(solana.PublicKey) *solana.PrivateKey { return &k })
	}
	if err != nil {
		t.Fatal(err)
	}
	n.set(func() {
		n.answers["getTransaction"] = fmt.Sprintf(`{"slot":5,"transaction":["%s","base64"],"meta":{"err":null,"fee":5000,"preBalances":[],"postBalances":[],"innerInstructions":[],"status":{"Ok":null}}}`, tx.MustToBase64())
	})
	return tx.Signatures[0].String()
}

func testPool(clock func() time.Time, nodes ...*node) *Pool {
	var clients []*Client
	for _, n := range nodes {
		clients = append(clients, newReader(n.URL, Limits{Now: clock}))
	}
	return newPool("", slog.New(slog.DiscardHandler), clients)
}

func standings(p *Pool) (out []Standing) {
	for _, e := range p.Endpoints() {
		out = append(out, e.State)
	}
	return out
}

// TestDeadEndpointIsLeftOutAndTakenBack, and with two of three that keep history it
// does not keep anything from being signed.
func TestDeadEndpointIsLeftOutAndTakenBack(t *testing.T) {
	ctx := t.Context()
	var mu sync.Mutex
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	a, b, c := newNode(t), newNode(t), newNode(t)
	p := testPool(clock, a, b, c)
	m := settle.Marker{Epoch: 7}
	if _, err := p.History(ctx, m, 0); err != nil || p.Quorate() != nil {
		t.Fatalf("all three work: %v, %v", err, p.Quorate())
	}
	c.set(func() { c.down = true })
	for range 2 * outAfter {
		if _, err := p.Height(ctx); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		now = now.Add(2 * time.Minute) // beyond every rest
		mu.Unlock()
	}
	if got := fmt.Sprint(standings(p)); got != "[ok ok out]" {
		t.Fatalf("standings %s", got)
	}
	if why := p.Endpoints()[2].Why; !strings.Contains(why, "solana.rpc") {
		t.Errorf("no remedy in %q", why)
	}
	if err := p.Quorate(); err != nil {
		t.Errorf("two of three: %v", err)
	}
	// Both others may have forgotten what was before.
	if _, err := p.History(ctx, m, 0); !errors.Is(err, settle.ErrNoQuorum) || !strings.Contains(err.Error(), "history") {
		t.Errorf("nobody was seen to keep history: %v", err)
	}
	sig := a.shows(t)
	if err := p.Reach(ctx, 7, sig); err != nil {
		t.Fatal(err)
	}
	if _, err := p.History(ctx, m, 0); !errors.Is(err, settle.ErrNoQuorum) {
		t.Errorf("one of three keeps history: %v", err)
	}
	b.set(func() { b.answers["getTransaction"] = a.answers["getTransaction"] })
	if err := p.Reach(ctx, 7, sig); err != nil {
		t.Fatal(err)
	}
	if _, err := p.History(ctx, m, 0); err != nil {
		t.Errorf("two of three keep history: %v", err)
	}
	if _, err := p.History(ctx, settle.Marker{Epoch: 8}, 0); !errors.Is(err, settle.ErrNoQuorum) {
		t.Errorf("another epoch: %v", err)
	}
	shown := a.answers["getTransaction"]
	b.set(func() { b.answers["getTransaction"] = "null" }) // it prunes its history
	if err := p.Reach(ctx, 7, sig); err != nil {
		t.Fatal(err)
	}
	if _, err := p.History(ctx, m, 0); !errors.Is(err, settle.ErrNoQuorum) {
		t.Errorf("one of two has forgotten its history since: %v", err)
	}
	b.set(func() { b.answers["getTransaction"] = shown })
	if err := p.Reach(ctx, 7, sig); err != nil {
		t.Fatal(err)
	}
	b.set(func() { b.down = true })
	if _, err := p.History(ctx, m, 0); !errors.Is(err, settle.ErrNoQuorum) || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("one of three answers: %v", err)
	}
	b.set(func() { b.down = false })
	c.set(func() { c.down = false })
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	if _, err := p.Height(ctx); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(standings(p)); got != "[ok ok ok]" {
		t.Errorf("after it came back: %s", got)
	}
	if _, err := p.History(ctx, settle.Marker{Epoch: 8}, 0); err != nil {
		t.Errorf("all three work again: %v", err)
	}
}

// TestTwoEndpointsNeedBoth: with two, one that is down cannot be told from one that
// hides what the other invents.
func TestTwoEndpointsNeedBoth(t *testing.T) {
	ctx := t.Context()
	a, b := newNode(t), newNode(t)
	p := testPool(nil, a, b)
	if _, err := p.Height(ctx); err != nil {
		t.Fatal(err)
	}
	b.set(func() { b.down = true })
	sig := a.shows(t)
	_, _ = p.Height(ctx)
	if err := p.Reach(ctx, 7, sig); err != nil {
		t.Fatal(err)
	}
	_, err := p.History(ctx, settle.Marker{Epoch: 7}, 0)
	if !errors.Is(err, settle.ErrNoQuorum) || !strings.Contains(err.Error(), "three endpoints") {
		t.Errorf("%v", err)
	}
}

// TestReadsAskForWhatWasSeen: after a transaction was seen to land, accounts are not
// read from a node that has not come so far; a slot that nobody reaches is given up.
func TestReadsAskForWhatWasSeen(t *testing.T) {
	ctx := t.Context()
	n := newNode(t)
	c := newReader(n.URL, Limits{})
	read := func() error {
		_, err := c.accounts(ctx, []solana.PublicKey{{1}}, rpc.CommitmentFinalized)
		return err
	}
	if err := read(); err != nil || len(n.least) != 0 {
		t.Fatalf("%v, asked for %v", err, n.least)
	}
	n.set(func() {
		n.answers["getSignatureStatuses"] = `{"context":{"slot":1200},"value":[{"slot":950,"confirmations":null,"err":null,"confirmationStatus":"finalized"}]}`
	})
	if _, err := c.Statuses(ctx, []string{solana.Signature{1}.String()}); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil || len(n.least) != 1 || n.least[0] != 950 {
		t.Errorf("%v, asked for %v, want 950", err, n.least)
	}
	n.set(func() { n.at = 940 })
	for i := range forgetFloor {
		if err := read(); !errors.Is(err, errBehind) {
			t.Fatalf("read %d of a node at slot 940: %v", i, err)
		}
	}
	if err := read(); err != nil {
		t.Errorf("after %d refusals: %v", forgetFloor, err)
	}
}
