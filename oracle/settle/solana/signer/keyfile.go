package signer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxKeyFile is above 64 numbers with any spacing.
const maxKeyFile = 4 << 10

// LoadKey reads a key file of the Solana command line tools: a JSON array of 64
// numbers, seed and public key. It refuses a file that others can read, one that
// another user owns, a link, and one whose halves disagree: signing with a wrong public
// half can leak the seed.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	f, err := openKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("signer: key file %s does not exist: create it with `solana-keygen new -o %s`", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("signer: key file: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := readKey(path, f)
	if err != nil {
		return nil, err
	}
	return parseKey(path, text)
}

// readKey reads a file that is open, if only its owner can.
func readKey(path string, f *os.File) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("signer: key file: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("signer: key file %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("signer: key file %s can be read by others (mode %04o): run `chmod 600 %s`, and replace the key if it was exposed", path, info.Mode().Perm(), path)
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("signer: key file %s has %d bytes, at most %d", path, info.Size(), maxKeyFile)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("signer: key file: %w", err)
	}
	return text, nil
}

func parseKey(path string, text []byte) (ed25519.PrivateKey, error) {
	var numbers []uint8
	var raw []uint16 // a []uint8 would be read from base64
	if err := json.Unmarshal(text, &raw); err != nil || len(raw) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("signer: key file %s is not a JSON array of 64 numbers", path)
	}
	for _, n := range raw {
		if n > 255 {
			return nil, fmt.Errorf("signer: key file %s holds a number above 255", path)
		}
		numbers = append(numbers, uint8(n))
	}
	key := ed25519.NewKeyFromSeed(numbers[:ed25519.SeedSize])
	if !bytes.Equal(key, numbers) {
		return nil, fmt.Errorf("signer: the halves of key file %s disagree: restore it from the backup; a signature with it could give the key away", path)
	}
	return key, nil
}
