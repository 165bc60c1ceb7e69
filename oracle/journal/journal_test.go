package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/poc"
	"heliograph/provisioning/identity"
)

func open(t testing.TB, log store.Log) *Journal {
	t.Helper()
	j, err := New(context.Background(), log)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func put(t testing.TB, j *Journal, s store.Shard, e poc.Epoch, data string) Position {
	t.Helper()
	p, err := j.Append(context.Background(), s, Entry{Type: TypeReport, Epoch: e, Received: 1, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func list(t testing.TB, j *Journal, e poc.Epoch) (out []string) {
	t.Helper()
	err := j.Epoch(context.Background(), e, func(_ Position, entry Entry) error {
		if entry.Type == TypeReport {
			out = append(out, string(entry.Data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// Two epochs overlap; each gives exactly its own entries, also after a restart.
func TestEpochsOverlap(t *testing.T) {
	log := mem.NewLog()
	j := open(t, log)
	put(t, j, 3, 10, "a")
	put(t, j, 3, 11, "b")
	put(t, j, 2, 10, "c")
	if _, err := j.Close(t.Context(), 10, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), 3, Entry{Type: TypeReport, Epoch: 10}); !errors.Is(err, ErrEpochClosed) {
		t.Fatalf("closed epoch: %v", err)
	}
	if _, err := j.Append(t.Context(), 3, Entry{Type: TypeReport, Epoch: 13}); !errors.Is(err, ErrEpochEarly) {
		t.Fatalf("third open epoch: %v", err)
	}
	put(t, j, 3, 11, "d")
	put(t, j, 3, 12, "e")
	if err := j.Epoch(t.Context(), 11, nil); !errors.Is(err, ErrNoCut) {
		t.Fatalf("open epoch: %v", err)
	}
	if _, err := j.Close(t.Context(), 11, 6); err != nil {
		t.Fatal(err)
	}
	put(t, j, 3, 13, "f")
	for range 2 {
		equal(t, list(t, j, 10), "c", "a")
		equal(t, list(t, j, 11), "b", "d")
		if c, ok := j.Closed(); !ok || c != 11 {
			t.Fatalf("closed %d, %v", c, ok)
		}
		j = open(t, log)
	}
	if _, err := j.Close(t.Context(), 15, 7); err != nil { // 12..14 are passed over
		t.Fatal(err)
	}
	equal(t, list(t, j, 12), "e")
	equal(t, list(t, j, 13), "f")
	equal(t, list(t, j, 14))
}

// heldLog keeps one append waiting.
type heldLog struct {
	store.Log
	entered, release chan struct{}
}

func (l *heldLog) Append(ctx context.Context, s store.Shard, f []byte) (store.Offset, error) {
	if s == 7 {
		close(l.entered)
		<-l.release
	}
	return l.Log.Append(ctx, s, f)
}

// The cut waits for an append that has begun, and nothing of the epoch gets in
// behind it meanwhile.
func TestCloseIsABarrier(t *testing.T) {
	log := &heldLog{Log: mem.NewLog(), entered: make(chan struct{}), release: make(chan struct{})}
	j := open(t, log)
	appended := make(chan error, 1)
	go func() {
		_, err := j.Append(context.Background(), 7, Entry{Type: TypeReport, Epoch: 1, Data: []byte("late")})
		appended <- err
	}()
	<-log.entered
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := j.Close(short, 1, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("close did not wait: %v", err)
	}
	if _, err := j.Append(t.Context(), 8, Entry{Type: TypeReport, Epoch: 1}); !errors.Is(err, ErrEpochClosed) {
		t.Fatalf("append while closing: %v", err)
	}
	if _, err := j.Append(t.Context(), 8, Entry{Type: TypeReport, Epoch: 2, Data: []byte("next")}); err != nil {
		t.Fatalf("the next epoch must go on: %v", err)
	}
	close(log.release)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if _, err := j.Close(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	equal(t, list(t, j, 1), "late")
}

func TestOpenAndCloseAreIdempotent(t *testing.T) {
	log := mem.NewLog()
	j := open(t, log)
	first, err := j.AppendOpen(t.Context(), Open{Epoch: 4, CommitSlot: 8}, 100)
	if err != nil {
		t.Fatal(err)
	}
	end := log.End(store.ControlShard)
	for range 2 {
		again, err := j.AppendOpen(t.Context(), Open{Epoch: 4, CommitSlot: 9}, 200)
		if err != nil || again != first {
			t.Fatalf("second opening %+v, %v", again, err)
		}
		j = open(t, log)
	}
	c1, err := j.Close(t.Context(), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	c2, err := open(t, log).Close(t.Context(), 4, 2)
	if err != nil || c1 != c2 {
		t.Fatalf("cuts differ: %v", err)
	}
	if got := log.End(store.ControlShard); got != end+1 {
		t.Errorf("control shard ends at %d, want %d", got, end+1)
	}
}

// The digest depends on every frame, and a chain carried from cut to cut equals
// one computed afresh.
func TestCheckpoint(t *testing.T) {
	key := identity.NewEd25519([32]byte{1})
	build := func(changed string) (digests [][32]byte) {
		j := open(t, mem.NewLog())
		var chain Chain
		since := int64(-1)
		for e := poc.Epoch(1); e <= 3; e++ {
			put(t, j, store.Shard(e), e, "x")
			if e == 2 {
				put(t, j, 9, 2, changed)
			}
			if _, err := j.Close(t.Context(), e, int64(e)); err != nil {
				t.Fatal(err)
			}
			c, err := j.Sign(t.Context(), since, e, &chain, key)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(key.ID()); err != nil {
				t.Fatal(err)
			}
			c.Digest[0] ^= 1
			if c.Verify(key.ID()) == nil {
				t.Fatal("a changed digest verifies")
			}
			c.Digest[0] ^= 1
			since = int64(e)
			digests = append(digests, c.Digest)
			b, _ := chain.AppendBinary(nil)
			if chain, err = ParseChain(b); err != nil {
				t.Fatal(err)
			}
		}
		return digests
	}
	a, b, other := build("y"), build("y"), build("z")
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("epoch %d: not repeatable", i+1)
		}
		if (a[i] == other[i]) != (i == 0) {
			t.Errorf("epoch %d: a changed frame of epoch 2 shows: %v", i+1, a[i] != other[i])
		}
	}
}

func FuzzEntry(f *testing.F) {
	seed := func(t EntryType, data []byte) {
		b, _ := Entry{Type: t, Epoch: 3, Received: 4, Data: data}.AppendBinary(nil)
		f.Add(b)
	}
	open, _ := Open{Epoch: 1, CommitSlot: 2, BlockSlot: 3}.AppendBinary(nil)
	cut, _ := Cut{Epoch: 1}.AppendBinary(nil)
	carried, _ := Carried{Credits: 2, Route: 3}.AppendBinary(nil)
	seed(TypeOpen, open)
	seed(TypeCut, cut)
	seed(TypeCarried, carried)
	seed(TypeReport, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Fatalf("error without class: %v", err)
			}
			return
		}
		again, err := e.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x (%v)", b, again, err)
		}
		if o, err := ParseOpen(e.Data); err == nil {
			same(t, e.Data, o.AppendBinary)
		}
		if c, err := ParseCut(e.Data); err == nil {
			same(t, e.Data, c.AppendBinary)
		}
		if c, err := ParseCarried(e.Data); err == nil {
			same(t, e.Data, c.AppendBinary)
		}
	})
}

func same(t *testing.T, want []byte, enc func([]byte) ([]byte, error)) {
	t.Helper()
	got, err := enc(nil)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%x became %x (%v)", want, got, err)
	}
}

// A control shard with a broken boundary does not start.
func TestDamagedBoundary(t *testing.T) {
	for _, typ := range []EntryType{TypeOpen, TypeCut} {
		log := mem.NewLog()
		frame, _ := Entry{Type: typ, Data: binary.BigEndian.AppendUint16(nil, 7)}.AppendBinary(nil)
		if _, err := log.Append(t.Context(), store.ControlShard, frame); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), log); !errors.Is(err, ErrEntry) {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}
