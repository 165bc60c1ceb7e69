// Package storetest is the contract of [store.Log] and [store.KV] as tests:
// every implementation runs [RunLog] or [RunKV]. The heart of each is a state
// machine that draws operations, reopenings among them, and compares the store
// with a model after each.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"heliograph/oracle/store"
)

// An OpenLog opens the log over the same stored bytes each time; the one opened
// before has been closed.
type OpenLog func() (store.Log, error)

// RunLog checks a log implementation. fresh returns the opener of a new, empty
// log.
func RunLog(t *testing.T, fresh func(t testing.TB) OpenLog) {
	t.Run("model", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			m := &logMachine{open: fresh(t), model: map[store.Shard]*logModel{}}
			m.reopen(rt)
			defer func() { m.log.Close() }()
			rt.Repeat(map[string]func(*rapid.T){
				"append": m.append, "burst": m.burst, "read": m.read, "drop": m.drop, "reopen": m.reopen, "": m.ends,
			})
			m.reopen(rt)
			m.ends(rt)
			for s := range m.model {
				m.readFrom(rt, s, m.model[s].base, 1<<30)
			}
		})
	})
	for name, f := range map[string]func(*testing.T, store.Log){
		"limits": logLimits, "concurrent": logConcurrent, "context": logContext, "closed": logClosed,
		"bounds": logBounds, "copies": logCopies, "reentrant": logReentrant,
	} {
		t.Run(name, func(t *testing.T) {
			log, err := fresh(t)()
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			f(t, log)
		})
	}
}

var bg = context.Background()

// logModel is one shard: frames from offset 0; those before base were dropped.
type logModel struct {
	base   store.Offset
	frames [][]byte
}

func (m *logModel) end() store.Offset { return store.Offset(len(m.frames)) }

type logMachine struct {
	open  OpenLog
	log   store.Log
	model map[store.Shard]*logModel
}

var genShard = rapid.SampledFrom([]store.Shard{0, 1, 7, 255, store.ControlShard})

func (m *logMachine) shard(t *rapid.T) (store.Shard, *logModel) {
	s := genShard.Draw(t, "shard")
	if m.model[s] == nil {
		m.model[s] = &logModel{}
	}
	return s, m.model[s]
}

func genFrame(t *rapid.T) []byte {
	n := rapid.OneOf(rapid.IntRange(1, 64), rapid.IntRange(1, 4096),
		rapid.SampledFrom([]int{1, 3, 4, 5, store.MaxFrame - 1, store.MaxFrame})).Draw(t, "size")
	return bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n)
}

func (m *logMachine) append(t *rapid.T) {
	s, sh := m.shard(t)
	frame := genFrame(t)
	o, err := m.log.Append(bg, s, frame)
	if err != nil || o != sh.end() {
		t.Fatalf("Append = %d, %v; want offset %d", o, err, sh.end())
	}
	sh.frames = append(sh.frames, frame)
}

// burst appends to all shards at once.
func (m *logMachine) burst(t *rapid.T) {
	n := rapid.IntRange(2, 12).Draw(t, "writers")
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		s := store.Shard(100 + i)
		if m.model[s] == nil {
			m.model[s] = &logModel{}
		}
		frame := fmt.Appendf(nil, "burst %d", i)
		want := m.model[s].end()
		m.model[s].frames = append(m.model[s].frames, frame)
		wg.Go(func() {
			o, err := m.log.Append(bg, s, frame)
			if err == nil && o != want {
				err = fmt.Errorf("offset %d, want %d", o, want)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func (m *logMachine) read(t *rapid.T) {
	s, sh := m.shard(t)
	from := store.Offset(rapid.Uint64Range(0, uint64(sh.end())+1).Draw(t, "from"))
	m.readFrom(t, s, from, rapid.IntRange(1, 20).Draw(t, "most"))
}

// readFrom compares up to most frames with the model.
func (m *logMachine) readFrom(t *rapid.T, s store.Shard, from store.Offset, most int) {
	sh, next, n := m.model[s], from, 0
	err := m.log.Read(bg, s, from, func(o store.Offset, b []byte) bool {
		if o != next || o >= sh.end() || !bytes.Equal(b, sh.frames[o]) {
			t.Fatalf("shard %d: Read yields offset %d with %d bytes; want offset %d below %d", s, o, len(b), next, sh.end())
		}
		next++
		n++
		return n < most
	})
	switch {
	case from > sh.end():
		if !errors.Is(err, store.ErrNotFound) || n > 0 {
			t.Fatalf("Read from %d beyond %d: %d frames, %v", from, sh.end(), n, err)
		}
	case from < sh.base && errors.Is(err, store.ErrDropped):
		if n > 0 {
			t.Fatal("Read yields frames before it says ErrDropped")
		}
	case err != nil:
		t.Fatalf("shard %d: Read from %d (dropped before %d): %v", s, from, sh.base, err)
	default:
		if want := min(int(sh.end()-from), most); n != want {
			t.Fatalf("shard %d: Read from %d yields %d frames, want %d", s, from, n, want)
		}
	}
}

func (m *logMachine) drop(t *rapid.T) {
	s, sh := m.shard(t)
	o := store.Offset(rapid.Uint64Range(0, uint64(sh.end())+1).Draw(t, "before"))
	err := m.log.DropBefore(s, o)
	if o > sh.end() {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("DropBefore(%d) beyond %d: %v", o, sh.end(), err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	sh.base = max(sh.base, o)
}

func (m *logMachine) reopen(t *rapid.T) {
	if m.log != nil {
		if err := m.log.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	log, err := m.open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.log = log
}

func (m *logMachine) ends(t *rapid.T) {
	for s, sh := range m.model {
		if got := m.log.End(s); got != sh.end() {
			t.Fatalf("End(%d) = %d, want %d", s, got, sh.end())
		}
	}
}
