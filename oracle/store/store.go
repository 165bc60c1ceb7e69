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
	// ErrClosed: the store was closed, or stopped itself after a failed write.
	ErrClosed = errors.New("store: closed")
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
	// is durable. Concurrent appends share one fdatasync (group commit).
	Append(ctx context.Context, s Shard, frame []byte) (Offset, error)
	// Read calls yield for the frames of a shard in order, from offset from on,
	// up to the last durable one, until yield returns false. The slice is valid
	// only during the call. ErrDropped if from was dropped.
	Read(ctx context.Context, s Shard, from Offset, yield func(Offset, []byte) bool) error
	// End is the offset that the next frame of the shard will get.
	End(s Shard) Offset
	// DropBefore forgets frames before the offset. An implementation may keep
	// more than asked for (whole segments), never less.
	DropBefore(s Shard, o Offset) error
	Close() error
}

// Tx is a view of a KV inside one transaction. Keys are ordered bytewise.
// Slices handed out are valid until the transaction ends and must not be changed.
type Tx interface {
	// Get returns ErrNotFound for a key that is not there.
	Get(key []byte) ([]byte, error)
	// Put and Delete fail in a View.
	Put(key, value []byte) error
	Delete(key []byte) error
	// Scan calls yield in key order for the keys with the prefix that are >= from
	// (nil: from the first), until yield returns false. It must not be changed
	// under while scanning: collect first, then write.
	Scan(prefix, from []byte, yield func(key, value []byte) bool) error
}

// KV is an ordered key-value store with serializable transactions. A closure
// may be run more than once: no clock, randomness or side effect inside. An
// Update that returned nil is on disk.
type KV interface {
	View(ctx context.Context, f func(Tx) error) error
	Update(ctx context.Context, f func(Tx) error) error
	Close() error
}
