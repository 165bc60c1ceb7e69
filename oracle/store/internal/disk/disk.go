// Package disk asks the operating system about the file system that holds a
// directory.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Free is the number of bytes that an unprivileged process may still write to
// the file system that holds path.
func Free(path string) (uint64, error) {
	var st syscall.Statfs_t
	for {
		err := syscall.Statfs(path, &st)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return 0, fmt.Errorf("disk: statfs %s: %w", path, err)
		}
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// MakeDir makes the directory with those above it, for the owner only, and makes
// each of them durable. A directory that is there stays as it is.
func MakeDir(dir string) error {
	dir = filepath.Clean(dir)
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("disk: make directory %s: a file of that name is there", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("disk: make directory: %w", err)
	}
	return SyncDir(parent)
}

// SyncDir makes the creation and removal of files in the directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("disk: sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("disk: sync directory %s: %w", dir, err)
	}
	return nil
}
