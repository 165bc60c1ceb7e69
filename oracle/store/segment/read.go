package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"heliograph/oracle/store"
)

// stretch is the frames of one shard in one segment from an offset on.
type stretch struct {
	seq  uint64
	seed uint32
	size int64
	pos  []uint32
}

// Read implements [store.Log].
func (l *Log) Read(ctx context.Context, s store.Shard, from store.Offset, yield func(store.Offset, []byte) bool) error {
	if err := store.CheckShard(s); err != nil {
		return fmt.Errorf("segment: read: %w", err)
	}
	end := l.End(s)
	if from > end {
		return fmt.Errorf("segment: read: %w: shard %d ends before offset %d, at %d", store.ErrNotFound, s, from, end)
	}
	for at := from; ; {
		st, err := l.locate(s, at, end)
		if err == nil && len(st.pos) > 0 {
			err = l.readStretch(ctx, st, shardRange{s, at}, &yield)
		}
		if err != nil {
			return fmt.Errorf("segment: read shard %d from offset %d: %w", s, at, err)
		}
		at += store.Offset(len(st.pos))
		if yield == nil || at >= end {
			return nil
		}
	}
}

// locate finds the segment that holds the offset. Nothing is left to read when
// the stretch is empty.
func (l *Log) locate(s store.Shard, at, end store.Offset) (stretch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.closedLocked(); err != nil {
		return stretch{}, err
	}
	if len(l.segs) == 0 || at < l.segs[0].base[s] {
		return stretch{}, store.ErrDropped
	}
	if at >= end {
		return stretch{}, nil
	}
	i := sort.Search(len(l.segs), func(i int) bool {
		g := l.segs[i]
		return g.base[s]+store.Offset(len(g.pos[s])) > at
	})
	g := l.segs[i]
	pos := g.pos[s][at-g.base[s]:]
	if left := end - at; store.Offset(len(pos)) > left {
		pos = pos[:left]
	}
	return stretch{seq: g.seq, seed: g.seed, size: g.size, pos: pos}, nil
}

type shardRange struct {
	shard store.Shard
	from  store.Offset
}

// readStretch yields the frames of a stretch and sets yield to nil when the
// receiver wants no more.
func (l *Log) readStretch(ctx context.Context, st stretch, r shardRange, yield *func(store.Offset, []byte) bool) (err error) {
	name := segmentName(st.seq)
	f, err := l.fs.OpenRead(name)
	if err != nil {
		return l.openError(st.seq, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &window{r: f, limit: st.size}
	for i, p := range st.pos {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, offset := int64(p)*align, r.from+store.Offset(i)
		it, problem, err := readItem(w, st.seed, at)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if problem == "" && (store.Shard(it.shard) != r.shard || it.offset != offset) {
			problem = fmt.Sprintf("frame %d of shard %d stands here", it.offset, it.shard)
		}
		if problem != "" {
			return damage(l.fs.Dir(), name, at, problem)
		}
		b, _, _ := w.bytes(at, it.size()) // readItem left it in the window
		if !(*yield)(offset, b[itemHeaderSize:itemHeaderSize+it.length]) {
			*yield = nil
			return nil
		}
	}
	return nil
}

// openError explains why a listed segment cannot be opened: perhaps it was
// dropped, or the log closed, since it was looked up.
func (l *Log) openError(seq uint64, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if closed := l.closedLocked(); closed != nil {
		return closed
	}
	if errors.Is(err, fs.ErrNotExist) {
		if seq < l.segs[0].seq {
			return store.ErrDropped
		}
		return damage(l.fs.Dir(), segmentName(seq), 0, "the file is gone")
	}
	return err
}
