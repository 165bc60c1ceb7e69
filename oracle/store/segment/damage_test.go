package segment

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"heliograph/oracle/store"
)

// grown returns a directory of several segments whose last one was not closed in
// order, and the positions of the items in each file.
func grown(t testing.TB, frames int) (*memFS, map[string][]int64) {
	f := newMemFS()
	l, _ := mustOpen(t, f, testConfig())
	for i := range frames {
		if _, err := l.Append(bg, store.Shard(i%5), frameOf(i%5, i/5)); err != nil {
			t.Fatal(err)
		}
	}
	// What is on disk now is what a kill leaves.
	left := &memFS{names: map[string]*inode{}, free: f.free, nextID: f.nextID}
	for name, n := range f.names {
		left.names[name] = &inode{id: n.id, data: bytes.Clone(n.data)}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	items := map[string][]int64{}
	for name, n := range left.names {
		h, err := parseFileHeader(n.data[:fileHeaderSize])
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(fileHeaderSize); at < int64(len(n.data)); {
			it, ok := parseItem(n.data[at:], h.seed(), at)
			if !ok {
				t.Fatalf("%s: no item at %d", name, at)
			}
			items[name] = append(items[name], at)
			at += int64(it.size())
		}
	}
	return left, items
}

func (m *memFS) clone() *memFS {
	c := newMemFS()
	c.nextID = m.nextID
	for name, n := range m.names {
		c.names[name] = &inode{id: n.id, data: bytes.Clone(n.data)}
	}
	return c
}

func lastSegment(m *memFS) string { return slices.Max(slices.Collect(maps.Keys(m.names))) }

// TestTornTail has each shape that a crash leaves behind the last whole frame.
func TestTornTail(t *testing.T) {
	left, items := grown(t, 60)
	name := lastSegment(left)
	at := items[name]
	whole := int64(len(left.names[name].data))
	last := at[len(at)-1]
	tail := func(b []byte) func([]byte) []byte { return func(d []byte) []byte { return append(d, b...) } }
	cut := func(n int64) func([]byte) []byte { return func(d []byte) []byte { return d[:n] } }
	stale := left.names[name].data[at[0]:at[2]] // true items at a wrong place
	for title, c := range map[string]struct {
		change func([]byte) []byte
		lost   int
	}{
		"nothing":                    {tail(nil), 0},
		"one byte":                   {tail([]byte{7}), 0},
		"zero block":                 {tail(make([]byte, 4096)), 0},
		"zeros, odd":                 {tail(make([]byte, 4093)), 0},
		"garbage":                    {tail(bytes.Repeat([]byte{0xa5, 1, 2}, 999)), 0},
		"items of another place":     {tail(stale), 0},
		"header cut":                 {cut(last + 11), 1},
		"header whole, payload gone": {cut(last + itemHeaderSize), 1},
		"payload cut":                {cut(last + itemHeaderSize + 5), 1},
		"last byte gone":             {cut(whole - 1), 1},
		"last item gone":             {cut(last), 1},
		"last header zeroed":         {func(d []byte) []byte { clear(d[last : last+16]); return d }, 1},
		"last payload changed":       {func(d []byte) []byte { d[last+itemHeaderSize] ^= 1; return d }, 1},
	} {
		t.Run(title, func(t *testing.T) {
			f := left.clone()
			n := f.names[name]
			n.data = c.change(n.data)
			before := int64(len(n.data))
			var out strings.Builder
			cfg := testConfig()
			cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
			l, rep := mustOpen(t, f, cfg)
			defer l.Close()
			good := whole
			if c.lost > 0 {
				good = last
			}
			if rep.Frames != 60-c.lost || rep.Clean || rep.TruncatedBytes != before-good {
				t.Errorf("%+v; want %d frames, %d bytes cut", rep, 60-c.lost, before-good)
			}
			if rep.TruncatedBytes > 0 && (rep.At != good || rep.File != "mem/"+name || !strings.Contains(out.String(), name)) {
				t.Errorf("%+v does not say where; logged %q", rep, out.String())
			}
			for s := range store.Shard(5) {
				next := store.Offset(0)
				if err := l.Read(bg, s, 0, func(o store.Offset, b []byte) bool {
					if !bytes.Equal(b, frameOf(int(s), int(o))) {
						t.Errorf("shard %d offset %d: another frame", s, o)
					}
					next++
					return true
				}); err != nil || next != l.End(s) {
					t.Errorf("shard %d: %d frames of %d: %v", s, next, l.End(s), err)
				}
			}
		})
	}
}

// TestHoleInLastCommit: a crash may keep the later blocks of the last commit and
// lose an earlier one. Valid items behind the hole must not make it damage.
func TestHoleInLastCommit(t *testing.T) {
	f := newMemFS()
	l, _ := mustOpen(t, f, testConfig())
	if _, err := l.Append(bg, 0, []byte("an earlier commit")); err != nil {
		t.Fatal(err)
	}
	b := newBatch(nil)
	for range 5 {
		b.add(1, make([]byte, 100), checksum(make([]byte, 100)))
	}
	start, size := l.seg.size, itemSize(100)
	l.number(b, l.seg)
	left := f.clone()
	l.Close()
	n := left.names[segmentName(1)]
	n.data = append(n.data, b.buf...)
	clear(n.data[int(start)+2*size : int(start)+2*size+64])
	l, rep := mustOpen(t, left, testConfig())
	defer l.Close()
	if rep.Frames != 3 || rep.TruncatedBytes != int64(3*size) || l.End(1) != 2 {
		t.Errorf("%+v", rep)
	}
}

// TestDamage has changes that no crash explains: Open must refuse, name file and
// position, and leave everything as it is.
func TestDamage(t *testing.T) {
	left, items := grown(t, 60)
	first, last := segmentName(1), lastSegment(left)
	if first == last || len(items[last]) < 3 {
		t.Fatalf("%d segments, %d items in the last: too few to test", len(left.names), len(items[last]))
	}
	flip := func(name string, at int64) func(*memFS) {
		return func(f *memFS) { f.names[name].data[at] ^= 0x10 }
	}
	cases := map[string]struct {
		name   string
		change func(*memFS)
	}{
		"file header, sealed":   {first, flip(first, 30)},
		"file header, last":     {last, flip(last, 30)},
		"no header":             {last, func(f *memFS) { f.names[last].data = f.names[last].data[:100] }},
		"empty file":            {last, func(f *memFS) { f.names[last].data = nil }},
		"item header, sealed":   {first, flip(first, items[first][1]+9)},
		"payload, sealed":       {first, flip(first, items[first][1]+itemHeaderSize+2)},
		"seal gone":             {first, func(f *memFS) { d := f.names[first].data; f.names[first].data = d[:len(d)-markSize] }},
		"seal cut":              {first, func(f *memFS) { d := f.names[first].data; f.names[first].data = d[:len(d)-1] }},
		"bytes behind the seal": {first, func(f *memFS) { f.names[first].data = append(f.names[first].data, make([]byte, 64)...) }},
		"item header, last":     {last, flip(last, items[last][0]+9)},
		"payload, last":         {last, flip(last, items[last][1]+itemHeaderSize+2)},
		"hole, last":            {last, func(f *memFS) { clear(f.names[last].data[items[last][0]:items[last][1]]) }},
		"segment gone":          {segmentName(2), func(f *memFS) { delete(f.names, segmentName(2)) }},
		"segments swapped": {segmentName(1), func(f *memFS) {
			f.names[segmentName(1)], f.names[segmentName(2)] = f.names[segmentName(2)], f.names[segmentName(1)]
		}},
		"segment of another log": {last, func(f *memFS) {
			h, err := parseFileHeader(f.names[last].data[:fileHeaderSize])
			if err != nil {
				t.Fatal(err)
			}
			h.base[3]++
			copy(f.names[last].data, h.appendBinary(nil))
		}},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			f := left.clone()
			c.change(f)
			before := f.clone()
			l, _, err := openFS(f, testConfig())
			if err == nil {
				l.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "mem/"+c.name) ||
				!strings.Contains(err.Error(), "at byte") || !strings.Contains(err.Error(), "oraclectl doctor") {
				t.Errorf("error without file, position or remedy: %v", err)
			}
			if f.locked {
				t.Error("the lock was kept")
			}
			for name, n := range before.names {
				if !bytes.Equal(f.names[name].data, n.data) {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

// TestCleanMark: after an orderly end even the very last commit is protected.
func TestCleanMark(t *testing.T) {
	f := newMemFS()
	l, _ := mustOpen(t, f, testConfig())
	for range 2 {
		if _, err := l.Append(bg, 0, []byte("the last frame")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d := f.names[segmentName(1)].data
	d[bytes.LastIndex(d, []byte("last"))] ^= 1
	if _, _, err := openFS(f, testConfig()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("damage before the mark: %v", err)
	}
}

// TestReadDamage: what changes after Open is found by Read.
func TestReadDamage(t *testing.T) {
	f, items := grown(t, 20)
	l, _ := mustOpen(t, f, testConfig())
	defer l.Close()
	f.mu.Lock()
	f.names[segmentName(1)].data[items[segmentName(1)][1]+itemHeaderSize+1] ^= 1 // shard 1
	f.mu.Unlock()
	err := l.Read(bg, 1, 0, func(o store.Offset, _ []byte) bool { t.Errorf("yields offset %d", o); return true })
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), segmentName(1)) {
		t.Errorf("Read: %v", err)
	}
}

// TestHostilePayload puts bytes that are a valid item of the very place, but for
// the salt, into a payload whose write is torn: it must stay a torn tail.
func TestHostilePayload(t *testing.T) {
	known, _ := mustOpen(t, newMemFS(), testConfig()) // the attacker's own log
	guess := known.segs[0].seed
	known.Close()
	f := newMemFS()
	cfg := testConfig()
	cfg.Rand = randReader{newRand(2)}
	l, _ := mustOpen(t, f, cfg)
	seg := l.segs[0]
	payload := make([]byte, 400)
	start := seg.size
	for in := 100; in+itemHeaderSize <= len(payload); in += 8 {
		at := start + int64(itemHeaderSize+in)
		if at%align != 0 {
			in += int(align - at%align)
			at = start + int64(itemHeaderSize+in)
		}
		if in+itemHeaderSize > len(payload) {
			break
		}
		it := item{length: 1, kind: kindFrame, commit: at}
		it.put(payload[in:], guess, at)
		in += itemHeaderSize
	}
	if _, err := l.Append(bg, 0, payload); err != nil {
		t.Fatal(err)
	}
	left := f.clone()
	l.Close()
	clear(left.names[segmentName(1)].data[start : start+64])
	l, rep := mustOpen(t, left, testConfig())
	defer l.Close()
	if rep.TruncatedBytes == 0 || rep.Frames != 0 {
		t.Errorf("%+v", rep)
	}
}

// TestDrop: segments go when the last shard lets them, oldest first, and offsets
// go on after all of a shard was dropped and the log opened again.
func TestDrop(t *testing.T) {
	f, _ := grown(t, 100)
	l, _ := mustOpen(t, f, testConfig())
	n := len(f.names)
	for s := range store.Shard(4) {
		if err := l.DropBefore(s, l.End(s)); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.names) != n {
		t.Fatal("a segment went that shard 4 still needs")
	}
	if err := l.DropBefore(4, l.End(4)); err != nil {
		t.Fatal(err)
	}
	if len(f.names) != 1 {
		t.Fatalf("%d files are left of %d; only the active one should be", len(f.names), n)
	}
	if err := l.Read(bg, 0, 0, func(store.Offset, []byte) bool { return true }); !errors.Is(err, store.ErrDropped) {
		t.Errorf("Read: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = mustOpen(t, f, testConfig())
	defer l.Close()
	if o, err := l.Append(bg, 0, []byte("x")); err != nil || o != 20 {
		t.Errorf("offset %d after 20 frames, %v", o, err)
	}
}

func TestLeftovers(t *testing.T) {
	f, _ := grown(t, 20)
	f.names[tmpName] = &inode{id: 99, data: []byte("half a header")}
	f.names["0000000000000001.seg.bad"] = &inode{id: 98}
	f.names["1.seg"] = &inode{id: 97}
	l, _ := mustOpen(t, f, testConfig())
	defer l.Close()
	if f.names[tmpName] != nil || f.names["1.seg"] == nil {
		t.Error("must remove its own half-made segment and nothing else")
	}
}

// TestSalt: a source of randomness that fails must not make a log without salt.
func TestSalt(t *testing.T) {
	cfg := testConfig()
	cfg.Rand = bytes.NewReader(nil)
	if _, _, err := openFS(newMemFS(), cfg); !errors.Is(err, io.EOF) {
		t.Errorf("Open: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, seq := range []uint64{1, 42, 1e16 - 1, 1e16, 1<<64 - 1} {
		if got, ok := segmentSeq(segmentName(seq)); !ok || got != seq {
			t.Errorf("%d becomes %q becomes %d", seq, segmentName(seq), got)
		}
	}
	for _, name := range []string{"", ".seg", "1.seg", "0000000000000000.seg", "00000000000000001.seg", "+000000000000001.seg", lockName} {
		if seq, ok := segmentSeq(name); ok {
			t.Errorf("%q is segment %d", name, seq)
		}
	}
}
