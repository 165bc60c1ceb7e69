package solanavm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// laterClient is a client whose clock runs ahead by some seconds.
type laterClient struct {
	*hsolana.Client
	by *atomic.Int64
}

func (l laterClient) Now(ctx context.Context) (int64, error) {
	t, err := l.Client.Now(ctx)
	return t + l.by.Load(), err
}

// TestClaimEpochOnTheRealProgram: an oracle without a key makes an epoch's distributor
// through a policy signer and exactly the epoch's allowance, wallets claim what their
// proofs say, the oracle is stopped and its store lost on the way, and what nobody
// claimed is back in the treasury at the end.
func TestClaimEpochOnTheRealProgram(t *testing.T) {
	file := os.Getenv(binaryEnv)
	if file == "" {
		t.Skip(binaryEnv + " is not set: name a dump of the merkle distributor program to claim from the real one")
	}
	elf, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	program, err := distributor.ParseProgram("mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv")
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.LoadProgram(ctx, program.ID(), elf); err != nil {
		t.Fatal(err)
	}
	hot, owner := newKey(t), newKey(t)
	keys := make([]solana.PrivateKey, 120)
	for i := range keys {
		keys[i] = newKey(t)
	}
	slices.SortFunc(keys, func(a, b solana.PrivateKey) int {
		pa, pb := a.PublicKey(), b.PublicKey()
		return bytes.Compare(pa[:], pb[:])
	})
	var owners []solana.PublicKey
	l := settle.List{Epoch: 6, Rewards: [32]byte{1}, Secret: poc.Secret{2}}
	total := uint64(0)
	for i, k := range keys {
		owners = append(owners, k.PublicKey())
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: poc.Wallet(k.PublicKey()), Amount: ledger.Amount(1000 + i)})
		total += uint64(1000 + i)
	}
	l.ListHash = sha256.Sum256(reward.AppendList(nil, l.Payouts))
	sender := Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}
	const treasury = 1 << 30
	stage, err := SetStage(ctx, StageConfig{Sender: sender, Mint: newKey(t), Lamports: solana.LAMPORTS_PER_SOL, TreasuryOwner: owner.PublicKey(), TreasuryAmount: treasury, Recipients: owners})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Approve(ctx, stage, owner, hot.PublicKey(), total); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, hot, stage)
	k.cfg.Policy.Distributor = program.ID()
	k.start()
	remote, err := signer.Dial(ctx, k.socket())
	if err != nil {
		t.Fatal(err)
	}
	client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: remote, Mint: stage.Mint, Treasury: stage.Treasury, Distributor: program, UnitPrice: 1000, MaxUnitPrice: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	begin := func(kv *mem.KV) (*settle.Settler, *ledger.Book, func()) {
		book := ledger.NewBook(kv)
		for i, p := range l.Payouts {
			if err := book.Post(ctx, ledger.Move(fmt.Sprintf("earn/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
				t.Fatal(err)
			}
		}
		s := settle.New(settle.Config{KV: kv, Chain: laterClient{client, &ahead}, Signer: client, Poll: 20 * time.Millisecond, Backoff: 100 * time.Millisecond,
			ReclaimAfter: 300, HeldEvery: 5, Claim: &settle.Claiming{For: settle.MinClaim, Random: rand.Reader}, Log: slog.New(slog.DiscardHandler)})
		if err := s.Freeze(ctx, l); err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- s.Run(run) }()
		return s, book, func() { stop(); <-done }
	}
	until := func(s *settle.Settler, what string, ok func(settle.Record) bool) settle.Record {
		t.Helper()
		for {
			rec, err := s.Epoch(ctx, l.Epoch)
			if err != nil {
				t.Fatal(err)
			}
			if ok(rec) {
				return rec
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s: the epoch stays %s: %q %q, last error %q", what, rec.State, rec.Stalled, rec.Refused, s.LastError())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	in := func(state settle.State) func(settle.Record) bool {
		return func(r settle.Record) bool { return r.State == state }
	}
	first, _, stopFirst := begin(mem.NewKV())
	rec := until(first, "funding", in(settle.Claimable))
	at, err := program.Address(stage.Mint, rec.Claims.Made.Version)
	if err != nil {
		t.Fatal(err)
	}
	vault, err := distributor.Vault(at, stage.Mint)
	if err != nil {
		t.Fatal(err)
	}
	holds := func(account solana.PublicKey) uint64 {
		t.Helper()
		n, err := TokenBalance(ctx, vm.Client(), account, rpc.CommitmentConfirmed)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if holds(vault) != total || holds(stage.Treasury) != treasury-total || rec.Held != rec.Total {
		t.Errorf("vault %d, treasury %d, held %d, want the total %d", holds(vault), holds(stage.Treasury), rec.Held, total)
	}
	if tree, err := claim.New(l.Payouts); err != nil || tree.Root() != rec.Root || !strings.Contains(rec.Commit.Text, fmt.Sprintf(" r=%x ", rec.Root)) {
		t.Errorf("commit memo %q: its root is not that of the claims (%v)", rec.Commit.Text, err)
	}
	claims := func(from, to int) (sum ledger.Amount) {
		t.Helper()
		tree, err := claim.New(l.Payouts)
		if err != nil {
			t.Fatal(err)
		}
		for i := from; i < to; i++ {
			if err := sender.Fund(ctx, keys[i].PublicKey(), solana.LAMPORTS_PER_SOL/100); err != nil {
				t.Fatal(err)
			}
			proof, _ := tree.Prove(l.Payouts[i].Wallet)
			ix, err := program.Claim(stage.Mint, rec.Claims.Made.Version, proof)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sender.Send(ctx, []solana.Instruction{ix}, keys[i]); err != nil {
				t.Fatal(err)
			}
			sum += l.Payouts[i].Amount
		}
		return sum
	}
	sum := claims(0, 5) + claims(60, 63)
	until(first, "claims", func(r settle.Record) bool { return r.Paid == sum })
	stopFirst()

	second, book, stopSecond := begin(mem.NewKV()) // the first store is lost
	defer stopSecond()
	if again := until(second, "after a lost store", in(settle.Claimable)); *again.Claims.Made != *rec.Claims.Made {
		t.Errorf("another distributor: %+v, want %+v", again.Claims.Made, rec.Claims.Made)
	}
	sum += claims(100, 102)
	until(second, "claims", func(r settle.Record) bool { return r.Paid == sum })

	audited := func(closed string) {
		t.Helper()
		got, compared, err := audit.Payments(ctx, trail.NewReader(vm.URL()), audit.Search{Epoch: l.Epoch, List: l.Payouts, Hot: hot.PublicKey().String(),
			Treasury: stage.Treasury.String(), Mint: stage.Mint.String(), Closed: closed})
		if err != nil || got.Sum != sum || got.Distributor != vault.String() {
			t.Errorf("audit: %+v, %v, want %d claimed", got, err, sum)
		}
		for _, c := range compared {
			if !c.OK {
				t.Errorf("audit: %+v", c)
			}
		}
	}
	audited(rec.Close.Text)

	// The time to claim passes: on chain and for the oracle.
	acc, err := vm.Client().GetAccountInfoWithOpts(ctx, at, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentConfirmed})
	if err != nil {
		t.Fatal(err)
	}
	data := acc.GetBinary()
	past := uint64(time.Now().Unix() - 60)
	binary.LittleEndian.PutUint64(data[161:], past)
	if err := vm.SetAccount(ctx, at, Account{Lamports: acc.Value.Lamports, Owner: acc.Value.Owner, Data: data}); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(settle.MinClaim.Seconds()))
	end := until(second, "the end", in(settle.Closed))
	if end.Paid != sum || end.Owed != end.Total-sum || holds(vault) != 0 || holds(stage.Treasury) != treasury-uint64(sum) {
		t.Errorf("paid %d, owed %d; vault %d, treasury %d; claimed were %d of %d", end.Paid, end.Owed, holds(vault), holds(stage.Treasury), sum, total)
	}
	// For the audit the distributor's clock is as it was.
	if acc, err = vm.Client().GetAccountInfoWithOpts(ctx, at, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentConfirmed}); err != nil {
		t.Fatal(err)
	}
	data = acc.GetBinary()
	binary.LittleEndian.PutUint64(data[161:], uint64(rec.Claims.Made.Clawback))
	if err := vm.SetAccount(ctx, at, Account{Lamports: acc.Value.Lamports, Owner: acc.Value.Owner, Data: data}); err != nil {
		t.Fatal(err)
	}
	audited(end.Close.Text)
	for i, p := range l.Payouts {
		paid, err := book.Balance(ctx, ledger.Paid(p.Wallet))
		if err != nil || uint64(paid.Net()) != holds(stage.Recipients[i]) {
			t.Errorf("wallet %d: ledger %d, chain %d (%v)", i, paid.Net(), holds(stage.Recipients[i]), err)
		}
	}
	if err := book.Audit(ctx); err != nil {
		t.Error(err)
	}
	until(second, "the marker's rent", func(r settle.Record) bool { return r.Reclaimed == r.Batches })
}
