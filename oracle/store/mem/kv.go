package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"heliograph/oracle/store"
)

// KV is a [store.KV] in memory. A View sees the state at its start while an
// Update goes on. A commit costs time in proportion to the number of keys. Make
// one with [NewKV] or [NewTwiceKV].
type KV struct {
	turn  chan struct{} // one token: the right to update
	twice bool

	mu     sync.Mutex
	pairs  []pair // sorted, never changed in place
	full   bool
	closed bool
}

type pair struct {
	key   string
	value []byte
}

var _ store.KV = (*KV)(nil)

// NewKV returns an empty store.
func NewKV() *KV {
	kv := &KV{turn: make(chan struct{}, 1)}
	kv.turn <- struct{}{}
	return kv
}

// NewTwiceKV returns an empty store that runs each Update closure twice and
// keeps the result of the second run, as a store does that had to retry. Tests
// use it to find closures with side effects.
func NewTwiceKV() *KV {
	kv := NewKV()
	kv.twice = true
	return kv
}

// SetFull makes Update fail with store.ErrFull until it is called with false.
func (kv *KV) SetFull(full bool) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.full = full
}

// Reopen makes a closed store usable again with all its keys, like a restart.
func (kv *KV) Reopen() {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.closed = false
}

// begin returns the current state.
func (kv *KV) begin(ctx context.Context, write bool) ([]pair, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.closed {
		return nil, store.ErrClosed
	}
	if write && kv.full {
		return nil, store.ErrFull
	}
	return kv.pairs, nil
}

// View implements [store.KV].
func (kv *KV) View(ctx context.Context, f func(store.Tx) error) error {
	pairs, err := kv.begin(ctx, false)
	if err != nil {
		return fmt.Errorf("mem: view: %w", err)
	}
	t := &tx{pairs: pairs}
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
		return fmt.Errorf("mem: update: %w", ctx.Err())
	}
	defer func() { kv.turn <- struct{}{} }()
	pairs, err := kv.begin(ctx, true)
	if err != nil {
		return fmt.Errorf("mem: update: %w", err)
	}
	if kv.twice {
		if err := kv.try(ctx, pairs, f, false); err != nil {
			return err
		}
	}
	return kv.try(ctx, pairs, f, true)
}

func (kv *KV) try(ctx context.Context, pairs []pair, f func(store.Tx) error, commit bool) error {
	t := &tx{pairs: pairs, writes: map[string][]byte{}}
	t.guard.Writable = true
	if err := f(t); err != nil {
		return err
	}
	if err := t.guard.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("mem: update: %w", err)
	}
	if commit {
		next := make([]pair, 0, len(pairs)+len(t.writes))
		t.each("", "", func(p pair) bool { next = append(next, p); return true })
		kv.mu.Lock()
		kv.pairs = next
		kv.mu.Unlock()
	}
	return nil
}

// Close implements [store.KV].
func (kv *KV) Close() error {
	<-kv.turn
	defer func() { kv.turn <- struct{}{} }()
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.closed = true
	return nil
}

type tx struct {
	guard  store.TxGuard
	pairs  []pair
	writes map[string][]byte // nil: deleted
}

func search(pairs []pair, key string) (int, bool) {
	return sort.Find(len(pairs), func(i int) int { return strings.Compare(key, pairs[i].key) })
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	v, ok := t.writes[string(key)]
	if !ok {
		if i, found := search(t.pairs, string(key)); found {
			v = t.pairs[i].value
		}
	}
	if v == nil {
		return nil, store.ErrNotFound
	}
	return v, nil
}

func (t *tx) Put(key, value []byte) error {
	if err := t.guard.Write(key, value); err != nil {
		return err
	}
	t.writes[string(key)] = append(make([]byte, 0, len(value)), value...)
	return nil
}

func (t *tx) Delete(key []byte) error {
	if err := t.guard.Write(key, nil); err != nil {
		return err
	}
	t.writes[string(key)] = nil
	return nil
}

func (t *tx) Scan(prefix, from []byte, yield func(key, value []byte) bool) error {
	defer t.guard.Scan()()
	t.each(string(prefix), string(from), func(p pair) bool {
		return yield([]byte(p.key), bytes.Clone(p.value))
	})
	return nil
}

// each yields the state with the writes of the transaction, for the keys with the
// prefix that are not before from.
func (t *tx) each(prefix, from string, yield func(pair) bool) {
	from = max(from, prefix)
	var keys []string
	for k := range t.writes {
		if k >= from && strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	start, _ := search(t.pairs, from)
	rest := t.pairs[start:]
	for {
		stored := len(rest) > 0 && strings.HasPrefix(rest[0].key, prefix)
		var p pair
		switch {
		case len(keys) > 0 && (!stored || keys[0] <= rest[0].key):
			if stored && keys[0] == rest[0].key {
				rest = rest[1:]
			}
			p, keys = pair{keys[0], t.writes[keys[0]]}, keys[1:]
		case stored:
			p, rest = rest[0], rest[1:]
		default:
			return
		}
		if p.value != nil && !yield(p) {
			return
		}
	}
}
