package segment

import (
	"fmt"
	"io"

	"heliograph/oracle/store"
)

// scanned is what one segment holds up to the first position that is not a whole
// valid item.
type scanned struct {
	header  *fileHeader
	pos     [store.Shards][]uint32 // positions of the frames, in units of 8 bytes
	next    [store.Shards]store.Offset
	frames  int
	good    int64 // end of the last whole item
	group   int64 // position of the last commit, good if there is none
	last    kind  // of the last whole item, 0 if there is none
	problem string
}

// breach is an item that was written whole but contradicts the items before it,
// or a file header that is wrong: never the trace of a crash.
type breach struct {
	at    int64
	cause string
}

func (b *breach) Error() string { return fmt.Sprintf("%s (at byte %d)", b.cause, b.at) }

// scan reads a segment. The error is a *breach or one of reading. A position
// where the items end before the file does is not an error here: problem says
// what is there, and recovery decides.
func scan(r io.ReaderAt, size int64) (*scanned, error) {
	w := &window{r: r, limit: size}
	b, ok, err := w.bytes(0, fileHeaderSize)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &breach{0, fmt.Sprintf("file of %d bytes is shorter than its header", size)}
	}
	h, err := parseFileHeader(b)
	if err != nil {
		return nil, &breach{0, err.Error()}
	}
	s := &scanned{header: h, next: h.base, good: fileHeaderSize, group: fileHeaderSize}
	seed := h.seed()
	for s.good < size {
		it, problem, err := readItem(w, seed, s.good)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			s.problem = problem
			return s, nil
		}
		if err := s.add(it); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// readItem reads and checks the whole item at the position.
func readItem(w *window, seed uint32, at int64) (it item, problem string, err error) {
	b, ok, err := w.bytes(at, itemHeaderSize)
	if err != nil {
		return it, "", err
	}
	if !ok {
		return it, "incomplete item header", nil
	}
	if it, ok = parseItem(b, seed, at); !ok {
		return it, "no valid item header", nil
	}
	b, ok, err = w.bytes(at, it.size())
	if err != nil {
		return it, "", err
	}
	if !ok {
		return it, "incomplete payload", nil
	}
	if _, ok = it.payload(b); !ok {
		return it, "payload with a wrong checksum", nil
	}
	return it, "", nil
}

func (s *scanned) add(it item) error {
	if s.last == kindSealed {
		return &breach{s.good, "item behind the mark of a sealed segment"}
	}
	if it.commit != s.good && (it.commit != s.group || s.last == 0) {
		return &breach{s.good, fmt.Sprintf("item names %d as the start of its commit, the commit before starts at %d", it.commit, s.group)}
	}
	if it.kind == kindFrame {
		if want := s.next[it.shard]; it.offset != want {
			return &breach{s.good, fmt.Sprintf("frame of shard %d has offset %d instead of %d", it.shard, it.offset, want)}
		}
		s.pos[it.shard] = append(s.pos[it.shard], uint32(s.good/align))
		s.next[it.shard]++
		s.frames++
	}
	s.group, s.last = it.commit, it.kind
	s.good += int64(it.size())
	return nil
}

// laterCommit looks behind the position from for a valid item of a commit that
// began behind it, which proves that the bytes at from had been durable.
func laterCommit(r io.ReaderAt, size, from int64, seed uint32) (at int64, found bool, err error) {
	w := &window{r: r, limit: size}
	for at = from + align; ; at += align {
		b, ok, err := w.bytes(at, itemHeaderSize)
		if err != nil || !ok {
			return 0, false, err
		}
		if it, ok := parseItem(b, seed, at); ok && it.commit > from {
			return at, true, nil
		}
	}
}
