// Package boltkv is the embedded implementation of [store.KV] on a bbolt file.
//
// bbolt is a copy-on-write B+tree in one memory-mapped file: one writer at a
// time, readers that see the state at their start, one commit = two fdatasyncs.
// It suits sorted batches; a commit per small write costs about 37 kB on disk.
// A View that stays open for long keeps the file growing, so keep Views short.
// The file never shrinks; freed pages are used again.
package boltkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"heliograph/oracle/store"
	"heliograph/oracle/store/internal/disk"
)

// Config are the choices of [Open]. The zero value is good for production except
// for MinFree.
type Config struct {
	// LockTimeout is how long Open waits for another process to let the file go.
	// 0 means 1 s.
	LockTimeout time.Duration
	// MinFree is the free space, in bytes, below which Update is refused with
	// store.ErrFull. Keep it below the floor of the log, so that the books can
	// still be closed when reports are refused already.
	MinFree uint64
	// Verify makes Open read the whole tree, which takes about a second per
	// gigabyte and finds damage that would otherwise show when it is met.
	Verify bool
}

var bucketName = []byte("kv")

// KV is a [store.KV] in one bbolt file. Make one with [Open].
type KV struct {
	path    string
	minFree uint64
	db      *bbolt.DB
	turn    chan struct{} // one token: the right to update

	mu     sync.Mutex
	closed bool
	cause  error // of a failed commit
}

var _ store.KV = (*KV)(nil)

// closedError is nil while the store works.
func (kv *KV) closedError() error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.closed {
		return store.ErrClosed
	}
	if kv.cause != nil {
		return fmt.Errorf("%w: the store stopped itself (%w): restart to recover", store.ErrClosed, kv.cause)
	}
	return nil
}

func (kv *KV) begin(ctx context.Context, write bool) (*bbolt.Tx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := kv.closedError(); err != nil {
		return nil, err
	}
	btx, err := kv.db.Begin(write)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = store.ErrClosed
	}
	return btx, err
}

// View implements [store.KV].
func (kv *KV) View(ctx context.Context, f func(store.Tx) error) error {
	btx, err := kv.begin(ctx, false)
	if err != nil {
		return fmt.Errorf("boltkv: view %s: %w", kv.path, err)
	}
	defer btx.Rollback() //nolint:errcheck // ends a read transaction, also when f panics
	t := &tx{bucket: btx.Bucket(bucketName)}
	if err := f(t); err != nil {
		return err
	}
	return t.guard.Err()
}

// Update implements [store.KV].
func (kv *KV) Update(ctx context.Context, f func(store.Tx) error) error {
	select {
	case <-kv.turn:
	case <-ctx.Done():
		return fmt.Errorf("boltkv: update %s: %w", kv.path, ctx.Err())
	}
	defer func() { kv.turn <- struct{}{} }()
	if err := kv.checkFree(); err != nil {
		return fmt.Errorf("boltkv: update %s: %w", kv.path, err)
	}
	btx, err := kv.begin(ctx, true)
	if err != nil {
		return fmt.Errorf("boltkv: update %s: %w", kv.path, err)
	}
	defer btx.Rollback() //nolint:errcheck // does nothing after Commit
	t := &tx{bucket: btx.Bucket(bucketName)}
	t.guard.Writable = true
	if err := f(t); err != nil {
		return err
	}
	if err := t.guard.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boltkv: update %s: %w", kv.path, err)
	}
	if err := btx.Commit(); err != nil {
		kv.mu.Lock()
		kv.cause = err
		kv.mu.Unlock()
		return fmt.Errorf("boltkv: update %s: %w", kv.path, kv.closedError())
	}
	return nil
}

func (kv *KV) checkFree() error {
	if kv.minFree == 0 {
		return nil
	}
	free, err := disk.Free(kv.path)
	if err != nil {
		return err
	}
	if free < kv.minFree {
		return fmt.Errorf("%w: %d bytes are free, the floor is %d: make room, or lower the floor (oracled: min_free_bytes)", store.ErrFull, free, kv.minFree)
	}
	return nil
}

// Close implements [store.KV]. It waits for the transactions that have begun.
func (kv *KV) Close() error {
	<-kv.turn
	defer func() { kv.turn <- struct{}{} }()
	kv.mu.Lock()
	kv.closed = true
	kv.mu.Unlock()
	if err := kv.db.Close(); err != nil {
		return fmt.Errorf("boltkv: close %s: %w", kv.path, err)
	}
	return nil
}

// Check reads the whole tree and fails with store.ErrDamaged at the first thing
// that does not fit. It runs beside other transactions and costs a View of that
// length.
func (kv *KV) Check(ctx context.Context) error {
	btx, err := kv.begin(ctx, false)
	if err != nil {
		return fmt.Errorf("boltkv: check %s: %w", kv.path, err)
	}
	defer btx.Rollback() //nolint:errcheck // ends a read transaction
	var first error
	for err := range btx.Check() { // must be drained
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return fmt.Errorf("boltkv: check: %w", damage(kv.path, first))
	}
	return nil
}
