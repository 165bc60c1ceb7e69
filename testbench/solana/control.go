package solanavm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

// maxAnswer bounds an answer to a control call.
const maxAnswer = 16 << 20

// Control steers a server that is already running, started by Start or by
// hand. It is safe for concurrent use.
type Control struct {
	base string
	http *http.Client
}

// NewControl returns the controls of the server at base, as in its ready
// line, without a slash at the end.
func NewControl(base string) *Control {
	return &Control{base: base, http: &http.Client{Transport: &http.Transport{}}}
}

// URL is the JSON-RPC endpoint of the server's first node.
func (c *Control) URL() string { return c.base + "/" }

// Client returns a client of the first node.
func (c *Control) Client() *rpc.Client { return rpc.New(c.URL()) }

// Node returns another node of the same chain. Nodes differ in their faults
// only: one may lie while another is honest. A name has up to 32 of a-z, 0-9
// and "-".
func (c *Control) Node(name string) Node { return Node{control: c, path: "/node/" + name} }

func (c *Control) first() Node { return Node{control: c, path: "/"} }

// SetFaults replaces the faults of the first node.
func (c *Control) SetFaults(ctx context.Context, f Faults) error { return c.first().SetFaults(ctx, f) }

// ClearFaults makes the first node honest and quick again.
func (c *Control) ClearFaults(ctx context.Context) error { return c.first().ClearFaults(ctx) }

// Stats counts what the chain and the first node have done.
func (c *Control) Stats(ctx context.Context) (Stats, error) { return c.first().Stats(ctx) }

// Tick makes n blocks, 1 to 100,000. About one block in sixteen also leaves
// out a slot number.
func (c *Control) Tick(ctx context.Context, n int) error {
	return c.call(ctx, "/", nil, "x_tick", map[string]int{"slots": n})
}

// Checkpoint is a point that the chain can fork from.
type Checkpoint struct {
	ID     int    `json:"id"`
	Slot   uint64 `json:"slot"`
	Height uint64 `json:"height"`
}

// Checkpoint marks the present. The server keeps the newest sixteen, in
// memory only.
func (c *Control) Checkpoint(ctx context.Context) (Checkpoint, error) {
	var cp Checkpoint
	err := c.call(ctx, "/", &cp, "x_checkpoint")
	return cp, err
}

// RollbackOptions changes how Rollback works.
type RollbackOptions struct {
	// Force undoes finalized blocks, too, which no cluster does.
	Force bool
	// Reland lands the dropped transactions again that many blocks later;
	// 0 drops them for good.
	Reland int
}

// Rollback switches to a fork that left the chain at cp and returns the
// signatures that vanish. Blockhashes made since cp become unknown; block
// height goes back, slots go on.
func (c *Control) Rollback(ctx context.Context, cp Checkpoint, o RollbackOptions) ([]solana.Signature, error) {
	var out struct {
		Dropped []solana.Signature `json:"dropped"`
	}
	err := c.call(ctx, "/", &out, "x_rollback", map[string]any{"id": cp.ID, "force": o.Force, "reland": o.Reland})
	return out.Dropped, err
}

// Account is the content of an account for SetAccount.
type Account struct {
	Lamports   uint64 // at most 2^53-1
	Owner      solana.PublicKey
	Data       []byte
	Executable bool
}

// SetAccount overwrites an account without a transaction.
func (c *Control) SetAccount(ctx context.Context, key solana.PublicKey, a Account) error {
	return c.call(ctx, controlPath, nil, "x_setAccount", key, a.wire())
}

func (a Account) wire() map[string]any {
	return map[string]any{
		"lamports": a.Lamports, "owner": a.Owner, "executable": a.Executable,
		"data": base64.StdEncoding.EncodeToString(a.Data),
	}
}

// maxBatch is how many calls the server takes in one request.
const maxBatch = 100

// SetAccounts overwrites up to 100 accounts with one request.
func (c *Control) SetAccounts(ctx context.Context, accounts map[solana.PublicKey]Account) error {
	if len(accounts) > maxBatch {
		return fmt.Errorf("solanavm: set accounts: %d, at most %d", len(accounts), maxBatch)
	}
	var calls []any
	for key, a := range accounts {
		calls = append(calls, map[string]any{"jsonrpc": "2.0", "id": len(calls), "method": "x_setAccount", "params": []any{key, a.wire()}})
	}
	raw, _, err := c.post(ctx, controlPath, calls)
	if err != nil {
		return fmt.Errorf("solanavm: set accounts: %w", err)
	}
	var answers []answer
	if err := json.Unmarshal(raw, &answers); err != nil {
		return fmt.Errorf("solanavm: set accounts: answer %.200q: %w", raw, err)
	}
	for _, a := range answers {
		if a.Error != nil {
			return fmt.Errorf("solanavm: set accounts: %s (code %d)", a.Error.Message, a.Error.Code)
		}
	}
	if len(answers) != len(calls) {
		return fmt.Errorf("solanavm: set accounts: %d answers to %d calls", len(answers), len(calls))
	}
	return nil
}

// LoadProgram installs an SBF program (an ELF file of at most 10 MB).
func (c *Control) LoadProgram(ctx context.Context, id solana.PublicKey, elf []byte) error {
	return c.call(ctx, controlPath, nil, "x_loadProgram", id, base64.StdEncoding.EncodeToString(elf))
}

// Save writes the state file now.
func (c *Control) Save(ctx context.Context) error { return c.call(ctx, "/", nil, "x_save") }

// controlPath accepts larger bodies than a node does.
const controlPath = "/control"

// answer is a JSON-RPC answer.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// post sends a JSON body and returns that of the answer and its HTTP status.
func (c *Control) post(ctx context.Context, path string, body any) ([]byte, int, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, 0, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, 0, fmt.Errorf("read answer: %w", err)
	}
	return raw, res.StatusCode, nil
}

// call does one JSON-RPC exchange; into may be nil.
func (c *Control) call(ctx context.Context, path string, into any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	raw, status, err := c.post(ctx, path, map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("solanavm: %s: %w", method, err)
	}
	var got answer
	if err := json.Unmarshal(raw, &got); err != nil {
		return fmt.Errorf("solanavm: %s: HTTP status %d: answer %.200q: %w", method, status, raw, err)
	}
	if got.Error != nil {
		return fmt.Errorf("solanavm: %s: %s (code %d)", method, got.Error.Message, got.Error.Code)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(got.Result, into); err != nil {
		return fmt.Errorf("solanavm: %s: result: %w", method, err)
	}
	return nil
}
