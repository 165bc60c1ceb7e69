package boltkv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"heliograph/oracle/store"
	"heliograph/oracle/store/internal/disk"
)

// mapBytes of address space are reserved from the start: while the file fits, it
// never has to be mapped anew, which would make writers wait for readers.
const mapBytes = 1 << 30

// Open opens the file, which it makes with its directory if it is not there. It
// fails with store.ErrLocked when another process keeps the file for longer than
// Config.LockTimeout, and with store.ErrDamaged when the file is not what bbolt
// left behind.
func Open(path string, c Config) (*KV, error) {
	if c.LockTimeout == 0 {
		c.LockTimeout = time.Second
	}
	if err := disk.MakeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("boltkv: open %s: %w", path, err)
	}
	db, err := openBolt(path, c.LockTimeout)
	if err != nil {
		return nil, fmt.Errorf("boltkv: open: %w", explain(path, err))
	}
	kv := &KV{path: path, minFree: c.MinFree, db: db, turn: make(chan struct{}, 1)}
	kv.turn <- struct{}{}
	if err := kv.prepare(c.Verify); err != nil {
		return nil, errors.Join(fmt.Errorf("boltkv: open: %w", err), db.Close())
	}
	return kv, nil
}

// guard turns the panics with which bbolt, or the memory map of a file that was
// cut short, meets damage into errors.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", berrors.ErrInvalid, p)
		}
	}()
	return f()
}

func openBolt(path string, timeout time.Duration) (db *bbolt.DB, err error) {
	var file *os.File
	opts := &bbolt.Options{
		Timeout:         timeout,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapBytes,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		},
	}
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, opts)
		return err
	})
	if err != nil && file != nil {
		// After a panic of bbolt the file is still open and mapped, and the map
		// alone would keep the lock. After an error both calls do nothing.
		if fd := file.Fd(); fd != ^uintptr(0) {
			err = errors.Join(err, syscall.Flock(int(fd), syscall.LOCK_UN), file.Close())
		}
	}
	return db, err
}

// prepare makes the bucket of a new file and looks for damage.
func (kv *KV) prepare(verify bool) error {
	var want int64
	err := kv.db.View(func(btx *bbolt.Tx) error {
		want = btx.Size()
		return nil
	})
	if err != nil {
		return err
	}
	st, err := os.Stat(kv.path)
	if err != nil {
		return err
	}
	if st.Size() < want {
		return damage(kv.path, fmt.Errorf("the file has %d bytes, its pages need %d", st.Size(), want))
	}
	var exists bool
	err = guard(func() error {
		return kv.db.View(func(btx *bbolt.Tx) error {
			exists = btx.Bucket(bucketName) != nil
			return nil
		})
	})
	if err != nil {
		return explain(kv.path, err)
	}
	if exists && verify {
		return kv.Check(context.Background())
	}
	if exists {
		return nil
	}
	err = kv.db.Update(func(btx *bbolt.Tx) error {
		_, err := btx.CreateBucketIfNotExists(bucketName)
		return err
	})
	if err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(kv.path))
}

func damage(path string, cause error) error {
	return fmt.Errorf("%w: %s: %w: nothing was changed; restore it with `oraclectl restore`, "+
		"or move it away and run `oraclectl doctor`", store.ErrDamaged, path, cause)
}

// explain adds cause and remedy to an error of bbolt.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: another oracled is using %s: stop it, or give this one another directory", store.ErrLocked, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return damage(path, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: %w: make the file and its directory writable for the user that runs oracled", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
