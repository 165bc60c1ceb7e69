package journal

import (
	"context"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// Read calls yield for the entries of a shard from offset from up to before to,
// in order, until yield returns an error, which Read returns. Data is valid only
// during the call.
func (j *Journal) Read(ctx context.Context, s store.Shard, from, to store.Offset, yield func(Position, Entry) error) error {
	if from >= to {
		return nil
	}
	var inner error
	err := j.log.Read(ctx, s, from, func(o store.Offset, frame []byte) bool {
		if o >= to {
			return false
		}
		e, err := ParseEntry(frame)
		if err == nil {
			err = yield(Position{Shard: s, Offset: o}, e)
		} else {
			err = fmt.Errorf("shard %d offset %d: %w", s, o, err)
		}
		inner = err
		return err == nil
	})
	if inner != nil {
		return inner
	}
	if err != nil {
		return fmt.Errorf("journal: read: %w", err)
	}
	return nil
}

// Epoch calls yield for every entry that belongs to a closed epoch, shard by
// shard, each shard in order; the control shard comes last. It fails with
// [ErrNoCut] for an epoch that is open.
func (j *Journal) Epoch(ctx context.Context, e poc.Epoch, yield func(Position, Entry) error) error {
	rs, err := j.Ranges(e)
	if err != nil {
		return err
	}
	for _, r := range rs {
		err := j.Read(ctx, r.Shard, r.From, r.To, func(p Position, entry Entry) error {
			if entry.Epoch != e {
				return nil
			}
			return yield(p, entry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ControlEnd is the offset that the next entry of the control shard will get.
func (j *Journal) ControlEnd() store.Offset { return j.log.End(store.ControlShard) }

// Control calls yield for the entries of the control shard before an offset: the
// registry and the sessions, in the order in which they took effect.
func (j *Journal) Control(ctx context.Context, to store.Offset, yield func(Position, Entry) error) error {
	return j.Read(ctx, store.ControlShard, 0, to, yield)
}
