package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/oracle/settle/claim"
	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
)

// world is a signer with an epoch of 40 wallets. The messages come from
// solana-go, with which the decoder shares nothing.
type world struct {
	claims bool // the commit memo says that wallets claim
	t      *testing.T
	cfg    Config
	s      *Signer
	hot    solana.PublicKey
	mint   solana.PublicKey
	from   solana.PublicKey
	// program is the token program of the messages.
	program solana.PublicKey
	list    []reward.Payout
	text    []byte
	now     time.Time
}

const epoch = 7

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, mint: solana.PublicKey{1}, from: solana.PublicKey{2}, program: solana.TokenProgramID, now: time.Unix(1_800_000_000, 0)}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	w.hot = solana.PublicKey(key.Public().(ed25519.PublicKey))
	for i := range 40 {
		w.list = append(w.list, reward.Payout{Wallet: poc.Wallet{byte(i), 1}, Amount: ledger.Amount(100 + i)})
	}
	w.text = reward.AppendList(nil, w.list)
	w.cfg = Config{
		Key: key, KV: mem.NewKV(), Lists: t.TempDir(), MarkerAge: 10 * time.Minute, Now: func() time.Time { return w.now },
		Policy: Policy{Mint: w.mint, Treasury: w.from, Decimals: 8, MaxRent: 3_000_000, MaxPriorityFee: 10_000, MaxEpoch: 1 << 40},
	}
	w.start()
	return w
}

// start makes the signer afresh, as after a restart.
func (w *world) start() {
	w.t.Helper()
	s, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

func (w *world) open() {
	w.t.Helper()
	if err := w.s.Register(w.t.Context(), epoch, w.text); err != nil {
		w.t.Fatal(err)
	}
	if err := w.memo(w.commitText()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) commitText() string {
	_, total, err := reward.ParseList(w.text)
	if err != nil {
		w.t.Fatal(err)
	}
	return settle.CommitText(epoch, len(w.list), total, w.roots())
}

// roots are those of the list, with a root of the rewards that the signer cannot know.
func (w *world) roots() settle.Roots {
	w.t.Helper()
	root, err := claim.Root(w.list)
	if err != nil {
		w.t.Fatal(err)
	}
	return settle.Roots{Payouts: root, List: sha256.Sum256(w.text), Rewards: [32]byte{9}, Claim: w.claims}
}

func (w *world) message(payer solana.PublicKey, ixs ...solana.Instruction) []byte {
	w.t.Helper()
	tx, err := solana.NewTransaction(ixs, solana.Hash{5}, solana.TransactionPayer(payer))
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := tx.Message.MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func memoIx(text string) solana.Instruction {
	return solana.NewInstruction(solana.MemoProgramID, solana.AccountMetaSlice{}, []byte(text))
}

func (w *world) memo(text string) error {
	_, err := w.s.Sign(w.t.Context(), w.message(w.hot, memoIx(text)), Purpose{Kind: Memo})
	return err
}

func (w *world) marker(m settle.Marker) (solana.PublicKey, string) {
	seed := fmt.Sprintf("hs/%d/%d", m.Epoch, m.Batch)
	a, err := solana.CreateWithSeed(w.hot, seed, w.program)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, seed
}

func (w *world) ata(wallet poc.Wallet) solana.PublicKey {
	a, _, err := solana.FindAssociatedTokenAddressWithProgram(solana.PublicKey(wallet), w.mint, w.program)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// payout is the message that pays lines of the list in a batch, in the parts that
// tests break.
func (w *world) payout(m settle.Marker, lines ...int) (ixs []solana.Instruction, p Purpose) {
	at, seed := w.marker(m)
	ixs = []solana.Instruction{
		system.NewTransferInstruction(2_039_280, w.hot, at).Build(),
		system.NewAllocateWithSeedInstruction(w.hot, seed, 165, w.program, at, w.hot).Build(),
		w.under(token.NewInitializeAccount3Instruction(w.hot, at, w.mint).Build()),
		computebudget.NewSetComputeUnitLimitInstruction(100_000).Build(),
		computebudget.NewSetComputeUnitPriceInstruction(1000).Build(),
	}
	p = Purpose{Kind: Payout, Markers: []settle.Marker{m}}
	for _, i := range lines {
		p.Wallets = append(p.Wallets, w.list[i].Wallet)
		ixs = append(ixs, w.pay(uint64(w.list[i].Amount), w.ata(w.list[i].Wallet)))
	}
	return ixs, p
}

func (w *world) pay(amount uint64, to solana.PublicKey) solana.Instruction {
	return w.under(token.NewTransferCheckedInstruction(amount, 8, w.from, w.mint, to, w.hot, nil).Build())
}

// under makes an instruction one of the world's token program.
func (w *world) under(ix *token.Instruction) solana.Instruction {
	data, err := ix.Data()
	if err != nil {
		w.t.Fatal(err)
	}
	return solana.NewInstruction(w.program, ix.Accounts(), data)
}

func (w *world) batch(n uint32, lines ...int) error {
	ixs, p := w.payout(settle.Marker{Epoch: epoch, Batch: n}, lines...)
	msg := w.message(w.hot, ixs...)
	sig, err := w.s.Sign(w.t.Context(), msg, p)
	if err == nil && !ed25519.Verify(w.hot[:], msg, sig[:]) {
		w.t.Fatal("the signature does not verify")
	}
	return err
}

func (w *world) wantRefused(name string, err error, reason string) {
	w.t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Reason, reason) {
		w.t.Errorf("%s: %v, want a refusal with %q", name, err, reason)
	}
}

func (w *world) state() (st epochState) {
	w.t.Helper()
	err := w.cfg.KV.View(w.t.Context(), func(tx store.Tx) (err error) { st, err = registered(tx, epoch); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func TestPayEpoch(t *testing.T) {
	w := newWorld(t)
	w.wantRefused("payout of an epoch that is not open", w.batch(0, 0), "not registered")
	if err := w.s.Register(t.Context(), epoch, w.text); err != nil {
		t.Fatal(err)
	}
	w.wantRefused("payout before the commit memo", w.batch(0, 0), "no commit memo")
	w.open() // again, which changes nothing
	var want ledger.Amount
	for b := range 4 {
		var lines []int
		for i := range 10 {
			lines = append(lines, 10*b+i)
			want += w.list[10*b+i].Amount
		}
		for range 3 { // variants count once
			if err := w.batch(uint32(b), lines...); err != nil {
				t.Fatal(err)
			}
			w.start() // and a restart forgets nothing
		}
		if st := w.state(); st.Signed != want {
			t.Errorf("after batch %d: %d signed, want %d", b, st.Signed, want)
		}
	}
	if st := w.state(); st.Signed != st.Total {
		t.Errorf("%d signed of %d", st.Signed, st.Total)
	}
}

func TestEachWalletHasOneBatch(t *testing.T) {
	w := newWorld(t)
	w.open()
	if err := w.batch(0, 0, 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := w.batch(0, 0, 2); err != nil { // wallet 1 is held
		t.Fatal(err)
	}
	w.wantRefused("the held wallet in another batch", w.batch(1, 1), "oraclesigner release 7 ")
	w.start()
	w.wantRefused("the same after a restart", w.batch(1, 1, 3), "in batch 0")
	if err := w.s.Release(t.Context(), epoch, w.list[1].Wallet); err != nil {
		t.Fatal(err)
	}
	if err := w.batch(1, 1, 3); err != nil {
		t.Fatal(err)
	}
	if st := w.state(); st.Signed != 100+102+101+103 {
		t.Errorf("%d signed", st.Signed)
	}
	if err := w.s.Release(t.Context(), epoch, w.list[9].Wallet); err == nil {
		t.Error("a wallet that was never signed was released")
	}
}

// A composition may grow: of all, one lands, and the dearest counts.
func TestDearestCompositionCounts(t *testing.T) {
	w := newWorld(t)
	w.open()
	for _, lines := range [][]int{{0}, {1, 2}, {0, 1}, {2}} {
		if err := w.batch(5, lines...); err != nil {
			t.Fatal(err)
		}
	}
	if st := w.state(); st.Signed != 101+102 {
		t.Errorf("%d signed", st.Signed)
	}
}

func TestMemos(t *testing.T) {
	w := newWorld(t)
	seed := settle.SeedText(epoch, [32]byte{1})
	for range 2 {
		if err := w.memo(seed); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRefused("another seed", w.memo(settle.SeedText(epoch, [32]byte{2})), "another seed commitment")
	w.wantRefused("commit of an unknown list", w.memo(w.commitText()), "not registered")
	w.open()
	_, total, _ := reward.ParseList(w.text)
	roots := w.roots()
	other := func(change func(*settle.Roots)) settle.Roots {
		r := roots
		change(&r)
		return r
	}
	for name, bad := range map[string]struct{ text, reason string }{
		"other rewards":  {settle.CommitText(epoch, 40, total, other(func(r *settle.Roots) { r.Rewards[0]++ })), "another commit memo"},
		"another root":   {settle.CommitText(epoch, 40, total, other(func(r *settle.Roots) { r.Payouts[0]++ })), "does not fit"},
		"another total":  {settle.CommitText(epoch, 40, total+1, roots), "does not fit"},
		"another count":  {settle.CommitText(epoch, 41, total, roots), "does not fit"},
		"another list":   {settle.CommitText(epoch, 40, total, other(func(r *settle.Roots) { r.List[0]++ })), "does not fit"},
		"close too much": {settle.CloseText(epoch, poc.Secret{1}, total, 1), "speaks of"},
		"close overflow": {settle.CloseText(epoch, poc.Secret{1}, ledger.MaxAmount, 1), "known texts"},
		"free text":      {"pay me", "known texts"},
		"empty":          {"", "known texts"},
		"with a tail":    {w.commitText() + " x", "known texts"},
		"capital hex":    {strings.ToUpper(w.commitText()), "known texts"},
		"plus sign":      {strings.Replace(w.commitText(), "e=7", "e=+7", 1), "known texts"},
	} {
		w.wantRefused(name, w.memo(bad.text), bad.reason)
	}
	if err := w.memo(settle.CloseText(epoch, poc.Secret{1}, total-5, 5)); err != nil {
		t.Error(err)
	}
	_, err := w.s.Sign(t.Context(), w.message(w.hot, memoIx(seed), memoIx(seed)), Purpose{Kind: Memo})
	w.wantRefused("two memos", err, "stands alone")
}

func (w *world) reclaim(ms ...settle.Marker) ([]solana.Instruction, Purpose) {
	var ixs []solana.Instruction
	for _, m := range ms {
		a, _ := w.marker(m)
		ixs = append(ixs, token.NewCloseAccountInstruction(a, w.hot, w.hot, nil).Build())
	}
	return ixs, Purpose{Kind: Reclaim, Markers: ms}
}

func TestReclaim(t *testing.T) {
	w := newWorld(t)
	w.open()
	m := settle.Marker{Epoch: epoch, Batch: 0}
	if err := w.batch(0, 0, 1); err != nil {
		t.Fatal(err)
	}
	sign := func(ixs []solana.Instruction, p Purpose) error {
		_, err := w.s.Sign(t.Context(), w.message(w.hot, ixs...), p)
		return err
	}
	w.wantRefused("too soon", sign(w.reclaim(m)), "a variant may be alive")
	w.now = w.now.Add(10 * time.Minute)
	unknown := settle.Marker{Epoch: epoch, Batch: 9}
	w.wantRefused("never signed", sign(w.reclaim(m, unknown)), "was not signed here")
	if err := w.batch(0, 0, 1); err != nil { // nothing of the refused message stuck
		t.Fatal(err)
	}
	w.now = w.now.Add(10 * time.Minute)
	ixs, p := w.reclaim(m)
	at, _ := w.marker(m)
	thief := solana.PublicKey{66}
	w.wantRefused("rent to a stranger", sign([]solana.Instruction{token.NewCloseAccountInstruction(at, thief, w.hot, nil).Build()}, p), "closed to or by another")
	w.wantRefused("another account", sign([]solana.Instruction{token.NewCloseAccountInstruction(w.from, w.hot, w.hot, nil).Build()}, p), "is not the marker")
	w.wantRefused("nothing closed", sign([]solana.Instruction{computebudget.NewSetComputeUnitLimitInstruction(9).Build()}, p), "0 accounts")
	dust := token.NewTransferCheckedInstruction(5, 8, at, w.mint, thief, w.hot, nil).Build()
	w.wantRefused("dust to a stranger", sign(append([]solana.Instruction{dust}, ixs...), p), "to the treasury")
	drain := token.NewTransferCheckedInstruction(5, 8, w.from, w.mint, w.from, w.hot, nil).Build()
	w.wantRefused("from the treasury", sign(append([]solana.Instruction{drain}, ixs...), p), "to the treasury")
	home := token.NewTransferCheckedInstruction(5, 8, at, w.mint, w.from, w.hot, nil).Build()
	if err := sign(append([]solana.Instruction{home}, ixs...), p); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.wantRefused("payout after the guard is gone", w.batch(0, 0, 1), "guards nothing")
	if err := sign(ixs, p); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.wantRefused("no list", w.s.Register(ctx, epoch, []byte("{}\n")), "bad list")
	small := w.cfg
	small.Policy.MaxEpoch = 100
	s, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	w.wantRefused("over the cap", s.Register(ctx, epoch, w.text), "max_epoch")
	w.open()
	w.wantRefused("another list", w.s.Register(ctx, epoch, reward.AppendList(nil, w.list[:3])), "another list")
	if err := os.WriteFile(w.s.listFile(epoch), reward.AppendList(nil, []reward.Payout{{Wallet: poc.Wallet{66}, Amount: 9}}), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.wantRefused("list changed on disk", w.batch(0, 0), "has changed on disk")
}

func TestApprovals(t *testing.T) {
	w := newWorld(t)
	w.cfg.Approvals = t.TempDir()
	w.start()
	ctx := t.Context()
	w.wantRefused("none", w.s.Register(ctx, epoch, w.text), "is not approved")
	write := func(a Approval) {
		text, err := json.Marshal(a)
		if err == nil {
			err = os.WriteFile(filepath.Join(w.cfg.Approvals, "7.json"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, total, _ := reward.ParseList(w.text)
	good := Approval{epoch, total, fmt.Sprintf("%x", sha256.Sum256(w.text))}
	bad := good
	bad.Total++
	write(bad)
	w.wantRefused("another total", w.s.Register(ctx, epoch, w.text), "is for epoch 7")
	write(good)
	w.open()
}

func TestRateLimit(t *testing.T) {
	w := newWorld(t)
	w.cfg.PerMinute, w.cfg.Burst = 60, 3
	w.start()
	text := settle.SeedText(epoch, [32]byte{1})
	for i := range 3 {
		if err := w.memo(text); err != nil {
			t.Fatalf("signature %d: %v", i, err)
		}
	}
	if err := w.memo(text); !errors.Is(err, ErrBusy) {
		t.Errorf("over the burst: %v", err)
	}
	w.now = w.now.Add(time.Second)
	if err := w.memo(text); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// A store that fails leaves no signature.
func TestNoSignatureWithoutDisk(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.cfg.KV = broken{w.cfg.KV}
	w.start()
	ixs, p := w.payout(settle.Marker{Epoch: epoch}, 0)
	sig, err := w.s.Sign(t.Context(), w.message(w.hot, ixs...), p)
	if err == nil || sig != [64]byte{} {
		t.Errorf("signed %x, %v", sig, err)
	}
}

type broken struct{ store.KV }

func (broken) Update(context.Context, func(store.Tx) error) error { return errors.New("disk full") }
