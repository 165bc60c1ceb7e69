package payday

import (
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	solanavm "heliograph/testbench/solana"
)

// cluster is the RPC endpoint that SOLANA_RPC_URL names, such as a stock test
// validator's, or else a VM that makes blocks by itself. It needs an airdrop.
func cluster(t *testing.T) string {
	if url := os.Getenv("SOLANA_RPC_URL"); url != "" {
		return url
	}
	return solanavm.ForTest(t, solanavm.Config{SlotInterval: 10 * time.Millisecond}).URL()
}

// someone is a new key.
func someone(t *testing.T) solana.PrivateKey {
	t.Helper()
	k, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestAnyCluster pays an epoch on whatever cluster there is, with a mint and accounts
// of its own, through standard RPC methods only: a delegate with an allowance of
// exactly the total, a recipient without an account, a second oracle on the same
// epoch, a lost store. Everything is compared with the chain.
func TestAnyCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	url := cluster(t)
	hot, owner, mint := someone(t), someone(t), someone(t)
	var wallets []solana.PublicKey
	for range 17 {
		wallets = append(wallets, someone(t).PublicKey())
	}
	stranger := someone(t).PublicKey()
	sender := solanavm.Sender{Client: rpc.New(url), Payer: hot}
	stage, err := solanavm.SetStage(ctx, solanavm.StageConfig{
		Sender: sender, Mint: mint, Lamports: solana.LAMPORTS_PER_SOL, TreasuryOwner: owner.PublicKey(), TreasuryAmount: 1 << 40, Recipients: wallets,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := settle.List{Epoch: 5, Rewards: [32]byte{5}, Secret: poc.Secret{1}, Rules: "payday"}
	total := uint64(0)
	for i, w := range append(wallets, stranger) {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: poc.Wallet(w), Amount: ledger.Amount(1000 + i)})
		total += uint64(1000 + i)
	}
	slices.SortFunc(l.Payouts, byWallet)
	if err := sender.Approve(ctx, stage, owner, hot.PublicKey(), total); err != nil {
		t.Fatal(err)
	}
	pay := func(kv *mem.KV) (*settle.Settler, func()) {
		client, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: url, Hot: hsolana.NewFileKey(hot), Mint: stage.Mint, Treasury: stage.Treasury, UnitPrice: 1000, MaxUnitPrice: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		s := settle.New(settle.Config{KV: kv, Chain: client, Signer: client, Poll: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
		c := &calm{kv: kv, settler: s}
		if err := c.freeze(ctx, l); err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- s.Run(run) }()
		return s, func() { stop(); <-done }
	}
	verify := func(s *settle.Settler, kv *mem.KV) {
		t.Helper()
		for {
			rec, err := s.Epoch(ctx, l.Epoch)
			if err != nil {
				t.Fatal(err)
			}
			if rec.State == settle.Closed {
				if rec.Held != 1000+17 || rec.Paid+rec.Held != rec.Total {
					t.Errorf("paid %d, held %d of %d", rec.Paid, rec.Held, rec.Total)
				}
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("the epoch stays %s: %s%s %s", rec.State, rec.Stalled, rec.Refused, s.LastError())
			case <-time.After(100 * time.Millisecond):
			}
		}
		accounts, err := sender.Client.GetMultipleAccountsWithOpts(ctx, stage.Recipients, &rpc.GetMultipleAccountsOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentFinalized})
		if err != nil {
			t.Fatal(err)
		}
		book := ledger.NewBook(kv)
		for i, acc := range accounts.Value {
			got := binary.LittleEndian.Uint64(acc.Data.GetBinary()[64:])
			want := uint64(1000 + i)
			bal, err := book.Balance(ctx, ledger.Paid(poc.Wallet(wallets[i])))
			if got != want || err != nil || uint64(bal.Net()) != got {
				t.Errorf("wallet %d has %d, its ledger account %d (%v), want %d", i, got, bal.Net(), err, want)
			}
		}
		if err := book.Audit(ctx); err != nil {
			t.Error(err)
		}
	}
	first, second := mem.NewKV(), mem.NewKV()
	a, stopA := pay(first)
	b, stopB := pay(second)
	verify(a, first)
	verify(b, second)
	stopA()
	stopB()
	lost := mem.NewKV()
	c, stopC := pay(lost)
	verify(c, lost)
	stopC()
}
