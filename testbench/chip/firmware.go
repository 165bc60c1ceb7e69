package chip

import (
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
)

// Program is the kind of a microcontroller's firmware.
type Program uint8

// The programs that the chip can run.
const (
	ProgramAGC1250   Program = 1 // gain control for SX1250 front ends
	ProgramAGC125x   Program = 2 // gain control for SX1255 and SX1257
	ProgramARB       Program = 3 // arbiter
	ProgramCalibrate Program = 4 // image and offset calibration of SX1255 and SX1257
)

// Version is the version that the vendor's image of the program reports.
func (p Program) Version() byte {
	switch p {
	case ProgramAGC1250:
		return 10
	case ProgramAGC125x:
		return 6
	case ProgramARB:
		return 2
	case ProgramCalibrate:
		return 1
	}
	return 0
}

// vendorImages are the SHA-256 sums of section h.
var vendorImages = map[string]Program{
	"8f612e878b946b8c7cc59a5fc27ad33bb18ab92ad6e291d873f5d6bb7daae0d4": ProgramAGC1250,
	"28d05612240627fb9e61ec43eba661e96d24805e1ce62b2d800c8461d400ae66": ProgramAGC125x,
	"a6f542395e29cd258917f5948d1067ab18e3cf08ce5ee250e2caa08539f80fd0": ProgramARB,
	"48b381021068a760d53e6366094f51e35084097f272c801ba8b47e7226d68d44": ProgramCalibrate,
}

const (
	programWords = memorySize / 2
	blankWord    = 0x3FFF // an erased instruction
	loadLiteral  = 0x3400 // RETLW: carries one byte of data
	marker       = "HELIOGRAPH"
)

// SyntheticFirmware is a program image of 8192 bytes that this simulator runs
// as the given program and version, and that has correct parity. It contains
// nothing of the vendor's images: real hardware would run into its first
// instruction and stay there.
func SyntheticFirmware(p Program, version byte) []byte {
	words := make([]uint16, programWords)
	for i := range words {
		words[i] = blankWord
	}
	words[0] = 0x2800 // GOTO 0
	at := 1
	for _, b := range append([]byte(marker), byte(p), version) {
		words[at] = loadLiteral | uint16(b)
		at++
	}
	for x := uint32(p)<<8 | uint32(version); at < 1500; at++ { // filler, so that no two images are alike
		x = x*1664525 + 1013904223
		words[at] = uint16(x>>16) & blankWord
	}
	return appendWords(nil, words)
}

// appendWords stores 14-bit instructions little endian with their parity: the
// top two bits are the number of ones modulo 4 (c.4).
func appendWords(b []byte, words []uint16) []byte {
	for _, w := range words {
		w |= uint16(bits.OnesCount16(w&blankWord)) << 14
		b = append(b, byte(w), byte(w>>8))
	}
	return b
}

// parityOK checks every word of an image.
func parityOK(image []byte) bool {
	for i := 0; i+1 < len(image); i += 2 {
		w := uint16(image[i]) | uint16(image[i+1])<<8
		if uint16(bits.OnesCount16(w&blankWord))&3 != w>>14 {
			return false
		}
	}
	return true
}

// identify says which program an image is. An image that is neither the
// vendor's nor synthetic runs, but does nothing that a host could see.
func identify(image []byte) (p Program, version byte, ok bool) {
	sum := sha256.Sum256(image)
	if p, ok := vendorImages[hex.EncodeToString(sum[:])]; ok {
		return p, p.Version(), true
	}
	data := make([]byte, len(marker)+2)
	for i := range data {
		w := uint16(image[2*i+2]) | uint16(image[2*i+3])<<8
		if w&0x3F00 != loadLiteral {
			return 0, 0, false
		}
		data[i] = byte(w)
	}
	if string(data[:len(marker)]) != marker {
		return 0, 0, false
	}
	return Program(data[len(marker)]), data[len(marker)+1], true
}

// image is a microcontroller's program memory.
func (c *Chip) image(base uint16) []byte { return c.reg[base : base+memorySize] }

// controlOf is the control register of the memory that addr lies in.
func controlOf(addr uint16) uint16 {
	if addr < arbMemory {
		return regAGCControl
	}
	return regARBControl
}

// Bits of the microcontrollers' control registers.
const (
	mcuParity   = 1 << 0
	mcuHostProg = 1 << 1
	mcuClear    = 1 << 2
)

// readMemory reads program memory; other pages than 0 are empty.
func (c *Chip) readMemory(addr uint16) byte {
	if c.reg[regPage] != 0 {
		return 0
	}
	v := c.reg[addr]
	if c.faults[ReadBackFlip] && addr&0xFFF == 0x123 {
		v ^= 0x10
	}
	return v
}

// writeMemory writes program memory, which takes nothing while its
// microcontroller runs from it.
func (c *Chip) writeMemory(addr uint16, v byte) {
	if c.reg[regPage] == 0 && c.reg[controlOf(addr)]&(mcuHostProg|mcuClear) != 0 {
		c.reg[addr] = v
	}
}

// readControl is a control register with its parity flag.
func (c *Chip) readControl(addr uint16) byte {
	v, bad := c.reg[addr]&^mcuParity, c.agc.parity
	if addr == regARBControl {
		bad = c.arb.parity
	}
	if bad {
		v |= mcuParity
	}
	return v
}
