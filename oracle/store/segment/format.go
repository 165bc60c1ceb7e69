package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"heliograph/oracle/store"
)

const (
	magic          = "HGLOG\x00\x00\x01"
	fileHeaderSize = 2088
	itemHeaderSize = 28
	align          = 8
	maxItem        = (itemHeaderSize + store.MaxFrame + align - 1) &^ (align - 1)
	markSize       = (itemHeaderSize + align - 1) &^ (align - 1)
	markShard      = 0xffff
)

type kind uint16

const (
	kindFrame  kind = 1
	kindSealed kind = 2
	kindClosed kind = 3
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// fileHeader stands at the head of each segment.
type fileHeader struct {
	seq  uint64
	salt [8]byte
	base [store.Shards]store.Offset
}

// appendBinary appends the 2088 bytes of the header.
func (h *fileHeader) appendBinary(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = le.AppendUint64(b, h.seq)
	b = append(b, h.salt[:]...)
	for _, o := range h.base {
		b = le.AppendUint64(b, uint64(o))
	}
	b = append(b, 0, 0, 0, 0)
	return le.AppendUint32(b, checksum(b[start:]))
}

func parseFileHeader(b []byte) (*fileHeader, error) {
	if len(b) != fileHeaderSize {
		return nil, fmt.Errorf("file header has %d bytes, not %d", len(b), fileHeaderSize)
	}
	if le.Uint32(b[fileHeaderSize-4:]) != checksum(b[:fileHeaderSize-4]) {
		return nil, errors.New("file header has a wrong checksum")
	}
	if string(b[:8]) != magic {
		return nil, fmt.Errorf("file header begins with %x: not a segment of a version that this program knows", b[:8])
	}
	if le.Uint32(b[fileHeaderSize-8:]) != 0 {
		return nil, errors.New("file header has a reserved field that is not zero")
	}
	h := &fileHeader{seq: le.Uint64(b[8:])}
	copy(h.salt[:], b[16:])
	for i := range h.base {
		h.base[i] = store.Offset(le.Uint64(b[24+8*i:]))
	}
	return h, nil
}

// seed is what the checksum of each item of the segment starts from.
func (h *fileHeader) seed() uint32 { return checksum(h.salt[:]) }

// item is the header of a frame or mark.
type item struct {
	length uint32
	shard  uint16
	kind   kind
	offset store.Offset
	commit int64 // position of the first item of the commit
	sum    uint32
}

// itemSize is the size of a whole item with a payload of n bytes.
func itemSize(n int) int { return (itemHeaderSize + n + align - 1) &^ (align - 1) }

func (it *item) size() int { return itemSize(int(it.length)) }

// put writes the 28 bytes of the header for an item at position at.
func (it *item) put(b []byte, seed uint32, at int64) {
	le.PutUint32(b[0:], it.length)
	le.PutUint16(b[4:], it.shard)
	le.PutUint16(b[6:], uint16(it.kind))
	le.PutUint64(b[8:], uint64(it.offset))
	le.PutUint32(b[16:], uint32(it.commit/align))
	le.PutUint32(b[20:], it.sum)
	le.PutUint32(b[24:], itemSum(b, seed, at))
}

func itemSum(b []byte, seed uint32, at int64) uint32 {
	return crc32.Update(seed^uint32(at/align), castagnoli, b[:24])
}

// parseItem reads the header of the item at position at. It is false for bytes
// that this package did not write there.
func parseItem(b []byte, seed uint32, at int64) (item, bool) {
	if len(b) < itemHeaderSize {
		return item{}, false
	}
	it := item{
		length: le.Uint32(b[0:]),
		shard:  le.Uint16(b[4:]),
		kind:   kind(le.Uint16(b[6:])),
		offset: store.Offset(le.Uint64(b[8:])),
		commit: int64(le.Uint32(b[16:])) * align,
		sum:    le.Uint32(b[20:]),
	}
	switch it.kind {
	case kindFrame:
		if it.length == 0 || it.length > store.MaxFrame || it.shard >= store.Shards {
			return item{}, false
		}
	case kindSealed, kindClosed:
		if it.length != 0 || it.shard != markShard || it.offset != 0 || it.sum != 0 || it.commit != at {
			return item{}, false
		}
	default:
		return item{}, false
	}
	if it.commit < fileHeaderSize || it.commit > at || le.Uint32(b[24:]) != itemSum(b, seed, at) {
		return item{}, false
	}
	return it, true
}

// payload checks the rest of an item, b being the whole of it, and returns what
// the caller of Append gave.
func (it *item) payload(b []byte) ([]byte, bool) {
	end := itemHeaderSize + int(it.length)
	for _, pad := range b[end:] {
		if pad != 0 {
			return nil, false
		}
	}
	p := b[itemHeaderSize:end]
	return p, checksum(p) == it.sum
}
