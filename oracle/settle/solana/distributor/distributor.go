// Package distributor makes the instructions of the JTO merkle distributor
// program, so that recipients can claim an epoch's payouts themselves; the tree is
// in package settle/claim.
//
// The program follows the Anchor conventions: an instruction begins with the first
// eight bytes of SHA-256("global:<name>"), arguments follow as Borsh
// (little-endian, lists with their length as u32), and so do accounts with
// SHA-256("account:<name>"). A distributor's root never changes, its start and end
// lie in the future when it is made, and what is not claimed can be taken back from
// a day after the end on. (mint, version) names a distributor for everybody: take a
// version that nobody can guess.
package distributor

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/ledger"
	"heliograph/oracle/settle/claim"
	"heliograph/poc"
)

// Program is a deployed distributor program.
type Program struct{ id solana.PublicKey }

// ErrNoProgram: claims were asked for and no program is configured.
var ErrNoProgram = errors.New("distributor: payout.mode is \"claim\", but no distributor program is configured: name its address with payout.program, or choose payout.mode = \"direct\"")

// ParseProgram reads a program's address; "" is [ErrNoProgram].
func ParseProgram(address string) (Program, error) {
	if address == "" {
		return Program{}, ErrNoProgram
	}
	id, err := solana.PublicKeyFromBase58(address)
	if err != nil {
		return Program{}, fmt.Errorf("distributor: program %.64q is not an address: %w", address, err)
	}
	return Program{id: id}, nil
}

// ID is the program's address.
func (p Program) ID() solana.PublicKey { return p.id }

// Terms are what a distributor is made with. Times are Unix seconds.
type Terms struct {
	Mint     solana.PublicKey
	Version  uint64 // with the mint the distributor's name
	Root     claim.Hash
	Total    ledger.Amount
	Count    uint64
	Start    int64            // later than now
	End      int64            // later than Start
	Clawback int64            // at least a day after End
	Receiver solana.PublicKey // token account that takes back what is not claimed
	Admin    solana.PublicKey // signs and pays
}

const day = 24 * 3600

// Check refuses what the program would refuse, given the time.
func (t Terms) Check(now int64) error {
	switch {
	case t.Total == 0 || t.Count == 0:
		return errors.New("distributor: there is nothing to claim")
	case t.Start <= now || t.End <= t.Start:
		return fmt.Errorf("distributor: it starts at %d and ends at %d, now is %d: both must lie ahead, in this order", t.Start, t.End, now)
	case t.Clawback-day < t.End:
		return fmt.Errorf("distributor: what is not claimed is taken back at %d: choose a time at least a day after the end at %d", t.Clawback, t.End)
	}
	return nil
}

// Address is the account of a distributor.
func (p Program) Address(mint solana.PublicKey, version uint64) (solana.PublicKey, error) {
	a, _, err := solana.FindProgramAddress([][]byte{[]byte("MerkleDistributor"), mint[:], binary.LittleEndian.AppendUint64(nil, version)}, p.id)
	return a, err
}

// Vault is the token account that a distributor pays from.
func Vault(distributor, mint solana.PublicKey) (solana.PublicKey, error) {
	a, _, err := solana.FindAssociatedTokenAddress(distributor, mint)
	return a, err
}

// Status is the account that says that a wallet has claimed.
func (p Program) Status(wallet, distributor solana.PublicKey) (solana.PublicKey, error) {
	a, _, err := solana.FindProgramAddress([][]byte{[]byte("ClaimStatus"), wallet[:], distributor[:]}, p.id)
	return a, err
}

// discriminator begins an instruction (space "global") or an account ("account").
func discriminator(space, name string) []byte {
	h := sha256.Sum256([]byte(space + ":" + name))
	return h[:8]
}

// New makes a distributor and its empty vault. The vault must then be given the
// total.
func (p Program) New(t Terms) (solana.Instruction, error) {
	at, err := p.Address(t.Mint, t.Version)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive its address: %w", err)
	}
	vault, err := Vault(at, t.Mint)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive the vault: %w", err)
	}
	le := binary.LittleEndian
	data := append(le.AppendUint64(discriminator("global", "new_distributor"), t.Version), t.Root[:]...)
	for _, n := range []uint64{uint64(t.Total), t.Count, uint64(t.Start), uint64(t.End), uint64(t.Clawback)} {
		data = le.AppendUint64(data, n)
	}
	return solana.NewInstruction(p.id, solana.AccountMetaSlice{
		solana.Meta(at).WRITE(),
		solana.Meta(t.Receiver).WRITE(),
		solana.Meta(t.Mint),
		solana.Meta(vault).WRITE(),
		solana.Meta(t.Admin).WRITE().SIGNER(),
		solana.Meta(solana.SystemProgramID),
		solana.Meta(solana.SPLAssociatedTokenAccountProgramID),
		solana.Meta(solana.TokenProgramID),
	}, data), nil
}

// Claim pays a wallet what a proof says into its associated token account. The
// wallet signs and pays the rent of its claim's status.
func (p Program) Claim(mint solana.PublicKey, version uint64, proof claim.Proof) (solana.Instruction, error) {
	if len(proof.Nodes) > claim.MaxProof {
		return nil, fmt.Errorf("distributor: a proof of %d nodes does not fit a transaction", len(proof.Nodes))
	}
	wallet := solana.PublicKey(proof.Payout.Wallet)
	at, err := p.Address(mint, version)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive its address: %w", err)
	}
	vault, err := Vault(at, mint)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive the vault: %w", err)
	}
	status, err := p.Status(wallet, at)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive the claim's status: %w", err)
	}
	to, _, err := solana.FindAssociatedTokenAddress(wallet, mint)
	if err != nil {
		return nil, fmt.Errorf("distributor: derive the wallet's token account: %w", err)
	}
	le := binary.LittleEndian
	data := le.AppendUint64(discriminator("global", "new_claim"), uint64(proof.Payout.Amount))
	data = le.AppendUint64(data, 0) // nothing is locked
	data = le.AppendUint32(data, uint32(len(proof.Nodes)))
	for _, n := range proof.Nodes {
		data = append(data, n[:]...)
	}
	return solana.NewInstruction(p.id, solana.AccountMetaSlice{
		solana.Meta(at).WRITE(),
		solana.Meta(status).WRITE(),
		solana.Meta(vault).WRITE(),
		solana.Meta(to).WRITE(),
		solana.Meta(wallet).WRITE().SIGNER(),
		solana.Meta(solana.TokenProgramID),
		solana.Meta(solana.SystemProgramID),
	}, data), nil
}

// Claimed is what a claim's status account says.
type Claimed struct {
	Wallet poc.Wallet
	Amount ledger.Amount
}

// ParseStatus reads a claim's status account: discriminator, wallet, locked,
// withdrawn of it, unlocked.
func ParseStatus(b []byte) (c Claimed, err error) {
	if len(b) < 64 || string(b[:8]) != string(discriminator("account", "ClaimStatus")) {
		return c, fmt.Errorf("distributor: %d bytes are not a claim's status", len(b))
	}
	copy(c.Wallet[:], b[8:])
	n := binary.LittleEndian.Uint64(b[56:])
	if n > uint64(ledger.MaxAmount) {
		return Claimed{}, fmt.Errorf("distributor: a claim of %d", n)
	}
	c.Amount = ledger.Amount(n)
	return c, nil
}
