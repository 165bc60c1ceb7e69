package solana

import (
	"encoding/binary"
	"fmt"

	"github.com/gagliardetto/solana-go"
	"github.com/gagliardetto/solana-go/rpc"
)

// mintSize is the length of a mint of either token program, extensions left out.
const mintSize = 82

// checkMint says why payouts of a mint are refused, and its decimals when they are
// not: spl-token Mint is authority 36, supply 8, decimals 1, initialized 1, freeze
// authority 36.
func checkMint(mint solana.PublicKey, acc *rpc.Account) (decimals uint8, err error) {
	var data []byte
	if acc.Data != nil {
		data = acc.Data.GetBinary()
	}
	switch {
	case acc.Owner == solana.Token2022ProgramID:
		return 0, token2022Error(mint, data)
	case acc.Owner != solana.TokenProgramID || len(data) != mintSize:
		return 0, fmt.Errorf("solana: %s is no mint, it is owned by %s: check solana.mint", mint, acc.Owner)
	case data[45] != 1:
		return 0, fmt.Errorf("solana: mint %s is not initialized: check solana.mint", mint)
	}
	return data[44], nil
}

// accountTypeAt is where the extensions of a Token-2022 account begin: a type byte
// (1 = mint) behind the length of a token account, then entries of type u16, length
// u16 and value, little-endian.
const accountTypeAt = tokenAccountSize

// extensionNames are those of a mint that change what a transfer does or who may
// undo it, and the common ones that do not.
var extensionNames = map[uint16]string{
	1: "transfer fee", 3: "mint close authority", 4: "confidential transfer", 6: "default account state", 9: "non-transferable",
	10: "interest-bearing", 12: "permanent delegate", 14: "transfer hook", 16: "confidential transfer fee", 18: "metadata pointer",
	19: "token metadata", 20: "group pointer", 21: "token group", 22: "member pointer", 23: "token group member",
	24: "confidential mint and burn", 25: "scaled amount", 26: "pausable",
}

// mintExtensions lists the extensions of a Token-2022 mint.
func mintExtensions(data []byte) (types []uint16, err error) {
	if len(data) == mintSize {
		return nil, nil
	}
	if len(data) <= accountTypeAt || data[accountTypeAt] != 1 {
		return nil, fmt.Errorf("%d bytes that are no mint", len(data))
	}
	for rest := data[accountTypeAt+1:]; len(rest) >= 4; {
		kind, n := binary.LittleEndian.Uint16(rest), int(binary.LittleEndian.Uint16(rest[2:]))
		if kind == 0 { // the rest is padding
			break
		}
		if len(rest) < 4+n {
			return nil, fmt.Errorf("extension %d is cut off", kind)
		}
		types, rest = append(types, kind), rest[4+n:]
	}
	return types, nil
}

// token2022Error names what a Token-2022 mint is refused for.
func token2022Error(mint solana.PublicKey, data []byte) error {
	types, err := mintExtensions(data)
	if err != nil {
		return fmt.Errorf("solana: mint %s: %w: check solana.mint", mint, err)
	}
	if len(types) == 0 {
		return fmt.Errorf("solana: mint %s belongs to Token-2022: only mints of the SPL Token program are paid out, create one with `spl-token create-token`", mint)
	}
	names := ""
	for i, t := range types {
		if i > 0 {
			names += ", "
		}
		if name := extensionNames[t]; name != "" {
			names += name
		} else {
			names += fmt.Sprintf("number %d", t)
		}
	}
	return fmt.Errorf("solana: mint %s is a Token-2022 mint with extensions (%s): a payout might not arrive as it was sent, so it is refused; pay out a plain mint of the SPL Token program", mint, names)
}
