package solana

import (
	"context"
	"fmt"

	"github.com/gagliardetto/solana-go"

	"heliograph/oracle/settle/solana/signer"
)

// LoadKey reads a key file of the Solana command line tools, as signer.LoadKey.
func LoadKey(path string) (solana.PrivateKey, error) {
	key, err := signer.LoadKey(path)
	if err != nil {
		return nil, err
	}
	return solana.PrivateKey(key), nil
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
