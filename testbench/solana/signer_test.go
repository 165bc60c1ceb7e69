package solanavm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// keeper is a signer process in this one: a socket, and state on disk.
type keeper struct {
	t    *testing.T
	cfg  signer.Config
	dir  string
	stop func()
}

func newKeeper(t *testing.T, hot solana.PrivateKey, stage *Stage) *keeper {
	t.Helper()
	dir, err := os.MkdirTemp("", "keeper") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{t: t, dir: dir, cfg: signer.Config{
		Key: ed25519.PrivateKey(hot), Lists: filepath.Join(dir, "lists"), MarkerAge: time.Millisecond,
		Policy: signer.Policy{Mint: stage.Mint, TokenProgram: stage.Program, Treasury: stage.Treasury, Decimals: stage.Decimals, MaxRent: 3_000_000, MaxPriorityFee: 100_000, MaxEpoch: 1 << 40},
	}}
	t.Cleanup(func() { k.end(); _ = os.RemoveAll(dir) })
	return k
}

func (k *keeper) socket() string { return filepath.Join(k.dir, "s") }

func (k *keeper) start() {
	k.t.Helper()
	kv, err := boltkv.Open(filepath.Join(k.dir, "signed.db"), boltkv.Config{})
	if err != nil {
		k.t.Fatal(err)
	}
	k.cfg.KV = kv
	s, err := signer.New(k.cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	l, err := signer.Listen(k.socket(), 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, nil) }()
	k.stop = func() {
		cancel()
		if err := <-done; err != nil {
			k.t.Error(err)
		}
		if err := kv.Close(); err != nil {
			k.t.Error(err)
		}
	}
}

func (k *keeper) end() {
	if k.stop != nil {
		k.stop()
		k.stop = nil
	}
}

// A settler that holds no key pays an epoch through a signer, which dies and comes
// back on the way, and takes the markers' rent back.
func TestSettlementThroughSigner(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	hot := newKey(t)
	to := newWallets(t, 40)
	stage, err := SetStage(ctx, StageConfig{
		Sender: Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}, Mint: newKey(t),
		Lamports: 10_000_000_000, TreasuryAmount: 1 << 40, Recipients: to,
	})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, hot, stage)
	k.start()
	remote, err := signer.Dial(ctx, k.socket())
	if err != nil {
		t.Fatal(err)
	}
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: remote, Mint: stage.Mint, Treasury: stage.Treasury, UnitPrice: 1000, MaxUnitPrice: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	kv := mem.NewKV()
	book := ledger.NewBook(kv)
	s := settle.New(settle.Config{KV: kv, Chain: client, Signer: client, Poll: 20 * time.Millisecond, Backoff: 100 * time.Millisecond,
		ReclaimAfter: 300, HeldEvery: 10, Log: slog.New(slog.DiscardHandler)})
	l := settle.List{Epoch: 3, Rewards: [32]byte{1}, Secret: poc.Secret{2}}
	for i, w := range to {
		amount := ledger.Amount(5000 + i)
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: poc.Wallet(w), Amount: amount})
		if err := book.Post(ctx, ledger.Move(fmt.Sprintf("earn/%d", i), ledger.Issued, ledger.Owed(poc.Wallet(w)), amount)); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(l.Payouts, func(a, b reward.Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) })
	l.ListHash = sha256.Sum256(reward.AppendList(nil, l.Payouts))

	k.end() // the signer is dead when the epoch begins
	if err := s.Freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(run) }()
	defer func() { stop(); <-done }()
	until := func(what string, ok func(settle.Record) bool) settle.Record {
		for {
			rec, err := s.Epoch(ctx, 3)
			if err != nil {
				t.Fatal(err)
			}
			if ok(rec) {
				return rec
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s: never came: state %s, stalled %q, last error %q", what, rec.State, rec.Stalled, s.LastError())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	rec := until("stall", func(r settle.Record) bool { return r.Stalled != "" })
	if !strings.Contains(rec.Stalled, "start oraclesigner") {
		t.Errorf("stalled by %q", rec.Stalled)
	}
	k.start()
	until("commitment", func(r settle.Record) bool { return r.State != settle.Frozen })
	k.end() // and dies in the middle
	k.start()
	rec = until("end", func(r settle.Record) bool { return r.State == settle.Closed })
	if rec.Held != 0 || rec.Owed != 0 || rec.Stalled != "" {
		t.Errorf("held %d, owed %d, stalled %q", rec.Held, rec.Owed, rec.Stalled)
	}
	for i, w := range to {
		if got, err := client.TokenBalance(ctx, poc.Wallet(w)); err != nil || got != ledger.Amount(5000+i) {
			t.Errorf("wallet %s has %d, %v", w, got, err)
		}
	}
	until("rent", func(r settle.Record) bool { return r.Reclaimed == r.Batches })
	for b := range rec.Batches {
		at, _, err := hsolana.MarkerAddress(hot.PublicKey(), stage.Program, settle.Marker{Epoch: 3, Batch: b})
		if err != nil {
			t.Fatal(err)
		}
		if acc, err := vm.Client().GetAccountInfo(ctx, at); err == nil {
			t.Errorf("marker %d is still there with %d lamports", b, acc.Value.Lamports)
		}
	}
}

// A settler that was taken over asks for more than the list says.
func TestSignerRefusesAnotherList(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	hot, to := newKey(t), newWallets(t, 2)
	stage, err := SetStage(ctx, StageConfig{
		Sender: Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}, Mint: newKey(t), TreasuryAmount: 1 << 40, Recipients: to,
	})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, hot, stage)
	k.start()
	remote, err := signer.Dial(ctx, k.socket())
	if err != nil {
		t.Fatal(err)
	}
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: remote, Mint: stage.Mint, Treasury: stage.Treasury})
	if err != nil {
		t.Fatal(err)
	}
	list := []reward.Payout{{Wallet: poc.Wallet(to[0]), Amount: 500}}
	l := settle.List{Epoch: 1, Payouts: list, ListHash: sha256.Sum256(reward.AppendList(nil, list))}
	if err := client.Register(ctx, l); err != nil {
		t.Fatal(err)
	}
	hash, err := client.Blockhash(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Memo(ctx, settle.CommitText(1, 1, 500, settle.Roots{Payouts: claim.Leaf(list[0]), List: l.ListHash}), hash); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]reward.Payout{"amount": {Wallet: poc.Wallet(to[0]), Amount: 501}, "wallet": {Wallet: poc.Wallet(to[1]), Amount: 500}} {
		if _, err := client.Payout(ctx, settle.Marker{Epoch: 1}, []reward.Payout{p}, hash, 0); err == nil || !strings.Contains(err.Error(), "refuses") {
			t.Errorf("%s: %v", name, err)
		}
	}
	tx, err := client.Payout(ctx, settle.Marker{Epoch: 1}, list, hash, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Send(ctx, tx); err != nil {
		t.Fatal(err)
	}
	sig, err := solana.SignatureFromBase58(tx.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}).Wait(ctx, sig); err != nil {
		t.Fatal(err)
	}
	if got, err := client.TokenBalance(ctx, poc.Wallet(to[0])); err != nil || got != 500 {
		t.Errorf("the recipient has %d, %v", got, err)
	}
}
