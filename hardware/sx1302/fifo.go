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
	foundPacket     found = iota + 1
	foundNothing          // no packet begins in the buffer
	foundPart             // the buffer ends within a packet
	foundBad              // a packet's checksum is wrong
	foundBadPayload       // its payload does not have the CRC that the modem saw
)

// nextPacket looks for the first packet in b. n is how many bytes are done with:
// with foundPart and foundNothing the rest may become a packet when more arrives.
//
// A damaged packet costs nothing but itself, whichever byte it is. If it was its
// length, or its number of metrics, it seems to reach into its neighbours or to end
// early, and in one of 256 cases its checksum is right all the same. So a packet that
// without a good CRC has to end where the next begins, and when others are found within
// any the search goes on with the first of them (see inner). Otherwise a bad one
// behind which another follows, or nothing, had the right length and is skipped; else
// the search goes on right behind its first bytes.
func nextPacket(b []byte) (m meta, n int, what found) {
	start := findSync(b)
	b = b[start:]
	if len(b) < smallest {
		return m, start, foundPartOf(b)
	}
	if !plausible(b) {
		return m, start + 2, foundBad
	}
	total, whole := extent(b)
	if !whole {
		return m, start, foundPart
	}
	m, trust := judge(b[:total])
	if i := inner(b, total, trust); i > 0 {
		return meta{}, start + i, foundBad
	}
	rest := b[total:]
	what = foundBad
	switch {
	case trust == proven || trust == possible && nearSync(rest):
		return m, start + total, foundPacket
	case trust == contradicted:
		what = foundBadPayload
	}
	if len(rest) == 0 || isSync(rest) {
		return meta{}, start + total, what
	}
	return meta{}, start + 2, what
}

// extent is how long the packet at the start of b says that it is; whole says that b
// holds all of it.
func extent(b []byte) (total int, whole bool) {
	total = headBytes + int(b[offLength]) + tailBytes
	if len(b) < total {
		return total, false
	}
	total += 2 * int(b[total-2])
	return total, len(b) >= total
}

// trust is how far bytes are believed to be a packet. The chip's checksum is one
// byte, which one damaged length in 256 gets past.
type trust uint8

const (
	broken       trust = iota // the checksum is wrong
	contradicted              // the payload does not have the CRC that the modem saw and found good
	possible                  // the checksum is right, and there is no good CRC to compare
	proven                    // checksum and CRC are right
)

// judge takes bytes apart that have the extent of a packet.
func judge(b []byte) (meta, trust) {
	if calc.Checksum(b[:len(b)-1]) != b[len(b)-1] {
		return meta{}, broken
	}
	m := takeApart(b, b[headBytes+int(b[offLength]):])
	switch {
	case m.modem == modemFSK || !m.crcOn || m.crcBad || len(m.payload) == 0:
		return m, possible
	case calc.PayloadCRC(m.payload) != m.crc:
		return m, contradicted
	}
	return m, proven
}

// inner is where the first packet begins within the one that is said to be b[:total],
// or 0 if there is none. In one that is proven that can only be behind what its CRC
// proves; in one that is possible, and so may hold the likeness of a packet as its
// payload, only proven packets that end where it ends, or later, count.
func inner(b []byte, total int, outer trust) int {
	from := 2
	if outer == proven {
		from = headBytes + int(b[offLength]) + tailBytes
	}
	for i := from; i < total; i++ {
		if !isSync(b[i:]) {
			continue
		}
		if outer == possible {
			if tiles(b[i:total], proven) || begins(b[i:], proven) > total-i {
				return i
			}
			continue
		}
		if tiles(b[i:total], possible) || leads(b[i:]) {
			return i
		}
	}
	return 0
}

// leads says whether packets at the start of b lead to a proven one or to its end.
func leads(b []byte) bool {
	for len(b) > 0 {
		if begins(b, proven) > 0 {
			return true
		}
		n := begins(b, possible)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// tiles says whether b is nothing but packets.
func tiles(b []byte, least trust) bool {
	for len(b) > 0 {
		n := begins(b, least)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// begins is the length of the packet at the start of b, 0 if there is none that is
// trusted so far.
func begins(b []byte, least trust) int {
	if len(b) < smallest || !isSync(b) || !plausible(b) {
		return 0
	}
	total, whole := extent(b)
	if !whole {
		return 0
	}
	if _, t := judge(b[:total]); t < least {
		return 0
	}
	return total
}

// nearSync says whether the next packet may begin at b, one of its bytes damaged, or
// nothing.
func nearSync(b []byte) bool {
	return len(b) == 0 || b[0] == syncByte0 || len(b) > 1 && b[1] == syncByte1
}

func isSync(b []byte) bool { return len(b) >= 2 && b[0] == syncByte0 && b[1] == syncByte1 }

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
