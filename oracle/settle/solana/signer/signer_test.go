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
	"slices"
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
	t    *testing.T
	cfg  Config
	s    *Signer
	hot  solana.PublicKey
	mint solana.PublicKey
	from solana.PublicKey
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
	return settle.Roots{Payouts: root, List: sha256.Sum256(w.text), Rewards: [32]byte{9}}
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

func TestRefusedPayouts(t *testing.T) {
	m := settle.Marker{Epoch: epoch, Batch: 3}
	other := settle.Marker{Epoch: epoch, Batch: 4}
	thief := solana.PublicKey{66}
	type change func(w *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction
	set := func(i int, f func(w *world) solana.Instruction) change {
		return func(w *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction { ixs[i] = f(w); return ixs }
	}
	add := func(f func(w *world) solana.Instruction) change {
		return func(w *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction { return append(ixs, f(w)) }
	}
	cut := func(i int) change {
		return func(_ *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction {
			return slices.Delete(ixs, i, i+1)
		}
	}
	for _, tt := range []struct {
		name, reason string
		change       change
	}{
		{"larger amount", "not in the list", set(5, func(w *world) solana.Instruction { return w.pay(101, w.ata(w.list[0].Wallet)) })},
		{"smaller amount", "not in the list", set(5, func(w *world) solana.Instruction { return w.pay(99, w.ata(w.list[0].Wallet)) })},
		{"other recipient", "not the token account", set(5, func(w *world) solana.Instruction { return w.pay(100, thief) })},
		{"stranger's account and wallet", "not in the list", func(w *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Wallets[0] = poc.Wallet(thief)
			ixs[5] = w.pay(100, w.ata(p.Wallets[0]))
			return ixs
		}},
		{"one wallet twice", "twice", func(w *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Wallets[1], ixs[6] = p.Wallets[0], ixs[5]
			return ixs
		}},
		{"wallets in another order", "not the token account", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Wallets[0], p.Wallets[1] = p.Wallets[1], p.Wallets[0]
			return ixs
		}},
		{"fewer wallets than transfers", "2 transfers for 1", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Wallets = p.Wallets[:1]
			return ixs
		}},
		{"no transfer", "0 transfers", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Wallets = nil
			return ixs[:5]
		}},
		{"other source", "not from the treasury", set(5, func(w *world) solana.Instruction {
			return token.NewTransferCheckedInstruction(100, 8, thief, w.mint, w.ata(w.list[0].Wallet), w.hot, nil).Build()
		})},
		{"other mint", "mint", set(5, func(w *world) solana.Instruction {
			return token.NewTransferCheckedInstruction(100, 8, w.from, thief, w.ata(w.list[0].Wallet), w.hot, nil).Build()
		})},
		{"other decimals", "decimals", set(5, func(w *world) solana.Instruction {
			return token.NewTransferCheckedInstruction(100, 9, w.from, w.mint, w.ata(w.list[0].Wallet), w.hot, nil).Build()
		})},
		{"other authority", "signatures", set(5, func(w *world) solana.Instruction {
			return token.NewTransferCheckedInstruction(100, 8, w.from, w.mint, w.ata(w.list[0].Wallet), thief, nil).Build()
		})},
		{"unchecked transfer", "token instruction 3", set(5, func(w *world) solana.Instruction {
			return token.NewTransferInstruction(100, w.from, w.ata(w.list[0].Wallet), w.hot, nil).Build()
		})},
		{"approval", "token instruction 4", add(func(w *world) solana.Instruction {
			return token.NewApproveInstruction(100, w.from, thief, w.hot, nil).Build()
		})},
		{"change of owner", "token instruction 6", add(func(w *world) solana.Instruction {
			return token.NewSetAuthorityInstruction(token.AuthorityAccountOwner, thief, w.from, w.hot, nil).Build()
		})},
		{"burn", "token instruction 8", add(func(w *world) solana.Instruction {
			return token.NewBurnInstruction(1, w.from, w.mint, w.hot, nil).Build()
		})},
		{"no guard", "one marker", func(_ *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction { return ixs[3:] }},
		{"guard not funded", "funded 0", cut(0)},
		{"guard not allocated", "allocated 0", cut(1)},
		{"guard not opened", "opened 0", cut(2)},
		{"guard of another batch", "not that of batch", func(w *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction {
			good, _ := w.payout(other)
			return append(good[:3], ixs[3:]...)
		}},
		{"claim of another batch", "not that of batch", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Markers[0] = other
			return ixs
		}},
		{"no claim", "one marker", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Markers = nil
			return ixs
		}},
		{"seed with a zero in front", "is not hs/<epoch>/<batch>", set(1, func(w *world) solana.Instruction {
			a, err := solana.CreateWithSeed(w.hot, "hs/07/3", solana.TokenProgramID)
			if err != nil {
				t.Fatal(err)
			}
			return system.NewAllocateWithSeedInstruction(w.hot, "hs/07/3", 165, solana.TokenProgramID, a, w.hot).Build()
		})},
		{"seed of something else", "is not hs/<epoch>/<batch>", set(1, func(w *world) solana.Instruction {
			a, _ := w.marker(m)
			return system.NewAllocateWithSeedInstruction(w.hot, "treasure", 165, solana.TokenProgramID, a, w.hot).Build()
		})},
		{"seed and address disagree", "does not follow", set(1, func(w *world) solana.Instruction {
			_, seed := w.marker(m)
			return system.NewAllocateWithSeedInstruction(w.hot, seed, 165, solana.TokenProgramID, thief, w.hot).Build()
		})},
		{"guard of another size", "not a token account", set(1, func(w *world) solana.Instruction {
			a, seed := w.marker(m)
			return system.NewAllocateWithSeedInstruction(w.hot, seed, 1, solana.TokenProgramID, a, w.hot).Build()
		})},
		{"guard of another program", "not a token account", set(1, func(w *world) solana.Instruction {
			a, seed := w.marker(m)
			return system.NewAllocateWithSeedInstruction(w.hot, seed, 165, solana.SystemProgramID, a, w.hot).Build()
		})},
		{"guard of another owner", "another mint or owner", set(2, func(w *world) solana.Instruction {
			a, _ := w.marker(m)
			return token.NewInitializeAccount3Instruction(thief, a, w.mint).Build()
		})},
		{"lamports to a stranger", "not that of batch", set(0, func(w *world) solana.Instruction {
			return system.NewTransferInstruction(2_039_280, w.hot, thief).Build()
		})},
		{"lamports twice", "funded 2", add(func(w *world) solana.Instruction {
			return system.NewTransferInstruction(1, w.hot, thief).Build()
		})},
		{"too many lamports", "max_rent", set(0, func(w *world) solana.Instruction {
			a, _ := w.marker(m)
			return system.NewTransferInstruction(3_000_001, w.hot, a).Build()
		})},
		{"lamports of somebody else", "signatures", set(0, func(w *world) solana.Instruction {
			a, _ := w.marker(m)
			return system.NewTransferInstruction(5, thief, a).Build()
		})},
		{"nonce", "system instruction that is not allowed", add(func(w *world) solana.Instruction {
			return system.NewAdvanceNonceAccountInstruction(thief, solana.SysVarRecentBlockHashesPubkey, w.hot).Build()
		})},
		{"assignment", "system instruction", add(func(w *world) solana.Instruction {
			return system.NewAssignInstruction(thief, w.hot).Build()
		})},
		{"dear fee", "max_priority_fee", set(4, func(*world) solana.Instruction {
			return computebudget.NewSetComputeUnitPriceInstruction(100_001).Build() // 100,000 units: 10,001 lamports
		})},
		{"fee that overflows", "max_priority_fee", set(4, func(*world) solana.Instruction {
			return computebudget.NewSetComputeUnitPriceInstruction(1<<64 - 1).Build()
		})},
		{"dear without a limit", "max_priority_fee", func(_ *world, ixs []solana.Instruction, _ *Purpose) []solana.Instruction {
			ixs[4] = computebudget.NewSetComputeUnitPriceInstruction(10_000).Build()
			return slices.Delete(ixs, 3, 4)
		}},
		{"two prices", "compute budget", add(func(*world) solana.Instruction {
			return computebudget.NewSetComputeUnitPriceInstruction(1).Build()
		})},
		{"heap request", "compute budget", add(func(*world) solana.Instruction {
			return computebudget.NewRequestHeapFrameInstruction(64 << 10).Build()
		})},
		{"a memo besides", "besides paying", add(func(*world) solana.Instruction { return memoIx("hello") })},
		{"a close besides", "besides paying", add(func(w *world) solana.Instruction {
			a, _ := w.marker(other)
			return token.NewCloseAccountInstruction(a, w.hot, w.hot, nil).Build()
		})},
		{"unknown program", "program", add(func(*world) solana.Instruction {
			return solana.NewInstruction(thief, solana.AccountMetaSlice{}, []byte{1})
		})},
		{"Token-2022", "program", set(5, func(w *world) solana.Instruction {
			ix := w.pay(100, w.ata(w.list[0].Wallet))
			data, err := ix.Data()
			if err != nil {
				t.Fatal(err)
			}
			return solana.NewInstruction(solana.Token2022ProgramID, ix.Accounts(), data)
		})},
		{"empty token instruction", "empty", add(func(*world) solana.Instruction {
			return solana.NewInstruction(solana.TokenProgramID, solana.AccountMetaSlice{}, nil)
		})},
		{"purpose memo", "stands alone", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction { p.Kind = Memo; return ixs }},
		{"purpose reclaim", "besides closing", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction {
			p.Kind = Reclaim
			return ixs
		}},
		{"purpose unknown", "not known", func(_ *world, ixs []solana.Instruction, p *Purpose) []solana.Instruction { p.Kind = 9; return ixs }},
		{"other epoch", "not registered", func(w *world, _ []solana.Instruction, p *Purpose) []solana.Instruction {
			ixs, q := w.payout(settle.Marker{Epoch: epoch + 1, Batch: 3}, 0, 1)
			*p = q
			return ixs
		}},
	} {
		w := newWorld(t)
		w.open()
		ixs, p := w.payout(m, 0, 1)
		_, err := w.s.Sign(t.Context(), w.message(w.hot, tt.change(w, ixs, &p)...), p)
		w.wantRefused(tt.name, err, tt.reason)
		if st := w.state(); st.Signed != 0 {
			t.Errorf("%s: a refused message was counted: %d", tt.name, st.Signed)
		}
		if err := w.batch(3, 0, 1); err != nil {
			t.Errorf("%s: the sound message after it: %v", tt.name, err)
		}
	}
}

func TestForeignPayerAndVersions(t *testing.T) {
	w := newWorld(t)
	w.open()
	text := w.commitText()
	_, err := w.s.Sign(t.Context(), w.message(solana.PublicKey{66}, memoIx(text)), Purpose{Kind: Memo})
	w.wantRefused("another payer", err, "fee payer")
	_, err = w.s.Sign(t.Context(), append([]byte{0x80}, w.message(w.hot, memoIx(text))...), Purpose{Kind: Memo})
	w.wantRefused("versioned", err, "versioned")
	_, err = w.s.Sign(t.Context(), append(w.message(w.hot, memoIx(text)), 0), Purpose{Kind: Memo})
	w.wantRefused("trailing byte", err, "follow its end")
	_, err = w.s.Sign(t.Context(), nil, Purpose{Kind: Memo})
	w.wantRefused("nothing", err, "cut short")
	_, err = w.s.Sign(t.Context(), make([]byte, 2000), Purpose{Kind: Memo})
	w.wantRefused("too long", err, "at most")
	signed := solana.NewInstruction(solana.MemoProgramID, solana.AccountMetaSlice{{PublicKey: w.hot, IsSigner: true}}, []byte(text))
	_, err = w.s.Sign(t.Context(), w.message(w.hot, signed), Purpose{Kind: Memo})
	w.wantRefused("memo with an account", err, "names accounts")
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

func TestDerivationsAgreeWithTheLibrary(t *testing.T) {
	for i := range 300 {
		seed := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		if got, want := onCurve(seed), solana.IsOnCurve(seed[:]); got != want {
			t.Fatalf("%x: on the curve %v, the library says %v", seed, got, want)
		}
		for _, program := range TokenPrograms() {
			got, err := Policy{Mint: [32]byte{1}, TokenProgram: program}.tokenAccountOf(poc.Wallet(seed))
			want, _, werr := solana.FindAssociatedTokenAddressWithProgram(solana.PublicKey(seed), solana.PublicKey{1}, program)
			if err != nil || werr != nil || got != account(want) {
				t.Fatalf("token account %s (%v), the library says %s (%v)", got, err, want, werr)
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	w := &world{t: &testing.T{}, hot: solana.PublicKey{3}, mint: solana.PublicKey{1}, from: solana.PublicKey{2}, program: solana.TokenProgramID,
		list: []reward.Payout{{Wallet: poc.Wallet{9}, Amount: 5}}}
	ixs, _ := w.payout(settle.Marker{Epoch: 1, Batch: 2}, 0)
	f.Add(w.message(w.hot, ixs...))
	f.Add(w.message(w.hot, memoIx("hsc1 e=1")))
	f.Add([]byte{1, 0, 0, 0x81, 0})
	p := Policy{Mint: w.mint, Treasury: w.from, Decimals: 8, MaxRent: 1 << 40, MaxPriorityFee: 1 << 40}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := p.effectsOf(account(w.hot), b)
		if err != nil {
			return
		}
		// What passes is what the library reads, too.
		var m solana.Message
		if err := m.UnmarshalWithDecoder(decoder(b)); err != nil {
			t.Fatalf("taken, but the library does not read it: %v", err)
		}
		if m.IsVersioned() || m.Header.NumRequiredSignatures != 1 || m.AccountKeys[0] != w.hot {
			t.Fatalf("taken: %+v", m.Header)
		}
		transfers := 0
		for _, ix := range m.Instructions {
			if m.AccountKeys[ix.ProgramIDIndex] == solana.TokenProgramID && ix.Data[0] == 12 {
				transfers++
			}
		}
		if transfers != len(e.transfers) {
			t.Fatalf("%d transfers, the library sees %d", len(e.transfers), transfers)
		}
	})
}

func FuzzRequest(f *testing.F) {
	good, _ := appendSign(nil, []byte("message"), Purpose{Payout, []settle.Marker{{Epoch: 1, Batch: 2}}, []poc.Wallet{{1}}})
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, p, err := parseSign(b)
		if err != nil {
			return
		}
		if again, err := appendSign(nil, msg, p); err != nil || string(again) != string(b) {
			t.Fatalf("%x is read as %+v, which is written %x (%v)", b, p, again, err)
		}
	})
}
