package solanavm

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"
	"github.com/gagliardetto/solana-go/rpc/jsonrpc"
)

// key derives a key pair from a label, so that runs are alike.
func key(label string) solana.PrivateKey {
	seed := sha256.Sum256([]byte("solanavm test " + label))
	return solana.PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
}

func wallets(n int) []solana.PublicKey {
	w := make([]solana.PublicKey, n)
	for i := range w {
		w[i] = key(fmt.Sprint("wallet ", i)).PublicKey()
	}
	return w
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// bench is a VM that ticks by hand, with a token on it.
type bench struct {
	*VM
	*Stage
	Sender
	t   *testing.T
	ctx context.Context
}

func newBench(t *testing.T, cfg Config) *bench {
	v := ForTest(t, cfg)
	b := &bench{VM: v, t: t, ctx: testContext(t)}
	b.Sender = Sender{Client: v.Control.Client(), Payer: key("payer"), Commitment: rpc.CommitmentProcessed}
	b.setStage()
	return b
}

func (b *bench) setStage() {
	b.t.Helper()
	s, err := SetStage(b.ctx, StageConfig{Sender: b.Sender, Mint: key("mint"), TreasuryAmount: 1_000_000, Recipients: wallets(3)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Stage = s
}

func (b *bench) transfer(to int, amount uint64) solana.Instruction {
	return token.NewTransferCheckedInstruction(amount, b.Decimals, b.Treasury, b.Mint, b.Recipients[to], b.Payer.PublicKey(), nil).Build()
}

func (b *bench) wantBalance(account solana.PublicKey, want uint64) {
	b.t.Helper()
	got, err := TokenBalance(b.ctx, b.Client(), account, rpc.CommitmentProcessed)
	if err != nil {
		b.t.Fatal(err)
	}
	if got != want {
		b.t.Errorf("token balance of %s is %d, want %d", account, got, want)
	}
}

func (b *bench) tick(n int) {
	b.t.Helper()
	if err := b.Tick(b.ctx, n); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) send(ixs ...solana.Instruction) solana.Signature {
	b.t.Helper()
	sig, err := b.Send(b.ctx, ixs)
	if err != nil {
		b.t.Fatal(err)
	}
	return sig
}

// sign signs a transaction that pays 1 unit to recipient 0; the memo keeps
// transactions apart that share a blockhash.
func (b *bench) sign(memo string) *solana.Transaction {
	b.t.Helper()
	tx, err := b.Sign(b.ctx, []solana.Instruction{b.transfer(0, 1), memoIx(memo)})
	if err != nil {
		b.t.Fatal(err)
	}
	return tx
}

func (b *bench) status(sig solana.Signature) *rpc.SignatureStatusesResult {
	b.t.Helper()
	out, err := b.Client().GetSignatureStatuses(b.ctx, true, sig)
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Value[0]
}

// Client shadows the sender's field and asks the first node.
func (b *bench) Client() *rpc.Client { return b.Sender.Client }

func memoIx(text string) solana.Instruction {
	return solana.NewInstruction(solana.MemoProgramID, nil, []byte(text))
}

// preflightError returns data.err of a -32002 answer.
func preflightError(t *testing.T, err error) any {
	t.Helper()
	var e *jsonrpc.RPCError
	if !errors.As(err, &e) || e.Code != -32002 {
		t.Fatalf("got %v, want a preflight failure (-32002)", err)
	}
	data, _ := e.Data.(map[string]any)
	if _, ok := data["logs"].([]any); !ok {
		t.Errorf("preflight failure without logs: %v", e.Data)
	}
	return data["err"]
}

func TestPayThreeRecipients(t *testing.T) {
	b := newBench(t, Config{})
	before, err := b.Client().GetBalance(b.ctx, b.Payer.PublicKey(), rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	sig := b.send(
		computebudget.NewSetComputeUnitLimitInstruction(10_000).Build(),
		computebudget.NewSetComputeUnitPriceInstruction(1_000_001).Build(),
		b.transfer(0, 100), b.transfer(1, 20_000), b.transfer(2, 300_000),
	)
	b.wantBalance(b.Treasury, 1_000_000-320_100)
	for i, want := range []uint64{100, 20_000, 300_000} {
		b.wantBalance(b.Recipients[i], want)
	}
	// 5000 for the signature, and 10,000 units at a price rounded up.
	const wantFee = 5000 + 10_001
	after, err := b.Client().GetBalance(b.ctx, b.Payer.PublicKey(), rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	if paid := before.Value - after.Value; paid != wantFee {
		t.Errorf("the VM charged %d lamports, want %d", paid, wantFee)
	}
	b.tick(2)
	tx, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentConfirmed})
	if err != nil {
		t.Fatal(err)
	}
	if tx.Meta.Fee != wantFee {
		t.Errorf("meta says fee %d, want %d", tx.Meta.Fee, wantFee)
	}
	got := map[solana.PublicKey]string{}
	decoded, err := tx.Transaction.GetTransaction()
	if err != nil {
		t.Fatal(err)
	}
	for _, tb := range tx.Meta.PostTokenBalances {
		got[decoded.Message.AccountKeys[tb.AccountIndex]] = tb.UiTokenAmount.Amount
	}
	want := map[solana.PublicKey]string{b.Treasury: "679900", b.Recipients[0]: "100", b.Recipients[1]: "20000", b.Recipients[2]: "300000"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("token balances after the transaction: %v, want %v", got, want)
	}
	supply, err := b.Client().GetTokenSupply(b.ctx, b.Mint, rpc.CommitmentProcessed)
	if err != nil || supply.Value.Amount != "1000000" || supply.Value.Decimals != 8 {
		t.Errorf("supply: %+v, %v", supply, err)
	}
}

func TestFailureShapes(t *testing.T) {
	b := newBench(t, Config{})
	stranger := token.NewTransferCheckedInstruction(1, b.Decimals, b.Treasury, b.Mint, key("nobody").PublicKey(), b.Payer.PublicKey(), nil).Build()
	decimals := token.NewTransferCheckedInstruction(1, 3, b.Treasury, b.Mint, b.Recipients[0], b.Payer.PublicKey(), nil).Build()
	units := computebudget.NewSetComputeUnitLimitInstruction(1).Build()
	custom := func(i, n float64) any {
		return map[string]any{"InstructionError": []any{i, map[string]any{"Custom": n}}}
	}
	named := func(i float64, name string) any { return map[string]any{"InstructionError": []any{i, name}} }
	for _, c := range []struct {
		name string
		ixs  []solana.Instruction
		want any
	}{
		{"missing destination", []solana.Instruction{b.transfer(0, 1), stranger}, named(1, "InvalidAccountData")},
		{"insufficient tokens", []solana.Instruction{b.transfer(0, 2_000_000)}, custom(0, 1)},
		{"wrong decimals", []solana.Instruction{decimals}, custom(0, 18)},
		{"no compute units", []solana.Instruction{units, b.transfer(0, 1)}, named(0, "ComputationalBudgetExceeded")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := b.Send(b.ctx, c.ixs)
			got := preflightError(t, err)
			if !reflect.DeepEqual(plain(got), plain(c.want)) {
				t.Errorf("got %v, want %v", plain(got), plain(c.want))
			}
		})
	}
	b.wantBalance(b.Treasury, 1_000_000)
}

// plain prints numbers the same whatever JSON decoder made them.
func plain(v any) string { return fmt.Sprint(v) }

func TestMemoInHistory(t *testing.T) {
	b := newBench(t, Config{})
	memo := "hsr1 e=7 n=3 t=6"
	ix := solana.NewInstruction(solana.MemoProgramID, solana.AccountMetaSlice{solana.Meta(b.Payer.PublicKey()).SIGNER()}, []byte(memo))
	sig := b.send(ix)
	confirmed := &rpc.GetSignaturesForAddressOpts{Commitment: rpc.CommitmentConfirmed}
	list, err := b.Client().GetSignaturesForAddressWithOpts(b.ctx, solana.MemoProgramID, confirmed)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Signature == sig {
			t.Errorf("the transaction is in confirmed history while it is only processed")
		}
	}
	b.tick(2)
	if list, err = b.Client().GetSignaturesForAddressWithOpts(b.ctx, b.Payer.PublicKey(), confirmed); err != nil {
		t.Fatal(err)
	}
	if list[0].Signature != sig || list[0].Memo == nil || *list[0].Memo != fmt.Sprintf("[%d] %s", len(memo), memo) {
		t.Errorf("newest of the payer's history: %+v", list[0])
	}
	one := 1
	page, err := b.Client().GetSignaturesForAddressWithOpts(b.ctx, b.Payer.PublicKey(), &rpc.GetSignaturesForAddressOpts{
		Limit: &one, Before: sig, Commitment: rpc.CommitmentConfirmed,
	})
	if err != nil || len(page) != 1 || page[0].Signature != list[1].Signature {
		t.Errorf("the page before the newest: %v, %v; want %v", page, err, list[1])
	}
	if _, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Commitment: rpc.CommitmentFinalized}); !errors.Is(err, rpc.ErrNotFound) {
		t.Errorf("getTransaction finalized before it is: %v", err)
	}
	b.tick(40)
	tx, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Encoding: solana.EncodingJSON, Commitment: rpc.CommitmentFinalized})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := tx.Transaction.GetTransaction()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(decoded.Message.Instructions[0].Data); got != memo {
		t.Errorf("memo in the transaction: %q, want %q", got, memo)
	}
	if tx.Meta.Err != nil || tx.Meta.Fee != 5000 || len(tx.Meta.LogMessages) == 0 {
		t.Errorf("meta: %+v", tx.Meta)
	}
}

// markerIxs is the guarded payout of spec 4.2: the second use of a seed fails
// in instruction 1.
func (b *bench) markerIxs(seed string, price uint64, pay ...solana.Instruction) []solana.Instruction {
	b.t.Helper()
	const tokenAccountBytes = 165
	hot := b.Payer.PublicKey()
	marker, err := solana.CreateWithSeed(hot, seed, solana.TokenProgramID)
	if err != nil {
		b.t.Fatal(err)
	}
	rent, err := b.Client().GetMinimumBalanceForRentExemption(b.ctx, tokenAccountBytes, rpc.CommitmentProcessed)
	if err != nil {
		b.t.Fatal(err)
	}
	return append([]solana.Instruction{
		system.NewTransferInstruction(rent, hot, marker).Build(),
		system.NewAllocateWithSeedInstruction(hot, seed, tokenAccountBytes, solana.TokenProgramID, marker, hot).Build(),
		token.NewInitializeAccount3Instruction(hot, marker, b.Mint).Build(),
		computebudget.NewSetComputeUnitPriceInstruction(price).Build(),
	}, pay...)
}

func TestMarkerWorksOnce(t *testing.T) {
	b := newBench(t, Config{})
	sig := b.send(b.markerIxs("hs/7/0", 1, b.transfer(0, 500))...)
	b.wantBalance(b.Recipients[0], 500)

	_, err := b.Send(b.ctx, b.markerIxs("hs/7/0", 2, b.transfer(0, 500)))
	want := "map[InstructionError:[1 map[Custom:0]]]"
	if got := plain(preflightError(t, err)); got != want {
		t.Errorf("second use at preflight: %s, want %s", got, want)
	}
	// Past preflight it lands, pays its fee, and fails in the same way.
	tx, err := b.Sign(b.ctx, b.markerIxs("hs/7/0", 3, b.transfer(0, 500)))
	if err != nil {
		t.Fatal(err)
	}
	late, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{SkipPreflight: true})
	if err != nil {
		t.Fatal(err)
	}
	var failed *FailedError
	if err := b.Wait(b.ctx, late); !errors.As(err, &failed) || plain(failed.Err) != want {
		t.Errorf("second use landed with %v, want %s", err, want)
	}
	b.wantBalance(b.Recipients[0], 500)

	b.tick(2)
	got, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Commitment: rpc.CommitmentConfirmed})
	if err != nil {
		t.Fatal(err)
	}
	units := *got.Meta.ComputeUnitsConsumed
	t.Logf("marker transaction with one transfer: %d compute units", units)
	// 798 were measured without the price instruction. A change beyond this
	// range means another token program or another cost table.
	if units < 400 || units > 3000 {
		t.Errorf("marker transaction took %d compute units, want 400 to 3000: has the runtime changed?", units)
	}
}
