package solanavm

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/settle/solana/distributor"
	"heliograph/poc"
)

// binaryEnv names the program's file; `solana program dump
// mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv FILE` makes one. It is not part of
// this project.
const binaryEnv = "MERKLE_DISTRIBUTOR_SO"

// invalidProof is how the program's error 6002 shows.
const invalidProof = "6002"

// TestClaimsOnTheRealProgram: a list's tree pays exactly what it says, once, to
// those who are on it.
func TestClaimsOnTheRealProgram(t *testing.T) {
	file := os.Getenv(binaryEnv)
	if file == "" {
		t.Skip(binaryEnv + " is not set: name a dump of the merkle distributor program to claim from the real one")
	}
	elf, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx := t.Context()
	program, err := distributor.ParseProgram("mERKcfxMC5SqJn4Ld4BUris3WKZZ1ojjWJ3A3J5CKxv")
	if err != nil {
		t.Fatal(err)
	}
	if err := vm.LoadProgram(ctx, program.ID(), elf); err != nil {
		t.Fatal(err)
	}
	keys := make([]solana.PrivateKey, 9)
	list := make([]reward.Payout, 7) // the last two keys: the treasury's, and a stranger's
	for i := range keys {
		if keys[i], err = solana.NewRandomPrivateKey(); err != nil {
			t.Fatal(err)
		}
	}
	wallets := keys[:len(list)]
	slices.SortFunc(wallets, func(a, b solana.PrivateKey) int {
		pa, pb := a.PublicKey(), b.PublicKey()
		return bytes.Compare(pa[:], pb[:])
	})
	for i, k := range wallets {
		list[i] = reward.Payout{Wallet: poc.Wallet(k.PublicKey()), Amount: ledger.Amount(1000 + i)}
	}
	tree, err := claim.New(list)
	if err != nil {
		t.Fatal(err)
	}
	admin, stranger := keys[7], keys[8]
	sender := Sender{Client: vm.Client(), Payer: admin, Commitment: rpc.CommitmentConfirmed}
	mint, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	var owners []solana.PublicKey
	for _, k := range append(slices.Clone(wallets), stranger) {
		owners = append(owners, k.PublicKey())
	}
	stage, err := SetStage(ctx, StageConfig{Sender: sender, Mint: mint, TreasuryAmount: 1 << 30, Recipients: owners})
	if err != nil {
		t.Fatal(err)
	}
	terms := distributor.Terms{Mint: stage.Mint, Version: 0x5eed, Root: tree.Root(), Total: tree.Total(), Count: uint64(tree.Count()),
		Start: 4_000_000_000, End: 4_000_000_100, Clawback: 4_000_100_000, Receiver: stage.Treasury, Admin: admin.PublicKey()}
	create, err := program.New(terms)
	if err != nil {
		t.Fatal(err)
	}
	at, err := program.Address(stage.Mint, terms.Version)
	if err != nil {
		t.Fatal(err)
	}
	vault, err := distributor.Vault(at, stage.Mint)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sender.Send(ctx, []solana.Instruction{create,
		token.NewTransferCheckedInstruction(uint64(tree.Total()), stage.Decimals, stage.Treasury, stage.Mint, vault, admin.PublicKey(), nil).Build()})
	if err != nil {
		t.Fatal(err)
	}
	try := func(who solana.PrivateKey, proof claim.Proof) error {
		if err := sender.Fund(ctx, who.PublicKey(), solana.LAMPORTS_PER_SOL); err != nil {
			t.Fatal(err)
		}
		ix, err := program.Claim(stage.Mint, terms.Version, proof)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sender.Send(ctx, []solana.Instruction{ix}, who)
		return err
	}
	balance := func(i int) uint64 {
		n, err := TokenBalance(ctx, vm.Client(), stage.Recipients[i], rpc.CommitmentConfirmed)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, k := range wallets {
		proof, ok := tree.Prove(poc.Wallet(k.PublicKey()))
		if !ok {
			t.Fatal("no proof")
		}
		more := proof
		more.Payout.Amount++
		if err := try(k, more); err == nil || !strings.Contains(err.Error(), invalidProof) {
			t.Errorf("claim %d of more than its share: %v", i, err)
		}
		if err := try(k, proof); err != nil || balance(i) != uint64(list[i].Amount) {
			t.Errorf("claim %d: %v, balance %d, want %d", i, err, balance(i), list[i].Amount)
		}
		if err := try(k, proof); err == nil || balance(i) != uint64(list[i].Amount) {
			t.Errorf("claim %d succeeds a second time: %v, balance %d", i, err, balance(i))
		}
		status, err := program.Status(k.PublicKey(), at)
		if err != nil {
			t.Fatal(err)
		}
		acc, err := vm.Client().GetAccountInfoWithOpts(ctx, status, &rpc.GetAccountInfoOpts{Encoding: solana.EncodingBase64, Commitment: rpc.CommitmentConfirmed})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := distributor.ParseStatus(acc.GetBinary()); err != nil || c != (distributor.Claimed{Wallet: list[i].Wallet, Amount: list[i].Amount}) {
			t.Errorf("claim %d: status %+v, %v", i, c, err)
		}
	}
	proof, _ := tree.Prove(list[0].Wallet)
	proof.Payout.Wallet = poc.Wallet(stranger.PublicKey())
	if err := try(stranger, proof); err == nil || balance(len(list)) != 0 {
		t.Errorf("a stranger claims: %v", err)
	}
}
