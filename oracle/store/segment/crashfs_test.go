package segment

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"heliograph/oracle/store"
)

// memFS is a directory in memory that can record every operation which changes
// the disk, and fail at a chosen one.
type memFS struct {
	mu     sync.Mutex
	names  map[string]*inode
	nextID int
	free   uint64
	locked bool

	ops    []op // recorded
	setup  int  // how many of them describe the state at the start
	failAt int  // this operation fails (counted from 1), 0: none
	count  int
	gate   chan struct{} // if set, each file sync takes one token first
}

type inode struct {
	id   int
	data []byte
}

type opKind int

const (
	opCreate opKind = iota
	opWrite
	opTruncate
	opSync
	opRename
	opRemove
	opSyncDir
	opLost  // a sync failed: the kernel shows what was written, and never writes it
	opEvent // a note of the test: what had been acknowledged or asked for by now
)

type op struct {
	kind     opKind
	id       int // inode
	name, to string
	at       int64 // write and truncate
	data     []byte
	event    any
}

var errInjected = errors.New("injected")

func newMemFS() *memFS { return &memFS{names: map[string]*inode{}, free: 1 << 40} }

// record notes the operation. It is false if the operation must fail instead.
func (m *memFS) record(o op) bool {
	m.count++
	if m.count == m.failAt {
		return false
	}
	m.ops = append(m.ops, o)
	return true
}

func (m *memFS) event(e any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ops = append(m.ops, op{kind: opEvent, event: e})
}

func (m *memFS) Dir() string  { return "mem" }
func (m *memFS) Close() error { return nil }

func (m *memFS) Lock() (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, store.ErrLocked
	}
	m.locked = true
	return memLock{m}, nil
}

type memLock struct{ m *memFS }

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.m.locked = false
	return nil
}

func (m *memFS) List() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for n := range m.names {
		names = append(names, n)
	}
	return names, nil
}

func (m *memFS) Create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name] != nil {
		return nil, fs.ErrExist
	}
	m.nextID++
	if !m.record(op{kind: opCreate, name: name, id: m.nextID}) {
		return nil, errInjected
	}
	n := &inode{id: m.nextID}
	m.names[name] = n
	return &memFile{m, n}, nil
}

func (m *memFS) OpenRead(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.names[name]; n != nil {
		return &memFile{m, n}, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memFS) OpenWrite(name string) (file, error) { return m.OpenRead(name) }

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.record(op{kind: opRename, name: from, to: to}) {
		return errInjected
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.record(op{kind: opRemove, name: name}) {
		return errInjected
	}
	delete(m.names, name)
	return nil
}

func (m *memFS) SyncDir() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.record(op{kind: opSyncDir}) {
		return errInjected
	}
	return nil
}

func (m *memFS) Free() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free, nil
}

type memFile struct {
	m *memFS
	n *inode
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if at >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	for range 10 { // takes a moment, in which the next commit gathers
		runtime.Gosched()
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.m.record(op{kind: opWrite, id: f.n.id, at: at, data: append([]byte(nil), b...)}) {
		half := b[:len(b)/2] // a short write leaves something behind
		f.m.ops = append(f.m.ops, op{kind: opWrite, id: f.n.id, at: at, data: append([]byte(nil), half...)})
		f.n.write(half, at)
		return len(half), syscall.EIO
	}
	f.n.write(b, at)
	return len(b), nil
}

func (n *inode) write(b []byte, at int64) {
	if need := int(at) + len(b); need > len(n.data) {
		n.data = append(n.data, make([]byte, need-len(n.data))...)
	}
	copy(n.data[at:], b)
}

func (n *inode) truncate(size int64) {
	if size <= int64(len(n.data)) {
		n.data = n.data[:size:size]
	} else {
		n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
	}
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.m.record(op{kind: opTruncate, id: f.n.id, at: size}) {
		return errInjected
	}
	f.n.truncate(size)
	return nil
}

func (f *memFile) Sync() error {
	if f.m.gate != nil {
		<-f.m.gate
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.m.record(op{kind: opSync, id: f.n.id}) {
		f.m.ops = append(f.m.ops, op{kind: opLost, id: f.n.id})
		return errInjected
	}
	return nil
}

// fate decides what becomes of an operation that was not synced at a crash; size
// is the durable size of the file. A sector that was durable and is written over
// holds the old or the new bytes, never others: every disk that a log or database
// can live on promises that. Only new sectors may hold zeros or garbage.
type fate func(r *rand.Rand, o op, size int) []op

var fates = map[string]fate{
	"all kept": func(_ *rand.Rand, o op, _ int) []op { return []op{o} },
	"all lost": func(*rand.Rand, op, int) []op { return nil },
	// Each 512-byte sector on its own reaches the disk or not, in any order.
	"sectors": func(r *rand.Rand, o op, _ int) []op { return sectors(r, o, 2) },
	"one sector lost": func(r *rand.Rand, o op, _ int) []op {
		out := sectors(r, o, 1<<30)
		i := r.IntN(len(out))
		return append(out[:i], out[i+1:]...)
	},
	// The write stops in the middle.
	"torn": func(r *rand.Rand, o op, _ int) []op {
		if o.kind == opWrite {
			o.data = o.data[:r.IntN(len(o.data)+1)]
		}
		return []op{o}
	},
	// The size grew before the data came: zeros.
	"zeros": func(_ *rand.Rand, o op, size int) []op {
		o.data = append([]byte(nil), o.data...)
		clear(o.data[old(o, size):])
		return []op{o}
	},
	// The blocks hold what was there before they belonged to the file.
	"garbage": func(r *rand.Rand, o op, size int) []op {
		o.data = append([]byte(nil), o.data...)
		for i := max(old(o, size), r.IntN(len(o.data)+1)); i < len(o.data); i++ {
			o.data[i] = byte(r.Uint32())
		}
		return []op{o}
	},
}

// old is how many bytes of a write lie in what was durable.
func old(o op, size int) int { return min(max(size-int(o.at), 0), len(o.data)) }

// sectors splits a write and loses one sector in lose.
func sectors(r *rand.Rand, o op, lose int) []op {
	if o.kind != opWrite {
		return []op{o}
	}
	var out []op
	for start := 0; start < len(o.data); {
		end := min(len(o.data), start+512-int(o.at+int64(start))%512)
		if r.IntN(lose) > 0 || lose > 1000 {
			out = append(out, op{kind: opWrite, id: o.id, at: o.at + int64(start), data: o.data[start:end]})
		}
		start = end
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// crash is the disk after a power cut that follows the recorded operations: what
// was synced is there, and the fate decides about the rest. Creations and renames
// survive from the first on, up to a point that is drawn; removals each for itself.
func crash(ops []op, r *rand.Rand, f fate) *memFS {
	inodes, dir := map[int]*inode{}, map[string]int{}
	pending := map[int][]op{}
	var pendingDir []op
	apply := func(o op) {
		n := inodes[o.id]
		if o.kind == opWrite {
			n.write(o.data, o.at)
		} else {
			n.truncate(o.at)
		}
	}
	applyDir := func(o op) {
		switch o.kind {
		case opCreate:
			dir[o.name] = o.id
		case opRename:
			dir[o.to] = dir[o.name]
			delete(dir, o.name)
		case opRemove:
			delete(dir, o.name)
		}
	}
	top := 0
	for _, o := range ops {
		switch o.kind {
		case opCreate:
			inodes[o.id] = &inode{id: o.id}
			top = max(top, o.id)
			pendingDir = append(pendingDir, o)
		case opRename, opRemove:
			pendingDir = append(pendingDir, o)
		case opSyncDir:
			for _, p := range pendingDir {
				applyDir(p)
			}
			pendingDir = nil
		case opWrite, opTruncate:
			pending[o.id] = append(pending[o.id], o)
		case opSync:
			for _, p := range pending[o.id] {
				apply(p)
			}
			delete(pending, o.id)
		case opLost:
			delete(pending, o.id)
		}
	}
	kept := r.IntN(len(pendingDir) + 1)
	for i, p := range pendingDir {
		if p.kind == opRemove && r.IntN(2) == 0 || p.kind != opRemove && i < kept {
			applyDir(p)
		}
	}
	for id := 1; id <= top; id++ {
		if inodes[id] == nil {
			continue // removed before the recording began
		}
		size := len(inodes[id].data)
		for _, p := range pending[id] {
			for _, q := range f(r, p, size) {
				apply(q)
			}
		}
	}
	out := newMemFS()
	out.nextID = top
	for name, id := range dir {
		// Recorded as if the state had been written anew, so that crashes of the
		// recovery itself can follow.
		out.names[name] = inodes[id]
		out.ops = append(out.ops, op{kind: opCreate, name: name, id: id},
			op{kind: opWrite, id: id, data: append([]byte(nil), inodes[id].data...)}, op{kind: opSync, id: id})
	}
	out.ops = append(out.ops, op{kind: opSyncDir})
	out.setup = len(out.ops)
	return out
}

// kill is the disk after the process was killed: the kernel still has everything,
// and what was not synced is not durable yet.
func kill(ops []op) *memFS {
	f := crash(ops, newRand(0), fates["all kept"])
	f.names = map[string]*inode{}
	inodes := map[int]*inode{}
	for _, o := range ops {
		switch o.kind {
		case opCreate:
			inodes[o.id] = &inode{id: o.id}
			f.names[o.name] = inodes[o.id]
		case opRename:
			f.names[o.to] = f.names[o.name]
			delete(f.names, o.name)
		case opRemove:
			delete(f.names, o.name)
		case opWrite:
			inodes[o.id].write(o.data, o.at)
		case opTruncate:
			inodes[o.id].truncate(o.at)
		}
	}
	f.ops = append([]op(nil), ops...)
	return f
}

// newRand makes a repeatable source.
func newRand(seed ...uint64) *rand.Rand {
	var s [2]uint64
	copy(s[:], seed)
	return rand.New(rand.NewPCG(s[0], s[1]))
}

type randReader struct{ r *rand.Rand }

func (r randReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.r.Uint32())
	}
	return len(b), nil
}

func testConfig() Config {
	return Config{SegmentBytes: 6 << 10, Rand: randReader{newRand(1)}}
}

func mustOpen(t testing.TB, f fsys, c Config) (*Log, OpenReport) {
	t.Helper()
	l, rep, err := openFS(f, c)
	if err != nil {
		t.Fatal(err)
	}
	return l, rep
}

// frameOf is the frame number seq of a writer: both numbers, a checksum of the
// rest, and bytes that follow from the numbers, of many lengths.
func frameOf(writer, seq int) []byte {
	r := newRand(uint64(writer), uint64(seq))
	n := r.IntN(200)
	if r.IntN(20) == 0 {
		n = 2000
	}
	b := make([]byte, 12+n)
	le.PutUint32(b, uint32(writer))
	le.PutUint32(b[4:], uint32(seq))
	for i := range n {
		b[12+i] = byte(r.Uint32())
	}
	le.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:])^crc32.ChecksumIEEE(b[:8]))
	return b
}

// parseFrame is the inverse of frameOf, false for bytes that it did not make.
func parseFrame(b []byte) (writer, seq int, ok bool) {
	if len(b) < 12 {
		return 0, 0, false
	}
	ok = le.Uint32(b[8:]) == crc32.ChecksumIEEE(b[12:])^crc32.ChecksumIEEE(b[:8])
	return int(le.Uint32(b)), int(le.Uint32(b[4:])), ok
}
