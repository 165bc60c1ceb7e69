// Package journal is the oracle's durable truth: everything that decides about
// rewards is an entry in it, in the order in which it was made durable. An epoch
// can be recomputed from its entries, the revealed secret and the policy alone.
//
// Reports lie in the data shard that their [ShardKey] selects, so that a beacon
// and its witnesses meet; session certificates, assertions and epoch boundaries
// lie in the control shard.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/oracle/store"
	"heliograph/poc"
)

// EntryType says what an entry's Data is.
type EntryType uint8

// The types. Numbers are never reused.
const (
	TypeReport  EntryType = 1 // a signed poc report: beacon, witness, decline or packet; assertions in the control shard
	TypeSession EntryType = 2 // a signed poc.SessionCert; control shard
	TypeOpen    EntryType = 3 // an [Open]; control shard
	TypeCut     EntryType = 4 // a [Cut]; control shard
	TypeCarried EntryType = 5 // a [Carried]; in the shard of its packet report
	TypeKept    EntryType = 6 // what else the epoch's driver needs, see [Journal.AppendKept]; control shard; never published as it is
)

// Entry is one frame of the journal.
type Entry struct {
	Type     EntryType
	Epoch    poc.Epoch // the epoch that judges it
	Received int64     // unix nanoseconds by the oracle's clock
	Data     []byte
}

// Position is where an entry lies.
type Position struct {
	Shard  store.Shard
	Offset store.Offset
}

const (
	entryVersion = 1
	entryHeader  = 1 + 1 + 4 + 8
)

// ErrEntry: a frame is not a journal entry of a version that is known.
var ErrEntry = errors.New("journal: bad entry")

// AppendBinary appends the frame: version u8, type u8, epoch u32, received i64,
// all big-endian, then the data.
func (e Entry) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, entryVersion, byte(e.Type))
	b = binary.BigEndian.AppendUint32(b, uint32(e.Epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Received))
	return append(b, e.Data...), nil
}

// ParseEntry reads a frame. Data aliases b.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) < entryHeader || b[0] != entryVersion {
		return Entry{}, fmt.Errorf("%w: %d bytes, not version %d", ErrEntry, len(b), entryVersion)
	}
	e := Entry{
		Type:     EntryType(b[1]),
		Epoch:    poc.Epoch(binary.BigEndian.Uint32(b[2:])),
		Received: int64(binary.BigEndian.Uint64(b[6:])),
		Data:     b[entryHeader:],
	}
	if e.Type < TypeReport || e.Type > TypeKept || e.Received < 0 {
		return Entry{}, fmt.Errorf("%w: type %d", ErrEntry, e.Type)
	}
	return e, nil
}

// ShardKey selects the shard of a report: beacons and witnesses by the beacon's
// payload, everything else by its own id.
func ShardKey(r poc.Report) store.Shard {
	switch r.Kind {
	case poc.KindBeacon:
		return store.Shard(r.Beacon.Payload()[0])
	case poc.KindWitness:
		return store.Shard(r.Witness.Payload[0])
	case poc.KindAssertion:
		return store.ControlShard
	}
	return store.Shard(r.ID[0])
}

// Open starts an epoch: from here on its challenges are fixed and count.
type Open struct {
	Epoch      poc.Epoch
	Commitment [32]byte // hash of the secret, final on chain before Blockhash existed
	CommitSlot uint64   // the chain's slot that holds the commitment
	Blockhash  [32]byte // finalized, of a later slot
	BlockSlot  uint64   // fixed by CommitSlot: the first block at or after CommitSlot + settle.SeedDelay
}

const openSize = 4 + 32 + 8 + 32 + 8

// AppendBinary appends the fields in order, integers big-endian.
func (o Open) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, uint32(o.Epoch))
	b = append(b, o.Commitment[:]...)
	b = binary.BigEndian.AppendUint64(b, o.CommitSlot)
	b = append(b, o.Blockhash[:]...)
	return binary.BigEndian.AppendUint64(b, o.BlockSlot), nil
}

// ParseOpen is the inverse of AppendBinary.
func ParseOpen(b []byte) (o Open, err error) {
	if len(b) != openSize {
		return Open{}, fmt.Errorf("%w: epoch opening of %d bytes, want %d", ErrEntry, len(b), openSize)
	}
	o.Epoch = poc.Epoch(binary.BigEndian.Uint32(b))
	copy(o.Commitment[:], b[4:])
	o.CommitSlot = binary.BigEndian.Uint64(b[36:])
	copy(o.Blockhash[:], b[44:])
	o.BlockSlot = binary.BigEndian.Uint64(b[76:])
	return o, nil
}

// Cut ends an epoch: its entries are those with its number that lie before End
// in their shard. Ingest takes no more reports for it.
type Cut struct {
	Epoch poc.Epoch
	End   [store.Shards]store.Offset
}

const cutSize = 4 + 8*store.Shards

// AppendBinary appends the epoch and the ends, big-endian.
func (c Cut) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, uint32(c.Epoch))
	for _, o := range c.End {
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	return b, nil
}

// ParseCut is the inverse of AppendBinary.
func ParseCut(b []byte) (c Cut, err error) {
	if len(b) != cutSize {
		return Cut{}, fmt.Errorf("%w: epoch cut of %d bytes, want %d", ErrEntry, len(b), cutSize)
	}
	c.Epoch = poc.Epoch(binary.BigEndian.Uint32(b))
	for i := range c.End {
		c.End[i] = store.Offset(binary.BigEndian.Uint64(b[4+8*i:]))
	}
	return c, nil
}

// Carried says that the router bought one copy of a packet.
type Carried struct {
	Packet  poc.ID // the packet report
	Credits uint32 // data credits that it cost
	Route   uint32 // which route bought it
}

const carriedSize = 32 + 4 + 4

// AppendBinary appends the fields in order, integers big-endian.
func (c Carried) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, c.Packet[:]...)
	b = binary.BigEndian.AppendUint32(b, c.Credits)
	return binary.BigEndian.AppendUint32(b, c.Route), nil
}

// ParseCarried is the inverse of AppendBinary.
func ParseCarried(b []byte) (c Carried, err error) {
	if len(b) != carriedSize {
		return Carried{}, fmt.Errorf("%w: carried packet of %d bytes, want %d", ErrEntry, len(b), carriedSize)
	}
	copy(c.Packet[:], b)
	c.Credits = binary.BigEndian.Uint32(b[32:])
	c.Route = binary.BigEndian.Uint32(b[36:])
	return c, nil
}
