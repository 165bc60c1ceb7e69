package segment

import (
	"bytes"
	"errors"
	"testing"

	"heliograph/oracle/store"
)

func contents(t testing.TB, l *Log) (out [][]byte) {
	for s := range store.Shard(store.Shards) {
		l.mu.Lock()
		base := l.segs[0].base[s]
		l.mu.Unlock()
		if err := l.Read(bg, s, base, func(_ store.Offset, b []byte) bool {
			out = append(out, bytes.Clone(b))
			return true
		}); err != nil {
			t.Fatalf("shard %d: %v", s, err)
		}
	}
	return out
}

// resum puts the file header before the bytes and makes the checksums of items
// right where the fields before them look like one, so that the fuzzer gets to
// what they contradict each other in.
func resum(t *testing.T, header, body []byte) []byte {
	h, err := parseFileHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	b := append(bytes.Clone(header), body...)
	for at := fileHeaderSize; at+itemHeaderSize <= len(b); {
		it := item{length: le.Uint32(b[at:])}
		if it.length > store.MaxFrame || at+it.size() > len(b) {
			break
		}
		if it.length > 0 {
			le.PutUint32(b[at+20:], checksum(b[at+itemHeaderSize:at+itemHeaderSize+int(it.length)]))
		}
		le.PutUint32(b[at+24:], itemSum(b[at:], h.seed(), int64(at)))
		at += it.size()
	}
	return b
}

// FuzzOpen opens arbitrary bytes as the only segment. It must not panic; what it
// accepts it must read, and must find again, whole, when it is opened once more.
func FuzzOpen(f *testing.F) {
	left, items := grown(f, 12)
	name := segmentName(1)
	data := left.names[name].data
	f.Add([]byte{}, false)
	f.Add(data, false)
	f.Add(data[:fileHeaderSize], false)
	f.Add(data[fileHeaderSize:items[name][3]+5], true)
	f.Add(append(bytes.Clone(data[fileHeaderSize:]), make([]byte, 100)...), true)
	f.Fuzz(func(t *testing.T, b []byte, body bool) {
		if body {
			b = resum(t, data[:fileHeaderSize], b)
		}
		m := newMemFS()
		m.nextID = 1
		m.names[name] = &inode{id: 1, data: bytes.Clone(b)}
		l, rep, err := openFS(m, testConfig())
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("not called damage: %v", err)
			}
			if !bytes.Equal(m.names[name].data, b) {
				t.Fatal("damaged bytes were changed")
			}
			return
		}
		got := contents(t, l)
		if len(got) != rep.Frames {
			t.Fatalf("%d frames read, %d reported", len(got), rep.Frames)
		}
		if kept := int64(len(b)) - rep.TruncatedBytes; !bytes.Equal(m.names[name].data[:kept], b[:kept]) {
			t.Fatal("what was recovered is not a prefix of what was there")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, rep, err = openFS(m, testConfig())
		if err != nil || !rep.Clean || rep.TruncatedBytes != 0 {
			t.Fatalf("second open: %+v, %v", rep, err)
		}
		defer l.Close()
		again := contents(t, l)
		if len(again) != len(got) {
			t.Fatalf("%d frames, %d when opened again", len(got), len(again))
		}
		for i := range got {
			if !bytes.Equal(got[i], again[i]) {
				t.Fatalf("frame %d changed", i)
			}
		}
	})
}

// FuzzTail writes arbitrary bytes over the tail of an unclean segment. Before the
// last commit that is damage, or changed nothing; within and behind it, a tail
// that is cut off. All commits before must be there in every case that opens.
func FuzzTail(f *testing.F) {
	left, items := grown(f, 12)
	name := lastSegment(left)
	at := items[name]
	data := left.names[name].data
	last := int(at[len(at)-1])
	f.Add(0, []byte("garbage"))
	f.Add(9, make([]byte, 300))
	f.Add(-8, []byte{1})
	f.Add(len(data)-last, data[last:])
	f.Fuzz(func(t *testing.T, shift int, b []byte) {
		from := last + shift
		if from < fileHeaderSize || from > len(data) || len(b) > 1<<16 {
			return
		}
		m := left.clone()
		n := m.names[name]
		n.data = append(n.data[:from:from], b...)
		if rest := data[min(len(n.data), len(data)):]; len(rest) > 0 {
			n.data = append(n.data, rest...)
		}
		changed := !bytes.Equal(n.data[:last], data[:last])
		l, rep, err := openFS(m, testConfig())
		switch {
		case err != nil && !changed:
			t.Fatalf("a tail that no promise covers was called damage: %v", err)
		case err != nil:
			return
		}
		defer l.Close()
		if changed && rep.Frames >= 11 {
			t.Fatal("changed bytes of an earlier commit were accepted")
		}
		if !changed && rep.Frames < 11 {
			t.Fatalf("%d frames of the 11 of earlier commits", rep.Frames)
		}
		contents(t, l)
	})
}

// FuzzParse: whatever passes for a header is written back to the same bytes.
func FuzzParse(f *testing.F) {
	left, items := grown(f, 3)
	data := left.names[segmentName(1)].data
	f.Add(data[:fileHeaderSize], int64(0), uint32(0))
	h, err := parseFileHeader(data[:fileHeaderSize])
	if err != nil {
		f.Fatal(err)
	}
	for _, at := range items[segmentName(1)] {
		f.Add(data[at:], at, h.seed())
	}
	f.Fuzz(func(t *testing.T, b []byte, at int64, seed uint32) {
		if h, err := parseFileHeader(b); err == nil && !bytes.Equal(h.appendBinary(nil), b) {
			t.Fatal("file header changes when it is written again")
		}
		if it, ok := parseItem(b, seed, at); ok {
			var again [itemHeaderSize]byte
			it.put(again[:], seed, at)
			if !bytes.Equal(again[:], b[:itemHeaderSize]) {
				t.Fatal("item header changes when it is written again")
			}
			if len(b) >= it.size() {
				it.payload(b[:it.size()])
			}
		}
	})
}
