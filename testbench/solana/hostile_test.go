package solanavm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"
)

func TestEnvelope(t *testing.T) {
	v := ForTest(t, Config{})
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"getMoon"}`, 200, `"code":-32601`},
		{"bad address", `{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["0OIl"]}`, 200, `"code":-32602`},
		{"no address", `{"jsonrpc":"2.0","id":1,"method":"getBalance"}`, 200, `"code":-32602`},
		{"bad commitment", `{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"commitment":"max"}]}`, 200, `"code":-32602`},
		{"not JSON", `{`, 200, `"code":-32700`},
		{"no version", `{"id":1,"method":"getSlot"}`, 200, `"code":-32600`},
		{"null", `null`, 200, `"code":`},
		{"empty batch", `[]`, 200, `"code":-32600`},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"getHealth"},{"jsonrpc":"2.0","id":2,"method":"getMoon"},7]`, 200,
			`[{"jsonrpc":"2.0","result":"ok","id":1},{"jsonrpc":"2.0","error":{"code":-32601,`},
		{"prototype", `{"jsonrpc":"2.0","id":1,"method":"constructor"}`, 200, `"code":-32601`},
		{"large body", `"` + strings.Repeat("x", 1<<20) + `"`, http.StatusRequestEntityTooLarge, "too large"},
		{"statuses of 257", `{"jsonrpc":"2.0","id":1,"method":"getSignatureStatuses","params":[[` + strings.Repeat(`"1",`, 256) + `"1"]]}`, 200, `"code":-32602`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, answer := post(t, v.URL(), c.body)
			if status != c.status || !strings.Contains(answer, c.want) {
				t.Errorf("status %d, answer %.300s; want %d and %s", status, answer, c.status, c.want)
			}
		})
	}
	if status, _ := post(t, v.URL()+"../etc", "{}"); status != http.StatusNotFound {
		t.Errorf("unknown path: status %d", status)
	}
}

func TestTransactionLimits(t *testing.T) {
	b := newBench(t, Config{})
	var rpcErr *jsonrpc.RPCError
	tx, err := b.Sign(b.ctx, []solana.Instruction{memoIx(strings.Repeat("x", 1232))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Client().SendTransaction(b.ctx, tx); !errors.As(err, &rpcErr) || rpcErr.Code != -32602 || !strings.Contains(rpcErr.Message, "too large") {
		t.Errorf("1232 bytes exceeded: %v", err)
	}
	tx = b.sign("forged")
	tx.Signatures[0][5] ^= 1
	if _, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed}); !errors.As(err, &rpcErr) || rpcErr.Code != -32003 {
		t.Errorf("forged signature: %v, want -32003", err)
	}
	if err := b.try(tx); err != nil {
		t.Errorf("without preflight the node takes it: %v", err)
	}
	if b.status(tx.Signatures[0]) != nil {
		t.Error("a forged transaction landed")
	}
}

// TestMutatedTransactions: the VM aborts its process on bytes that it cannot
// read, so none may reach it. Signatures are not checked by simulation, which
// lets every mutation through to the decoder and, if it passes, to the VM.
func TestMutatedTransactions(t *testing.T) {
	b := newBench(t, Config{})
	tx := b.sign("mutate")
	raw, err := tx.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const rounds, batch = 20, 50
	executed := 0
	for range rounds {
		var calls []string
		for i := range batch {
			calls = append(calls, simulation(i, mutate(r, raw)))
		}
		_, answer := post(t, b.URL(), "["+strings.Join(calls, ",")+"]")
		if strings.Contains(answer, `"code":-32603`) {
			t.Fatalf("internal error: %.600s", answer)
		}
		executed += strings.Count(answer, `"unitsConsumed":`)
	}
	if executed < rounds { // else the decoder refuses everything and nothing is tried
		t.Errorf("only %d of %d mutations got past the decoder", executed, rounds*batch)
	}
	select {
	case <-b.Done():
		t.Fatal("the server died")
	default:
	}
	b.send(b.transfer(0, 1))
	b.wantBalance(b.Recipients[0], 1)
}

func mutate(r *rand.Rand, raw []byte) []byte {
	m := append([]byte(nil), raw...)
	for range 1 + r.IntN(3) {
		at := 65 + r.IntN(len(m)-65) // the message, behind the signature
		switch r.IntN(4) {
		case 0:
			m[at] = byte(r.Uint32())
		case 1:
			m = m[:at]
			if len(m) < 70 {
				m = append(m, raw[len(m):]...)
			}
		case 2:
			m = append(m[:at:at], append([]byte{byte(r.Uint32())}, m[at:]...)...)
		default:
			m[65+r.IntN(4)] = byte(r.Uint32()) // header and version
		}
	}
	return m
}

func simulation(id int, raw []byte) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"simulateTransaction","params":[%q,{"encoding":"base64","commitment":"processed"%s}]}`,
		id, base64.StdEncoding.EncodeToString(raw), `,"replaceRecentBlockhash":true`)
}
