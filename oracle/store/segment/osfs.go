package segment

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"heliograph/oracle/store"
	"heliograph/oracle/store/internal/disk"
)

const lockName = "LOCK"

// osFS is a directory of the operating system.
type osFS struct {
	dir  string
	root *os.Root
}

// openOSFS makes the directory durably if it is not there.
func openOSFS(dir string) (*osFS, error) {
	if err := disk.MakeDir(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &osFS{dir: dir, root: root}, nil
}

func (o *osFS) Close() error { return o.root.Close() }

func (o *osFS) Dir() string { return o.dir }

// Lock takes an flock, which the kernel gives back when the process ends in
// whatever way, and leaves the process id in the file for the error of the next.
func (o *osFS) Lock() (io.Closer, error) {
	f, err := o.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		var pid [20]byte
		n, _ := f.ReadAt(pid[:], 0)
		f.Close()
		return nil, fmt.Errorf("%w (pid %s): stop that process, or give this one another directory",
			store.ErrLocked, strings.TrimSpace(string(pid[:n])))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", filepath.Join(o.dir, lockName), err)
	}
	return f, nil
}

func (o *osFS) SyncDir() error {
	d, err := o.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (o *osFS) List() ([]string, error) {
	d, err := o.root.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

func (o *osFS) open(name string, flag int) (file, error) {
	f, err := o.root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o *osFS) Create(name string) (file, error) {
	return o.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}
func (o *osFS) OpenRead(name string) (file, error)  { return o.open(name, os.O_RDONLY) }
func (o *osFS) OpenWrite(name string) (file, error) { return o.open(name, os.O_RDWR) }
func (o *osFS) Rename(from, to string) error        { return o.root.Rename(from, to) }
func (o *osFS) Remove(name string) error            { return o.root.Remove(name) }
func (o *osFS) Free() (uint64, error)               { return disk.Free(o.dir) }

type osFile struct{ *os.File }

func (f osFile) Sync() error { return dataSync(f.File) }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
