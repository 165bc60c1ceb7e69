package solana

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
)

// tlv appends extensions of the given kinds, five bytes of value each.
func tlv(b []byte, kinds ...uint16) []byte {
	for _, k := range kinds {
		b = binary.LittleEndian.AppendUint16(b, k)
		b = binary.LittleEndian.AppendUint16(b, 5)
		b = append(b, 1, 2, 3, 4, 5)
	}
	return b
}

// mint2022 is a Token-2022 mint with extensions of the given kinds.
func mint2022(kinds ...uint16) []byte {
	b := make([]byte, extensionsAt)
	b[44], b[45], b[typeAt] = 6, 1, typeMint
	return tlv(b, kinds...)
}

func changed(b []byte, at int, to byte) []byte {
	b = bytes.Clone(b)
	b[at] = to
	return b
}

func TestMints(t *testing.T) {
	plain := make([]byte, mintSize)
	plain[44], plain[45] = 6, 1
	raw := make([]byte, mintSize)
	padded := func(n int) []byte { return append(mint2022(18), make([]byte, n-len(mint2022(18)))...) }
	for _, tt := range []struct {
		name  string
		owner solana.PublicKey
		data  []byte
		want  string // in the error; "" = taken
	}{
		{"plain", solana.TokenProgramID, plain, ""},
		{"not initialized", solana.TokenProgramID, raw, "not initialized"},
		{"a token account", solana.TokenProgramID, make([]byte, tokenAccountSize), "no mint"},
		{"a wallet", solana.SystemProgramID, nil, "no mint"},
		{"Token-2022, plain", solana.Token2022ProgramID, plain, ""},
		{"no extension in a long account", solana.Token2022ProgramID, mint2022(), ""},
		{"metadata", solana.Token2022ProgramID, mint2022(18, 19), ""},
		{"groups", solana.Token2022ProgramID, mint2022(20, 21, 22, 23), ""},
		{"zeros behind", solana.Token2022ProgramID, padded(357), ""},
		{"not initialized, Token-2022", solana.Token2022ProgramID, raw, "not initialized"},
		{"transfer fee", solana.Token2022ProgramID, mint2022(1), "extension transfer fee (a part of each payout would be kept back): pay out a mint without it"},
		{"close authority", solana.Token2022ProgramID, mint2022(3), "extension mint close authority"},
		{"confidential", solana.Token2022ProgramID, mint2022(4), "extension confidential transfer ("},
		{"default state", solana.Token2022ProgramID, mint2022(6), "extension default account state"},
		{"non-transferable", solana.Token2022ProgramID, mint2022(9), "extension non-transferable"},
		{"interest", solana.Token2022ProgramID, mint2022(10), "extension interest-bearing"},
		{"permanent delegate", solana.Token2022ProgramID, mint2022(12), "extension permanent delegate"},
		{"hook behind another", solana.Token2022ProgramID, mint2022(18, 14), "extension transfer hook"},
		{"two", solana.Token2022ProgramID, mint2022(16, 24), "confidential transfer fee (a part of each payout would be kept back), confidential mint and burn"},
		{"scaled", solana.Token2022ProgramID, mint2022(25), "extension scaled amount"},
		{"pausable", solana.Token2022ProgramID, mint2022(26), "extension pausable"},
		{"permissioned burn", solana.Token2022ProgramID, mint2022(28), "extension permissioned burn"},
		{"an extension of accounts", solana.Token2022ProgramID, mint2022(7), "extension number 7 (it is not known here)"},
		{"unknown", solana.Token2022ProgramID, mint2022(999), "extension number 999"},
		{"cut off", solana.Token2022ProgramID, mint2022(1)[:typeAt+6], "cut off"},
		{"length cut off", solana.Token2022ProgramID, mint2022(1)[:typeAt+4], "cut off"},
		{"half a kind", solana.Token2022ProgramID, append(mint2022(), 14), "behind the last extension"},
		{"hidden behind the end", solana.Token2022ProgramID, tlv(append(mint2022(18), 0, 0, 0, 0), 14), "behind the last extension"},
		{"twice", solana.Token2022ProgramID, mint2022(18, 18), "comes twice"},
		{"longest length", solana.Token2022ProgramID, append(mint2022(), 18, 0, 0xff, 0xff, 1), "cut off"},
		{"as long as a multisig", solana.Token2022ProgramID, padded(multisigSize), "355 bytes are no account"},
		{"between mint and extensions", solana.Token2022ProgramID, changed(mint2022(), 100, 1), "only zeros may"},
		{"a token account of Token-2022", solana.Token2022ProgramID, changed(mint2022(), typeAt, typeAccount), "account type 2"},
		{"a plain token account of Token-2022", solana.Token2022ProgramID, make([]byte, tokenAccountSize), "165 bytes are no account"},
		{"empty", solana.Token2022ProgramID, nil, "0 bytes are no account"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseMint(solana.PublicKey{1}, tt.owner, tt.data)
			if tt.want == "" {
				if err != nil || m != (Mint{tt.owner, 6}) {
					t.Errorf("%+v, %v", m, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// TestOnlyHarmlessExtensionsAreAllowed: of all numbers there are, six.
func TestOnlyHarmlessExtensionsAreAllowed(t *testing.T) {
	var taken []uint16
	for k := range uint16(0xffff) {
		if _, err := ParseMint(solana.PublicKey{}, solana.Token2022ProgramID, mint2022(k+1)); err == nil {
			taken = append(taken, k+1)
		}
	}
	if len(taken) != 6 || taken[0] != 18 || taken[5] != 23 {
		t.Errorf("taken are %v", taken)
	}
}

// FuzzExtensions: what is taken is exactly what the entries, and zeros behind them,
// encode; nothing stands where it is not seen.
func FuzzExtensions(f *testing.F) {
	f.Add(mint2022(1, 14), true)
	f.Add(mint2022(18, 0), true)
	f.Add(make([]byte, mintSize), true)
	f.Add(changed(mint2022(7), typeAt, typeAccount), false)
	f.Fuzz(func(t *testing.T, data []byte, mint bool) {
		base, kind := tokenAccountSize, byte(typeAccount)
		if mint {
			base, kind = mintSize, typeMint
		}
		before := bytes.Clone(data)
		all, err := parseExtensions(data, base, kind)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if len(data) == base {
			if all != nil {
				t.Errorf("%d extensions in an account without room for them", len(all))
			}
			return
		}
		again := append(append(bytes.Clone(data[:base]), make([]byte, typeAt-base)...), kind)
		for _, e := range all {
			again = binary.LittleEndian.AppendUint16(again, e.kind)
			again = append(binary.LittleEndian.AppendUint16(again, uint16(len(e.value))), e.value...)
		}
		if len(again) > len(data) || !bytes.Equal(append(again, make([]byte, len(data)-len(again))...), data) {
			t.Errorf("%d extensions do not make up the %d bytes", len(all), len(data))
		}
	})
}

// FuzzTokenAccount: no bytes of a stranger's account make the reader panic, or pass
// for an account that was never initialized.
func FuzzTokenAccount(f *testing.F) {
	f.Add(tokenData(solana.PublicKey{1}, solana.PublicKey{2}, 5, 1))
	f.Add(account2022(tokenData(solana.PublicKey{1}, solana.PublicKey{2}, 5, 2), extension{immutableOwner, nil}, extension{requiredMemo, []byte{1}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, program := range []solana.PublicKey{solana.TokenProgramID, solana.Token2022ProgramID} {
			a, err := ParseTokenAccount(program, data)
			if err != nil {
				continue
			}
			if data[108] != stateInitialized && data[108] != stateFrozen || a.Frozen != (data[108] == stateFrozen) {
				t.Errorf("state %d, frozen %v", data[108], a.Frozen)
			}
			if a.spendable(a.Owner) > a.Amount || a.spendable(a.Delegate) > a.Amount {
				t.Errorf("more may be spent than there is: %+v", a)
			}
		}
	})
}

// account2022 puts extensions behind a token account.
func account2022(base []byte, all ...extension) []byte {
	b := append(bytes.Clone(base), typeAccount)
	for _, e := range all {
		b = binary.LittleEndian.AppendUint16(b, e.kind)
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(e.value))), e.value...)
	}
	return b
}
