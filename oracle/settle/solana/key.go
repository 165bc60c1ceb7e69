package solana

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/settle/solana/signer"
)

// LoadKey reads a key file of the Solana command line tools: a JSON array of 64
// numbers, seed and public key. It refuses a file that others can read, and one
// whose halves disagree: signing with a wrong public half can leak the seed.
func LoadKey(path string) (solana.PrivateKey, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("solana: key file %s does not exist: create it with `solana-keygen new -o %s`", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("solana: key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("solana: key file %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("solana: key file %s can be read by others (mode %04o): run `chmod 600 %s`, and replace the key if it was exposed", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("solana: key file: %w", err)
	}
	key, err := solana.PrivateKeyFromSolanaKeygenFileBytes(text)
	if err != nil {
		return nil, fmt.Errorf("solana: key file %s is not a JSON array of 64 numbers whose halves agree: %w", path, err)
	}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("solana: key file %s: %w", path, err)
	}
	return key, nil
}

// Address is a public key.
type Address = solana.PublicKey

// Key signs for the hot account.
type Key interface {
	PublicKey() [32]byte
	// Sign signs a serialized message. The purpose is for signers that judge; one
	// that does not sign returns a *settle.NoSignature.
	Sign(ctx context.Context, message []byte, p signer.Purpose) ([64]byte, error)
}

// FileKey signs with a key in memory whatever it is given.
type FileKey struct{ key solana.PrivateKey }

// NewFileKey makes a key of 64 bytes, seed and public key.
func NewFileKey(k solana.PrivateKey) FileKey { return FileKey{k} }

// PublicKey implements [Key].
func (k FileKey) PublicKey() [32]byte { return k.key.PublicKey() }

// Sign implements [Key].
func (k FileKey) Sign(_ context.Context, message []byte, _ signer.Purpose) ([64]byte, error) {
	return k.key.Sign(message)
}

// ParseAddress reads the base58 text of an account's address.
func ParseAddress(text string) (Address, error) {
	a, err := solana.PublicKeyFromBase58(text)
	if err != nil {
		return Address{}, fmt.Errorf("solana: %q is not an address: %w", text, err)
	}
	return a, nil
}
