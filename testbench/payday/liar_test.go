package payday

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// liar is an RPC endpoint in front of an honest node. It counts what it is asked, and
// answers what it is told to.
type liar struct {
	node string
	srv  *httptest.Server

	mu    sync.Mutex
	lies  map[string]any    // method -> result
	once  map[string]func() // method -> what happens before it is answered, once
	calls map[string]int
	// status is what the endpoint says of every signature, where says is set; nil: it
	// knows none.
	status any
	says   bool
}

func newLiar(t *testing.T, node string) *liar {
	l := &liar{node: node, lies: map[string]any{}, once: map[string]func(){}, calls: map[string]int{}}
	l.srv = httptest.NewServer(l)
	t.Cleanup(l.srv.Close)
	return l
}

// ServeHTTP implements [http.Handler].
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var ask struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params []any           `json:"params"`
	}
	if err != nil || json.Unmarshal(body, &ask) != nil {
		http.Error(w, "no JSON-RPC", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.calls[ask.Method]++
	first := l.once[ask.Method]
	delete(l.once, ask.Method)
	lie, lies := l.lies[ask.Method]
	if l.says && ask.Method == "getSignatureStatuses" && len(ask.Params) > 0 {
		sigs, _ := ask.Params[0].([]any)
		lie, lies = map[string]any{"context": map[string]any{"slot": 1}, "value": slices.Repeat([]any{l.status}, len(sigs))}, true
	}
	l.mu.Unlock()
	if first != nil {
		first()
	}
	w.Header().Set("Content-Type", "application/json")
	if lies {
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": ask.ID, "result": lie})
		return
	}
	res, err := http.Post(l.node, "application/json", bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = res.Body.Close() }()
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

// lie makes the endpoint answer a method with the result from now on; nil ends it.
func (l *liar) lie(method string, result any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lies[method] = result; result == nil {
		delete(l.lies, method)
	}
}

// before lets something happen when a method is asked for the next time.
func (l *liar) before(method string, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.once[method] = f
}

// count is how many transactions were sent and how many calls made since the last count.
func (l *liar) count() (sent, all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.calls {
		all += n
	}
	sent = l.calls["sendTransaction"]
	clear(l.calls)
	return sent, all
}

// hideStatuses makes the endpoint know no signature.
func (l *liar) hideStatuses(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says, l.status = on, nil
}

// callFinal makes the endpoint call every signature final in slot 1.
func (l *liar) callFinal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.says, l.status = true, map[string]any{"slot": 1, "confirmations": nil, "err": nil, "confirmationStatus": "finalized"}
}
