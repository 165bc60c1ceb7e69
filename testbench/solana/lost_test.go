package solanavm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/node"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// town is an oracle's data directory whose epochs are played by hotspots of the
// testbench and paid on the real VM, until a node takes it over.
type town struct {
	t       *testing.T
	vm      *VM
	dir     string // state.db and journal
	world   *epochtest.World
	settler *settle.Settler
	client  *hsolana.Client
	stage   *Stage
	hot     solana.PrivateKey
	owed    map[poc.Wallet]ledger.Amount // of all frozen lists
	stop    func()
	clock   atomic.Int64 // of the node, unix nanoseconds
}

// newTown registers hotspots with an owner each, who can all be paid.
func newTown(t *testing.T, hotspots int) *town {
	t.Helper()
	d := &town{t: t, vm: anyCluster(t), dir: filepath.Join(t.TempDir(), "data"), owed: map[poc.Wallet]ledger.Amount{}}
	owners := newWallets(t, hotspots+1)
	d.hot = newKey(t)
	var err error
	d.stage, err = SetStage(t.Context(), StageConfig{Sender: Sender{Client: d.vm.Client(), Payer: d.hot, Commitment: rpc.CommitmentConfirmed},
		Mint: newKey(t), TreasuryAmount: 1 << 50, Recipients: owners})
	if err != nil {
		t.Fatal(err)
	}
	if d.client, err = hsolana.Dial(t.Context(), hsolana.Config{Endpoint: d.vm.URL(), Hot: hsolana.NewFileKey(d.hot), Mint: d.stage.Mint}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, _, err := segment.Open(filepath.Join(d.dir, "journal"), segment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := boltkv.Open(filepath.Join(d.dir, "state.db"), boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d.stop = func() {
		if err := errors.Join(kv.Close(), log.Close()); err != nil {
			t.Error(err)
		}
		d.stop = func() {}
	}
	t.Cleanup(func() { d.stop() })
	w := epochtest.NewOn(t, log, kv, hotspots)
	for i, k := range w.Keys {
		reg, _ := w.Core.Registration(k.ID())
		a := reg.Assertion
		a.Owner, a.Sequence, a.Time = poc.Wallet(owners[i]), 2, radio.WallTime{UnixNano: w.Now.UnixNano()}
		w.Admit(k, a)
	}
	w.Terms.Operator = poc.Wallet(owners[hotspots])
	w.Restart()
	d.world = w
	d.settler = settle.New(settle.Config{KV: kv, Chain: d.client, Signer: d.client, InFlight: 1, Log: slog.New(slog.DiscardHandler)})
	w.Manager, err = epoch.New(epoch.Config{Journal: w.Journal, KV: kv, Book: ledger.NewBook(kv), Settler: d.settler, Key: epochtest.Oracle(),
		Terms: w.Terms, OnCut: w.Core.Forget, Now: func() time.Time { return w.Now }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// step drives epochs and payouts until done.
func (d *town) step(done func() bool) {
	d.t.Helper()
	until := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(until) {
			d.t.Fatalf("it does not get on: epochs %q, payouts %q", d.world.Manager.LastError(), d.settler.LastError())
		}
		if err := d.world.Manager.Advance(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
		if err := d.settler.Step(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// play runs one epoch and pays it until done says that it is enough.
func (d *town) play(e poc.Epoch, done func(settle.Record) bool) settle.Record {
	d.t.Helper()
	w := d.world
	if at := time.Unix(0, epochtest.Calendar().Start(e)).Add(6 * time.Second); at.After(w.Now) {
		w.Now = at
	}
	d.step(func() bool { _, open := w.Journal.Opening(e); return open })
	w.Flash(e)
	w.Now = time.Unix(0, epochtest.Calendar().CutDue(e))
	var rec settle.Record
	d.step(func() bool {
		var err error
		rec, err = d.settler.Epoch(d.t.Context(), e)
		return err == nil && done(rec)
	})
	ev, err := w.Manager.Evidence(d.t.Context(), e)
	if err == nil {
		var res epoch.Result
		res, err = epoch.Compute(d.t.Context(), ev)
		for _, p := range res.Owing.Payouts {
			d.owed[p.Wallet] += p.Amount
		}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return rec
}

func closed(r settle.Record) bool { return r.State == settle.Closed }

// partly: some batches are booked as paid, some not.
func partly(r settle.Record) bool { return r.Paid > 0 && r.Paid < r.Total }

// node starts an oracle on the directory, with the hour of the town.
func (d *town) node() (n *node.Node, stop func()) {
	d.t.Helper()
	d.stop()
	c := node.Defaults()
	c.Data, c.Key, c.MinFree = d.dir, filepath.Join(d.t.TempDir(), "oracle.key"), 0
	c.Listen, c.Explorer.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Explorer.Bundle = true
	c.Epoch.Length, c.Epoch.Grace, c.Epoch.Tolerance, c.Epoch.Poll = epochtest.Calendar().Length, epochtest.Calendar().Grace, epochtest.Calendar().Tolerance, 20*time.Millisecond
	c.Epoch.Challenges, c.Epoch.Guard, c.Reward.Emission, c.Reward.CreditPrice = 4, time.Minute, epochtest.Emission, 10
	c.Solana.RPC, c.Solana.Mint, c.Solana.Poll = d.vm.URL(), d.stage.Mint.String(), 20*time.Millisecond
	c.Solana.ReclaimAfter = settle.MinReclaimAfter
	c.Solana.Key = filepath.Join(d.t.TempDir(), "hot.json")
	numbers := make([]int, len(d.hot))
	for i, b := range d.hot {
		numbers[i] = int(b)
	}
	text, err := json.Marshal(numbers)
	if err == nil {
		err = os.WriteFile(c.Solana.Key, text, 0o600)
	}
	if err == nil {
		_, err = identity.CreateFile(c.Key, identity.Ed25519, bytes.NewReader(append([]byte{0xee}, make([]byte, 63)...)))
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.clock.Store(d.world.Now.UnixNano())
	n, err = node.New(d.t.Context(), c, node.Options{Now: func() time.Time { return time.Unix(0, d.clock.Load()) }})
	if err != nil {
		d.t.Fatal(err)
	}
	if n.ID() != epochtest.Oracle().ID() {
		d.t.Fatal("the node has another key")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
	d.t.Cleanup(stop)
	return n, stop
}

// explorerOf is the address of a node's explorer.
func explorerOf(n *node.Node) string {
	_, explorer, _ := n.Addrs()
	return "http://" + explorer.String()
}

// fetchJSON reads an answer of the explorer; false: it is not there.
func fetchJSON(t *testing.T, url string, v any) bool {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode == http.StatusOK && json.Unmarshal(b, v) == nil
}

// awaitClosed waits until the explorer shows an epoch as closed.
func awaitClosed(t *testing.T, url string, e poc.Epoch) {
	t.Helper()
	var shown struct {
		Settlement struct{ State string }
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if fetchJSON(t, fmt.Sprintf("%s/api/epochs/%d", url, e), &shown) && shown.Settlement.State == string(settle.Closed) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("epoch %d is %q", e, shown.Settlement.State)
		}
	}
}

// checkWallets compares every balance on chain with the lists.
func (d *town) checkWallets() {
	d.t.Helper()
	for w, want := range d.owed {
		if got, err := d.client.TokenBalance(d.t.Context(), w); err != nil || got != want {
			d.t.Errorf("wallet %x has %d (%v), want %d", w[:4], got, err, want)
		}
	}
}

// program builds one of our programs and makes a function that runs it.
func program(t *testing.T, pkg string) func(args ...string) (code int, out string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(args ...string) (int, string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		code := 0
		if ended != nil {
			code = ended.ExitCode()
		}
		return code, string(out)
	}
}

// TestStateDatabaseLost: state.db is gone, or an older copy of it is back, after the
// payouts or in the middle of them. The oracle is started as ever: it judges again
// from the journal, finds on chain what was paid, pays the rest, and goes on. A
// stranger finds everything equal.
func TestStateDatabaseLost(t *testing.T) {
	oraclectl := program(t, "heliograph/oracle/cmd/oraclectl")
	for _, c := range []struct {
		name   string
		enough func(settle.Record) bool
		older  bool
	}{
		{"after the payouts", closed, false},
		{"in the middle of paying", partly, false},
		{"older copy, after the payouts", closed, true},
		{"older copy, in the middle of paying", partly, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newTown(t, 20)
			e := epochtest.First
			d.play(e, closed)
			older := filepath.Join(t.TempDir(), "state.db")
			if c.older {
				if out, err := exec.Command("cp", filepath.Join(d.dir, "state.db"), older).CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
			}
			half := d.play(e+1, c.enough)
			if half.Batches < 2 {
				t.Fatalf("%d batches", half.Batches)
			}
			d.stop()
			state := filepath.Join(d.dir, "state.db")
			if err := os.Remove(state); err != nil {
				t.Fatal(err)
			}
			if c.older {
				if err := os.Rename(older, state); err != nil {
					t.Fatal(err)
				}
			}
			n, stop := d.node()
			url := explorerOf(n)
			awaitClosed(t, url, e)
			awaitClosed(t, url, e+1)
			// The epoch that ran while the books were lost ends: nobody answers
			// challenges any more, and the operator gets his share.
			d.clock.Store(epochtest.Calendar().CutDue(e + 2))
			awaitClosed(t, url, e+2)
			for _, p := range listOf(t, bundleFrom(t, url, e+2)) {
				d.owed[p.Wallet] += p.Amount
			}
			d.checkWallets()
			for _, epoch := range []poc.Epoch{e, e + 1, e + 2} {
				code, out := oraclectl("epoch", "verify", fmt.Sprint(epoch), "--url", url, "--rpc", d.vm.URL())
				if code != 0 {
					t.Errorf("epoch verify %d: exit code %d\n%s", epoch, code, out)
				}
				code, out = oraclectl("audit", fmt.Sprintf("%s/api/epochs/%d/bundle", url, epoch), "--rpc", d.vm.URL())
				if code != 0 {
					t.Errorf("audit %d: exit code %d\n%s", epoch, code, out)
				}
			}
			var shown struct{ Epochs []epoch.Record }
			if !fetchJSON(t, url+"/api/epochs", &shown) || len(shown.Epochs) != 3 || shown.Epochs[2].Epoch != e {
				t.Errorf("the explorer shows %+v", shown.Epochs)
			}
			stop()
			d.checkBooks(e + 3)
		})
	}
}

// TestRebuildOnTheJournal: the same from a bundle that somebody had saved, for which
// the journal's epoch gets secret and terms back; then the oracle goes on.
func TestRebuildOnTheJournal(t *testing.T) {
	oraclectl := program(t, "heliograph/oracle/cmd/oraclectl")
	d := newTown(t, 20)
	e := epochtest.First
	rec := d.play(e, partly)
	r, _, err := d.world.Manager.Record(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := d.world.Manager.Evidence(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	bundle := saved(t, epoch.Bundle{Evidence: ev, Claim: &r, Memos: epoch.Memos{Commit: rec.Commit.Signature}, Payments: &epoch.Payments{Identity: rec.Identity, Batches: rec.Batches}})
	d.stop()
	if err := os.Remove(filepath.Join(d.dir, "state.db")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"is planned again", "nothing was changed"} {
		if code, out := oraclectl("settle", "rebuild", "--data", d.dir, "--bundle", bundle, "--rpc", d.vm.URL()); code != 0 || !strings.Contains(out, want) || strings.Contains(out, "explorer") {
			t.Fatalf("exit code %d, want %q\n%s", code, want, out)
		}
	}
	n, stop := d.node()
	awaitClosed(t, explorerOf(n), e)
	d.checkWallets()
	if code, out := oraclectl("epoch", "verify", fmt.Sprint(e), "--url", explorerOf(n), "--rpc", d.vm.URL()); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	stop()
	d.checkBooks(e + 2)
}

// checkBooks looks into the directory of an oracle that has stopped: the ledger is
// the chain's, and the next epoch was opened.
func (d *town) checkBooks(next poc.Epoch) {
	d.t.Helper()
	kv, err := boltkv.Open(filepath.Join(d.dir, "state.db"), boltkv.Config{})
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = kv.Close() }()
	if err := ledgertest.New(kv).Check(d.t.Context()); err != nil {
		d.t.Error(err)
	}
	book := ledger.NewBook(kv)
	for w, want := range d.owed {
		if b, err := book.Balance(d.t.Context(), ledger.Paid(w)); err != nil || b.Net() != want {
			d.t.Errorf("wallet %x: the books say %d paid (%v), want %d", w[:4], b.Net(), err, want)
		}
	}
	s := settle.New(settle.Config{KV: kv})
	if c, err := s.Commitment(d.t.Context(), next); err != nil || !c.Final {
		d.t.Errorf("epoch %d was not committed to: %+v, %v", next, c, err)
	}
}

// bundleFrom downloads a bundle.
func bundleFrom(t *testing.T, url string, e poc.Epoch) epoch.Bundle {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("%s/api/epochs/%d/bundle", url, e))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := epoch.ReadBundle(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// listOf is what an epoch pays.
func listOf(t *testing.T, b epoch.Bundle) []reward.Payout {
	t.Helper()
	res, err := epoch.Compute(t.Context(), b.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	return res.Owing.Payouts
}
