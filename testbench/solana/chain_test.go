package solanavm

import (
	"slices"
	"testing"

	"github.com/gagliardetto/solana-go"
	lookup "github.com/gagliardetto/solana-go/programs/address-lookup-table"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/rpc"
)

func TestCommitments(t *testing.T) {
	b := newBench(t, Config{})
	sig := b.send(memoIx("levels"))
	for _, c := range []struct {
		ticks int
		want  rpc.ConfirmationStatusType
	}{
		{0, rpc.ConfirmationStatusProcessed},
		{2, rpc.ConfirmationStatusConfirmed},
		{28, rpc.ConfirmationStatusConfirmed},
		{1, rpc.ConfirmationStatusFinalized},
	} {
		if c.ticks > 0 {
			b.tick(c.ticks)
		}
		s := b.status(sig)
		if s == nil || s.ConfirmationStatus != c.want || (s.Confirmations == nil) != (c.want == rpc.ConfirmationStatusFinalized) {
			t.Errorf("after %d more ticks: %+v, want %s", c.ticks, s, c.want)
		}
	}
	b.tick(200)
	out, err := b.Client().GetSignatureStatuses(b.ctx, false, sig)
	if err != nil || out.Value[0] != nil {
		t.Errorf("an old status without history search: %v, %v; want null", out, err)
	}
	if b.status(sig) == nil {
		t.Error("an old status is not found by history search")
	}
	var heights []uint64
	for _, c := range []rpc.CommitmentType{rpc.CommitmentProcessed, rpc.CommitmentConfirmed, rpc.CommitmentFinalized} {
		h, err := b.Client().GetBlockHeight(b.ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		latest, err := b.Client().GetLatestBlockhash(b.ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if latest.Value.LastValidBlockHeight != h+150 {
			t.Errorf("%s: lastValidBlockHeight %d at height %d", c, latest.Value.LastValidBlockHeight, h)
		}
		heights = append(heights, h)
	}
	if heights[0]-heights[1] != 2 || heights[0]-heights[2] != 31 {
		t.Errorf("heights processed, confirmed, finalized: %v", heights)
	}
}

func TestExpiredBlockhash(t *testing.T) {
	b := newBench(t, Config{})
	inTime, tooLate := b.sign("in time"), b.sign("too late")
	opts := rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed}
	b.tick(150)
	if _, err := b.Client().SendTransactionWithOpts(b.ctx, inTime, opts); err != nil {
		t.Errorf("at the last valid block height: %v", err)
	}
	b.tick(1)
	_, err := b.Client().SendTransactionWithOpts(b.ctx, tooLate, opts)
	if got := preflightError(t, err); got != "BlockhashNotFound" {
		t.Errorf("one block later: %v, want BlockhashNotFound", got)
	}
	valid, err := b.Client().IsBlockhashValid(b.ctx, tooLate.Message.RecentBlockhash, rpc.CommitmentProcessed)
	if err != nil || valid.Value {
		t.Errorf("isBlockhashValid: %v, %v; want false", valid, err)
	}
	// Without preflight the node takes it and the cluster drops it.
	sig, err := b.Client().SendTransactionWithOpts(b.ctx, tooLate, rpc.TransactionOpts{SkipPreflight: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := b.status(sig); s != nil {
		t.Errorf("an expired transaction has status %+v", s)
	}
	b.wantBalance(b.Recipients[0], 1)
}

func TestSameTransactionTwice(t *testing.T) {
	b := newBench(t, Config{})
	tx := b.sign("twice")
	opts := rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentFinalized}
	b.tick(40) // so that a finalized bank knows the blockhash
	for range 2 {
		sig, err := b.Client().SendTransactionWithOpts(b.ctx, tx, opts)
		if err != nil || sig != tx.Signatures[0] {
			t.Fatalf("send: %s, %v", sig, err)
		}
	}
	b.wantBalance(b.Recipients[0], 1)
	b.tick(40)
	_, err := b.Client().SendTransactionWithOpts(b.ctx, tx, opts)
	if got := preflightError(t, err); got != "AlreadyProcessed" {
		t.Errorf("a finalized transaction again: %v, want AlreadyProcessed", got)
	}
	if sig, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{SkipPreflight: true}); err != nil || sig != tx.Signatures[0] {
		t.Errorf("again without preflight: %s, %v", sig, err)
	}
	b.wantBalance(b.Recipients[0], 1)
}

func TestRollback(t *testing.T) {
	b := newBench(t, Config{})
	kept := b.send(b.transfer(1, 7))
	b.tick(3)
	cp, err := b.Checkpoint(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	tx := b.sign("on the lost fork")
	b.tick(1)
	after := b.sign("with a hash of the lost fork")
	lost, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed})
	if err != nil {
		t.Fatal(err)
	}
	b.tick(4)
	before, err := b.Stats(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.wantBalance(b.Recipients[0], 1)
	dropped, err := b.Rollback(b.ctx, cp, RollbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(dropped, []solana.Signature{lost}) {
		t.Errorf("rollback dropped %v, want %v", dropped, lost)
	}
	if s := b.status(lost); s != nil {
		t.Errorf("the dropped transaction has status %+v", s)
	}
	if b.status(kept) == nil {
		t.Error("the transaction before the checkpoint is gone")
	}
	b.wantBalance(b.Recipients[0], 0)
	b.wantBalance(b.Recipients[1], 7)
	now, err := b.Stats(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if now.Slot <= before.Slot || now.Height >= before.Height {
		t.Errorf("slot %d -> %d, height %d -> %d: want slots to go on and heights back", before.Slot, now.Slot, before.Height, now.Height)
	}
	// A transaction of the time before the fork may land again; one whose
	// blockhash died with the fork never can.
	if _, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed}); err != nil {
		t.Errorf("send again after the fork: %v", err)
	}
	b.wantBalance(b.Recipients[0], 1)
	_, err = b.Client().SendTransactionWithOpts(b.ctx, after, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed})
	if got := preflightError(t, err); got != "BlockhashNotFound" {
		t.Errorf("blockhash of the lost fork: %v, want BlockhashNotFound", got)
	}
}

func TestRollbackRelandAndLimits(t *testing.T) {
	b := newBench(t, Config{})
	cp, err := b.Checkpoint(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	sig := b.send(b.transfer(0, 5))
	if _, err := b.Rollback(b.ctx, cp, RollbackOptions{Reland: 2}); err != nil {
		t.Fatal(err)
	}
	if b.status(sig) != nil {
		t.Error("the transaction survived the rollback")
	}
	b.tick(2)
	if b.status(sig) == nil {
		t.Error("the transaction did not land again")
	}
	b.wantBalance(b.Recipients[0], 5)
	b.tick(60)
	if _, err := b.Rollback(b.ctx, cp, RollbackOptions{}); err == nil {
		t.Error("a finalized block was undone without force")
	}
	if _, err := b.Rollback(b.ctx, cp, RollbackOptions{Force: true}); err != nil {
		t.Error(err)
	}
	b.wantBalance(b.Recipients[0], 0)
}

// TestLookupTable needs slot hashes, which LiteSVM leaves alone, and shows
// version 0 transactions in history.
func TestLookupTable(t *testing.T) {
	b := newBench(t, Config{})
	payer := b.Payer.PublicKey()
	slot, err := b.Client().GetSlot(b.ctx, rpc.CommitmentFinalized)
	if err != nil {
		t.Fatal(err)
	}
	create, table, err := lookup.NewCreateLookupTableInstruction(payer, payer, slot)
	if err != nil {
		t.Fatal(err)
	}
	b.send(
		create.Build(),
		lookup.NewExtendLookupTableInstruction(table, payer, payer, b.Recipients).Build(),
	)
	b.tick(1) // fresh addresses work from the next slot
	latest, err := b.Client().GetLatestBlockhash(b.ctx, rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := solana.NewTransaction([]solana.Instruction{b.transfer(2, 9)}, latest.Value.Blockhash, solana.TransactionPayer(payer),
		solana.TransactionAddressTables(map[solana.PublicKey]solana.PublicKeySlice{table: b.Recipients}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Sign(func(solana.PublicKey) *solana.PrivateKey { return &b.Payer }); err != nil {
		t.Fatal(err)
	}
	if len(tx.Message.AddressTableLookups) != 1 {
		t.Fatal("the transaction does not use the table")
	}
	sig, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{PreflightCommitment: rpc.CommitmentProcessed})
	if err != nil {
		t.Fatal(err)
	}
	b.wantBalance(b.Recipients[2], 9)
	b.tick(2)
	var v0 uint64
	got, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Commitment: rpc.CommitmentConfirmed, MaxSupportedTransactionVersion: &v0})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Meta.LoadedAddresses.Writable, solana.PublicKeySlice{b.Recipients[2]}) {
		t.Errorf("loaded addresses: %+v", got.Meta.LoadedAddresses)
	}
	if _, err := b.Client().GetTransaction(b.ctx, sig, &rpc.GetTransactionOpts{Commitment: rpc.CommitmentConfirmed}); err == nil {
		t.Error("a version 0 transaction was shown to a client of legacy ones")
	}
}

// TestNonceOfFailedTransaction: a durable transaction that lands and fails
// uses its nonce up, so that it cannot land again.
func TestNonceOfFailedTransaction(t *testing.T) {
	b := newBench(t, Config{})
	payer, nonce := b.Payer.PublicKey(), key("nonce")
	const nonceBytes = 80
	rent, err := b.Client().GetMinimumBalanceForRentExemption(b.ctx, nonceBytes, rpc.CommitmentProcessed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Send(b.ctx, []solana.Instruction{
		system.NewCreateAccountInstruction(rent, nonceBytes, solana.SystemProgramID, payer, nonce.PublicKey()).Build(),
		system.NewInitializeNonceAccountInstruction(payer, nonce.PublicKey(), solana.SysVarRecentBlockHashesPubkey, solana.SysVarRentPubkey).Build(),
	}, nonce); err != nil {
		t.Fatal(err)
	}
	read := func() solana.Hash {
		info, err := b.Client().GetAccountInfoWithOpts(b.ctx, nonce.PublicKey(), &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64})
		if err != nil {
			t.Fatal(err)
		}
		return solana.HashFromBytes(info.Value.Data.GetBinary()[40:72])
	}
	send := func(amount uint64) solana.Signature {
		tx, err := solana.NewTransaction([]solana.Instruction{
			system.NewAdvanceNonceAccountInstruction(nonce.PublicKey(), solana.SysVarRecentBlockHashesPubkey, payer).Build(),
			b.transfer(0, amount),
		}, read(), solana.TransactionPayer(payer))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Sign(func(solana.PublicKey) *solana.PrivateKey { return &b.Payer }); err != nil {
			t.Fatal(err)
		}
		sig, err := b.Client().SendTransactionWithOpts(b.ctx, tx, rpc.TransactionOpts{SkipPreflight: true})
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	b.tick(400) // far beyond any blockhash
	first := read()
	if s := b.status(send(3)); s == nil || s.Err != nil {
		t.Fatalf("durable transaction: %+v", s)
	}
	b.wantBalance(b.Recipients[0], 3)
	second := read()
	b.tick(1)
	if s := b.status(send(2_000_000)); s == nil || s.Err == nil {
		t.Fatalf("durable transaction that must fail: %+v", s)
	}
	if third := read(); first == second || second == third {
		t.Errorf("nonces: %s, after success %s, after failure %s: want three different", first, second, third)
	}
}
