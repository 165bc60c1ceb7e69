// Package mem holds the memory models of the two store interfaces: what tests
// use, and what the conformance suite compares the real stores with. They keep
// every rule of the interfaces and are stricter where a caller could get away
// with a mistake: a frame that Read handed out is overwritten after yield.
package mem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"heliograph/oracle/store"
)

// Log is a [store.Log] in memory. Make one with [NewLog].
type Log struct {
	mu     sync.Mutex
	shards [store.Shards]shard
	full   bool
	closed bool
}

type shard struct {
	base   store.Offset
	frames [][]byte
}

var _ store.Log = (*Log)(nil)

// NewLog returns an empty log.
func NewLog() *Log { return &Log{} }

// SetFull makes Append fail with store.ErrFull until it is called with false.
func (l *Log) SetFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

// Reopen makes a closed log usable again with all its frames, like a restart.
func (l *Log) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = false
}

// Append implements [store.Log].
func (l *Log) Append(ctx context.Context, s store.Shard, frame []byte) (store.Offset, error) {
	if err := errors.Join(store.CheckShard(s), store.CheckFrame(frame), ctx.Err()); err != nil {
		return 0, fmt.Errorf("mem: append: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, fmt.Errorf("mem: append: %w", store.ErrClosed)
	}
	if l.full {
		return 0, fmt.Errorf("mem: append: %w", store.ErrFull)
	}
	sh := &l.shards[s]
	sh.frames = append(sh.frames, slices.Clone(frame))
	return sh.end() - 1, nil
}

func (sh *shard) end() store.Offset { return sh.base + store.Offset(len(sh.frames)) }

// Read implements [store.Log].
func (l *Log) Read(ctx context.Context, s store.Shard, from store.Offset, yield func(store.Offset, []byte) bool) error {
	if err := store.CheckShard(s); err != nil {
		return fmt.Errorf("mem: read: %w", err)
	}
	frames, err := l.from(s, from)
	if err != nil {
		return fmt.Errorf("mem: read shard %d from offset %d: %w", s, from, err)
	}
	var buf []byte
	for i, f := range frames {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("mem: read: %w", err)
		}
		buf = append(buf[:0], f...)
		more := yield(from+store.Offset(i), buf)
		for j := range buf {
			buf[j] = 0xdb
		}
		if !more {
			break
		}
	}
	return nil
}

func (l *Log) from(s store.Shard, o store.Offset) ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := &l.shards[s]
	switch {
	case l.closed:
		return nil, store.ErrClosed
	case o > sh.end():
		return nil, store.ErrNotFound
	case o < sh.base:
		return nil, store.ErrDropped
	}
	return sh.frames[o-sh.base:], nil
}

// End implements [store.Log].
func (l *Log) End(s store.Shard) store.Offset {
	if s >= store.Shards {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shards[s].end()
}

// DropBefore implements [store.Log]: it keeps no frame more than asked for.
func (l *Log) DropBefore(s store.Shard, o store.Offset) error {
	if err := store.CheckShard(s); err != nil {
		return fmt.Errorf("mem: drop: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := &l.shards[s]
	switch {
	case l.closed:
		return fmt.Errorf("mem: drop: %w", store.ErrClosed)
	case o > sh.end():
		return fmt.Errorf("mem: drop before offset %d: %w", o, store.ErrNotFound)
	case o > sh.base:
		sh.frames = slices.Clone(sh.frames[o-sh.base:])
		sh.base = o
	}
	return nil
}

// Close implements [store.Log].
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
