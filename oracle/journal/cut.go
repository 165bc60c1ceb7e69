package journal

import (
	"context"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Close ends an epoch and all before it: from its call on no entry of them is
// taken; it waits for the appends that have begun and then journals the [Cut].
// It is idempotent. When it fails, entries stay refused, and it has to be called
// again. A crash before the cut is durable leaves the epoch open.
func (j *Journal) Close(ctx context.Context, e poc.Epoch, received int64) (Cut, error) {
	if c, err := j.CutOf(e); err == nil {
		return c, nil
	}
	if err := j.settle(ctx, e); err != nil {
		return Cut{}, fmt.Errorf("journal: close epoch %d: %w", e, err)
	}
	c := Cut{Epoch: e}
	for s := range c.End {
		c.End[s] = j.log.End(store.Shard(s))
	}
	data, err := c.AppendBinary(nil)
	if err != nil {
		return Cut{}, err
	}
	frame, err := Entry{Type: TypeCut, Epoch: e, Received: received, Data: data}.AppendBinary(nil)
	if err != nil {
		return Cut{}, err
	}
	if _, err := j.log.Append(ctx, store.ControlShard, frame); err != nil {
		return Cut{}, fmt.Errorf("journal: close epoch %d: %w", e, err)
	}
	j.mu.Lock()
	j.noteCut(c)
	j.mu.Unlock()
	return j.CutOf(e)
}

// settle refuses entries up to epoch e and waits for those that are on the way.
func (j *Journal) settle(ctx context.Context, e poc.Epoch) error {
	for {
		j.mu.Lock()
		j.closing, j.begun = max(j.closing, e), true
		busy := false
		for p := range j.pending {
			busy = busy || p <= e
		}
		changed := j.changed
		j.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Closed is the newest epoch that takes no more entries, false if there is none.
func (j *Journal) Closed() (poc.Epoch, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closing, j.begun
}

// CutOf is the cut that ended the epoch: its own, or the first of a later one
// for an epoch that was passed over. [ErrNoCut] while it is open.
func (j *Journal) CutOf(e poc.Epoch) (Cut, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.cuts) - 1; i >= 0; i-- {
		if j.cuts[i].Epoch >= e && (i == 0 || j.cuts[i-1].Epoch < e) {
			return j.cuts[i], nil
		}
	}
	return Cut{}, fmt.Errorf("%w: epoch %d", ErrNoCut, e)
}

// before is the newest cut of an epoch at most e, the zero cut if there is none.
// It may be a guess that is too old, never one that is too new.
func (j *Journal) before(e int64) Cut {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.cuts) - 1; i >= 0; i-- {
		if int64(j.cuts[i].Epoch) <= e {
			return j.cuts[i]
		}
	}
	return Cut{}
}

// Range is a stretch of one shard.
type Range struct {
	Shard    store.Shard
	From, To store.Offset // To is not part of it
}

// Ranges says where the entries of a closed epoch lie: after the cut of the
// epoch but one before, because two epochs are open at a time, and before its
// own. Entries of the neighbouring epochs lie between them.
func (j *Journal) Ranges(e poc.Epoch) ([]Range, error) {
	c, err := j.CutOf(e)
	if err != nil {
		return nil, err
	}
	return ranges(j.before(int64(e)-openEpochs), c), nil
}

func ranges(from, to Cut) []Range {
	out := make([]Range, 0, store.Shards)
	for s := range to.End {
		if to.End[s] > from.End[s] {
			out = append(out, Range{Shard: store.Shard(s), From: from.End[s], To: to.End[s]})
		}
	}
	return out
}

// Tail is where everything lies that may belong to epoch e or a later one, up to
// the end of the log.
func (j *Journal) Tail(e poc.Epoch) []Range {
	from := j.before(int64(e) - openEpochs)
	var to Cut
	for s := range to.End {
		to.End[s] = j.log.End(store.Shard(s))
	}
	return ranges(from, to)
}
