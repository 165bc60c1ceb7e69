package solana

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gagliardetto/solana-go"
)

// Mint is what payouts depend on of a mint.
type Mint struct {
	Program  solana.PublicKey // the token program that it belongs to
	Decimals uint8
}

// mintSize is the length of a mint of either token program, extensions left out.
const mintSize = 82

// ParseMint reads a mint account that belongs to program, or says why payouts of it
// are refused. spl-token Mint is authority 36, supply 8, decimals 1, initialized 1,
// freeze authority 36; a mint of Token-2022 may have extensions behind that, of which
// only harmless ones are taken.
func ParseMint(address, program solana.PublicKey, data []byte) (m Mint, err error) {
	var all []extension
	switch program {
	case solana.TokenProgramID:
		if len(data) != mintSize {
			err = fmt.Errorf("%d bytes that are no mint", len(data))
		}
	case solana.Token2022ProgramID:
		all, err = parseExtensions(data, mintSize, typeMint)
	default:
		err = fmt.Errorf("it is no mint, it is owned by %s", program)
	}
	if err != nil {
		return m, fmt.Errorf("solana: mint %s: %w: check solana.mint", address, err)
	}
	if data[45] != 1 {
		return m, fmt.Errorf("solana: mint %s is not initialized: check solana.mint", address)
	}
	if harm := harmful(all); len(harm) > 0 {
		return m, fmt.Errorf("solana: mint %s is refused for its Token-2022 extension %s: pay out a mint without it; allowed are %s",
			address, strings.Join(harm, ", "), strings.Join(allowedExtensions(), ", "))
	}
	return Mint{Program: program, Decimals: data[44]}, nil
}

// mintExtension is one that a mint of Token-2022 can have.
type mintExtension struct {
	name string
	harm string // why a payout would not be what it says; "" = the extension is allowed
}

// mintExtensions are those known. One that is not in the list is refused.
var mintExtensions = map[uint16]mintExtension{
	1:  {"transfer fee", "a part of each payout would be kept back"},
	3:  {"mint close authority", "the mint can be closed, and made anew with other rules"},
	4:  {"confidential transfer", "balances can be hidden from an audit"},
	6:  {"default account state", "new token accounts can begin frozen"},
	9:  {"non-transferable", "nothing can be paid out"},
	10: {"interest-bearing", "wallets show another amount than was paid"},
	12: {"permanent delegate", "somebody can take payouts back"},
	14: {"transfer hook", "another program decides about each payout"},
	16: {"confidential transfer fee", "a part of each payout would be kept back"},
	18: {"metadata pointer", ""},
	19: {"token metadata", ""},
	20: {"group pointer", ""},
	21: {"token group", ""},
	22: {"group member pointer", ""},
	23: {"token group member", ""},
	24: {"confidential mint and burn", "the supply can be hidden from an audit"},
	25: {"scaled amount", "wallets show another amount than was paid"},
	26: {"pausable", "somebody can stop all payouts"},
	28: {"permissioned burn", "somebody decides what wallets may do with a payout"},
}

// harmful names the extensions for which a mint is refused.
func harmful(all []extension) (out []string) {
	for _, e := range all {
		known, ok := mintExtensions[e.kind]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("number %d (it is not known here)", e.kind))
		case known.harm != "":
			out = append(out, known.name+" ("+known.harm+")")
		}
	}
	return out
}

func allowedExtensions() (out []string) {
	for _, e := range mintExtensions {
		if e.harm == "" {
			out = append(out, e.name)
		}
	}
	slices.Sort(out)
	return out
}
