package txqueue

import (
	"errors"
	"slices"

	"heliograph/radio"
)

// Class says which rules a packet is queued by. How it is timed is the packet's
// own affair: [radio.Immediate] packets are placed as soon as possible.
type Class uint8

// The classes of LoRaWAN's downlinks.
const (
	ClassA Class = 1 // in the receive window after an uplink
	ClassB Class = 2 // in a ping slot: keeps clear of a beacon's whole guard time
	ClassC Class = 3 // at any time
	Beacon Class = 4 // the network's beacon: goes first
)

// Margins that a zero in [Config] stands for.
const (
	DefaultDepth          = 32
	DefaultStart          = radio.Micros(1_500)
	DefaultMargin         = radio.Micros(1_000)
	DefaultLead           = radio.Micros(40_000)
	DefaultAhead          = radio.Micros(100_000)
	DefaultRecall         = radio.Micros(10_000)
	DefaultBus            = radio.Micros(2_000)
	DefaultMaxAdvance     = radio.Micros(512_000_000)
	DefaultBeaconGuard    = radio.Micros(3_000_000)
	DefaultBeaconReserved = radio.Micros(2_120_000)
	DefaultAsSoon         = radio.Micros(80_000)
	DefaultGrace          = radio.Micros(20_000)
	DefaultAbortTime      = radio.Micros(1_000_000)
)

// Config of a [Queue]. Zero fields take the defaults above.
type Config struct {
	Depth int // packets accepted and not yet reported, at most

	Start  radio.Micros // from the trigger to the carrier
	Margin radio.Micros // kept free between any two transmissions
	Lead   radio.Micros // that a packet needs the chain for itself before it is due; then it is settled
	Bus    radio.Micros // that programming a packet takes at worst

	// Ahead is how long before it is due a packet is handed over if the chain is
	// free: from Lead on, up to [MaxAhead]. It is the time that the host may stand
	// still without missing a packet. Until Lead before its start the packet can be
	// taken back, which takes Recall at worst, programming the next one not included.
	Ahead  radio.Micros
	Recall radio.Micros

	// MinLead is the shortest notice at which Push accepts a packet: 0 is Start +
	// Margin + Lead, the vendor's. A host whose loop wakes on Push can do with
	// less, down to Start + Margin + Bus.
	MinLead    radio.Micros
	MaxAdvance radio.Micros // the longest notice

	BeaconGuard    radio.Micros // before a beacon: free of beacons and class B
	BeaconReserved radio.Micros // that a beacon takes up, from its start
	AsSoon         radio.Micros // from Push to an immediate packet's start

	Grace     radio.Micros // after its end until a silent packet is aborted
	AbortTime radio.Micros // after that until it is given up
}

// MaxAhead keeps a programmed start far from the wrap of the chip's 32-bit counter,
// which takes 134 s.
const MaxAhead = radio.Micros(60_000_000)

// ID names an accepted packet. IDs count from 1.
type ID uint64

// Request is a packet with its class.
type Request struct {
	Packet radio.TxPacket
	Class  Class

	// Tick is when the packet starts, for [radio.AtTick] and [radio.AtGPS]; for the
	// latter the caller has converted Packet.GPSTime. Immediate packets ignore it.
	Tick radio.Tick
}

// Reason refines a report's status.
type Reason uint8

// Reasons of the queue itself; anything else is the radio's own result.
const (
	FromRadio     Reason = 1 // Done brought the result
	Missed        Reason = 2 // the loop came too late, or the chain was not free in time
	Evicted       Reason = 3 // a beacon took the place
	NoSlot        Reason = 4 // as soon as possible would have been beyond MaxAdvance
	Cancelled     Reason = 5
	Stuck         Reason = 6 // the radio never said what became of it
	Flushed       Reason = 7 // the radio went away
	reasonsNumber        = 8
)

// String is the reason in a word or two, for logs.
func (r Reason) String() string {
	names := [reasonsNumber]string{"", "radio", "missed", "evicted by a beacon", "no slot", "cancelled", "radio stuck", "radio restarted"}
	if r == 0 || r >= reasonsNumber {
		return "unknown"
	}
	return names[r]
}

// Report is the end of one accepted packet. Only Result.Status [radio.TxOK] means
// that it was on air; after [Stuck] and [Flushed] it may have been.
type Report struct {
	ID     ID
	Result radio.TxResult
	Reason Reason
}

// Program asks to program a packet into the radio now. Packet.Tick is its start;
// an immediate packet has become one at a tick. A packet that was taken back is
// programmed again, perhaps for another tick if it is an immediate one.
type Program struct {
	ID     ID
	Packet radio.TxPacket
	Class  Class
	Until  radio.Tick // the registers must be written before, or Done says too late
}

// Step is what Next wants done.
type Step struct {
	Reports []Report // packets that ended since the last Next, in the order they did
	Program *Program // nil when there is none to program
	Abort   ID       // not 0: stop this packet in the radio, then call Done with TxFailed

	// Wake is the tick at which to call Next again, if nothing happens before; 0
	// when the queue is empty. Calling earlier or later does no harm except that
	// packets are missed when it is Ahead - Start - Margin - Bus late, or, behind
	// another packet, Lead + Start + Margin less these.
	Wake radio.Tick
}

// entry is one accepted packet.
type entry struct {
	id       ID
	packet   radio.TxPacket
	class    Class
	start    radio.Tick
	air      radio.Micros
	asSoon   bool
	deadline radio.Tick // asSoon: the latest start
}

func (e *entry) end() radio.Tick { return e.start.Add(e.air) }

// held is the packet in the radio, as it was programmed. Until it is settled it also
// keeps its place among the entries, so that the rules see it like any other that
// waits; when its entry has gone, has moved, or is no longer the first, the radio has
// to give it back.
type held struct {
	entry
	settled  bool // too near to its start to be taken back for another
	ends     end  // not 0: it ends with this once the radio has let go of it
	aborting bool
	abortAt  radio.Tick // when the abort was asked for
}

// end is how a packet ends without having been sent; the zero value is no end.
type end struct {
	status radio.TxStatus
	why    Reason
}

// Queue is the queue of one RF chain. It is not safe for concurrent use.
type Queue struct {
	cfg     Config
	lastID  ID
	now     radio.Tick // highest seen
	entries []entry    // accepted and not settled, by start
	reports []Report   // for the next Step

	inRadio   held       // handed over and not Done; id 0 when there is none
	busyUntil radio.Tick // end of what the radio said it sends
}

// New makes an empty queue. It fails when the margins contradict each other.
func New(cfg Config) (*Queue, error) {
	cfg.setDefaults()
	latest := cfg.Start + cfg.Margin + cfg.Bus
	switch {
	case cfg.Depth < 1 || cfg.Depth > 1024:
		return nil, errors.New("txqueue: new: depth must be 1..1024")
	case cfg.Start < 0 || cfg.Margin < 0 || cfg.Bus < 0 || cfg.Grace < 0 || cfg.AbortTime < 0 || cfg.BeaconGuard < 0 || cfg.BeaconReserved < 0:
		return nil, errors.New("txqueue: new: a margin is negative")
	case cfg.Lead < latest || cfg.MinLead < latest || cfg.AsSoon < cfg.MinLead:
		return nil, errors.New("txqueue: new: lead and minimum lead must cover start, margin and bus time, and as-soon the minimum lead")
	case cfg.Ahead < cfg.Lead || cfg.Ahead > MaxAhead || cfg.Recall < 0:
		return nil, errors.New("txqueue: new: ahead must be between lead and a minute, and recall positive")
	case cfg.MaxAdvance < cfg.AsSoon || cfg.MaxAdvance > 1<<40:
		return nil, errors.New("txqueue: new: maximum advance is shorter than as-soon, or absurd")
	}
	return &Queue{cfg: cfg, entries: make([]entry, 0, cfg.Depth)}, nil
}

func (c *Config) setDefaults() {
	if c.Depth == 0 {
		c.Depth = DefaultDepth
	}
	def := func(v *radio.Micros, d radio.Micros) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Start, DefaultStart)
	def(&c.Margin, DefaultMargin)
	def(&c.Lead, DefaultLead)
	def(&c.Ahead, max(DefaultAhead, c.Lead))
	def(&c.Bus, DefaultBus)
	def(&c.Recall, DefaultRecall)
	def(&c.MinLead, c.Start+c.Margin+c.Lead)
	def(&c.MaxAdvance, DefaultMaxAdvance)
	def(&c.BeaconGuard, DefaultBeaconGuard)
	def(&c.BeaconReserved, DefaultBeaconReserved)
	def(&c.AsSoon, max(DefaultAsSoon, c.MinLead))
	def(&c.Grace, DefaultGrace)
	def(&c.AbortTime, DefaultAbortTime)
}

// Len counts the packets that were accepted and not yet reported.
func (q *Queue) Len() int {
	n := len(q.entries) + len(q.reports)
	if q.inRadio.id != 0 && q.index(q.inRadio.id) < 0 {
		n++
	}
	return n
}

// index is where a packet stands among the entries; -1 when it is not there.
func (q *Queue) index(id ID) int {
	return slices.IndexFunc(q.entries, func(e entry) bool { return e.id == id })
}

// advance keeps time from running backwards.
func (q *Queue) advance(now radio.Tick) radio.Tick {
	q.now = max(q.now, now)
	return q.now
}

func (q *Queue) report(id ID, status radio.TxStatus, why Reason) {
	q.reports = append(q.reports, Report{ID: id, Result: radio.TxResult{Status: status}, Reason: why})
}

// drop ends a packet that has left the entries. The report of one in the radio
// comes when the radio has let go of it, and says what really happened.
func (q *Queue) drop(id ID, status radio.TxStatus, why Reason) {
	if id == q.inRadio.id {
		q.inRadio.ends = end{status, why}
		return
	}
	q.report(id, status, why)
}
