package sx1302

import (
	"encoding/binary"

	"heliograph/hardware/sx1302/calc"
)

// The layout of a packet in the receive FIFO (d.2). Offsets after the payload
// count from its end.
const (
	syncByte0, syncByte1 = 0xA5, 0xC0

	offLength, offChannel, offFlags, offModem, offError = 2, 3, 4, 5, 6

	headBytes = 9  // before the payload
	tailBytes = 14 // after it, without metrics
	smallest  = headBytes + tailBytes

	modemFSK = 17
	fifoSize = 4096
)

// meta is a packet in the FIFO, taken apart. Its slices point into the buffer.
type meta struct {
	payload   []byte
	channel   uint8
	modem     uint8
	sf        uint8
	coding    uint8
	crcOn     bool
	crcBad    bool
	syncBad   bool
	headerBad bool
	timing    bool
	freqError int32
	snr       int8
	rssi      uint8 // of the channel
	signal    uint8
	stamp     uint32
	crc       uint16
	metrics   []byte // pairs of int8
}

// found says what nextPacket came upon.
type found uint8

const (
	foundPacket  found = iota + 1
	foundNothing       // no packet begins in the buffer
	foundPart          // the buffer ends within a packet
	foundBad           // a packet's checksum is wrong
)

// nextPacket looks for the first packet in b. n is how many bytes are done with:
// with foundPart and foundNothing the rest may become a packet when more arrives.
//
// A packet whose checksum is wrong costs nothing but itself: where another packet,
// or nothing, follows at its end, its length was right and it is skipped; else the
// search goes on right behind its first bytes.
func nextPacket(b []byte) (m meta, n int, what found) {
	start := findSync(b)
	b = b[start:]
	if len(b) < smallest {
		return m, start, foundPartOf(b)
	}
	p := int(b[offLength])
	if !plausible(b) {
		return m, start + 2, foundBad
	}
	if len(b) < headBytes+p+tailBytes {
		return m, start, foundPart
	}
	tail := b[headBytes+p:]
	total := headBytes + p + tailBytes + 2*int(tail[12])
	if len(b) < total {
		return m, start, foundPart
	}
	if calc.Checksum(b[:total-1]) != b[total-1] {
		if rest := b[total:]; len(rest) == 0 || len(rest) >= 2 && rest[0] == syncByte0 && rest[1] == syncByte1 {
			return m, start + total, foundBad
		}
		return m, start + 2, foundBad
	}
	return takeApart(b[:total], tail), start + total, foundPacket
}

// foundPartOf says what fewer bytes than a packet has can be.
func foundPartOf(b []byte) found {
	if len(b) == 0 {
		return foundNothing
	}
	return foundPart
}

// findSync is where the next packet may begin: at the sync word, or at its first
// byte at the very end, or the end.
func findSync(b []byte) int {
	for i := range b {
		if b[i] == syncByte0 && (i+1 == len(b) || b[i+1] == syncByte1) {
			return i
		}
	}
	return len(b)
}

// plausible says whether a packet's head holds values that exist.
func plausible(b []byte) bool {
	sf := b[offFlags] >> 4
	return b[offChannel] < IFChains && b[offModem] <= modemFSK &&
		(b[offModem] == modemFSK || sf >= 5 && sf <= 12)
}

func takeApart(b, tail []byte) meta {
	flags, status := b[offFlags], tail[0]
	return meta{
		payload: b[headBytes:][:b[offLength]],
		channel: b[offChannel], modem: b[offModem], sf: flags >> 4, coding: flags >> 1 & 7,
		crcOn: flags&1 != 0, crcBad: status&1 != 0, syncBad: status&4 != 0, headerBad: status&8 != 0, timing: status&16 != 0,
		freqError: calc.SignExtend20(b[offError], b[offError+1], b[offError+2]),
		snr:       int8(tail[1]), rssi: tail[2], signal: tail[3],
		stamp: binary.LittleEndian.Uint32(tail[6:]), crc: binary.LittleEndian.Uint16(tail[10:]),
		metrics: tail[13 : 13+2*int(tail[12])],
	}
}
