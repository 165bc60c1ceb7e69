// Package store is where the oracle keeps things: two narrow interfaces, [Log]
// and [KV], and their implementations. Everything above is written against the
// interfaces only; a memory model, the embedded stores (segment files and
// bbolt) and, later, PostgreSQL pass one conformance suite (storetest).
package store

import (
	"context"
	"errors"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the key, or the offset, is not there.
	ErrNotFound = errors.New("store: not found")
	// ErrFull: the disk guard refuses new data; nothing was written. Retry later.
	ErrFull = errors.New("store: no space left within the configured floor")
	// ErrTooLarge: a frame, key, value or transaction is over its limit.
	ErrTooLarge = errors.New("store: over the size limit")
	// ErrDropped: the offset lies before the oldest frame that is still kept.
	ErrDropped = errors.New("store: frame was dropped")
	// ErrClosed: the store was closed, or stopped itself after a failed write or
	// sync, because it cannot know then what is on disk. Opening it again decides.
	ErrClosed = errors.New("store: closed")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("store: in use by another process")
	// ErrDamaged: stored bytes that were durable once are missing or changed. It
	// takes a person: nothing is repaired, skipped or cut off on its own.
	ErrDamaged = errors.New("store: damaged")
)

// Limits that every implementation holds, so that code written against one runs
// on the other.
const (
	Shards       = 257      // 256 data shards and ControlShard
	ControlShard = 256      // session certificates, registry changes, epoch boundaries
	MaxFrame     = 64 << 10 // bytes in one log frame
	MaxKey       = 512
	MaxValue     = 1 << 20
	MaxTxKeys    = 1_000 // keys written in one KV transaction
)

// Shard is a number below [Shards].
type Shard uint16

// Offset is the ordinal of a frame in its shard: the first frame has offset 0,
// the next 1, without gaps, for ever (dropping old frames does not renumber).
type Offset uint64

// Log is an append-only store of frames in shards. An Append that returned nil
// is on disk: it survives kill -9 and a power cut. All methods are safe for
// concurrent use.
type Log interface {
	// Append writes one frame (1..MaxFrame bytes) and returns its offset once it
	// is durable. Concurrent appends share one fdatasync (group commit). The
	// frame is copied. Appends of one goroutine keep their order.
	//
	// ErrTooLarge and ErrFull mean that nothing was written. After the error of
	// the context or ErrClosed the frame may be there or not: whoever appends
	// again must be able to meet the frame twice.
	Append(ctx context.Context, s Shard, frame []byte) (Offset, error)
	// Read calls yield for the frames of a shard in order, from offset from on,
	// up to the frame that was the last durable one when Read began, until yield
	// returns false. The slice is valid only during the call of yield. Reading
	// from End yields nothing; from beyond End is ErrNotFound (the reader's mark
	// is newer than the log: a restored backup). ErrDropped if from was dropped,
	// also when that happens while reading. No lock is held during yield.
	Read(ctx context.Context, s Shard, from Offset, yield func(Offset, []byte) bool) error
	// End is the offset that the next frame of the shard will get, 0 for a shard
	// that does not exist.
	End(s Shard) Offset
	// DropBefore forgets frames before the offset. An implementation may keep
	// more than asked for (whole segments), never less, and may forget the wish
	// when it is closed: repeat it. Beyond End is ErrNotFound and drops nothing.
	DropBefore(s Shard, o Offset) error
	// Close waits for appends that have begun. All calls after it, except End and
	// Close, return ErrClosed.
	Close() error
}

// Tx is a view of a KV inside one transaction: it sees its own writes. Keys are
// ordered bytewise and are 1..MaxKey bytes, values 0..MaxValue. Slices handed out
// are valid until the next write or the end of the transaction and must not be
// changed; slices handed in are copied. Not safe for concurrent use.
type Tx interface {
	// Get returns ErrNotFound for a key that is not there.
	Get(key []byte) ([]byte, error)
	// Put and Delete fail in a View, during a Scan, over a size limit, and after
	// MaxTxKeys writes (each counts, also to one key). A write that fails spoils
	// the transaction: Update returns its error even if the closure ignores it.
	// Deleting a key that is not there is no error.
	Put(key, value []byte) error
	Delete(key []byte) error
	// Scan calls yield in key order for the keys with the prefix that are >= from
	// (nil: from the first), until yield returns false. Collect first, then write.
	Scan(prefix, from []byte, yield func(key, value []byte) bool) error
}

// KV is an ordered key-value store with serializable transactions. A closure
// may be run more than once: no clock, randomness or side effect inside. An
// Update that returned nil is on disk; one whose closure returned an error
// changed nothing and returns that error. Transactions must not be nested.
// Waiting for a turn ends with the context; a closure that has begun is not
// interrupted, but an Update is not committed after the context ended. All
// methods are safe for concurrent use; after Close they return ErrClosed.
type KV interface {
	View(ctx context.Context, f func(Tx) error) error
	Update(ctx context.Context, f func(Tx) error) error
	Close() error
}
