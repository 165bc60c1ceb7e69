package payday

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gagliardetto/solana-go"
	ata "github.com/gagliardetto/solana-go/programs/associated-token-account"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/operator"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// bad is an oracle on the VM with everything that can go wrong within reach: the keys
// of treasury, mint and recipients, its endpoint, its disk and its signer.
type bad struct {
	*Bench
	t             *testing.T
	ctx           context.Context
	cold, freezer solana.PrivateKey
	owners        []solana.PrivateKey // of the recipients
	vault         poc.Wallet          // off the curve; zero: not on the list
	sender        solanavm.Sender
	rpc           *liar
	cfg           hsolana.Config
	genesis       string // that is configured; "": whatever there is
	list          settle.List
	kv            *mem.KV
	settler       *settle.Settler
	dir, ctl      string
	stopSigner    func()
	unbooked      bool // the list is frozen without having been earned
}

const badRecipients = 6

func newBad(t *testing.T, vm *solanavm.VM, ctl string, offCurve bool) *bad {
	t.Helper()
	w := &bad{t: t, ctx: t.Context(), ctl: ctl, kv: mem.NewKV(), rpc: newLiar(t, vm.URL())}
	w.Bench = &Bench{vm: vm, log: slog.New(slog.DiscardHandler), hot: w.key()}
	w.cold, w.freezer = w.key(), w.key()
	var to []solana.PublicKey
	for range badRecipients {
		k := w.key()
		w.owners, to = append(w.owners, k), append(to, k.PublicKey())
	}
	if offCurve {
		vault, _, err := solana.FindProgramAddress([][]byte{[]byte("vault")}, solana.MemoProgramID)
		w.must(err)
		w.vault, to[0] = poc.Wallet(vault), vault
	}
	w.sender = solanavm.Sender{Client: vm.Client(), Payer: w.key(), Commitment: rpc.CommitmentProcessed}
	w.fill(1<<40, to)
	for _, k := range append(w.owners, w.cold, w.freezer, w.hot) {
		w.must(w.sender.Fund(w.ctx, k.PublicKey(), 10*solana.LAMPORTS_PER_SOL))
	}
	w.must(w.sender.Approve(w.ctx, w.stage, w.cold, w.hot.PublicKey(), 1<<40))
	w.must(w.tick(w.ctx, 40))
	w.cfg = w.client()
	w.cfg.Treasury = w.stage.Treasury
	w.list = settle.List{Epoch: 1, Secret: poc.Secret{1}}
	for i, a := range to {
		w.list.Payouts = append(w.list.Payouts, reward.Payout{Wallet: poc.Wallet(a), Amount: ledger.Amount(100 + i)})
	}
	slices.SortFunc(w.list.Payouts, func(a, b reward.Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) })
	w.list.ListHash = sha256.Sum256(reward.AppendList(nil, w.list.Payouts))
	dir, err := os.MkdirTemp("", "bad") // a socket's path must be short
	w.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.dir = dir
	return w
}

func (w *bad) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *bad) key() solana.PrivateKey {
	k, err := solana.NewRandomPrivateKey()
	w.must(err)
	return k
}

// fill makes the mint and its accounts, and brings the treasury to an amount.
func (w *bad) fill(amount uint64, to []solana.PublicKey) {
	w.t.Helper()
	var err error
	w.stage, err = solanavm.SetStage(w.ctx, solanavm.StageConfig{Sender: w.sender, Mint: w.key(), TreasuryOwner: w.cold.PublicKey(),
		TreasuryAmount: amount, Recipients: to, FreezeAuthority: w.freezer.PublicKey()})
	w.must(err)
}

func (w *bad) send(ixs []solana.Instruction, keys ...solana.PrivateKey) {
	w.t.Helper()
	_, err := w.sender.Send(w.ctx, ixs, keys...)
	w.must(err)
}

// move takes tokens out of the treasury, or brings them back.
func (w *bad) move(amount uint64, back bool) {
	w.t.Helper()
	safe, err := hsolana.AssociatedAccount(poc.Wallet(w.freezer.PublicKey()), w.stage.Mint, w.stage.Program)
	w.must(err)
	from, to, owner := w.stage.Treasury, safe, w.cold
	if back {
		from, to, owner = to, from, w.freezer
	}
	w.send([]solana.Instruction{
		ata.NewCreateIdempotentInstruction(w.sender.Payer.PublicKey(), w.freezer.PublicKey(), w.stage.Mint).Build(),
		token.NewTransferCheckedInstruction(amount, w.stage.Decimals, from, w.stage.Mint, to, owner.PublicKey(), nil).Build()}, owner)
}

func (w *bad) freeze() {
	w.send([]solana.Instruction{token.NewFreezeAccountInstruction(w.stage.Recipients[2], w.stage.Mint, w.freezer.PublicKey(), nil).Build()}, w.freezer)
}

func (w *bad) thaw() {
	w.send([]solana.Instruction{token.NewThawAccountInstruction(w.stage.Recipients[2], w.stage.Mint, w.freezer.PublicKey(), nil).Build()}, w.freezer)
}

func (w *bad) closeAccount() {
	owner := w.owners[2]
	w.send([]solana.Instruction{token.NewCloseAccountInstruction(w.stage.Recipients[2], owner.PublicKey(), owner.PublicKey(), nil).Build()}, owner)
}

func (w *bad) openAccount() {
	w.send([]solana.Instruction{ata.NewCreateIdempotentInstruction(w.sender.Payer.PublicKey(), w.owners[2].PublicKey(), w.stage.Mint).Build()})
}

// start makes the oracle's settler, as a node does: what only a person can mend is
// left in the books.
func (w *bad) start() bool {
	w.t.Helper()
	pool, client, err := hsolana.DialPoolOnce(w.ctx, hsolana.PoolConfig{Config: w.cfg, Endpoints: []string{w.rpc.srv.URL}, Genesis: w.genesis, Log: w.log})
	if err != nil {
		w.settler = nil
		w.must(settle.New(settle.Config{KV: w.kv}).Refuse(w.ctx, err.Error()))
		return false
	}
	w.settler = settle.New(settle.Config{KV: w.kv, Chain: pool, Signer: client, Genesis: w.genesis, HeldEvery: 4, ReclaimAfter: settle.MinReclaimAfter, Log: w.log})
	return true
}

// begin books and freezes the list, if it was not.
func (w *bad) begin() error {
	book := ledger.NewBook(w.kv)
	if w.unbooked {
		return w.settler.Freeze(w.ctx, w.list)
	}
	for i, p := range w.list.Payouts {
		if err := book.Post(w.ctx, ledger.Move(fmt.Sprintf("earn/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
			return err
		}
	}
	return w.settler.Freeze(w.ctx, w.list)
}

// play does rounds; blocks go by after each.
func (w *bad) play(rounds int) {
	w.t.Helper()
	for range rounds {
		if w.settler != nil {
			_ = w.settler.Step(w.ctx) // the status tells
		}
		w.must(w.tick(w.ctx, 12))
	}
}

// status is what `oraclectl settle status` prints.
func (w *bad) status() (text string, code int) {
	w.t.Helper()
	cfg := operator.Config{KV: w.kv}
	if w.settler != nil {
		cfg.LastError, cfg.Failures = w.settler.LastError, w.settler.Failures
	}
	path := filepath.Join(w.dir, "admin.sock")
	l, err := net.Listen("unix", path)
	w.must(err)
	srv := &http.Server{Handler: operator.New(cfg)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	out, err := exec.CommandContext(w.ctx, w.ctl, "settle", "status", "--socket", path).CombinedOutput()
	w.must(srv.Close())
	<-done
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		w.t.Fatal(err)
	}
	if ended != nil {
		code = ended.ExitCode()
	}
	return string(out), code
}

// serve starts a signer process's server on the hot key, and makes the oracle ask it.
func (w *bad) serve(maxEpoch ledger.Amount) {
	w.t.Helper()
	lists := filepath.Join(w.dir, "lists")
	s, err := signer.New(signer.Config{Key: ed25519.PrivateKey(w.hot), KV: w.signed(), Lists: lists, MarkerAge: 1,
		Policy: signer.Policy{Mint: w.stage.Mint, Treasury: w.stage.Treasury, TokenProgram: w.stage.Program, Decimals: w.stage.Decimals,
			MaxRent: 3_000_000, MaxPriorityFee: 1_000_000, MaxEpoch: maxEpoch}})
	w.must(err)
	l, err := signer.Listen(filepath.Join(w.dir, "s"), 0o600)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, nil) }()
	w.stopSigner = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(w.stopSigner)
	c, err := signer.Dial(w.ctx, filepath.Join(w.dir, "s"))
	w.must(err)
	w.cfg.Hot = c
}

func (w *bad) signed() *mem.KV { return mem.NewKV() }

// keyFile writes a key file and reads it as a node does.
func (w *bad) keyFile(mode os.FileMode, key solana.PrivateKey) error {
	var b strings.Builder
	for i, c := range key {
		fmt.Fprintf(&b, "%c%d", "[,"[min(i, 1)], c)
	}
	path := filepath.Join(w.dir, "hot.json")
	w.must(os.WriteFile(path, []byte(b.String()+"]"), 0o600))
	w.must(os.Chmod(path, mode))
	_, err := hsolana.LoadKey(path)
	return err
}

// paidOnce holds the chain against the list, and the books against both.
func (w *bad) paidOnce() {
	w.t.Helper()
	for _, p := range w.list.Payouts {
		at, err := hsolana.AssociatedAccount(p.Wallet, w.stage.Mint, w.stage.Program)
		w.must(err)
		if got, err := solanavm.TokenBalance(w.ctx, w.vm.Client(), at, rpc.CommitmentProcessed); err != nil || got != uint64(p.Amount) {
			w.t.Errorf("wallet %s has %d (%v), want %d", solana.PublicKey(p.Wallet), got, err, p.Amount)
		}
	}
	if err := ledgertest.New(w.kv).Check(w.ctx); err != nil {
		w.t.Error(err)
	}
	if rec, err := w.settler.Epoch(w.ctx, 1); err != nil || rec.State != settle.Closed || rec.Paid != rec.Total || rec.Held != 0 {
		w.t.Errorf("in the end: %s, paid %d of %d, held %d (%v); last error %q", rec.State, rec.Paid, rec.Total, rec.Held, err, w.settler.LastError())
	}
}
