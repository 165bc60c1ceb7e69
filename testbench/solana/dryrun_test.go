package solanavm

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
)

// TestDryRunAsksTheChain: who has no account now is shown as held, with the reason,
// and the treasury as it is.
func TestDryRunAsksTheChain(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	payable := newWallets(t, 2)
	p := newPayday(t, vm, payable)
	dir := t.TempDir()
	log, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{})
	if err == nil {
		err = log.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	kv, err := boltkv.Open(filepath.Join(dir, "state.db"), boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	stranger := newWallets(t, 1)[0] // has no token account
	l := settle.List{Epoch: 5, Secret: poc.Secret{1}}
	for i, w := range append(payable, stranger) {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: poc.Wallet(w), Amount: ledger.Amount(100 * (i + 1))})
	}
	slices.SortFunc(l.Payouts, func(a, b reward.Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) })
	err = settle.New(settle.Config{KV: kv, Signer: p.client}).Freeze(t.Context(), l)
	if err = errors.Join(err, kv.Close()); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "oraclectl")
	if out, err := exec.Command("go", "build", "-o", program, "heliograph/oracle/cmd/oraclectl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(more ...string) (f struct {
		Recipients int
		Tokens     uint64
		Held       int    `json:"held_recipients"`
		Asked      bool   `json:"chain_asked"`
		Spendable  uint64 `json:"treasury_spendable"`
		To         []struct{ Wallet, State, Why string }
	}) {
		out, err := exec.CommandContext(testContext(t), program, append([]string{"settle", "dry-run", "--data", dir, "--json"}, more...)...).CombinedOutput()
		all := struct{ Epochs []any }{Epochs: []any{&f}}
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return f
	}
	if f := run(); f.Recipients != 3 || f.Held != 0 || f.Asked {
		t.Errorf("by the books: %+v", f)
	}
	f := run("--rpc", vm.URL())
	if f.Recipients != 2 || f.Tokens != 300 || f.Held != 1 || !f.Asked || f.Spendable != 1<<40 {
		t.Errorf("on chain: %+v", f)
	}
	for _, d := range f.To {
		if held := d.Wallet == stranger.String(); held != (d.State == "held") || held != strings.Contains(d.Why, "no token account") {
			t.Errorf("%+v", d)
		}
	}
}
