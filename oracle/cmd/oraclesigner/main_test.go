package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/poc"
)

func testConfig(t *testing.T) config {
	t.Helper()
	dir, err := os.MkdirTemp("", "osig") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	var numbers []int
	for _, b := range key {
		numbers = append(numbers, int(b))
	}
	text, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	c := defaults()
	c.Socket, c.State, c.Key = filepath.Join(dir, "s"), filepath.Join(dir, "state"), filepath.Join(dir, "hot.json")
	c.Mint, c.Treasury, c.MaxEpoch = signer.AddressText([32]byte{1}), signer.AddressText([32]byte{2}), 1000
	if err := os.WriteFile(c.Key, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// The signer keeps an epoch over a restart, on disk.
func TestServeTwice(t *testing.T) {
	c := testConfig(t)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	list := []reward.Payout{{Wallet: poc.Wallet{3}, Amount: 5}}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- serve(ctx, c, log) }()
		var client *signer.Client
		for err := error(io.EOF); err != nil; {
			select {
			case err := <-done:
				t.Fatal(err)
			case <-time.After(5 * time.Millisecond):
			}
			client, err = signer.Dial(ctx, c.Socket)
		}
		if err := client.Register(ctx, settle.List{Epoch: 1, Payouts: list, ListHash: sha256.Sum256(reward.AppendList(nil, list))}); err != nil {
			t.Error(err)
		}
		if err := serve(ctx, c, log); err == nil || !strings.Contains(err.Error(), "another oraclesigner") {
			t.Errorf("a second signer on the state: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := release(t.Context(), c, "1", signer.AddressText([32]byte{3})); err == nil || !strings.Contains(err.Error(), "nothing to release") {
		t.Errorf("release of a wallet that was not signed: %v", err)
	}
}

func TestRefusesToRun(t *testing.T) {
	for want, change := range map[string]func(*config){
		"max_epoch is 0":   func(c *config) { c.MaxEpoch = 0 },
		"mint":             func(c *config) { c.Mint = "x" },
		"treasury":         func(c *config) { c.Treasury = "" },
		"does not exist":   func(c *config) { c.Key += "x" },
		"chmod 600":        func(c *config) { must(t, os.Chmod(c.Key, 0o644)) },
		"chmod 700":        func(c *config) { must(t, os.MkdirAll(c.State, 0o755)) },
		"socket_mode":      func(c *config) { c.SocketMode = "rw" },
		"allow_uid":        func(c *config) { c.AllowUID = []string{"me"} },
		"at most 107":      func(c *config) { c.Socket = filepath.Join(c.State, strings.Repeat("x", 120)) },
		"halves of key":    func(c *config) { spoil(t, c.Key, func(n []int) []int { n[63] ^= 1; return n }) },
		"64 numbers":       func(c *config) { spoil(t, c.Key, func(n []int) []int { return n[:63] }) },
		"number above 255": func(c *config) { spoil(t, c.Key, func(n []int) []int { n[0] = 256; return n }) },
	} {
		c := testConfig(t)
		change(&c)
		if err := serve(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func spoil(t *testing.T, path string, f func([]int) []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var n []int
	must(t, json.Unmarshal(text, &n))
	text, err = json.Marshal(f(n))
	must(t, err)
	must(t, os.WriteFile(path, text, 0o600))
}
