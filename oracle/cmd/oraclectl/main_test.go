package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/oracle/epoch/epochtest"
	"heliograph/oracle/ledger"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/segment"
	"heliograph/oracle/web"
	"heliograph/poc"
)

func ctl(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func oracle(t *testing.T) (url string, w *epochtest.World) {
	t.Helper()
	w = epochtest.New(t, 3)
	w.Run(1)
	h, err := web.New(web.Config{Core: w.Core, Epochs: w.Manager, Book: ledger.NewBook(w.KV), Settlement: w.Chain.Settlement, Calendar: epochtest.Calendar(),
		Oracle: epochtest.Oracle().ID(), Bundle: true, SeedMemo: func(context.Context, poc.Epoch) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL, w
}

func TestVerify(t *testing.T) {
	url, w := oracle(t)
	n := fmt.Sprint(epochtest.First)
	code, out, errOut := ctl(t, "epoch", "verify", n, "--url", url)
	if code != 0 || !strings.Contains(out, "all is equal") || !strings.Contains(out, "the chain was not asked") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	code, out, _ = ctl(t, "epoch", "verify", n, "--url", url, "--json", "--oracle", w.Keys[0].ID().String())
	var rep struct{ OK bool }
	if err := json.Unmarshal([]byte(out), &rep); err != nil || code != 1 || rep.OK {
		t.Errorf("another oracle's key: %d %v\n%s", code, err, out)
	}
	rec, _, err := w.Manager.Record(t.Context(), epochtest.First)
	if err != nil {
		t.Fatal(err)
	}
	b := w.Bundle(rec)
	b.Claim.Root[0] ^= 1
	path := filepath.Join(t.TempDir(), "bundle")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, _ = ctl(t, "epoch", "verify", n, "--file", path)
	if code != 1 || !strings.Contains(out, "DIFFERS root") {
		t.Errorf("forged root: %d\n%s", code, out)
	}
}

func TestLists(t *testing.T) {
	url, w := oracle(t)
	n := fmt.Sprint(epochtest.First)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"epoch", "list"}, "closed"},
		{[]string{"epoch", "show", n}, "commit-" + n},
		{[]string{"hotspot", "list"}, w.Keys[0].ID().Name()},
		{[]string{"--help"}, "Exit codes"},
		{nil, "Usage"},
	} {
		code, out, errOut := ctl(t, append(c.args, "--url", url)...)
		if code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d\n%s%s", c.args, code, out, errOut)
		}
		if len(c.args) < 2 {
			continue
		}
		if code, out, _ = ctl(t, append(c.args, "--url", url, "--json")...); code != 0 || !json.Valid([]byte(out)) {
			t.Errorf("%v --json: %d\n%s", c.args, code, out)
		}
	}
}

// A stopped oracle's directory tells the same as the running one.
func TestData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	log, _, err := segment.Open(filepath.Join(dir, "journal"), segment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := boltkv.Open(filepath.Join(dir, "state.db"), boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := epochtest.NewOn(t, log, kv, 3)
	w.Run(1)
	n := fmt.Sprint(epochtest.First)
	if code, _, errOut := ctl(t, "epoch", "verify", n, "--data", dir); code != 2 || !strings.Contains(errOut, "--url") {
		t.Errorf("while it runs: %d %s", code, errOut)
	}
	if err := errors.Join(log.Close(), kv.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"epoch", "verify", n}, "all is equal"},
		{[]string{"epoch", "list"}, "frozen"},
		{[]string{"epoch", "show", n}, "1000000007 ="},
		{[]string{"hotspot", "list"}, w.Keys[0].ID().Name()},
		{[]string{"doctor"}, "the balances agree"},
	} {
		code, out, errOut := ctl(t, append(c.args, "--data", dir)...)
		if code == 2 || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d\n%s%s", c.args, code, out, errOut)
		}
	}
}

func TestSlips(t *testing.T) {
	url, _ := oracle(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"epoch", "verify"}, "lacks its argument"},
		{[]string{"epoch", "verify", "x"}, "not a number"},
		{[]string{"epoch", "verify", "7", "--url", url}, "404"},
		{[]string{"epoch", "list", "--url", "http://127.0.0.1:1"}, "is the oracle running"},
		{[]string{"epoch", "list", "--data", t.TempDir()}, "no journal"},
		{[]string{"--nonsense"}, "--help"},
		{[]string{"dance"}, "not known"},
	} {
		if code, _, errOut := ctl(t, c.args...); code != 2 || !strings.Contains(errOut, c.want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: %d %s", c.args, code, errOut)
		}
	}
}
