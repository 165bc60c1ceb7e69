package segment

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"heliograph/oracle/store"
)

// Config are the choices of [Open]. The zero value is good for production except
// for MinFree.
type Config struct {
	// SegmentBytes is the size at which a segment is sealed and the next one
	// begun: 4 KiB to 4 GiB, 0 means 64 MiB. A segment holds at least one commit,
	// however large.
	SegmentBytes int64
	// CommitBytes bounds the frames that wait for one commit, and so the memory
	// for them (twice this): 128 KiB to 64 MiB, 0 means 1 MiB. Who comes when it
	// is full waits for the next.
	CommitBytes int
	// MinFree is the free space, in bytes, below which frames are refused with
	// store.ErrFull.
	MinFree uint64
	// Logger gets one warning when a torn tail was cut off and one error when the
	// log stops itself. nil: silence.
	Logger *slog.Logger
	// Rand salts the checksums of each segment. nil: crypto/rand.Reader.
	Rand io.Reader
}

func (c Config) withDefaults() (Config, error) {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 64 << 20
	}
	if c.CommitBytes == 0 {
		c.CommitBytes = 1 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.SegmentBytes < 4<<10 || c.SegmentBytes > 4<<30 {
		return c, fmt.Errorf("SegmentBytes is %d: choose 4 KiB to 4 GiB", c.SegmentBytes)
	}
	if c.CommitBytes < 128<<10 || c.CommitBytes > 64<<20 {
		return c, fmt.Errorf("CommitBytes is %d: choose 128 KiB to 64 MiB", c.CommitBytes)
	}
	return c, nil
}

// segment is what memory knows of one file. The fields that change are guarded
// by Log.mu; only the writer changes them.
type segment struct {
	seq    uint64
	seed   uint32
	base   [store.Shards]store.Offset
	pos    [store.Shards][]uint32 // in units of 8 bytes
	size   int64                  // durable bytes
	frames int
	sealed bool
}

// next is, for each shard, the offset behind the last frame of the segment.
func (s *segment) next() [store.Shards]store.Offset {
	n := s.base
	for i := range n {
		n[i] += store.Offset(len(s.pos[i]))
	}
	return n
}

// Log is a [store.Log] in a directory of segment files.
type Log struct {
	fs   fsys
	cfg  Config
	lock io.Closer

	mu      sync.Mutex // guards the fields up to the blank line; never held across I/O
	pending *batch
	spare   []byte // buffer for the next batch
	segs    []*segment
	end     [store.Shards]store.Offset // durable
	mark    [store.Shards]store.Offset // DropBefore
	closing bool
	cause   error // why the log stopped itself

	wake    chan struct{} // something waits, or closing
	stopped chan struct{} // closed when no append will ever succeed again
	done    chan struct{} // closed when the writer has ended
	dropMu  sync.Mutex    // lets one DropBefore at a time remove files; nobody else takes it
	dirty   bool          // under dropMu: a removal may not be durable yet

	// The writer's own.
	act  file     // the segment to append to
	seg  *segment // its state, also in segs
	next [store.Shards]store.Offset
}

var _ store.Log = (*Log)(nil)

// Open opens the log in the directory, which it makes if it is not there, and
// recovers it. It fails with store.ErrLocked while another process has the log
// open, and with store.ErrDamaged for damage that no crash explains. The report
// is valid without an error.
func Open(dir string, c Config) (*Log, OpenReport, error) {
	f, err := openOSFS(dir)
	if err != nil {
		return nil, OpenReport{}, fmt.Errorf("segment: open %s: %w", dir, err)
	}
	l, rep, err := openFS(f, c)
	if err != nil {
		return nil, rep, errors.Join(err, f.Close())
	}
	return l, rep, nil
}

func openFS(f fsys, c Config) (l *Log, rep OpenReport, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("segment: open %s: %w", f.Dir(), err)
		}
	}()
	if c, err = c.withDefaults(); err != nil {
		return nil, rep, err
	}
	lock, err := f.Lock()
	if err != nil {
		return nil, rep, err
	}
	l = &Log{fs: f, cfg: c, lock: lock, wake: make(chan struct{}, 1),
		stopped: make(chan struct{}), done: make(chan struct{})}
	l.pending = newBatch(nil)
	if rep, err = l.start(); err != nil {
		return nil, rep, errors.Join(err, lock.Close())
	}
	go l.run()
	return l, rep, nil
}

// start recovers and opens the segment to append to.
func (l *Log) start() (OpenReport, error) {
	segs, rep, err := recoverAll(l.fs, l.cfg.Logger)
	if err != nil {
		return rep, err
	}
	l.segs = segs
	if len(segs) > 0 {
		l.mark = segs[0].base
		l.next = segs[len(segs)-1].next()
		l.end = l.next
	}
	if len(segs) > 0 {
		l.seg = segs[len(segs)-1]
	}
	if len(segs) > 0 && !l.seg.sealed {
		l.act, err = l.fs.OpenWrite(segmentName(l.seg.seq))
	} else {
		err = l.begin()
	}
	return rep, err
}

// begin makes the next segment, durably, and appends to it from now on.
func (l *Log) begin() error {
	seq := uint64(1)
	if l.seg != nil {
		seq = l.seg.seq + 1
	}
	h := &fileHeader{seq: seq, base: l.next}
	if _, err := io.ReadFull(l.cfg.Rand, h.salt[:]); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	f, err := l.fs.Create(tmpName)
	if err != nil {
		return fmt.Errorf("begin segment %d: %w", seq, err)
	}
	_, err = f.WriteAt(h.appendBinary(nil), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fs.Rename(tmpName, segmentName(seq))
	}
	if err == nil {
		err = l.fs.SyncDir()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("begin segment %d: %w", seq, err), f.Close())
	}
	l.act = f
	l.seg = &segment{seq: seq, seed: h.seed(), base: h.base, size: fileHeaderSize}
	l.mu.Lock()
	l.segs = append(l.segs, l.seg)
	l.mu.Unlock()
	return nil
}

// End implements [store.Log].
func (l *Log) End(s store.Shard) store.Offset {
	if s >= store.Shards {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end[s]
}

// Close commits what waits, leaves the mark of an orderly end, and gives the
// directory back. It returns the reason if the log had stopped itself.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	l.mu.Unlock()
	if !first {
		<-l.done
		return nil
	}
	l.poke()
	<-l.done
	l.mu.Lock()
	cause := l.cause
	l.mu.Unlock()
	if cause != nil {
		return fmt.Errorf("segment: close: the log had stopped: %w", cause)
	}
	return nil
}

func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// closedLocked is the error for calls that come too late, nil while open.
func (l *Log) closedLocked() error {
	if l.cause != nil {
		return fmt.Errorf("%w: the log stopped itself (%w): restart to recover", store.ErrClosed, l.cause)
	}
	if l.closing {
		return store.ErrClosed
	}
	return nil
}
