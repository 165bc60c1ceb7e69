package outbox

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

const (
	magic      = "hgoutbx\x01"
	recordHead = 8
	putHead    = 1 + 8 + 1 + 8 + 8
	maxGone    = 256 // ids in one record of departures
	maxRecord  = max(putHead+MaxBody, 1+8*maxGone)

	recordPut  = 1
	recordGone = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// frame puts the head in front of the payload that make appends.
func frame(dst []byte, payload func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, recordHead)...)
	dst = payload(dst)
	head, body := dst[start:start+recordHead], dst[start+recordHead:]
	binary.BigEndian.PutUint32(head, uint32(len(body)))
	binary.BigEndian.PutUint32(head[4:], checksum(head[:4], body))
	return dst
}

func appendPut(dst []byte, e *Entry) []byte {
	return frame(dst, func(b []byte) []byte {
		b = append(b, recordPut)
		b = binary.BigEndian.AppendUint64(b, e.ID)
		b = append(b, byte(e.Class))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Made))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Deadline))
		return append(b, e.Body...)
	})
}

func appendGone(dst []byte, ids []uint64) []byte {
	for part := range slices.Chunk(ids, maxGone) {
		dst = frame(dst, func(b []byte) []byte {
			b = append(b, recordGone)
			for _, id := range part {
				b = binary.BigEndian.AppendUint64(b, id)
			}
			return b
		})
	}
	return dst
}

var errRecord = errors.New("outbox: bad record")

// nextRecord takes one record off b.
func nextRecord(b []byte) (payload, rest []byte, err error) {
	if len(b) < recordHead {
		return nil, nil, errRecord
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > maxRecord || int(n) > len(b)-recordHead {
		return nil, nil, errRecord
	}
	payload = b[recordHead : recordHead+int(n)]
	if checksum(b[:4], payload) != binary.BigEndian.Uint32(b[4:]) {
		return nil, nil, errRecord
	}
	return payload, b[recordHead+int(n):], nil
}

// state is what the records of all files amount to.
type state struct {
	live map[uint64]*Entry
	gone map[uint64]bool // ids that left; a copy of the entry may come later
	next uint64          // higher than every id seen
}

func (s *state) apply(payload []byte) error {
	switch payload[0] {
	case recordPut:
		if len(payload) < putHead {
			return errRecord
		}
		e := &Entry{ID: binary.BigEndian.Uint64(payload[1:]), Item: Item{
			Class:    Class(payload[9]),
			Made:     int64(binary.BigEndian.Uint64(payload[10:])),
			Deadline: int64(binary.BigEndian.Uint64(payload[18:])),
			Body:     append([]byte(nil), payload[putHead:]...),
		}}
		if e.check() != nil {
			return errRecord
		}
		s.saw(e.ID)
		if !s.gone[e.ID] {
			s.live[e.ID] = e
		}
	case recordGone:
		if len(payload)%8 != 1 {
			return errRecord
		}
		for b := payload[1:]; len(b) > 0; b = b[8:] {
			id := binary.BigEndian.Uint64(b)
			s.saw(id)
			s.gone[id] = true
			delete(s.live, id)
		}
	default:
		return errRecord
	}
	return nil
}

// saw keeps ids growing. Ids beyond any real count are damage that a checksum
// happened to fit; they must not make the counter wrap.
func (s *state) saw(id uint64) {
	if id >= s.next && id < 1<<62 {
		s.next = id + 1
	}
}

// readFile applies all readable records of one file and says what it skipped.
func (s *state) readFile(b []byte) (damage fileDamage) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		if len(b) < len(magic) && magic[:len(b)] == string(b) {
			return fileDamage{torn: len(b)} // cut before anything was written
		}
		damage.middle = true
	} else {
		b = b[len(magic):]
	}
	skipped := 0
	for len(b) > 0 {
		payload, rest, err := nextRecord(b)
		if err == nil {
			err = s.apply(payload)
		}
		if err != nil { // look for the next record byte by byte
			b = b[1:]
			skipped++
			continue
		}
		if skipped > 0 {
			damage.middle, skipped = true, 0
		}
		b = rest
	}
	damage.torn = skipped
	return damage
}

// fileDamage tells a torn end, which a power cut leaves, from a damaged middle,
// which only failing flash leaves.
type fileDamage struct {
	middle bool
	torn   int // bytes at the end
}
