package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Errors that callers branch on.
var (
	// ErrEpochClosed: the epoch was cut; the entry comes too late.
	ErrEpochClosed = errors.New("journal: the epoch is closed")
	// ErrEpochEarly: the epoch but one before is not cut yet. At most two epochs
	// take entries at a time, so that an epoch's entries lie between two cuts.
	ErrEpochEarly = errors.New("journal: an older epoch has to be closed first")
	// ErrNoCut: the epoch is not closed.
	ErrNoCut = errors.New("journal: the epoch has no cut")
)

// openEpochs is how many epochs take entries at the same time: the current one,
// and the one before it until its grace has passed.
const openEpochs = 2

// Boundary is an [Open] as it lies in the journal.
type Boundary struct {
	Open
	Received int64 // unix nanoseconds
	At       store.Offset
}

// Journal is the oracle's journal over one log. Safe for concurrent use.
type Journal struct {
	log store.Log

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when pending shrinks
	pending map[poc.Epoch]int
	closing poc.Epoch // epochs up to here take no more entries; meaningful when begun
	begun   bool
	cuts    []Cut // in the order of the log, epochs ascending
	opens   map[poc.Epoch]Boundary
	kept    map[poc.Epoch][]store.Offset // in the order of the log
}

// New reads the epoch boundaries in the control shard and gives the journal. It
// fails with [ErrEntry] if a frame there is not an entry. The log stays the
// caller's: whoever opened it closes it.
func New(ctx context.Context, log store.Log) (*Journal, error) {
	j := &Journal{
		log:     log,
		changed: make(chan struct{}),
		pending: make(map[poc.Epoch]int),
		opens:   make(map[poc.Epoch]Boundary),
		kept:    make(map[poc.Epoch][]store.Offset),
	}
	err := j.Read(ctx, store.ControlShard, 0, log.End(store.ControlShard), func(p Position, e Entry) error {
		switch e.Type {
		case TypeOpen:
			o, err := ParseOpen(e.Data)
			if err != nil {
				return err
			}
			j.noteOpen(Boundary{Open: o, Received: e.Received, At: p.Offset})
		case TypeCut:
			c, err := ParseCut(e.Data)
			if err != nil {
				return err
			}
			j.noteCut(c)
		case TypeKept:
			j.kept[e.Epoch] = append(j.kept[e.Epoch], p.Offset)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("journal: read the control shard: %w", err)
	}
	return j, nil
}

// noteOpen keeps the first opening of an epoch; a second one can only be the
// repetition of an append whose outcome was not known.
func (j *Journal) noteOpen(b Boundary) {
	if _, known := j.opens[b.Epoch]; !known {
		j.opens[b.Epoch] = b
	}
}

func (j *Journal) noteCut(c Cut) {
	if n := len(j.cuts); n > 0 && j.cuts[n-1].Epoch >= c.Epoch {
		return
	}
	j.cuts = append(j.cuts, c)
	j.closing, j.begun = max(j.closing, c.Epoch), true
}

// Append writes an entry into a shard and returns its position once it is
// durable. The errors are [ErrEpochClosed], [ErrEpochEarly] and those of
// [store.Log.Append]. When the context ends first, the entry may be there or
// not; pass a context that does not end with the request of a hotspot.
func (j *Journal) Append(ctx context.Context, s store.Shard, e Entry) (Position, error) {
	if e.Type == TypeOpen || e.Type == TypeCut || e.Type == TypeKept {
		return Position{}, fmt.Errorf("journal: append: %w: boundaries and what is kept have methods of their own", ErrEntry)
	}
	frame, err := e.AppendBinary(make([]byte, 0, entryHeader+len(e.Data)))
	if err != nil {
		return Position{}, err
	}
	if err := j.enter(e.Epoch); err != nil {
		return Position{}, err
	}
	defer j.leave(e.Epoch)
	o, err := j.log.Append(ctx, s, frame)
	if err != nil {
		return Position{}, fmt.Errorf("journal: append: %w", err)
	}
	return Position{Shard: s, Offset: o}, nil
}

func (j *Journal) enter(e poc.Epoch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.begun && e <= j.closing:
		return ErrEpochClosed
	case j.begun && e > j.closing+openEpochs:
		return ErrEpochEarly
	}
	j.pending[e]++
	return nil
}

func (j *Journal) leave(e poc.Epoch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pending[e]--; j.pending[e] == 0 {
		delete(j.pending, e)
		close(j.changed)
		j.changed = make(chan struct{})
	}
}

// AppendOpen journals the opening of an epoch. For an epoch that is open already
// it returns the first opening and writes nothing.
func (j *Journal) AppendOpen(ctx context.Context, o Open, received int64) (Boundary, error) {
	if b, ok := j.Opening(o.Epoch); ok {
		return b, nil
	}
	data, err := o.AppendBinary(nil)
	if err != nil {
		return Boundary{}, err
	}
	if err := j.enter(o.Epoch); err != nil {
		return Boundary{}, err
	}
	defer j.leave(o.Epoch)
	frame, err := Entry{Type: TypeOpen, Epoch: o.Epoch, Received: received, Data: data}.AppendBinary(nil)
	if err != nil {
		return Boundary{}, err
	}
	at, err := j.log.Append(ctx, store.ControlShard, frame)
	if err != nil {
		return Boundary{}, fmt.Errorf("journal: open epoch %d: %w", o.Epoch, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.noteOpen(Boundary{Open: o, Received: received, At: at})
	return j.opens[o.Epoch], nil
}

// Opening is the opening of an epoch, if it was opened.
func (j *Journal) Opening(e poc.Epoch) (Boundary, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, ok := j.opens[e]
	return b, ok
}

// Openings lists the epochs that were opened, in no particular order.
func (j *Journal) Openings() []poc.Epoch {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]poc.Epoch, 0, len(j.opens))
	for e := range j.opens {
		out = append(out, e)
	}
	return out
}
