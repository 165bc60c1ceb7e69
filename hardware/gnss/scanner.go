package gnss

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Message is one message of use; exactly one of its parts is not nil.
type Message struct {
	UTC      *UTC
	GPS      *TimeGPS
	Position *Position
}

// Counters tell how well a receiver can be understood.
type Counters struct {
	Messages  uint64 // of use
	Ignored   uint64 // good, of other kinds
	NoFix     uint64 // good, of a receiver that does not know time or place yet
	Damaged   uint64 // checksum, framing or content
	JunkBytes uint64 // outside any message
}

// Scanner cuts the bytes of a serial line into messages. It keeps less than a
// kilobyte whatever comes, and finds the next message after any damage. The zero
// value is ready. It is not safe for concurrent use.
type Scanner struct {
	buf   []byte
	count Counters
}

// Counters since the start.
func (s *Scanner) Counters() Counters { return s.count }

// Feed takes bytes and calls emit for each message that they complete.
func (s *Scanner) Feed(b []byte, emit func(Message)) {
	for len(b) > 0 {
		n := min(len(b), 256)
		s.buf = append(s.buf, b[:n]...)
		b = b[n:]
		rest := s.buf
		for {
			used := s.one(rest, emit)
			if used == 0 {
				break
			}
			rest = rest[used:]
		}
		s.buf = append(s.buf[:0], rest...)
	}
}

// one handles what is at the start of b and says how many bytes that was; 0 means
// that more must come first.
func (s *Scanner) one(b []byte, emit func(Message)) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0] == '$':
		return s.sentence(b, emit)
	case b[0] == 0xB5 && (len(b) == 1 || b[1] == 0x62):
		return s.ubx(b, emit)
	}
	next := bytes.IndexFunc(b[1:], func(r rune) bool { return r == '$' })
	if u := bytes.IndexByte(b[1:], 0xB5); u >= 0 && (next < 0 || u < next) {
		next = u
	}
	n := next + 1
	if next < 0 {
		n = len(b)
	}
	for _, c := range b[:n] {
		if c != '\r' && c != '\n' {
			s.count.JunkBytes++
		}
	}
	return n
}

// sentence ends at the line end; a new '$' or a byte that is no text cuts it off.
func (s *Scanner) sentence(b []byte, emit func(Message)) int {
	for i, c := range b[1:] {
		switch n := i + 1; {
		case c == '\r' || c == '\n':
			m, err := ParseSentence(b[:n])
			s.take(m, err, emit)
			return n
		case c == '$' || c < 0x20 || c > 0x7E || n >= maxSentence:
			s.count.Damaged++
			return n
		}
	}
	return 0
}

func (s *Scanner) ubx(b []byte, emit func(Message)) int {
	if len(b) < 6 {
		return 0
	}
	size := int(binary.LittleEndian.Uint16(b[4:]))
	if size > maxUBX {
		s.count.Damaged++
		return 2
	}
	if len(b) < size+ubxOverhead {
		return 0
	}
	ckA, ckB := fletcher(b[2 : size+6])
	if b[size+6] != ckA || b[size+7] != ckB {
		s.count.Damaged++
		return 2 // the frame's inside may hold the true next message
	}
	if b[2] != 0x01 || b[3] != 0x20 {
		s.count.Ignored++
		return size + ubxOverhead
	}
	t, err := ParseTimeGPS(b[6 : size+6])
	s.take(Message{GPS: &t}, err, emit)
	return size + ubxOverhead
}

func (s *Scanner) take(m Message, err error, emit func(Message)) {
	switch {
	case err == nil:
		s.count.Messages++
		emit(m)
	case errors.Is(err, errNoFix):
		s.count.NoFix++
	case errors.Is(err, errIgnored):
		s.count.Ignored++
	default:
		s.count.Damaged++
	}
}
