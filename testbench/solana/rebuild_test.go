package solanavm

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/mem"
)

// TestOraclectlRebuilds: the books are lost in the middle of an epoch's payouts. The
// program plans the epoch again from the published bundle and the chain, and a
// settler on what it made pays the rest, everybody once.
func TestOraclectlRebuilds(t *testing.T) {
	vm := anyCluster(t)
	ctx := testContext(t)
	w := epochtest.New(t, 40)
	w.Run(1)
	rec, _, err := w.Manager.Record(ctx, epochtest.First)
	if err != nil {
		t.Fatal(err)
	}
	b := w.Bundle(rec)
	res, err := epoch.Compute(ctx, b.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	var to []solana.PublicKey
	for _, p := range res.Owing.Payouts {
		to = append(to, solana.PublicKey(p.Wallet))
	}
	p := newPayday(t, vm, to)
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: hsolana.NewFileKey(p.hot), Mint: p.stage.Mint, OffCurve: true})
	if err != nil {
		t.Fatal(err)
	}
	settler := func(kv store.KV) *settle.Settler {
		return settle.New(settle.Config{KV: kv, Chain: client, Signer: client, InFlight: 1, Log: slog.New(slog.DiscardHandler)})
	}
	until := func(s *settle.Settler, done func(settle.Record) bool) settle.Record {
		for {
			if err := s.Step(ctx); err != nil {
				t.Fatal(err)
			}
			if r, err := s.Epoch(ctx, rec.Epoch); err != nil || done(r) {
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	lost := mem.NewKV()
	bookings, err := res.Bookings()
	if err == nil {
		err = ledger.NewBook(lost).Post(ctx, bookings...)
	}
	first := settler(lost)
	if err == nil {
		err = first.Freeze(ctx, settle.List{Epoch: rec.Epoch, Rewards: res.Root, ListHash: res.List, Payouts: res.Owing.Payouts, Secret: b.Secret, Rules: res.Rules})
	}
	if err != nil {
		t.Fatal(err)
	}
	half := until(first, func(r settle.Record) bool { return r.Paid > 0 })
	if half.Paid == half.Total {
		t.Fatalf("nothing is left to pay: %d batches", half.Batches)
	}
	b.Memos.Commit, b.Payments = half.Commit.Signature, &epoch.Payments{Identity: client.Identity(), Batches: half.Batches}

	run := rebuilder(t, vm)
	dir := t.TempDir()
	out, code, text := run(b, dir)
	if code != 0 || out.Known || out.Paid+out.Open != half.Total || out.Paid < half.Paid || out.PaidBatches == 0 || out.PaidBatches+out.OpenBatches != int(half.Batches) {
		t.Fatalf("exit code %d, %+v\n%s", code, out, text)
	}
	if out, code, text := run(b, dir); code != 0 || !out.Known {
		t.Errorf("a second time: exit code %d, %+v\n%s", code, out, text)
	}
	if _, code, text := run(b, t.TempDir(), "--hot", newKey(t).PublicKey().String()); code != 2 || !strings.Contains(text, "was sent by") {
		t.Errorf("another hot key: exit code %d\n%s", code, text)
	}
	forged, claim := b, *b.Claim
	claim.Payable++
	forged.Claim = &claim
	if _, code, text := run(forged, t.TempDir()); code != 1 || !strings.Contains(text, "DIFFERS") {
		t.Errorf("a claim that does not verify: exit code %d\n%s", code, text)
	}
	kv, err := boltkv.Open(filepath.Join(dir, "state.db"), boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kv.Close() }()
	if _, code, text := run(b, dir); code != 2 || !strings.Contains(text, "stop it first") {
		t.Errorf("a running oracle's directory: exit code %d\n%s", code, text)
	}
	end := until(settler(kv), func(r settle.Record) bool { return r.State == settle.Closed || r.Refused != "" })
	if end.Paid != half.Total || end.Refused != "" {
		t.Errorf("paid %d of %d, refused %q", end.Paid, half.Total, end.Refused)
	}
	for _, to := range res.Owing.Payouts {
		if got, err := client.TokenBalance(ctx, to.Wallet); err != nil || got != to.Amount {
			t.Errorf("wallet %x has %d (%v), want %d", to.Wallet[:4], got, err, to.Amount)
		}
	}
	if err := ledgertest.New(kv).Check(ctx); err != nil {
		t.Error(err)
	}
}

// rebuiltJSON is what oraclectl settle rebuild --json prints.
type rebuiltJSON struct {
	Known       bool
	PaidBatches int `json:"paid_batches"`
	OpenBatches int `json:"open_batches"`
	Paid, Open  ledger.Amount
}

// rebuilder builds the program and makes a function that runs it.
func rebuilder(t *testing.T, vm *VM) func(b epoch.Bundle, dir string, more ...string) (rebuiltJSON, int, string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oraclectl")
	if out, err := exec.Command("go", "build", "-o", program, "heliograph/oracle/cmd/oraclectl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(b epoch.Bundle, dir string, more ...string) (out rebuiltJSON, code int, text string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), fmt.Sprintf("bundle-%d", b.Epoch))
		f, err := os.Create(path)
		if err == nil {
			_, err = b.WriteTo(f)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"settle", "rebuild", "--data", dir, "--rpc", vm.URL(), "--bundle", path, "--json"}, more...)
		raw, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		var ended *exec.ExitError
		switch {
		case errors.As(err, &ended):
			return out, ended.ExitCode(), string(raw)
		case err != nil:
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		return out, 0, string(raw)
	}
}
