package solanavm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/audit"
	"heliograph/oracle/ledger"
	"heliograph/oracle/ledger/ledgertest"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
	"heliograph/oracle/settle/solana/signer"
	"heliograph/oracle/settle/solana/trail"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// Instructions that make extensions of a mint (tag, and a second one for most).
func extensionOf(bytes int, init ...[]byte) MintExtension {
	return MintExtension{Bytes: bytes, Init: slices.Concat(init...)}
}

func metadataPointer(authority, mint solana.PublicKey) MintExtension {
	return extensionOf(64, []byte{39, 0}, authority[:], mint[:])
}

// TestToken2022MintsThatAreRefused: the real program makes a mint with each extension,
// and no client comes up for it.
func TestToken2022MintsThatAreRefused(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx := testContext(t)
	hot := newKey(t)
	sender := Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}
	who := hot.PublicKey()
	key := func(k solana.PublicKey) []byte { return k[:] }
	for _, tt := range []struct {
		names string // in the refusal
		all   []MintExtension
	}{
		{"transfer fee (", []MintExtension{extensionOf(108, []byte{26, 0, 0, 0}, []byte{50, 0}, binary.LittleEndian.AppendUint64(nil, 1000))}},
		{"mint close authority (", []MintExtension{extensionOf(32, []byte{25, 1}, key(who))}},
		{"confidential transfer (", []MintExtension{extensionOf(65, []byte{27, 0}, key(who), []byte{1}, make([]byte, 32))}},
		{"default account state (", []MintExtension{extensionOf(1, []byte{28, 0, 2})}},
		{"non-transferable (", []MintExtension{extensionOf(0, []byte{32})}},
		{"interest-bearing (", []MintExtension{extensionOf(52, []byte{33, 0}, key(who), []byte{5, 0})}},
		{"permanent delegate (", []MintExtension{extensionOf(32, []byte{35}, key(who))}},
		{"transfer hook (", []MintExtension{extensionOf(64, []byte{36, 0}, key(who), key(solana.MemoProgramID))}},
		{"scaled amount (", []MintExtension{extensionOf(56, []byte{43, 0}, key(who), []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f})}},
		{"pausable (", []MintExtension{extensionOf(33, []byte{44, 0}, key(who))}},
		{"pausable (", []MintExtension{metadataPointer(who, who), extensionOf(33, []byte{44, 0}, key(who))}},
	} {
		mint := newKey(t)
		cfg := StageConfig{Sender: sender, Mint: mint, Decimals: 6, Program: solana.Token2022ProgramID, Extensions: tt.all, FreezeAuthority: who}
		if err := sender.Fund(ctx, who, solana.LAMPORTS_PER_SOL); err != nil {
			t.Fatal(err)
		}
		if err := cfg.createMint(ctx); err != nil {
			t.Errorf("%s: the program does not make the mint: %v", tt.names, err)
			continue
		}
		began := time.Now()
		_, err := hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: hsolana.NewFileKey(hot), Mint: mint.PublicKey()})
		if err == nil || !strings.Contains(err.Error(), "extension "+tt.names) || !strings.Contains(err.Error(), "pay out a mint without it") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line that names it and what to do", tt.names, err)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s: refused after %v: it was tried again", tt.names, d)
		}
	}
}

// TestSettlementOfToken2022: a plain mint of Token-2022, with metadata, is paid out by
// a settler through a signer process, and found again by a stranger and by an oracle
// that has lost its books. One wallet demands memos, and is held until it does not.
func TestSettlementOfToken2022(t *testing.T) {
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	hot, mint, picky := newKey(t), newKey(t), newKey(t)
	to := append(newWallets(t, 19), picky.PublicKey())
	sender := Sender{Client: vm.Client(), Payer: hot, Commitment: rpc.CommitmentConfirmed}
	stage, err := SetStage(ctx, StageConfig{Sender: sender, Mint: mint, Program: solana.Token2022ProgramID, TreasuryAmount: 1 << 40, Recipients: to,
		Extensions: []MintExtension{metadataPointer(hot.PublicKey(), mint.PublicKey())}})
	if err != nil {
		t.Fatal(err)
	}
	describeMint(t, sender, stage.Mint)
	demandMemos(t, sender, stage, picky, stage.Recipients[19], true)

	k := newKeeper(t, hot, stage)
	k.cfg.Policy.TokenProgram = solana.TokenProgramID // as if the operator had left it out
	k.start()
	dial := func() (*hsolana.Client, error) {
		remote, err := signer.Dial(ctx, k.socket())
		if err != nil {
			t.Fatal(err)
		}
		return hsolana.Dial(ctx, hsolana.Config{Endpoint: vm.URL(), Hot: remote, Mint: stage.Mint, UnitPrice: 1000, MaxUnitPrice: 100_000})
	}
	if _, err := dial(); err == nil || !strings.Contains(err.Error(), "token_program") {
		t.Errorf("a signer of the other token program: %v", err)
	}
	k.end()
	k.cfg.Policy.TokenProgram = stage.Program
	k.start()
	client, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if rent, err := client.MarkerRent(ctx); err != nil || rent != 2_039_280 {
		t.Errorf("a marker locks %d lamports, %v", rent, err)
	}

	l := settle.List{Epoch: 3, Secret: poc.Secret{2}}
	for i, w := range to {
		l.Payouts = append(l.Payouts, reward.Payout{Wallet: poc.Wallet(w), Amount: ledger.Amount(5000 + i)})
	}
	slices.SortFunc(l.Payouts, func(a, b reward.Payout) int { return bytes.Compare(a.Wallet[:], b.Wallet[:]) })
	l.ListHash = sha256.Sum256(reward.AppendList(nil, l.Payouts))
	settler := func() (*settle.Settler, *mem.KV) {
		kv := mem.NewKV()
		book := ledger.NewBook(kv)
		for i, p := range l.Payouts {
			if err := book.Post(ctx, ledger.Move(fmt.Sprintf("earn/%d", i), ledger.Issued, ledger.Owed(p.Wallet), p.Amount)); err != nil {
				t.Fatal(err)
			}
		}
		return settle.New(settle.Config{KV: kv, Chain: client, Signer: client, ReclaimAfter: 300, HeldEvery: 10, Log: slog.New(slog.DiscardHandler)}), kv
	}
	until := func(s *settle.Settler, what string, ok func(settle.Record) bool) settle.Record {
		for {
			_ = s.Step(ctx)
			rec, err := s.Epoch(ctx, 3)
			if err != nil {
				t.Fatal(err)
			}
			if ok(rec) {
				return rec
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s: never came: state %s, paid %d, stalled %q, last error %q", what, rec.State, rec.Paid, rec.Stalled, s.LastError())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	s, kv := settler()
	if err := s.Freeze(ctx, l); err != nil {
		t.Fatal(err)
	}
	rec := until(s, "the first close", func(r settle.Record) bool { return r.State == settle.Closed })
	if rec.Held == 0 || !strings.Contains(fmt.Sprint(rec.Parts), "disable-required-transfer-memos") {
		t.Errorf("the wallet that demands memos: held %d, %+v", rec.Held, rec.Parts)
	}
	demandMemos(t, sender, stage, picky, stage.Recipients[19], false)
	rec = until(s, "the end", func(r settle.Record) bool { return r.State == settle.Closed && r.Held == 0 })
	if rec.Paid != rec.Total {
		t.Errorf("paid %d of %d", rec.Paid, rec.Total)
	}
	if err := ledgertest.New(kv).Check(ctx); err != nil {
		t.Error(err)
	}
	until(s, "the rent", func(r settle.Record) bool { return r.Reclaimed == r.Batches })

	// The books are lost after the markers were closed.
	s, kv = settler()
	root, err := claim.Root(l.Payouts)
	if err == nil {
		err = s.Rebuild(ctx, l, root)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f, err := s.Find(ctx, 3); err != nil || f.Open != 0 || f.Paid != rec.Total {
		t.Errorf("found again: %+v, %v", f, err)
	}
	rec = until(s, "the second end", func(r settle.Record) bool { return r.State == settle.Closed && r.Held == 0 })
	if err := ledgertest.New(kv).Check(ctx); err != nil || rec.Paid != rec.Total {
		t.Errorf("paid %d of %d, %v", rec.Paid, rec.Total, err)
	}
	for i, w := range to {
		if got, err := client.TokenBalance(ctx, poc.Wallet(w)); err != nil || got != ledger.Amount(5000+i) {
			t.Errorf("wallet %s has %d (%v), want %d", w, got, err, 5000+i)
		}
	}
	closed, err := client.Transaction(ctx, rec.Close.Signature)
	if err != nil {
		t.Fatal(err)
	}
	got, wrong, err := audit.Payments(ctx, trail.NewReader(vm.URL()), audit.Search{Epoch: 3, Hot: hot.PublicKey().String(),
		Treasury: stage.Treasury.String(), Mint: stage.Mint.String(), From: 0, List: l.Payouts, Closed: closed.Memos[0]})
	if err != nil || got.Sum != rec.Total || got.Wallets != len(to) {
		t.Errorf("an audit finds %+v, %v", got, err)
	}
	for _, c := range wrong {
		if !c.OK {
			t.Errorf("an audit finds fault: %s: %s", c.What, c.Note)
		}
	}
}

// describeMint writes metadata into the mint, which makes the account longer.
func describeMint(t *testing.T, s Sender, mint solana.PublicKey) {
	t.Helper()
	text := func(s string) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(s))), s...)
	}
	head := sha256.Sum256([]byte("spl_token_metadata_interface:initialize_account"))
	who := s.Payer.PublicKey()
	_, err := s.Send(testContext(t), []solana.Instruction{
		system.NewTransferInstruction(10_000_000, who, mint).Build(),
		solana.NewInstruction(solana.Token2022ProgramID, solana.AccountMetaSlice{
			{PublicKey: mint, IsWritable: true}, {PublicKey: who}, {PublicKey: mint}, {PublicKey: who, IsSigner: true},
		}, slices.Concat(head[:8], text("Heliograph"), text("HELIO"), text("https://example.org/token.json"))),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// demandMemos makes room for the extension and switches it.
func demandMemos(t *testing.T, s Sender, stage *Stage, owner solana.PrivateKey, at solana.PublicKey, on bool) {
	t.Helper()
	who, toggle := s.Payer.PublicKey(), byte(1)
	var ixs []solana.Instruction
	if on {
		toggle = 0
		ixs = append(ixs, solana.NewInstruction(stage.Program, solana.AccountMetaSlice{
			{PublicKey: at, IsWritable: true}, {PublicKey: who, IsSigner: true, IsWritable: true}, {PublicKey: solana.SystemProgramID},
			{PublicKey: owner.PublicKey(), IsSigner: true},
		}, []byte{29, 8, 0})) // Reallocate
	}
	ixs = append(ixs, solana.NewInstruction(stage.Program, solana.AccountMetaSlice{
		{PublicKey: at, IsWritable: true}, {PublicKey: owner.PublicKey(), IsSigner: true},
	}, []byte{30, toggle}))
	if _, err := s.Send(testContext(t), ixs, owner); err != nil {
		t.Fatal(err)
	}
}

// TestApproveToken2022ByTwoOfThree: a multisig of Token-2022 owns the treasury.
func TestApproveToken2022ByTwoOfThree(t *testing.T) {
	v := newVaultOf(t, solana.Token2022ProgramID, 2, 3)
	ctx := testContext(t)
	tr := v.treasury(t)
	if tr.Program != solana.Token2022ProgramID || tr.Multisig == nil || tr.Multisig.Required != 2 || len(tr.Multisig.Signers) != 3 {
		t.Fatalf("treasury %+v", tr)
	}
	m, err := approve.Prepare(ctx, v.vm.URL(), tr, v.grant(), approve.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := approve.Same(m.Bytes, tr, v.grant(), approve.Choice{}); err != nil {
		t.Error(err)
	}
	tx, err := m.Combine(v.sign(t, m, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := approve.Send(ctx, v.vm.URL(), tx); err != nil {
		t.Fatal(err)
	}
	if got := v.treasury(t); got.Delegate != v.hot.PublicKey() || got.Allowance != 1000 {
		t.Errorf("allowance of %d for %s", got.Allowance, got.Delegate)
	}
	if err := v.spend(t, 1001); err == nil {
		t.Error("the hot key spent more than was approved")
	}
	if err := v.spend(t, 1000); err != nil {
		t.Error(err)
	}
}
