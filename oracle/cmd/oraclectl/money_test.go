package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mr-tron/base58"

	"heliograph/oracle/ledger"
	"heliograph/oracle/operator"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
)

// paper is a signer that does no more than size batches.
type paper struct{ settle.Signer }

func (paper) Identity() string   { return "paper" }
func (paper) MaxRecipients() int { return 2 }

// books are an oracle's directory with one epoch that is frozen.
func books(t *testing.T) (dir string, kv store.KV) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if kv, err = boltkv.Open(filepath.Join(dir, "state.db"), boltkv.Config{}); err != nil {
		t.Fatal(err)
	}
	l := settle.List{Epoch: 4, Secret: poc.Secret{1}}
	for i := range 5 {
		p := reward.Payout{Wallet: poc.Wallet{byte(i + 1)}, Amount: ledger.Amount(10 + i)}
		l.Payouts = append(l.Payouts, p)
		if err := ledger.NewBook(kv).Post(t.Context(), ledger.Move("earn/4/"+string(rune('a'+i)), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
			t.Fatal(err)
		}
	}
	if err := settle.New(settle.Config{KV: kv, Signer: paper{}}).Freeze(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	return dir, kv
}

// serve answers on the directory's socket, as a running oracle does.
func serve(t *testing.T, dir string, kv store.KV) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: operator.New(operator.Config{KV: kv, LastError: func() string { return "" }})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
}

func TestMoneyCommands(t *testing.T) {
	for name, running := range map[string]bool{"running": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			dir, kv := books(t)
			if running {
				serve(t, dir, kv)
				t.Cleanup(func() { _ = kv.Close() })
			} else if err := kv.Close(); err != nil {
				t.Fatal(err)
			}
			wallet := poc.Wallet{3}
			for _, c := range []struct {
				args string
				code int
				want string
			}{
				{"settle status", 0, "0% 0/3 batches  COMMITTING"},
				{"settle dry-run", 0, "5 recipients, 60 units in 3 transactions"},
				{"settle dry-run --epoch 4 --fee 100", 0, "fees 30300 lamports, 6060.0 a recipient; 6117840 lamports of rent"},
				{"settle pause --why moving", 0, "paused: moving"},
				{"settle status", 1, "PAUSED: moving"},
				{"settle resume", 0, "goes on"},
				{"settle status", 0, "COMMITTING"},
				{"ledger totals", 0, "issued = paid + owed + held + remainder"},
				{"ledger statement " + base58.Encode(wallet[:]), 0, "earned 12 = 0 paid + 12 owed + 0 held"},
				{"ledger export --csv", 0, "cause,account,debit,credit\nearn/4/a,issued,10,0\n"},
			} {
				args := append(strings.Fields(c.args), "--data", dir)
				code, out, errOut := ctl(t, args...)
				if code != c.code || !strings.Contains(out, c.want) {
					t.Errorf("%s: %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, out, errOut)
				}
				if strings.Contains(c.args, "export") {
					continue
				}
				if code, out, errOut = ctl(t, append(args, "--json")...); code != c.code || !json.Valid([]byte(out)) {
					t.Errorf("%s --json: %d\n%s%s", c.args, code, out, errOut)
				}
			}
		})
	}
}

func TestMoneySlips(t *testing.T) {
	dir, kv := books(t)
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"settle status --socket /nowhere/admin.sock", "--socket"},
		{"settle status --data /nowhere", "holds no books"},
		{"settle pause --data " + dir, "--why"},
		{"settle dry-run --epoch 9 --data " + dir, "not frozen"},
		{"settle dry-run --epoch x --data " + dir, "not a number"},
		{"settle dance --data " + dir, "settle --help"},
		{"ledger statement --data " + dir, "ledger --help"},
		{"ledger statement nobody --data " + dir, "is not a wallet"},
		{"ledger export --data " + dir, "--csv"},
		{"settle approve --epoch 4", "--treasury"},
	} {
		if code, _, errOut := ctl(t, strings.Fields(c.args)...); code != 2 || !strings.Contains(errOut, c.want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: %d %s", c.args, code, errOut)
		}
	}
	for args, want := range map[string]string{
		"settle --help": "dry-run", "settle approve --help": "--signature", "ledger -h": "statement", "ledger statement --help": "Examples", "--help": "oraclectl settle",
	} {
		if code, out, _ := ctl(t, strings.Fields(args)...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d\n%s", args, code, out)
		}
	}
}

// TestStatusForPipes: no bar where nobody looks, and what is open in one line.
func TestStatusForPipes(t *testing.T) {
	var out strings.Builder
	c := command{out: &out}
	err := c.printStatus(operator.Status{Running: true, Owed: 30, Held: 12,
		Endpoints: []operator.Endpoint{{Name: "a.example", State: "ok"}, {Name: "b.example", State: "out", Why: "mend it"}},
		Epochs:    []operator.Epoch{{Epoch: 4, State: "PAYING", Total: 60, Paid: 18, Owed: 30, Held: 12, Recipients: 5, Batches: 4, Done: 3, HeldWhy: map[string]int{"frozen": 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"epoch 4  75% 3/4 batches  PAYING", "30 owed + 12 held", "endpoint b.example is out: mend it", "held: 1 recipients, frozen"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "#") || strings.Contains(out.String(), "a.example") {
		t.Errorf("a bar, or an endpoint that is well:\n%s", &out)
	}
}
