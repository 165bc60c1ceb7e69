package identity

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileKey is a key kept in a file in the form that existing hotspots use: the
// tag byte, then for Ed25519 the seed and the public key (65 bytes in all), for
// ECC compact the scalar (33 bytes).
type FileKey struct {
	Key
	path string
}

const maxKeyFile = 65

// Path is the file that the key was made in or loaded from.
func (k *FileKey) Path() string { return k.path }

// CreateFile makes a new mainnet key and writes it to path, mode 0600. It never
// overwrites: when path exists it fails with an error that is [fs.ErrExist].
// When it returns without error the file and its name are on the disk; after a
// power cut there is either the whole file under that name or none.
func CreateFile(path string, t KeyType, rnd io.Reader) (*FileKey, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, existsError(path)
	}
	k, err := NewKey(t, rnd)
	if err != nil {
		return nil, err
	}
	b, err := k.fileBytes()
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, b); err != nil {
		return nil, fmt.Errorf("identity: create key file: %w", err)
	}
	return &FileKey{Key: *k, path: path}, nil
}

func existsError(path string) error {
	return fmt.Errorf("identity: create key file: %s: %w; a key is never overwritten: move it away first", path, fs.ErrExist)
}

// fileBytes is the file's content, the inverse of parseKeyFile.
func (k *Key) fileBytes() ([]byte, error) {
	if k.ed != nil {
		return append([]byte{k.id[0]}, k.ed...), nil
	}
	d, err := k.ec.Bytes()
	if err != nil {
		return nil, fmt.Errorf("identity: encode key: %w", err)
	}
	return append([]byte{k.id[0]}, d...), nil
}

// writeNew puts b into a new file: temporary file, sync, name, sync of the
// directory. The name is given by a hard link, which unlike a rename cannot
// replace a file that appeared meanwhile; file systems without links (FAT) get
// the rename.
func writeNew(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(writeSync(tmp, b), tmp.Close()); err != nil {
		return err
	}
	switch err := os.Link(tmp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return existsError(path)
	case err != nil:
		if _, err := os.Lstat(path); err == nil {
			return existsError(path)
		}
		if err := os.Rename(tmp.Name(), path); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSync(f *os.File, b []byte) error {
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

// LoadFile reads a key file. It refuses anything but a regular file (a symbolic
// link to one is followed), a file that group or others can read, a wrong
// length, and an Ed25519 key whose two halves do not belong together.
func LoadFile(path string) (*FileKey, error) {
	// O_NONBLOCK: opening a FIFO must not hang.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("identity: load key file: %w: run as the user that owns it", err)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: load key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("identity: load key file: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("identity: load key file: %s is not a regular file: name the key file itself", path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("identity: load key file: %s can be read by others (mode %04o): run: chmod 600 %s",
			path, st.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("identity: load key file: %w", err)
	}
	k, err := parseKeyFile(b)
	if err != nil {
		return nil, fmt.Errorf("identity: load key file %s: %w: it is damaged or no key file: restore it from a copy, or name another", path, err)
	}
	return &FileKey{Key: *k, path: path}, nil
}

// parseKeyFile reads a key file's content. Its errors never quote the content.
func parseKeyFile(b []byte) (*Key, error) {
	if len(b) == 0 {
		return nil, errors.New("the file is empty")
	}
	net, typ := Network(b[0]&0xf0), KeyType(b[0]&0x0f)
	if net != Mainnet && net != Testnet {
		return nil, fmt.Errorf("unknown %s", net)
	}
	switch typ {
	case Ed25519:
		if len(b) != 65 {
			return nil, fmt.Errorf("%s, want 65 bytes for an ed25519 key", lengthText(len(b)))
		}
		k := newEd(net, b[1:33])
		if subtle.ConstantTimeCompare(k.id[1:], b[33:]) != 1 {
			return nil, errors.New("the private and the public half do not belong together: the file is damaged")
		}
		return k, nil
	case ECCCompact:
		if len(b) != 33 {
			return nil, fmt.Errorf("%s, want 33 bytes for an ecc_compact key", lengthText(len(b)))
		}
		k, err := newECC(net, b[1:])
		if err != nil {
			return nil, fmt.Errorf("not a P-256 key: %w", err)
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s: %w", typ, ErrUnsupportedKeyType)
}

func lengthText(n int) string {
	if n > maxKeyFile {
		return fmt.Sprintf("more than %d bytes", maxKeyFile)
	}
	return fmt.Sprintf("%d bytes", n)
}
