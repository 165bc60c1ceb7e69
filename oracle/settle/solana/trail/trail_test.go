package trail

import (
	"encoding/binary"
	"testing"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/programs/system"

	"heliograph/oracle/settle"
	"heliograph/oracle/settle/payment"
	hsolana "heliograph/oracle/settle/solana"
)

func TestDecodeMarker(t *testing.T) {
	for _, program := range []solana.PublicKey{solana.TokenProgramID, solana.Token2022ProgramID} {
		testDecodeMarker(t, program)
	}
	hot, m := solana.PublicKey{7}, settle.Marker{Epoch: 20778, Batch: 3}
	marker, seed, err := hsolana.MarkerAddress(hot, solana.SystemProgramID, m)
	if err != nil {
		t.Fatal(err)
	}
	data, err := system.NewAllocateWithSeedInstruction(hot, seed, 165, solana.SystemProgramID, marker, hot).Build().Data()
	if err != nil {
		t.Fatal(err)
	}
	var p payment.Payment
	if err := decode(&p, solana.CompiledInstruction{ProgramIDIndex: 2, Accounts: []uint16{1, 0}, Data: data}, []solana.PublicKey{hot, marker, solana.SystemProgramID}); err != nil || len(p.Markers) != 0 {
		t.Errorf("an account of no token program: %+v, %v", p.Markers, err)
	}
}

func testDecodeMarker(t *testing.T, program solana.PublicKey) {
	t.Helper()
	hot := solana.PublicKey{7}
	m := settle.Marker{Epoch: 20778, Batch: 3}
	marker, seed, err := hsolana.MarkerAddress(hot, program, m)
	if err != nil {
		t.Fatal(err)
	}
	data, err := system.NewAllocateWithSeedInstruction(hot, seed, 165, program, marker, hot).Build().Data()
	if err != nil {
		t.Fatal(err)
	}
	keys := []solana.PublicKey{hot, marker, solana.SystemProgramID, program}
	var p payment.Payment
	if err := decode(&p, solana.CompiledInstruction{ProgramIDIndex: 2, Accounts: []uint16{1, 0}, Data: data}, keys); err != nil {
		t.Fatal(err)
	}
	if len(p.Markers) != 1 || p.Markers[0] != (payment.Marker{Base: hot.String(), Marker: m}) {
		t.Errorf("%+v", p.Markers)
	}
	// The same seed on another account is no marker.
	p = payment.Payment{}
	if err := decode(&p, solana.CompiledInstruction{ProgramIDIndex: 2, Accounts: []uint16{0, 0}, Data: data}, keys); err != nil || len(p.Markers) != 0 {
		t.Errorf("%+v, %v", p.Markers, err)
	}
	transferred := append(binary.LittleEndian.AppendUint64([]byte{12}, 99), 8)
	if err := decode(&p, solana.CompiledInstruction{ProgramIDIndex: 3, Accounts: []uint16{0, 1, 2, 3}, Data: transferred}, keys); err != nil || len(p.Transfers) != 1 || p.Transfers[0].Amount != 99 {
		t.Errorf("%+v, %v", p.Transfers, err)
	}
	for _, seed := range []string{"hs/1", "hs/1/2/3", "hs/x/1", "hs//1", "h/1/2", "hs/99999999999/1"} {
		if m, ok := markerOf(seed); ok {
			t.Errorf("%q is read as %+v", seed, m)
		}
	}
}

// FuzzDecode: no instruction of a stranger makes the reader panic.
func FuzzDecode(f *testing.F) {
	f.Add(uint16(0), []byte{9, 0, 0, 0}, uint16(1))
	f.Add(uint16(1), []byte{12, 1, 0, 0, 0, 0, 0, 0, 0, 8}, uint16(9))
	f.Fuzz(func(t *testing.T, program uint16, data []byte, account uint16) {
		keys := []solana.PublicKey{solana.SystemProgramID, solana.TokenProgramID}
		var p payment.Payment
		_ = decode(&p, solana.CompiledInstruction{ProgramIDIndex: program, Accounts: []uint16{account, 0, account, 1}, Data: data}, keys)
	})
}
