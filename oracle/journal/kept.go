package journal

import (
	"context"
	"fmt"
	"slices"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// AppendKept keeps data for an epoch that is no report and cannot be computed:
// its secret, its terms. With it the journal alone is enough to judge the epoch
// again when everything else was lost. It is no part of what the epoch is judged
// by, so an epoch takes it at any time; it is not published with the reports.
func (j *Journal) AppendKept(ctx context.Context, e poc.Epoch, data []byte, received int64) error {
	frame, err := Entry{Type: TypeKept, Epoch: e, Received: received, Data: data}.AppendBinary(nil)
	if err != nil {
		return err
	}
	at, err := j.log.Append(ctx, store.ControlShard, frame)
	if err != nil {
		return fmt.Errorf("journal: keep data of epoch %d: %w", e, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept[e] = append(j.kept[e], at)
	return nil
}

// KeptEpochs lists the epochs that data is kept of, ascending.
func (j *Journal) KeptEpochs() []poc.Epoch {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]poc.Epoch, 0, len(j.kept))
	for e := range j.kept {
		out = append(out, e)
	}
	slices.Sort(out)
	return out
}

// Kept reads what is kept of an epoch, in the order in which it was appended.
func (j *Journal) Kept(ctx context.Context, e poc.Epoch) (out [][]byte, err error) {
	j.mu.Lock()
	at := slices.Clone(j.kept[e])
	j.mu.Unlock()
	for _, o := range at {
		err := j.Read(ctx, store.ControlShard, o, o+1, func(_ Position, entry Entry) error {
			out = append(out, slices.Clone(entry.Data))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("journal: read what is kept of epoch %d: %w", e, err)
		}
	}
	return out, nil
}
