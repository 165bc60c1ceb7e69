package solana

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

// mint2022 is a Token-2022 mint with extensions of the given types.
func mint2022(types ...uint16) []byte {
	b := make([]byte, accountTypeAt+1)
	b[44], b[45], b[accountTypeAt] = 6, 1, 1
	for _, k := range types {
		b = binary.LittleEndian.AppendUint16(b, k)
		b = binary.LittleEndian.AppendUint16(b, 5)
		b = append(b, 1, 2, 3, 4, 5)
	}
	return b
}

func TestMints(t *testing.T) {
	plain := make([]byte, mintSize)
	plain[44], plain[45] = 6, 1
	raw := make([]byte, mintSize)
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
		{"Token-2022, plain", solana.Token2022ProgramID, plain, "belongs to Token-2022"},
		{"transfer fee", solana.Token2022ProgramID, mint2022(1), "(transfer fee)"},
		{"non-transferable", solana.Token2022ProgramID, mint2022(9), "(non-transferable)"},
		{"permanent delegate", solana.Token2022ProgramID, mint2022(12), "(permanent delegate)"},
		{"hook behind another", solana.Token2022ProgramID, mint2022(18, 14), "(metadata pointer, transfer hook)"},
		{"pausable", solana.Token2022ProgramID, mint2022(26), "(pausable)"},
		{"unknown", solana.Token2022ProgramID, mint2022(999), "(number 999)"},
		{"cut off", solana.Token2022ProgramID, mint2022(1)[:accountTypeAt+6], "cut off"},
		{"a token account of Token-2022", solana.Token2022ProgramID, make([]byte, 170), "no mint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := checkMint(solana.PublicKey{1}, &rpc.Account{Owner: tt.owner, Data: rpc.DataBytesOrJSONFromBytes(tt.data)})
			if tt.want == "" {
				if err != nil || d != 6 {
					t.Errorf("%d, %v", d, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func FuzzMintExtensions(f *testing.F) {
	f.Add(mint2022(1, 14))
	f.Add(make([]byte, mintSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		types, err := mintExtensions(data)
		if err == nil && len(types) > len(data)/4 {
			t.Errorf("%d extensions in %d bytes", len(types), len(data))
		}
	})
}
