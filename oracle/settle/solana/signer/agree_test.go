package signer

import (
	"crypto/sha256"
	"testing"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/reward"
	"heliograph/oracle/settle"
	"heliograph/poc"
)

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
