package signer

import (
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/token"

	"heliograph/oracle/settle"
)

// TestOneTokenProgram: a signer of a Token-2022 mint signs its payouts and the closing
// of its markers, and nothing that calls the other token program; and the other way
// round.
func TestOneTokenProgram(t *testing.T) {
	if TokenPrograms()["spl-token"] != [32]byte(solana.TokenProgramID) || TokenPrograms()["token-2022"] != [32]byte(solana.Token2022ProgramID) {
		t.Fatal("the programs' addresses are not those of the library")
	}
	for _, tt := range []struct{ own, other solana.PublicKey }{
		{solana.TokenProgramID, solana.Token2022ProgramID},
		{solana.Token2022ProgramID, solana.TokenProgramID},
	} {
		t.Run(tt.own.String(), func(t *testing.T) {
			w := newWorld(t)
			w.program, w.cfg.Policy.TokenProgram = tt.own, tt.own
			w.start()
			w.open()
			if err := w.batch(0, 0, 1, 2); err != nil {
				t.Fatal(err)
			}
			w.program = tt.other
			w.wantRefused("all under the other program", w.batch(1, 3), "the marker is not a token account")
			ours, p := func() ([]solana.Instruction, Purpose) {
				w.program = tt.own
				return w.payout(settle.Marker{Epoch: epoch, Batch: 1}, 3)
			}()
			w.program = tt.other
			for name, i := range map[string]int{"the marker opened": 2, "a transfer": 5} {
				mixed := append([]solana.Instruction(nil), ours...)
				data, err := mixed[i].Data()
				if err != nil {
					t.Fatal(err)
				}
				mixed[i] = solana.NewInstruction(tt.other, mixed[i].Accounts(), data)
				_, err = w.s.Sign(t.Context(), w.message(w.hot, mixed...), p)
				w.wantRefused(name+" under the other program", err, "program "+tt.other.String()+" is not allowed")
			}
			stray := w.pay(uint64(w.list[3].Amount), w.ata(w.list[3].Wallet)) // the wallet's account of the other program
			data, err := stray.Data()
			if err != nil {
				t.Fatal(err)
			}
			ours[5] = solana.NewInstruction(tt.own, stray.Accounts(), data)
			_, err = w.s.Sign(t.Context(), w.message(w.hot, ours...), p)
			w.wantRefused("into the account of the other program", err, "is not the token account of wallet")

			w.program = tt.own
			w.now = w.now.Add(time.Hour)
			m := settle.Marker{Epoch: epoch, Batch: 0}
			at, _ := w.marker(m)
			closing := w.message(w.hot, w.under(token.NewCloseAccountInstruction(at, w.hot, w.hot, nil).Build()))
			if _, err := w.s.Sign(t.Context(), closing, Purpose{Kind: Reclaim, Markers: []settle.Marker{m}}); err != nil {
				t.Error(err)
			}
		})
	}
}
