package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gagliardetto/solana-go"

	hsolana "heliograph/oracle/settle/solana"
)

// solanaKey loads a key file and creates it first if there is none.
func solanaKey(path string) (solana.PrivateKey, error) {
	if _, err := os.Lstat(path); err == nil {
		return hsolana.LoadKey(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("network: key: %w", err)
	}
	key, err := solana.NewRandomPrivateKey()
	if err != nil {
		return nil, fmt.Errorf("network: make a key: %w", err)
	}
	numbers := make([]int, len(key))
	for i, b := range key {
		numbers[i] = int(b)
	}
	text, err := json.Marshal(numbers)
	if err != nil {
		return nil, fmt.Errorf("network: encode a key: %w", err)
	}
	if err := writeOnce(path, append(text, '\n'), 0o600); err != nil {
		return nil, err
	}
	return key, nil
}

// writeOnce puts a whole file under its name, or none: a run that is killed in
// between leaves no half of a key.
func writeOnce(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("network: write %s: %w", path, err)
	}
	return nil
}
