package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"heliograph/oracle/store"
)

func logLimits(t *testing.T, log store.Log) {
	for _, n := range []int{1, store.MaxFrame} {
		if _, err := log.Append(bg, 0, make([]byte, n)); err != nil {
			t.Errorf("frame of %d bytes: %v", n, err)
		}
	}
	if _, err := log.Append(bg, 0, nil); err == nil {
		t.Error("an empty frame was taken")
	}
	if _, err := log.Append(bg, 0, make([]byte, store.MaxFrame+1)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("frame over the limit: %v", err)
	}
	if _, err := log.Append(bg, store.Shards, []byte("x")); err == nil {
		t.Error("a shard that does not exist took a frame")
	}
	if err := log.Read(bg, store.Shards, 0, func(store.Offset, []byte) bool { return true }); err == nil {
		t.Error("a shard that does not exist was read")
	}
	if err := log.DropBefore(store.Shards, 0); err == nil {
		t.Error("a shard that does not exist dropped frames")
	}
	if log.End(store.Shards) != 0 || log.End(0) != 2 || log.End(1) != 0 {
		t.Errorf("ends %d %d %d, want 0 2 0", log.End(store.Shards), log.End(0), log.End(1))
	}
}

// logConcurrent has many writers in few shards, with readers that follow: each
// writer's frames stand in its order, each offset is given once, and readers see
// no gap.
func logConcurrent(t *testing.T, log store.Log) {
	const writers, each, shards = 32, 25, 3
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[[2]uint64][]byte{}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				s := store.Shard(w % shards)
				frame := binary.BigEndian.AppendUint64(nil, uint64(w))
				frame = binary.BigEndian.AppendUint64(frame, uint64(i))
				o, err := log.Append(bg, s, frame)
				if err != nil {
					t.Error(err)
					return
				}
				if log.End(s) <= o {
					t.Errorf("End(%d) = %d after offset %d was acknowledged", s, log.End(s), o)
				}
				mu.Lock()
				if acked[[2]uint64{uint64(s), uint64(o)}] != nil {
					t.Errorf("offset %d of shard %d was given twice", o, s)
				}
				acked[[2]uint64{uint64(s), uint64(o)}] = frame
				mu.Unlock()
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { followUntil(t, log, 0, stop) })
	wg.Wait()
	close(stop)
	readers.Wait()
	for s := range store.Shard(shards) {
		last, next := map[uint64]uint64{}, store.Offset(0)
		err := log.Read(bg, s, 0, func(o store.Offset, b []byte) bool {
			if o != next || !bytes.Equal(b, acked[[2]uint64{uint64(s), uint64(o)}]) {
				t.Errorf("shard %d offset %d: not the frame that was acknowledged there", s, o)
				return false
			}
			w, i := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
			if i != last[w] {
				t.Errorf("writer %d: frame %d where %d belongs", w, i, last[w])
			}
			last[w]++
			next++
			return true
		})
		if err != nil || next != log.End(s) {
			t.Errorf("shard %d: read to %d of %d: %v", s, next, log.End(s), err)
		}
	}
}

func followUntil(t *testing.T, log store.Log, s store.Shard, stop <-chan struct{}) {
	next := store.Offset(0)
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := log.Read(bg, s, next, func(o store.Offset, _ []byte) bool {
			if o != next {
				t.Errorf("follower of shard %d: offset %d where %d belongs", s, o, next)
			}
			next++
			return true
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func logContext(t *testing.T, log store.Log) {
	ended, cancel := context.WithCancel(bg)
	cancel()
	if _, err := log.Append(ended, 0, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Append with an ended context: %v", err)
	}
	if log.End(0) != 0 {
		t.Error("an append whose context had ended before was written")
	}
	for range 3 {
		if _, err := log.Append(bg, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	n := 0
	err := log.Read(ctx, 0, 0, func(store.Offset, []byte) bool { n++; cancel(); return true })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("Read went on to %d frames after its context ended: %v", n, err)
	}
}

func logClosed(t *testing.T, log store.Log) {
	if _, err := log.Append(bg, 5, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := log.Close(); err != nil {
			t.Fatalf("Close number %d: %v", i+1, err)
		}
	}
	_, err := log.Append(bg, 5, []byte("x"))
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if err := log.Read(bg, 5, 0, func(store.Offset, []byte) bool { return true }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := log.DropBefore(5, 1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("DropBefore: %v", err)
	}
	if log.End(5) != 1 {
		t.Errorf("End = %d", log.End(5))
	}
}

func logBounds(t *testing.T, log store.Log) {
	none := func(store.Offset, []byte) bool { t.Error("a frame out of nothing"); return true }
	if err := log.Read(bg, 9, 0, none); err != nil {
		t.Errorf("empty shard from its end: %v", err)
	}
	if err := log.Read(bg, 9, 1, none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("empty shard from beyond its end: %v", err)
	}
	if err := log.Read(bg, 9, ^store.Offset(0), none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("from the largest offset: %v", err)
	}
	if err := log.DropBefore(9, ^store.Offset(0)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("drop before the largest offset: %v", err)
	}
	if err := log.DropBefore(9, 0); err != nil {
		t.Errorf("drop nothing: %v", err)
	}
}

// logCopies changes the slice after Append.
func logCopies(t *testing.T, log store.Log) {
	frame := []byte("before")
	if _, err := log.Append(bg, 2, frame); err != nil {
		t.Fatal(err)
	}
	copy(frame, "after!")
	err := log.Read(bg, 2, 0, func(_ store.Offset, b []byte) bool {
		if string(b) != "before" {
			t.Errorf("the log keeps the caller's slice: %q", b)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

// logReentrant uses the log from within yield; frames that are appended then do
// not belong to the reading that goes on.
func logReentrant(t *testing.T, log store.Log) {
	if _, err := log.Append(bg, 3, []byte("x")); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := log.Read(bg, 3, 0, func(o store.Offset, b []byte) bool {
		n++
		if _, err := log.Append(bg, 3, b); err != nil {
			t.Error(err)
		}
		return n < 10
	})
	if err != nil || n != 1 || log.End(3) != 2 {
		t.Errorf("%d frames, end %d, %v; want 1 and 2", n, log.End(3), err)
	}
}
