package solanavm

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"
	"github.com/gagliardetto/solana-go/rpc"

	hsolana "heliograph/oracle/settle/solana"
	"heliograph/oracle/settle/solana/approve"
)

// vault is a mint whose treasury belongs to one cold key or to 2 of 3.
type vault struct {
	vm       *VM
	sender   Sender
	stage    *Stage
	keys     []solana.PrivateKey // who may sign
	hot      solana.PrivateKey
	receiver solana.PublicKey
}

func newVault(t *testing.T, m uint8, n int) *vault {
	t.Helper()
	return newVaultOf(t, solana.TokenProgramID, m, n)
}

// newVaultOf is a vault of a mint that belongs to the token program.
func newVaultOf(t *testing.T, program solana.PublicKey, m uint8, n int) *vault {
	t.Helper()
	vm := ForTest(t, Config{SlotInterval: 10 * time.Millisecond})
	ctx := testContext(t)
	v := &vault{vm: vm, sender: Sender{Client: vm.Client(), Payer: newKey(t), Commitment: rpc.CommitmentConfirmed}, hot: newKey(t)}
	for range n {
		v.keys = append(v.keys, newKey(t))
	}
	owner := v.keys[0].PublicKey()
	for _, k := range append(v.keys, v.sender.Payer, v.hot) {
		if err := v.sender.Fund(ctx, k.PublicKey(), solana.LAMPORTS_PER_SOL); err != nil {
			t.Fatal(err)
		}
	}
	if n > 1 {
		owner = v.multisig(t, ctx, program, m)
	}
	stage, err := SetStage(ctx, StageConfig{Sender: v.sender, Mint: newKey(t), Program: program, TreasuryOwner: owner, TreasuryAmount: 1_000_000, Recipients: newWallets(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	v.stage, v.receiver = stage, stage.Recipients[0]
	if err := vm.Tick(ctx, 40); err != nil { // final
		t.Fatal(err)
	}
	return v
}

func newKey(t *testing.T) solana.PrivateKey {
	t.Helper()
	k, err := solana.NewRandomPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// multisig creates a native SPL multisig of all keys.
func (v *vault) multisig(t *testing.T, ctx context.Context, program solana.PublicKey, m uint8) solana.PublicKey {
	t.Helper()
	account := newKey(t)
	const size = 355
	rent, err := v.vm.Client().GetMinimumBalanceForRentExemption(ctx, size, rpc.CommitmentConfirmed)
	if err != nil {
		t.Fatal(err)
	}
	// The library wants the members to sign, which the program does not.
	members := solana.AccountMetaSlice{{PublicKey: account.PublicKey(), IsWritable: true}}
	for _, k := range v.keys {
		members = append(members, &solana.AccountMeta{PublicKey: k.PublicKey()})
	}
	_, err = v.sender.Send(ctx, []solana.Instruction{
		system.NewCreateAccountInstruction(rent, size, program, v.sender.Payer.PublicKey(), account.PublicKey()).Build(),
		solana.NewInstruction(program, members, []byte{19, m}), // InitializeMultisig2
	}, account)
	if err != nil {
		t.Fatal(err)
	}
	return account.PublicKey()
}

func (v *vault) grant() approve.Grant {
	return approve.Grant{Epoch: 7, Total: 1000, List: [32]byte{3}, Hot: v.hot.PublicKey()}
}

func (v *vault) treasury(t *testing.T) approve.Treasury {
	t.Helper()
	tr, err := approve.ReadTreasury(testContext(t), v.vm.URL(), v.stage.Treasury)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (v *vault) sign(t *testing.T, m approve.Message, who ...int) (out []approve.Signature) {
	t.Helper()
	for _, i := range who {
		sig, err := v.keys[i].Sign(m.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, approve.Signature{Signer: v.keys[i].PublicKey(), Signature: sig})
	}
	return out
}

// spend tries to pay as the delegate.
func (v *vault) spend(t *testing.T, amount uint64) error {
	t.Helper()
	s := v.sender
	s.Payer = v.hot
	_, err := s.Send(testContext(t), []solana.Instruction{
		hsolana.Under(v.stage.Program, token.NewTransferCheckedInstruction(amount, v.stage.Decimals, v.stage.Treasury, v.stage.Mint, v.receiver, v.hot.PublicKey(), nil).Build())})
	return err
}

func TestApproveByOneOwner(t *testing.T) {
	v := newVault(t, 1, 1)
	ctx := testContext(t)
	tr := v.treasury(t)
	if tr.Multisig != nil || tr.Owner != v.keys[0].PublicKey() || tr.Balance != 1_000_000 {
		t.Fatalf("treasury %+v", tr)
	}
	m, err := approve.Prepare(ctx, v.vm.URL(), tr, v.grant(), approve.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := m.Combine(v.sign(t, m, 0))
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := approve.Send(ctx, v.vm.URL(), tx); err != nil || sig != tx.Signatures[0] {
		t.Fatalf("%s: %v", sig, err)
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
	if err := v.spend(t, 1); err == nil {
		t.Error("the hot key spent after the allowance")
	}
}

func TestApproveByTwoOfThree(t *testing.T) {
	v := newVault(t, 2, 3)
	ctx := testContext(t)
	tr := v.treasury(t)
	if tr.Multisig == nil || tr.Multisig.Required != 2 || len(tr.Multisig.Signers) != 3 {
		t.Fatalf("treasury %+v", tr)
	}
	choice := approve.Choice{Signers: []solana.PublicKey{v.keys[2].PublicKey(), v.keys[0].PublicKey()}, Payer: v.keys[2].PublicKey()}
	m, err := approve.Prepare(ctx, v.vm.URL(), tr, v.grant(), choice)
	if err != nil {
		t.Fatal(err)
	}
	again, err := approve.Same(m.Bytes, tr, v.grant(), choice)
	if err != nil || string(again.Bytes) != string(m.Bytes) {
		t.Errorf("another operator does not find the same message: %v", err)
	}
	other := v.grant()
	other.Total++
	if _, err := approve.Same(m.Bytes, tr, other, choice); err == nil || !strings.Contains(err.Error(), "do not sign") {
		t.Errorf("an operator who computed another total: %v", err)
	}
	other = v.grant()
	other.List[0]++
	if _, err := approve.Same(m.Bytes, tr, other, choice); err == nil {
		t.Error("an operator who computed another list would sign")
	}
	if _, err := m.Combine(v.sign(t, m, 0)); err == nil || !strings.Contains(err.Error(), v.keys[2].PublicKey().String()) {
		t.Errorf("one signature: %v", err)
	}
	if _, err := m.Combine(v.sign(t, m, 0, 1, 2)); err == nil || !strings.Contains(err.Error(), "not a signer") {
		t.Errorf("one too many: %v", err)
	}
	forged := v.sign(t, m, 0, 2)
	forged[0].Signature[5] ^= 1
	if _, err := m.Combine(forged); err == nil || !strings.Contains(err.Error(), "not one of this message") {
		t.Errorf("forged: %v", err)
	}
	tx, err := m.Combine(v.sign(t, m, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := approve.Send(ctx, v.vm.URL(), tx); err != nil {
		t.Fatal(err)
	}
	if err := v.spend(t, 1000); err != nil {
		t.Error(err)
	}
	if err := v.spend(t, 1); err == nil {
		t.Error("the hot key spent after the allowance")
	}
	for name, signers := range map[string][]solana.PublicKey{
		"one":      {v.keys[0].PublicKey()},
		"stranger": {v.keys[0].PublicKey(), v.hot.PublicKey()},
		"twice":    {v.keys[0].PublicKey(), v.keys[0].PublicKey()},
	} {
		if _, err := approve.Prepare(ctx, v.vm.URL(), tr, v.grant(), approve.Choice{Signers: signers}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// With a nonce account the signers have all the time they want.
func TestApproveWithNonce(t *testing.T) {
	v := newVault(t, 1, 1)
	ctx := testContext(t)
	account := newKey(t)
	rent, err := v.vm.Client().GetMinimumBalanceForRentExemption(ctx, 80, rpc.CommitmentConfirmed)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.sender.Send(ctx, []solana.Instruction{
		system.NewCreateAccountInstruction(rent, 80, solana.SystemProgramID, v.sender.Payer.PublicKey(), account.PublicKey()).Build(),
		system.NewInitializeNonceAccountInstruction(v.keys[0].PublicKey(), account.PublicKey(), solana.SysVarRecentBlockHashesPubkey, solana.SysVarRentPubkey).Build(),
	}, account)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := approve.Prepare(ctx, v.vm.URL(), v.treasury(t), v.grant(), approve.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := approve.Prepare(ctx, v.vm.URL(), v.treasury(t), v.grant(), approve.Choice{Nonce: account.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.vm.Tick(ctx, 400); err != nil {
		t.Fatal(err)
	}
	tx, err := plain.Combine(v.sign(t, plain, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := approve.Send(ctx, v.vm.URL(), tx); err == nil || !strings.Contains(err.Error(), "--nonce") {
		t.Errorf("an old message without a nonce: %v", err)
	}
	if tx, err = m.Combine(v.sign(t, m, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := approve.Send(ctx, v.vm.URL(), tx); err != nil {
		t.Fatal(err)
	}
	if got := v.treasury(t); got.Allowance != 1000 {
		t.Errorf("allowance %d", got.Allowance)
	}
}
