package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Class orders entries by what they are worth when space runs out.
type Class uint8

// The classes.
const (
	Report Class = 1 // beacon, witness, decline
	Packet Class = 2 // LoRaWAN uplink
)

// MaxBody is the longest body in bytes.
const MaxBody = 1024

// Item is something to be delivered.
type Item struct {
	Class    Class
	Body     []byte // 1..MaxBody bytes; kept, not copied
	Made     int64  // when it happened, unix nanoseconds; 0 when unknown
	Deadline int64  // after which it is useless, unix nanoseconds; 0 for never
}

func (i Item) check() error {
	if i.Class != Report && i.Class != Packet {
		return fmt.Errorf("outbox: put: class %d is not known", i.Class)
	}
	if len(i.Body) == 0 || len(i.Body) > MaxBody {
		return fmt.Errorf("outbox: put: body of %d bytes, want 1..%d", len(i.Body), MaxBody)
	}
	return nil
}

// Entry is an item in the queue.
type Entry struct {
	ID uint64 // unique among the entries of the queue, in order of Put
	Item

	taken   bool
	written bool // a put record is on disk
}

// ErrNotDurable: the entry is queued, but only in memory, because the disk
// failed. It will be sent, unless the power goes first.
var ErrNotDurable = errors.New("outbox: entry is in memory only")

// ErrClosed: the outbox is closed.
var ErrClosed = errors.New("outbox: closed")

// Config of an [Outbox]. Zero values are the defaults.
type Config struct {
	MaxBytes    int           // of bodies, default 4 MiB
	MaxEntries  int           // default 16384
	MaxReports  int           // entries of class Report, default 3/4 of MaxEntries
	SegmentSize int           // a file is closed when longer, default 256 KiB
	CommitDelay time.Duration // how long a Put may wait for company, default 50 ms, at most 50 ms
}

func (c Config) withDefaults() Config {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&c.MaxBytes, 4<<20)
	set(&c.MaxEntries, 16384)
	set(&c.MaxReports, max(c.MaxEntries*3/4, 1))
	set(&c.SegmentSize, 256<<10)
	if c.CommitDelay <= 0 || c.CommitDelay > 50*time.Millisecond {
		c.CommitDelay = 50 * time.Millisecond
	}
	return c
}

// Stats counts what became of entries since the start.
type Stats struct {
	Entries    int    `json:"entries"` // now in the queue
	Reports    int    `json:"reports"` // now in the queue
	Packets    int    `json:"packets"` // now in the queue
	Bytes      int    `json:"bytes"`   // of bodies, now
	Put        uint64 `json:"put"`     // entries taken in
	Acked      uint64 `json:"acked"`
	Expired    uint64 `json:"expired"`    // deadline passed
	Displaced  uint64 `json:"displaced"`  // pushed out by newer entries
	Unwritten  uint64 `json:"unwritten"`  // gone before they had to be written
	Commits    uint64 `json:"commits"`    // writes with a sync
	DiskBytes  uint64 `json:"disk_bytes"` // bytes written
	DiskErrors uint64 `json:"disk_errors"`
}

// Outbox is safe for concurrent use. It starts no goroutine.
type Outbox struct {
	cfg   Config
	ready chan struct{}

	mu     sync.Mutex
	queues [3][]*Entry // by class, in order of id
	byID   map[uint64]*Entry
	nextID uint64
	turn   Class // whose turn it is in Next
	stats  Stats
	batch  *batch   // being gathered
	gone   []uint64 // departures of written entries, not yet on disk
	closed bool

	disk *disk // used only by whoever holds diskMu
	// diskMu is taken before mu where both are needed, and held across I/O.
	diskMu sync.Mutex
}

// batch is a group of Puts that share a write. The first of them is the leader
// and does the work.
type batch struct {
	entries []*Entry
	full    chan struct{} // closed by an Ack of the last one, or Close: do not wait on
	done    chan struct{}
	err     error
}

// Open reads what dir holds and makes it ready. rec says what was found, and is
// worth a warning when [Recovery.Damaged]. dir must exist and belong to this
// outbox alone. When the disk cannot be written, Open still succeeds and
// rec.WriteError is set: the queue then lives in memory.
func Open(dir string, cfg Config) (o *Outbox, rec Recovery, err error) {
	o = &Outbox{
		cfg: cfg.withDefaults(), ready: make(chan struct{}, 1),
		byID: map[uint64]*Entry{}, turn: Report,
	}
	o.disk = &disk{dir: dir, segment: o.cfg.SegmentSize}
	s, rec, err := o.disk.load()
	if err != nil {
		return nil, rec, err
	}
	o.nextID = max(s.next, 1)
	entries := make([]*Entry, 0, len(s.live))
	for _, e := range s.live {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) })
	for _, e := range entries {
		o.insert(e)
	}
	o.trim(0)
	o.gone = nil // what trim dropped is not written again
	rec.Entries = len(o.byID)
	if rec.WriteError = o.disk.restart(o.all()); rec.WriteError != nil {
		o.stats.DiskErrors++
	} else {
		for _, e := range o.byID {
			e.written = true
		}
	}
	if rec.Entries > 0 {
		o.wake()
	}
	return o, rec, nil
}

func (o *Outbox) insert(e *Entry) {
	o.byID[e.ID] = e
	o.queues[e.Class] = append(o.queues[e.Class], e)
	o.stats.Bytes += len(e.Body)
}

// all lists the live entries in order of id. Callers hold mu.
func (o *Outbox) all() []*Entry {
	out := slices.Concat(o.queues[Report], o.queues[Packet])
	slices.SortFunc(out, func(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Ready receives a value when there may be something for [Outbox.Next].
func (o *Outbox) Ready() <-chan struct{} { return o.ready }

func (o *Outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// Put queues items, now being UTC in unix nanoseconds or 0 when it is not known.
// It returns when they are on disk, acknowledged or displaced, within the commit
// delay plus one write. With [ErrNotDurable] they are queued all the same.
func (o *Outbox) Put(now int64, items ...Item) error {
	for _, i := range items {
		if err := i.check(); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return nil
	}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrClosed
	}
	b, leader := o.batch, false
	if b == nil {
		b, leader = &batch{full: make(chan struct{}), done: make(chan struct{})}, true
		o.batch = b
	}
	for _, i := range items {
		e := &Entry{ID: o.nextID, Item: i}
		o.nextID++
		o.stats.Put++
		o.insert(e)
		b.entries = append(b.entries, e)
	}
	o.trim(now)
	o.wake()
	o.mu.Unlock()
	if !leader {
		<-b.done
		return b.err
	}
	timer := time.NewTimer(o.cfg.CommitDelay)
	select {
	case <-timer.C:
	case <-b.full:
		timer.Stop()
	}
	return o.commit(b)
}

// trim drops what is expired and then what is too much. Callers hold mu.
func (o *Outbox) trim(now int64) {
	over := func() bool {
		return len(o.byID) > o.cfg.MaxEntries || o.stats.Bytes > o.cfg.MaxBytes
	}
	if over() || len(o.queues[Report]) > o.cfg.MaxReports {
		o.expire(now)
	}
	for len(o.queues[Report]) > o.cfg.MaxReports {
		o.displace(Report)
	}
	for over() && len(o.queues[Packet]) > 0 {
		o.displace(Packet)
	}
	for over() && len(o.queues[Report]) > 0 {
		o.displace(Report)
	}
}

func (o *Outbox) displace(c Class) {
	o.stats.Displaced++
	o.remove(o.queues[c][0])
}

// expire drops entries whose deadline has passed. Callers hold mu.
func (o *Outbox) expire(now int64) {
	if now == 0 {
		return
	}
	late := func(e *Entry) bool { return e.Deadline != 0 && e.Deadline <= now }
	for _, c := range [...]Class{Report, Packet} {
		if !slices.ContainsFunc(o.queues[c], late) {
			continue
		}
		for _, e := range slices.Clone(o.queues[c]) {
			if late(e) {
				o.stats.Expired++
				o.remove(e)
			}
		}
	}
}

// remove takes an entry out. Callers hold mu.
func (o *Outbox) remove(e *Entry) {
	delete(o.byID, e.ID)
	q := o.queues[e.Class]
	i, _ := slices.BinarySearchFunc(q, e.ID, func(x *Entry, id uint64) int { return cmp.Compare(x.ID, id) })
	if i == 0 {
		q[0] = nil // let it be collected
		o.queues[e.Class] = q[1:]
	} else {
		o.queues[e.Class] = slices.Delete(q, i, i+1)
	}
	o.stats.Bytes -= len(e.Body)
	if e.written {
		o.gone = append(o.gone, e.ID)
		return
	}
	o.stats.Unwritten++
	b := o.batch
	if b == nil {
		return
	}
	for _, x := range b.entries {
		if o.byID[x.ID] != nil {
			return
		}
	}
	select { // nothing left to write: no need to wait
	case <-b.full:
	default:
		close(b.full)
	}
}

// Next hands out up to n entries that are not handed out yet, reports and
// packets in turn and each in the order of Put. They stay queued until
// [Outbox.Ack]; [Outbox.Release] makes them available again. now is as for Put.
func (o *Outbox) Next(now int64, n int) []Entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire(now)
	var out []Entry
	at := [3]int{}
	for len(out) < n {
		e := o.pick(&at, o.turn)
		if e == nil {
			if e = o.pick(&at, other(o.turn)); e == nil {
				break
			}
		} else {
			o.turn = other(o.turn)
		}
		e.taken = true
		out = append(out, *e)
	}
	return out
}

func other(c Class) Class { return Report + Packet - c }

func (o *Outbox) pick(at *[3]int, c Class) *Entry {
	for q := o.queues[c]; at[c] < len(q); at[c]++ {
		if e := q[at[c]]; !e.taken {
			return e
		}
	}
	return nil
}

// Ack ends an entry that was delivered, or that must not be sent again. It says
// whether the entry was still there.
func (o *Outbox) Ack(id uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.byID[id]
	if e == nil {
		return false
	}
	o.stats.Acked++
	o.remove(e)
	return true
}

// Release makes entries that [Outbox.Next] handed out available again.
func (o *Outbox) Release(ids ...uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if e := o.byID[id]; e != nil {
			e.taken = false
		}
	}
	if len(ids) > 0 {
		o.wake()
	}
}

// Len is the number of entries.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID)
}

// Stats is a copy of the counters.
func (o *Outbox) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.stats
	s.Entries, s.Reports, s.Packets = len(o.byID), len(o.queues[Report]), len(o.queues[Packet])
	return s
}
