package segment

import (
	"context"
	"errors"
	"fmt"

	"heliograph/oracle/store"
)

// batch is the frames that will share one commit. Until the writer takes it, it
// is guarded by Log.mu; the results are readable once done is closed.
type batch struct {
	buf     []byte // items with payloads, headers still empty
	entries []entry
	taken   chan struct{} // closed when the next batch begins to fill
	done    chan struct{}
	err     error
}

type entry struct {
	at     int // in buf
	length uint32
	sum    uint32
	shard  store.Shard
	offset store.Offset // result
}

func newBatch(buf []byte) *batch {
	return &batch{buf: buf[:0], taken: make(chan struct{}), done: make(chan struct{})}
}

func (b *batch) add(s store.Shard, frame []byte, sum uint32) int {
	var zero [itemHeaderSize]byte
	at := len(b.buf)
	b.entries = append(b.entries, entry{at: at, length: uint32(len(frame)), sum: sum, shard: s})
	b.buf = append(b.buf, zero[:]...)
	b.buf = append(b.buf, frame...)
	b.buf = append(b.buf, zero[:at+itemSize(len(frame))-len(b.buf)]...)
	return len(b.entries) - 1
}

// Append implements [store.Log]. When the frames that wait for the next commit
// fill Config.CommitBytes it blocks until there is room or the context ends.
func (l *Log) Append(ctx context.Context, s store.Shard, frame []byte) (store.Offset, error) {
	if err := errors.Join(store.CheckShard(s), store.CheckFrame(frame)); err != nil {
		return 0, fmt.Errorf("segment: append: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("segment: append: %w", err)
	}
	b, i, err := l.enqueue(ctx, s, frame)
	if err != nil {
		return 0, fmt.Errorf("segment: append: %w", err)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("segment: append: %w; the frame may still be committed", ctx.Err())
	}
	if b.err != nil {
		return 0, fmt.Errorf("segment: append: %w", b.err)
	}
	return b.entries[i].offset, nil
}

// enqueue puts the frame into the pending batch, waiting for room.
func (l *Log) enqueue(ctx context.Context, s store.Shard, frame []byte) (*batch, int, error) {
	sum := checksum(frame)
	for {
		l.mu.Lock()
		if err := l.closedLocked(); err != nil {
			l.mu.Unlock()
			return nil, 0, err
		}
		b := l.pending
		if len(b.buf)+itemSize(len(frame)) <= l.cfg.CommitBytes {
			i := b.add(s, frame, sum)
			l.mu.Unlock()
			l.poke()
			return b, i, nil
		}
		l.mu.Unlock()
		select {
		case <-b.taken:
		case <-l.stopped:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// run is the writer: the only goroutine that writes.
func (l *Log) run() {
	defer close(l.done)
	for {
		<-l.wake
		b, closing := l.take()
		if b != nil {
			l.finish(b, l.commit(b))
		}
		l.mu.Lock()
		failed := l.cause != nil
		l.mu.Unlock()
		if failed || closing {
			l.shut(!failed)
			return
		}
	}
}

// take hands the pending batch to the writer, nil if it is empty. closing is
// true when no frame can follow.
func (l *Log) take() (b *batch, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending.entries) > 0 {
		b = l.pending
		l.pending = newBatch(l.spare)
		l.spare = nil
		close(b.taken)
	}
	return b, l.closing
}

// finish answers everybody in the batch. An error other than ErrFull leaves it
// unknown what is on disk and stops the log.
func (l *Log) finish(b *batch, err error) {
	if err != nil && !errors.Is(err, store.ErrFull) {
		l.stop(err)
		l.mu.Lock()
		err = l.closedLocked()
		l.mu.Unlock()
	}
	b.err = err
	l.mu.Lock()
	l.spare, b.buf = b.buf, nil
	l.mu.Unlock()
	close(b.done)
}

// stop ends the log after a failed write or sync, with everybody who waits.
func (l *Log) stop(cause error) {
	l.cfg.Logger.Error("segment log: stopped after a failed write; restart to recover", "dir", l.fs.Dir(), "error", cause)
	l.mu.Lock()
	l.cause = cause
	late := l.pending
	l.pending = newBatch(nil)
	late.err = l.closedLocked()
	l.mu.Unlock()
	close(l.stopped)
	close(late.done)
}

// shut closes the files, after the mark of an orderly end if all went well.
func (l *Log) shut(orderly bool) {
	var err error
	if orderly {
		err = l.writeMark(kindClosed)
	}
	if l.act != nil {
		err = errors.Join(err, l.act.Close())
	}
	err = errors.Join(err, l.lock.Close(), l.fs.Close())
	l.mu.Lock()
	if l.cause == nil {
		l.cause = err
	}
	l.mu.Unlock()
	if orderly {
		close(l.stopped)
	}
}

// commit writes the batch and makes it durable.
func (l *Log) commit(b *batch) error {
	free, err := l.fs.Free()
	if err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	if need := uint64(len(b.buf) + fileHeaderSize + markSize); free < need || free-need < l.cfg.MinFree {
		return fmt.Errorf("%w: %d bytes are free in %s, the floor is %d: make room, or lower the floor (oracled: min_free_bytes)",
			store.ErrFull, free, l.fs.Dir(), l.cfg.MinFree)
	}
	seg := l.seg
	if seg.frames > 0 && seg.size+int64(len(b.buf)) > l.cfg.SegmentBytes {
		if err := l.rotate(seg); err != nil {
			return err
		}
		seg = l.seg
	}
	l.number(b, seg)
	if _, err := l.act.WriteAt(b.buf, seg.size); err != nil {
		return fmt.Errorf("write %s: %w", segmentName(seg.seq), err)
	}
	if err := l.act.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", segmentName(seg.seq), err)
	}
	l.publish(b, seg)
	return nil
}

// number gives the frames their offsets and fills the item headers.
func (l *Log) number(b *batch, seg *segment) {
	for i := range b.entries {
		e := &b.entries[i]
		e.offset = l.next[e.shard]
		l.next[e.shard]++
		it := item{length: e.length, shard: uint16(e.shard), kind: kindFrame, offset: e.offset, commit: seg.size, sum: e.sum}
		it.put(b.buf[e.at:], seg.seed, seg.size+int64(e.at))
	}
}

// publish shows the durable frames to readers.
func (l *Log) publish(b *batch, seg *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range b.entries {
		seg.pos[e.shard] = append(seg.pos[e.shard], uint32((seg.size+int64(e.at))/align))
	}
	seg.size += int64(len(b.buf))
	seg.frames += len(b.entries)
	l.end = l.next
}

// rotate seals the segment and begins the next one.
func (l *Log) rotate(seg *segment) error {
	if err := l.writeMark(kindSealed); err != nil {
		return err
	}
	if err := l.act.Close(); err != nil {
		return fmt.Errorf("close %s: %w", segmentName(seg.seq), err)
	}
	l.act = nil
	if err := l.begin(); err != nil {
		return err
	}
	pos := seg.pos // copies without the slack of append
	for i, p := range pos {
		pos[i] = append([]uint32(nil), p...)
	}
	l.mu.Lock()
	seg.pos, seg.sealed = pos, true
	l.mu.Unlock()
	return nil
}

// writeMark appends a mark to the active segment, as a commit of its own.
func (l *Log) writeMark(k kind) error {
	seg := l.seg
	var b [markSize]byte
	it := item{shard: markShard, kind: k, commit: seg.size}
	it.put(b[:], seg.seed, seg.size)
	if _, err := l.act.WriteAt(b[:], seg.size); err != nil {
		return fmt.Errorf("mark the end of %s: %w", segmentName(seg.seq), err)
	}
	if err := l.act.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", segmentName(seg.seq), err)
	}
	l.mu.Lock()
	seg.size += markSize
	l.mu.Unlock()
	return nil
}
