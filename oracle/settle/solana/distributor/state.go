package distributor

import (
	"encoding/binary"
	"fmt"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/claim"
)

// ParseNew reads the instruction that makes a distributor, as [Program.New] makes it,
// and checks that its accounts follow from its terms.
func (p Program) ParseNew(accounts []solana.PublicKey, data []byte) (t Terms, err error) {
	const size = 8 + 8 + 32 + 5*8
	if len(data) != size || string(data[:8]) != string(discriminator("global", "new_distributor")) || len(accounts) != 8 {
		return t, fmt.Errorf("distributor: %d bytes with %d accounts do not make a distributor", len(data), len(accounts))
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(data[at:]) }
	if u64(48) > uint64(ledger.MaxAmount) {
		return t, fmt.Errorf("distributor: a total of %d", u64(48))
	}
	t = Terms{Mint: accounts[2], Version: u64(8), Root: claim.Hash(data[16:48]), Total: ledger.Amount(u64(48)), Count: u64(56),
		Start: int64(u64(64)), End: int64(u64(72)), Clawback: int64(u64(80)), Receiver: accounts[1], Admin: accounts[4]}
	again, err := p.New(t)
	if err != nil {
		return Terms{}, err
	}
	for i, want := range again.Accounts() {
		if accounts[i] != want.PublicKey {
			return Terms{}, fmt.Errorf("distributor: account %d is %s, want %s", i, accounts[i], want.PublicKey)
		}
	}
	return t, nil
}

// Clawback sends what nobody has claimed to the receiver. Anybody may ask for it from
// the time on that the terms name; afterwards nobody can claim.
func (p Program) Clawback(mint solana.PublicKey, version uint64, receiver, asker solana.PublicKey) (solana.Instruction, error) {
	at, err := p.Address(mint, version)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive its address: %w", err)
	}
	vault, err := Vault(at, mint)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive the vault: %w", err)
	}
	return solana.NewInstruction(p.id, solana.AccountMetaSlice{
		solana.Meta(at).WRITE(),
		solana.Meta(vault).WRITE(),
		solana.Meta(receiver).WRITE(),
		solana.Meta(asker).SIGNER(),
		solana.Meta(solana.SystemProgramID),
		solana.Meta(solana.TokenProgramID),
	}, discriminator("global", "clawback")), nil
}

// State is what a distributor's account says.
type State struct {
	Terms
	Claimed ledger.Amount // so far
	Claims  uint64        // how many
	Back    bool          // it gave back what was left
}

// stateSize is that of a distributor's account.
const stateSize = 8 + 1 + 8 + 3*32 + 4*8 + 3*8 + 2*32 + 1

// ParseState reads a distributor's account: discriminator, bump u8, version, root,
// mint, vault, most that can be claimed and by how many, claimed and by how many,
// start, end, clawback, receiver, admin, whether it gave back.
func ParseState(b []byte) (s State, err error) {
	if len(b) < stateSize || string(b[:8]) != string(discriminator("account", "MerkleDistributor")) {
		return s, fmt.Errorf("distributor: %d bytes are not a distributor", len(b))
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	if u64(113) > uint64(ledger.MaxAmount) || u64(129) > u64(113) {
		return s, fmt.Errorf("distributor: %d claimed of %d", u64(129), u64(113))
	}
	s = State{Claimed: ledger.Amount(u64(129)), Claims: u64(137), Back: b[233] != 0}
	s.Terms = Terms{Version: u64(9), Root: claim.Hash(b[17:49]), Mint: solana.PublicKey(b[49:81]), Total: ledger.Amount(u64(113)), Count: u64(121),
		Start: int64(u64(145)), End: int64(u64(153)), Clawback: int64(u64(161)), Receiver: solana.PublicKey(b[169:201]), Admin: solana.PublicKey(b[201:233])}
	return s, nil
}
