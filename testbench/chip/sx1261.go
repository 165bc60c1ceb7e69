package chip

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"heliograph/radio"
)

const (
	patchWords   = 386
	patchBase    = 0x8000
	patchVersion = "2D06"
	patchMark    = "HGSX1261"
)

// vendorPatch is the SHA-256 of the vendor's SX1261 patch in the byte order in
// which it is sent (section h).
const vendorPatch = "2f1a728415a38298d07b77ebb1b54c9b9cdfe21fd830bf842d79d73f23b99074"

// SyntheticPatch is an SX1261 program image of 1544 bytes, words big endian as
// they are sent, that this simulator runs as the vendor's version "2D06". It
// contains nothing of the vendor's image.
func SyntheticPatch() []byte {
	b := make([]byte, 4*patchWords)
	copy(b, patchMark)
	x := uint32(1261)
	for i := len(patchMark); i < len(b); i++ {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// sx1261 is the radio that listens before talk and scans the spectrum. Its
// memory is addressed in bytes; nothing else of it is modelled.
type sx1261 struct {
	held    bool
	mem     map[uint16]byte
	mode    byte
	errors  uint16
	freq    uint32
	patched bool

	armed     bool // listen before talk is set up
	threshold float64
	scanEnd   time.Time
	scanning  bool
	scans     int
}

// Registers of the patched SX1261 (section g).
const (
	listenVersion  = 0x0320
	listenResult   = 0x0401
	listenStatus   = 0x07CD
	listenAbort    = 0x089B
	scanLevels     = 33
	scanRunning    = 0x0F
	scanAborted    = 0xF0
	scanCompleted  = 0xFF
	scanSample     = 7 * time.Microsecond // 715 samples are the 5 ms of a long scan
	romVersion     = "SX1261 V2D 1D02"
	patchedVersion = "SX1261 V2D " + patchVersion
)

func (s *sx1261) reset() {
	*s = sx1261{held: s.held, mode: modeStandbyRC, mem: map[uint16]byte{}}
	s.store(listenVersion, []byte(romVersion))
}

func (s *sx1261) store(addr uint16, data []byte) {
	for i, v := range data {
		s.mem[addr+uint16(i)] = v
	}
}

// listenFrame answers a frame on the SX1261's chip select: opcode, parameters.
func (c *Chip) listenFrame(w, r []byte) {
	s := &c.lbt
	c.stats.ListenBytes += int64(len(w))
	if len(w) == 0 || !c.powered || s.held || c.faults[ListenDead] || c.faults[AbsentLow] {
		return
	}
	if c.faults[AbsentHigh] {
		fill(r, 0xFF)
		return
	}
	c.finishScan()
	if len(w) > 1 {
		r[1] = s.mode<<4 | 2
	}
	c.listenCommand(w[0], w[1:], r[1:])
	c.note("cmd1261", -1, uint16(w[0]), w[1:], r[1:])
}

func (c *Chip) listenCommand(opcode byte, p, r []byte) {
	s := &c.lbt
	switch {
	case opcode == 0x80: // SetStandby
		s.mode = modeStandbyRC
		if len(p) > 0 && p[0] != 0 {
			s.mode = modeStandbyXOSC
		}
	case opcode == 0xC1:
		s.mode = modeSynth
	case opcode == 0x82:
		s.mode = modeReceive
	case opcode == 0x86 && len(p) >= 4:
		s.freq = binary.BigEndian.Uint32(p)
	case opcode == 0x98:
		if s.errors &^= imageCalError; !imageBand(p) {
			s.errors |= imageCalError
		}
	case opcode == 0x17:
		copy(tail(r, 1), []byte{byte(s.errors >> 8), byte(s.errors)})
	case opcode == 0x0D && len(p) >= 2:
		c.listenWrite(binary.BigEndian.Uint16(p), p[2:])
	case opcode == 0x1D && len(p) >= 2:
		for i, out := 0, tail(r, 3); i < len(out); i++ {
			out[i] = s.mem[binary.BigEndian.Uint16(p)+uint16(i)]
		}
	case opcode == 0xD9:
		c.applyPatch()
	case opcode == 0x9A && len(p) >= 4 && s.patched:
		s.armed, s.threshold = true, -float64(p[3])/2
	case opcode == 0x9B && len(p) >= 2 && s.patched:
		s.scans = int(binary.BigEndian.Uint16(p))
		s.scanning, s.scanEnd = true, c.now.Add(time.Duration(s.scans)*scanSample)
		s.mem[listenStatus] = scanRunning
	}
}

// listenWrite writes memory. Writing 0 to the abort register ends listening and
// scanning.
func (c *Chip) listenWrite(addr uint16, data []byte) {
	s := &c.lbt
	s.store(addr, data)
	if addr != listenAbort || len(data) == 0 || data[0] != 0 {
		return
	}
	s.armed = false
	if s.scanning {
		s.scanning = false
		s.mem[listenStatus] = scanAborted
	}
}

// applyPatch starts the program that was written to the patch memory.
func (c *Chip) applyPatch() {
	s := &c.lbt
	image := make([]byte, 4*patchWords)
	for i := range image {
		image[i] = s.mem[patchBase+uint16(i)]
	}
	sum := sha256.Sum256(image)
	s.patched = hex.EncodeToString(sum[:]) == vendorPatch || string(image) == string(SyntheticPatch())
	if s.patched && !c.faults[OldPatch] {
		s.store(listenVersion, []byte(patchedVersion))
	}
}

// hears is the level at the frequency to which the SX1261 is tuned.
func (c *Chip) hears() float64 {
	if c.faults[ListenBusy] {
		return -40
	}
	return c.cfg.Occupied(radio.Hertz(math.Round(float64(c.lbt.freq)*32e6/(1<<25))), c.now)
}

// finishScan writes the histogram of a spectral scan that has ended: level i
// counts samples at -4i dBm. All samples of a scan are at one level.
func (c *Chip) finishScan() {
	s := &c.lbt
	if !s.scanning || c.now.Before(s.scanEnd) || c.faults[ScanStuck] {
		return
	}
	s.scanning = false
	s.mem[listenStatus] = scanCompleted
	bin := min(max(int(math.Round(-c.hears()/4)), 0), scanLevels-1)
	for i := range scanLevels {
		n := 0
		if i == bin {
			n = s.scans
		}
		s.store(listenResult+uint16(2*i), []byte{byte(n >> 8), byte(n)})
	}
}

// mayTransmit asks listen-before-talk, and reports its answer in the AGC's
// status: bit 0 or 1 for the chain, bit 6 or 7 when the channel is busy.
func (c *Chip) mayTransmit(chain int, s *Transmission) bool {
	if !c.agc.listen {
		return true
	}
	busy := !c.lbt.armed || c.hears() > c.lbt.threshold
	c.agc.status = 1 << chain
	if busy {
		c.agc.status |= 0x40 << chain
	}
	return !busy
}
