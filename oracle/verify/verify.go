package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"heliograph/oracle/challenge"
	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/oracle/store"
	"heliograph/poc"
	"heliograph/poc/native"
)

// Input is everything that an epoch's outcome depends on, and Workers, on which it
// does not.
type Input struct {
	Epoch           poc.Epoch
	Seed            poc.Seed
	Open            journal.Boundary // the epoch's opening
	Params          native.Params
	ChallengeConfig challenge.Config
	// Registry is the registry as it was at the opening: a hotspot counts from
	// the first epoch that opens after its assertion was journaled.
	Registry *registry.Snapshot
	Sessions []poc.SessionCert // verified, as [poc.ParseSessionCert] gives them
	// Entries yields the epoch's entries, shards in ascending order, each shard
	// in the order of offsets. Data has to live for one step only. Entries of
	// other epochs and of types that are not judged are passed over.
	Entries iter.Seq2[journal.Position, journal.Entry]
	Workers int // goroutines that judge; 0 is one for each processor
}

// Verdict is the verdict on the report at a place of the journal.
type Verdict struct {
	At journal.Position
	poc.Verdict
}

// Outcome is what became of an epoch.
type Outcome struct {
	Epoch    poc.Epoch
	Verdicts []Verdict             // one for each report, in the order of the journal
	Units    []native.Units        // sorted by hotspot, none of them empty
	Counts   map[poc.Reason]uint64 // verdicts by reason
	Ignored  uint64                // sales of packets without effect: repeated, at a wrong price, or of no packet
	Digest   [sha256.Size]byte     // over epoch, parameters and verdicts
}

// ErrOrder: the entries do not come in the order of the journal.
var ErrOrder = errors.New("verify: entries are out of order")

// Run judges an epoch. It fails only if the parameters or the order of the entries
// are wrong or the context ends: there is no report that makes it fail.
func Run(ctx context.Context, in Input) (Outcome, error) {
	if err := in.Params.Validate(); err != nil {
		return Outcome{}, fmt.Errorf("verify: epoch %d: %w", in.Epoch, err)
	}
	sched, err := challenge.New(in.Seed, in.Epoch, in.ChallengeConfig)
	if err != nil {
		return Outcome{}, fmt.Errorf("verify: epoch %d: %w", in.Epoch, err)
	}
	j := newJudge(in, sched)
	shards, err := j.judgeAll(ctx, in)
	if err != nil {
		return Outcome{}, fmt.Errorf("verify: epoch %d: %w", in.Epoch, err)
	}
	return j.join(shards), nil
}

// batch is one shard's entries.
type batch struct {
	shard   store.Shard
	entries []raw
	data    []byte
}

type raw struct {
	at       store.Offset
	kind     journal.EntryType
	received int64
	end      int // of its data in batch.data
}

// judgeAll hands the shards to the workers and returns their results in order.
func (j *judge) judgeAll(ctx context.Context, in Input) ([]*shardResult, error) {
	workers := in.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var results [store.Shards]*shardResult
	work := make(chan *batch)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for b := range work {
				if ctx.Err() == nil {
					results[b.shard] = j.judgeShard(b)
				}
			}
		})
	}
	err := split(ctx, in, func(b *batch) bool {
		select {
		case work <- b:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(work)
	wg.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	var out []*shardResult
	for _, r := range results {
		if r != nil {
			out = append(out, r)
		}
	}
	return out, nil
}

// split cuts the entries into shards.
func split(ctx context.Context, in Input, emit func(*batch) bool) error {
	var b *batch
	var last journal.Position
	seen := false
	for at, e := range in.Entries {
		if seen && (at.Shard < last.Shard || at.Shard == last.Shard && at.Offset <= last.Offset) || at.Shard >= store.Shards {
			return fmt.Errorf("%w: shard %d offset %d after shard %d offset %d", ErrOrder, at.Shard, at.Offset, last.Shard, last.Offset)
		}
		last, seen = at, true
		if e.Epoch != in.Epoch || e.Type != journal.TypeReport && e.Type != journal.TypeCarried {
			continue
		}
		if b != nil && b.shard != at.Shard {
			if !emit(b) {
				return ctx.Err()
			}
			b = nil
		}
		if b == nil {
			b = &batch{shard: at.Shard}
		}
		b.data = append(b.data, e.Data...)
		b.entries = append(b.entries, raw{at: at.Offset, kind: e.Type, received: e.Received, end: len(b.data)})
	}
	if b != nil && !emit(b) {
		return ctx.Err()
	}
	return nil
}

// digest hashes the verdicts: epoch, hash of the parameters, number of verdicts,
// then of each its shard, offset, report, kind, hotspot, reason, got, limit and
// weight, big-endian.
func digest(e poc.Epoch, params [sha256.Size]byte, vs []Verdict) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte("heliograph/v1/verdicts\n"))
	b := binary.BigEndian.AppendUint32(nil, uint32(e))
	b = append(b, params[:]...)
	h.Write(binary.BigEndian.AppendUint64(b, uint64(len(vs))))
	for i := range vs {
		v := &vs[i]
		b = binary.BigEndian.AppendUint16(b[:0], uint16(v.At.Shard))
		b = binary.BigEndian.AppendUint64(b, uint64(v.At.Offset))
		b = append(b, v.Report[:]...)
		b = append(append(append(b, byte(v.Kind)), v.Hotspot[:]...), byte(v.Reason))
		b = binary.BigEndian.AppendUint64(b, uint64(v.Got))
		b = binary.BigEndian.AppendUint64(b, uint64(v.Limit))
		h.Write(binary.BigEndian.AppendUint32(b, v.Weight))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// FromJournal yields a closed epoch's entries. After the sequence has ended, *err
// holds the error that ended it, if any: look at it before the outcome is used.
func FromJournal(ctx context.Context, j *journal.Journal, e poc.Epoch, err *error) iter.Seq2[journal.Position, journal.Entry] {
	return func(yield func(journal.Position, journal.Entry) bool) {
		stop := errors.New("stop")
		got := j.Epoch(ctx, e, func(p journal.Position, entry journal.Entry) error {
			if !yield(p, entry) {
				return stop
			}
			return nil
		})
		if !errors.Is(got, stop) {
			*err = got
		}
	}
}
