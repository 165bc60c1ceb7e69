package segment

import (
	"fmt"

	"heliograph/oracle/store"
)

// DropBefore implements [store.Log]. A segment is removed when it is the oldest,
// is sealed, and all its frames of all shards were dropped. What was dropped is
// not written down: after a restart the wish has to be repeated.
func (l *Log) DropBefore(s store.Shard, o store.Offset) error {
	if err := store.CheckShard(s); err != nil {
		return fmt.Errorf("segment: drop: %w", err)
	}
	l.mu.Lock()
	err := l.closedLocked()
	if err == nil && o > l.end[s] {
		err = fmt.Errorf("%w: shard %d ends before offset %d, at %d", store.ErrNotFound, s, o, l.end[s])
	}
	if err == nil {
		l.mark[s] = max(l.mark[s], o)
	}
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("segment: drop: %w", err)
	}
	if err := l.removeDropped(); err != nil {
		return fmt.Errorf("segment: drop: %w", err)
	}
	return nil
}

// removeDropped removes one file after the other, each durably, so that a crash
// never leaves a gap in the row.
func (l *Log) removeDropped() error {
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	for {
		if l.dirty {
			if err := l.fs.SyncDir(); err != nil {
				return fmt.Errorf("sync %s: %w", l.fs.Dir(), err)
			}
			l.dirty = false
		}
		g := l.unlist()
		if g == nil {
			return nil
		}
		if err := l.fs.Remove(segmentName(g.seq)); err != nil {
			l.mu.Lock()
			l.segs = append([]*segment{g}, l.segs...)
			l.mu.Unlock()
			return fmt.Errorf("remove %s: %w", segmentName(g.seq), err)
		}
		l.dirty = true
	}
}

// unlist takes the oldest segment off the list if nobody wants it any more.
func (l *Log) unlist() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.cause != nil || len(l.segs) < 2 {
		return nil
	}
	g := l.segs[0]
	for s := range store.Shards {
		if n := len(g.pos[s]); n > 0 && g.base[s]+store.Offset(n) > l.mark[s] {
			return nil
		}
	}
	l.segs = append([]*segment(nil), l.segs[1:]...)
	return g
}
