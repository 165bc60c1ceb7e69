package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"heliograph/oracle/store"
)

var bg = context.Background()

// Events in the recording.
type (
	ackEvent struct {
		shard  store.Shard
		offset store.Offset
		frame  []byte
	}
	dropEvent struct {
		shard  store.Shard
		before store.Offset
	}
)

const crashWriters, crashShards = 6, 3

// recordRun runs writers in bursts, with rotations, drops and an orderly restart,
// and returns everything that happened to the disk.
func recordRun(t *testing.T, rounds int) []op {
	f := newMemFS()
	var seqs [crashWriters]int
	cfg := testConfig()
	for range 2 {
		l, _ := mustOpen(t, f, cfg)
		for round := range rounds {
			var wg sync.WaitGroup
			for w := range crashWriters {
				n := 1 + (round+w)%3
				first := seqs[w]
				seqs[w] += n
				wg.Go(func() {
					for i := range n {
						s := store.Shard(w % crashShards)
						frame := frameOf(w, first+i)
						o, err := l.Append(bg, s, frame)
						if err != nil {
							t.Error(err)
							return
						}
						f.event(ackEvent{s, o, frame})
					}
				})
			}
			wg.Wait()
			if round%4 == 3 {
				for s := range store.Shard(crashShards) {
					before := l.End(s) * 2 / 3
					f.event(dropEvent{s, before})
					if err := l.DropBefore(s, before); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return f.ops
}

// checkRecovered compares a recovered log with what the recording promises:
// every acknowledged frame that was not dropped is there, at its offset; there is
// nothing that was not appended, nothing twice, and each writer's order is kept.
func checkRecovered(l *Log, ops []op) error {
	acked := map[store.Shard]map[store.Offset][]byte{}
	var dropped [store.Shards]store.Offset
	for _, o := range ops {
		switch e := o.event.(type) {
		case ackEvent:
			if acked[e.shard] == nil {
				acked[e.shard] = map[store.Offset][]byte{}
			}
			acked[e.shard][e.offset] = e.frame
		case dropEvent:
			dropped[e.shard] = max(dropped[e.shard], e.before)
		}
	}
	for s := range store.Shard(crashShards) {
		base := l.segs[0].base[s]
		if base > dropped[s] {
			return fmt.Errorf("shard %d begins at %d, dropped was only before %d", s, base, dropped[s])
		}
		last, next := map[int]int{}, base
		var bad error
		err := l.Read(bg, s, base, func(o store.Offset, b []byte) bool {
			w, seq, ok := parseFrame(b)
			if !ok {
				bad = fmt.Errorf("shard %d offset %d: a frame that nobody appended", s, o)
			}
			if before, seen := last[w]; o != next || seen && seq != before+1 || store.Shard(w%crashShards) != s {
				bad = fmt.Errorf("shard %d offset %d: frame %d/%d after offset %d and frame %d", s, o, w, seq, next, before)
			}
			if want := acked[s][o]; want != nil && !bytes.Equal(want, b) {
				bad = fmt.Errorf("shard %d offset %d: not the frame that was acknowledged there", s, o)
			}
			last[w], next = seq, next+1
			return bad == nil
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
		for o := range acked[s] {
			if o >= next || next != l.End(s) {
				return fmt.Errorf("shard %d: acknowledged offset %d is lost, the log ends at %d", s, o, next)
			}
		}
	}
	return nil
}

// TestCrashAtEveryWrite cuts the power after each operation that reaches the
// disk, with every fate of what was not synced, and again during the recovery.
func TestCrashAtEveryWrite(t *testing.T) {
	ops := recordRun(t, 10)
	tries := 1
	if soak := os.Getenv("HELIOGRAPH_SOAK"); soak != "" {
		tries = 20
	}
	names := slices.Sorted(maps.Keys(fates))
	states, truncated := 0, 0
	for k := range len(ops) + 1 {
		if k < len(ops) && ops[k].kind == opEvent {
			continue // the disk is the same as at the next operation, the promises fewer
		}
		for i, name := range names {
			for try := range tries {
				r := newRand(uint64(k), uint64(100*i+try))
				disk := crash(ops[:k], r, fates[name])
				_, rep, err := recoverAndCheck(disk, ops[:k])
				if err == nil {
					// The power fails again while the recovery works on it.
					cut := disk.setup + r.IntN(len(disk.ops)-disk.setup+1)
					_, _, err = recoverAndCheck(crash(disk.ops[:cut], r, fates[names[r.IntN(len(names))]]), ops[:k])
				}
				if err != nil {
					t.Fatalf("crash after operation %d of %d, %q, try %d: %v", k, len(ops), name, try, err)
				}
				states++
				if rep.TruncatedBytes > 0 {
					truncated++
				}
			}
		}
	}
	t.Logf("%d operations, %d crashed disks, %d of them with a torn tail", len(ops), states, truncated)
	if truncated == 0 {
		t.Error("no crash ever tore a tail: the test does not test")
	}
}

// TestKillThenPowerCut kills the process after each operation, lets the next one
// recover, and then cuts the power: what the recovered log showed must stay.
func TestKillThenPowerCut(t *testing.T) {
	ops := recordRun(t, 6)
	for k := range len(ops) + 1 {
		if k < len(ops) && ops[k].kind == opEvent {
			continue
		}
		if err := cutAfterRecovery(kill(ops[:k]), ops[:k]); err != nil {
			t.Fatalf("kill after operation %d of %d: %v", k, len(ops), err)
		}
	}
}

// cutAfterRecovery recovers what the kernel shows, cuts the power with everything
// lost that was not synced by then, and recovers again.
func cutAfterRecovery(f *memFS, promised []op) error {
	first, _, err := recoverAndCheck(f, promised)
	if err != nil {
		return err
	}
	second, _, err := recoverAndCheck(crash(f.ops, newRand(0), fates["all lost"]), promised)
	if err == nil && second != first {
		err = errors.New("frames were shown to readers and are gone after the power cut")
	}
	return err
}

// recoverAndCheck opens the disk, checks the promises, appends, and opens again.
// It returns the ends of the shards after the first opening.
func recoverAndCheck(disk *memFS, promised []op) (ends [store.Shards]store.Offset, rep OpenReport, err error) {
	l, rep, err := openFS(disk, testConfig())
	if err != nil {
		return ends, rep, err
	}
	ends = l.next
	recovered := len(disk.ops)
	if err := checkRecovered(l, promised); err != nil {
		return ends, rep, errors.Join(err, l.Close())
	}
	o, err := l.Append(bg, 200, []byte("after the crash"))
	if err := errors.Join(err, l.Close()); err != nil {
		return ends, rep, err
	}
	again, rep2, err := openFS(disk, testConfig())
	if err != nil {
		return ends, rep, fmt.Errorf("second open: %w", err)
	}
	err = checkRecovered(again, promised)
	if !rep2.Clean || rep2.TruncatedBytes > 0 || again.End(200) != o+1 {
		err = errors.Join(err, fmt.Errorf("second open: %+v, end %d after offset %d", rep2, again.End(200), o))
	}
	err = errors.Join(err, again.Close())
	disk.ops = disk.ops[:recovered] // for a crash during the recovery
	return ends, rep, err
}

// TestFailedOperation lets each operation fail in turn: the log must stop, say
// so, and hold every promise when it is opened again.
func TestFailedOperation(t *testing.T) {
	run := func(f *memFS) (failed error) {
		l, _, err := openFS(f, testConfig())
		if err != nil {
			return err
		}
		for i := range 60 {
			s := store.Shard(i % crashShards)
			frame := frameOf(int(s), i/crashShards)
			o, err := l.Append(bg, s, frame)
			if err != nil {
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("operation %d: Append: %v; want ErrClosed", f.failAt, err)
				}
				if _, again := l.Append(bg, s, []byte("x")); !errors.Is(again, store.ErrClosed) {
					t.Errorf("operation %d: the log went on after %v: %v", f.failAt, err, again)
				}
				return errors.Join(err, l.Close())
			}
			f.event(ackEvent{s, o, frame})
			if i%20 == 19 {
				f.event(dropEvent{s, o})
				if err := l.DropBefore(s, o); err != nil && !errors.Is(err, errInjected) {
					t.Errorf("operation %d: DropBefore: %v", f.failAt, err)
				}
			}
		}
		return l.Close()
	}
	whole := newMemFS()
	if err := run(whole); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= whole.count; at++ {
		f := newMemFS()
		f.failAt = at
		_ = run(f)
		f.failAt = 0
		promised := append([]op(nil), f.ops...)
		for i, name := range []string{"all kept", "all lost", "sectors"} {
			if _, _, err := recoverAndCheck(crash(promised, newRand(uint64(at), uint64(i)), fates[name]), promised); err != nil {
				t.Fatalf("operation %d failed, then %q: %v", at, name, err)
			}
		}
		if err := cutAfterRecovery(f, promised); err != nil {
			t.Fatalf("operation %d failed, then a restart and a power cut: %v", at, err)
		}
	}
	t.Logf("%d operations", whole.count)
}
