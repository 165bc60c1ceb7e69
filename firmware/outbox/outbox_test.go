package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, dir string, cfg Config) (*Outbox, Recovery) {
	t.Helper()
	if cfg.CommitDelay == 0 {
		cfg.CommitDelay = time.Microsecond
	}
	o, rec, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o, rec
}

func item(c Class, body string) Item { return Item{Class: c, Body: []byte(body)} }

func put(t *testing.T, o *Outbox, items ...Item) {
	t.Helper()
	if err := o.Put(0, items...); err != nil {
		t.Fatal(err)
	}
}

// bodies takes everything and joins the bodies.
func bodies(o *Outbox, now int64) string {
	var out []string
	for _, e := range o.Next(now, 1000) {
		out = append(out, string(e.Body))
	}
	return strings.Join(out, " ")
}

func TestOrderAndRestart(t *testing.T) {
	dir := t.TempDir()
	o, _ := open(t, dir, Config{})
	put(t, o, item(Packet, "p1"), item(Packet, "p2"), item(Packet, "p3"), item(Report, "r1"), item(Report, "r2"))
	first := o.Next(0, 3)
	if got := fmt.Sprintf("%s %s %s", first[0].Body, first[1].Body, first[2].Body); got != "r1 p1 r2" {
		t.Errorf("first three are %s", got)
	}
	if got := bodies(o, 0); got != "p2 p3" {
		t.Errorf("rest is %q", got)
	}
	o.Release(first[1].ID)
	if got := bodies(o, 0); got != "p1" {
		t.Errorf("released: %q", got)
	}
	if !o.Ack(first[0].ID) || o.Ack(first[0].ID) {
		t.Error("an entry can be acknowledged once")
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Put(0, item(Packet, "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
	o, rec := open(t, dir, Config{})
	if got := bodies(o, 0); got != "r2 p1 p2 p3" && got != "p1 r2 p2 p3" {
		t.Errorf("after restart: %q", got)
	}
	if rec.Entries != 4 || rec.Torn != 0 || rec.Damaged != nil || rec.WriteError != nil {
		t.Errorf("recovery: %+v", rec)
	}
	select {
	case <-o.Ready():
	default:
		t.Error("not ready after restart")
	}
}

func TestUselessGoesFirst(t *testing.T) {
	o, _ := open(t, t.TempDir(), Config{MaxEntries: 6, MaxReports: 3})
	old := item(Report, "expired")
	old.Deadline = 100
	put(t, o, item(Packet, "p1"), item(Packet, "p2"), old, item(Report, "r1"))
	if err := o.Put(100, item(Packet, "p3"), item(Packet, "p4")); err != nil {
		t.Fatal(err)
	}
	if s := o.Stats(); s.Entries != 6 || s.Expired != 0 {
		t.Errorf("there is room, but %+v", s)
	}
	if err := o.Put(100, item(Packet, "p5")); err != nil {
		t.Fatal(err)
	}
	if s := o.Stats(); s.Expired != 1 || s.Displaced != 0 {
		t.Errorf("expired goes first, but %+v", s)
	}
	put(t, o, item(Report, "r2"), item(Report, "r3"))
	if s := o.Stats(); s.Displaced != 2 || s.Packets != 3 || s.Reports != 3 {
		t.Errorf("packets go before reports, but %+v", s)
	}
	put(t, o, item(Report, "r4"))
	if got := bodies(o, 0); got != "r2 p3 r3 p4 r4 p5" {
		t.Errorf("left: %q", got)
	}
}

func TestBoundInBytes(t *testing.T) {
	o, _ := open(t, t.TempDir(), Config{MaxBytes: 100})
	for i := range 20 {
		put(t, o, item(Packet, fmt.Sprintf("%02d%s", i, strings.Repeat("x", 28))))
	}
	if s := o.Stats(); s.Bytes > 100 || s.Entries != 3 || s.Displaced != 17 {
		t.Errorf("%+v", s)
	}
	if e := o.Next(0, 1); !strings.HasPrefix(string(e[0].Body), "17") {
		t.Errorf("oldest kept is %.2s, want 17", e[0].Body)
	}
}

func TestExpiredIsNotHandedOut(t *testing.T) {
	o, _ := open(t, t.TempDir(), Config{})
	a, b := item(Packet, "a"), item(Packet, "b")
	a.Deadline, b.Deadline = 10, 20
	put(t, o, a, b)
	if got := bodies(o, 15); got != "b" {
		t.Errorf("at 15: %q", got)
	}
	if s := o.Stats(); s.Expired != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBadItems(t *testing.T) {
	o, _ := open(t, t.TempDir(), Config{})
	for _, i := range []Item{{}, {Class: 3, Body: []byte("x")}, {Class: Report}, {Class: Report, Body: make([]byte, MaxBody+1)}} {
		if err := o.Put(0, i); err == nil || o.Len() != 0 {
			t.Errorf("%+v was taken", i)
		}
	}
}

func TestPutsShareACommit(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o, _ := open(t, dir, Config{CommitDelay: 50 * time.Millisecond})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				put(t, o, item(Packet, "x"))
			})
		}
		wg.Wait()
		if s := o.Stats(); s.Commits != 1 || time.Since(start) != 50*time.Millisecond {
			t.Errorf("%d commits in %v, want 1 in 50ms", s.Commits, time.Since(start))
		}
	})
}

func TestQuickAckIsNeverWritten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o, _ := open(t, dir, Config{CommitDelay: 50 * time.Millisecond})
		go func() {
			time.Sleep(3 * time.Millisecond)
			for _, e := range o.Next(0, 10) {
				o.Ack(e.ID)
			}
		}()
		start := time.Now()
		put(t, o, item(Packet, "a"), item(Packet, "b"))
		if d := time.Since(start); d != 3*time.Millisecond {
			t.Errorf("put took %v, want 3ms", d)
		}
		if s := o.Stats(); s.Unwritten != 2 || s.Commits != 0 || s.DiskBytes != 0 {
			t.Errorf("%+v", s)
		}
	})
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
		t.Errorf("files %q were written", files)
	}
}

func TestFilesStaySmall(t *testing.T) {
	dir := t.TempDir()
	o, _ := open(t, dir, Config{SegmentSize: 1000})
	keep := item(Report, "keep me")
	put(t, o, keep)
	kept := o.Next(0, 1)[0].ID
	for range 300 {
		put(t, o, item(Packet, strings.Repeat("x", 50)))
		for _, e := range o.Next(0, 10) {
			o.Ack(e.ID)
		}
	}
	total := 0
	files, _ := filepath.Glob(filepath.Join(dir, "*.obx"))
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += int(st.Size())
	}
	if total > 4000 {
		t.Errorf("%d bytes in %d files for one live entry", total, len(files))
	}
	o.Close()
	o, _ = open(t, dir, Config{})
	if e := o.Next(0, 10); len(e) != 1 || e[0].ID != kept || string(e[0].Body) != "keep me" {
		t.Errorf("left: %v", e)
	}
}

func TestFailingDiskKeepsWorkingInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	o, _ := open(t, dir, Config{})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := o.Put(0, item(Packet, "a")); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("put without a disk: %v", err)
	}
	if s := o.Stats(); s.DiskErrors != 1 || s.Entries != 1 {
		t.Errorf("%+v", s)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, o, item(Packet, "b"))
	if got := bodies(o, 0); got != "a b" {
		t.Errorf("queue has %q", got)
	}
}

// TestConcurrentUse is for the race detector: producers, a consumer that
// acknowledges some, and compaction all at once; nothing put and not
// acknowledged may be missing after a restart.
func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	o, _ := open(t, dir, Config{SegmentSize: 2000})
	var wg sync.WaitGroup
	var acked sync.Map
	for p := range 4 {
		wg.Go(func() {
			for i := range 100 {
				put(t, o, item(Packet, fmt.Sprintf("%d-%d", p, i)))
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			for _, e := range o.Next(0, 3) {
				if e.ID%3 == 0 {
					acked.Store(string(e.Body), true)
					o.Ack(e.ID)
				}
			}
		}
	})
	wg.Wait()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o, rec := open(t, dir, Config{})
	if rec.Damaged != nil || rec.Torn != 0 {
		t.Errorf("recovery %+v", rec)
	}
	var got []string
	for _, e := range o.Next(0, 1000) {
		got = append(got, string(e.Body))
	}
	for p := range 4 {
		for i := range 100 {
			name := fmt.Sprintf("%d-%d", p, i)
			_, gone := acked.Load(name)
			if slices.Contains(got, name) == gone {
				t.Errorf("%s: acknowledged %v, after restart there %v", name, gone, !gone)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	seed := []byte(magic)
	seed = appendPut(seed, &Entry{ID: 1, Item: item(Report, "body")})
	seed = appendGone(seed, []uint64{1, 2})
	f.Add(seed)
	f.Add(seed[:len(seed)-3])
	f.Add(bytes.Repeat([]byte{0}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
		s.readFile(b)
		for id, e := range s.live {
			if e.ID != id || e.check() != nil {
				t.Fatalf("entry %d is %+v", id, e)
			}
			again := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
			if d := again.readFile(appendPut([]byte(magic), e)); d != (fileDamage{}) || again.live[id] == nil {
				t.Fatalf("entry %+v does not come back: %+v", e, d)
			}
		}
	})
}
