package signer

import (
	"slices"
	"testing"

	"github.com/gagliardetto/solana-go"
	computebudget "github.com/gagliardetto/solana-go/programs/compute-budget"
	"github.com/gagliardetto/solana-go/programs/system"
	"github.com/gagliardetto/solana-go/programs/token"

	"heliograph/oracle/settle"
	"heliograph/poc"
)

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
