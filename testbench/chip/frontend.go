package chip

import (
	"math"

	"heliograph/radio"
)

// Bits of RF_EN_A and RF_EN_B.
const (
	radioReset  = 1 << 3
	radioEnable = 1 << 2
)

// Bits of the common control register (section b).
const (
	ctrlClock   = 1 << 4 // CLK32_RIF_CTRL
	ctrlHost    = 1 << 3 // the host, not the AGC, owns the radios' SPI
	ctrlDialect = 1 << 0 // SX1250 commands on chain A; one bit up for B
)

// frontEnd is one radio: an SX1250, which takes commands, or an SX1255/SX1257,
// which has registers.
type frontEnd struct {
	kind FrontEnd
	rf   byte // RF_EN register

	mode   byte // SX1250 chip mode
	errors uint16
	freq   uint32 // SX1250 frequency word
	extra  map[uint16]byte

	reg [128]byte // SX125x
}

// Chip modes of the SX1250 family.
const (
	modeStandbyRC   = 2
	modeStandbyXOSC = 3
	modeSynth       = 4
	modeReceive     = 5
)

func newFrontEnd(kind FrontEnd) frontEnd { return frontEnd{kind: kind} }

// reset puts the radio back to what it is after power on.
func (f *frontEnd) reset() {
	*f = frontEnd{kind: f.kind, rf: f.rf, mode: modeStandbyRC, extra: map[uint16]byte{}}
	f.reg[sx125xVersion] = 0x21
	if f.kind == SX1255 {
		f.reg[sx125xVersion] = 0x11
	}
}

// pins follows RADIO_RST and RADIO_EN. The SX1250's reset is active low, the
// SX125x's active high.
func (f *frontEnd) pins(v byte) {
	f.rf = v
	if f.inReset() {
		f.reset()
	}
}

func (f *frontEnd) inReset() bool {
	if f.rf&radioEnable == 0 {
		return true
	}
	return (f.rf&radioReset != 0) == (f.kind != SX1250)
}

// receiving says whether the radio delivers samples.
func (f *frontEnd) receiving() bool {
	if f.inReset() {
		return false
	}
	if f.kind == SX1250 {
		return f.mode == modeReceive
	}
	return f.reg[sx125xMode]&3 == 3 && f.reg[sx125xStatus]&2 != 0
}

// centre is the frequency that the radio's receiver is tuned to.
func (f *frontEnd) centre() float64 {
	switch f.kind {
	case SX1255:
		return float64(f.word(sx125xFreqRX)) * 32e6 / (1 << 20)
	case SX1257:
		return float64(f.word(sx125xFreqRX)) * 32e6 / (1 << 19)
	}
	return float64(f.freq) * 32e6 / (1 << 25)
}

// radioFrame answers a frame to radio A or B. The dialect bit must match the
// radio that is there, and the host must own the bus: otherwise nothing
// answers.
func (c *Chip) radioFrame(chain int, w, r []byte) {
	f := &c.fe[chain]
	commands := c.reg[regControl]&(ctrlDialect<<chain) != 0
	if c.reg[regControl]&ctrlHost == 0 || f.inReset() || commands != (f.kind == SX1250) || len(w) < 2 {
		return
	}
	if commands {
		c.sx1250Command(f, w[1], w[2:], tail(r, 2))
		return
	}
	c.sx125xAccess(f, w[1:], tail(r, 1))
}

// tail is r from n on, or nothing.
func tail(r []byte, n int) []byte {
	if len(r) < n {
		return nil
	}
	return r[n:]
}

// sx1250Command is one command. The first byte of the answer is the status as
// it was before the command.
func (c *Chip) sx1250Command(f *frontEnd, opcode byte, p, r []byte) {
	if len(r) > 0 {
		r[0] = f.mode<<4 | 2
	}
	switch opcode {
	case 0x80: // SetStandby
		c.sx1250Standby(f, p)
	case 0x82: // SetRx
		f.mode = modeReceive
	case 0xC1: // SetFs
		f.mode = modeSynth
	case 0x86: // SetRfFrequency
		if len(p) >= 4 {
			f.freq = uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
		}
	case 0x89: // Calibrate
		f.mode = modeStandbyRC
	case 0x98: // CalibrateImage
		if f.errors &^= imageCalError; c.faults[ImageError] || !imageBand(p) {
			f.errors |= imageCalError
		}
	case 0x17: // GetDeviceErrors
		copy(tail(r, 1), []byte{byte(f.errors >> 8), byte(f.errors)})
	case 0x07: // ClearDeviceErrors
		f.errors = 0
	case 0x0D: // WriteRegister
		if len(p) >= 2 {
			f.store(uint16(p[0])<<8|uint16(p[1]), p[2:])
		}
	case 0x1D: // ReadRegister: address, a dummy, then data
		if len(p) >= 2 {
			f.load(uint16(p[0])<<8|uint16(p[1]), tail(r, 3))
		}
	}
}

const imageCalError = 1 << 4

// imageBand says whether a pair of image calibration frequencies is one of the
// bands of section c, step 5.
func imageBand(p []byte) bool {
	if len(p) < 2 {
		return false
	}
	switch [2]byte{p[0], p[1]} {
	case [2]byte{0x6B, 0x6F}, [2]byte{0x75, 0x81}, [2]byte{0xC1, 0xC5}, [2]byte{0xD7, 0xDB}, [2]byte{0xE1, 0xE9}:
		return true
	}
	return false
}

func (c *Chip) sx1250Standby(f *frontEnd, p []byte) {
	switch {
	case len(p) == 0 || c.faults[NoStandby]:
		f.mode = modeSynth
	case p[0] == 0 || c.faults[NoCrystal]:
		f.mode = modeStandbyRC
	default:
		f.mode = modeStandbyXOSC
	}
}

// freqRegister is where the SX1250 keeps its frequency word.
const freqRegister = 0x088B

func (f *frontEnd) store(addr uint16, data []byte) {
	for i, v := range data {
		a := addr + uint16(i)
		if n := a - freqRegister; n < 4 {
			shift := 24 - 8*n
			f.freq = f.freq&^(0xFF<<shift) | uint32(v)<<shift
			continue
		}
		f.extra[a] = v
	}
}

func (f *frontEnd) load(addr uint16, r []byte) {
	for i := range r {
		a := addr + uint16(i)
		if n := a - freqRegister; n < 4 {
			r[i] = byte(f.freq >> (24 - 8*n))
			continue
		}
		r[i] = f.extra[a]
	}
}

// Registers of the SX1255 and SX1257 (c.2).
const (
	sx125xMode    = 0
	sx125xFreqRX  = 1
	sx125xVersion = 7
	sx125xStatus  = 17
)

// sx125xAccess is one register access: address and data.
func (c *Chip) sx125xAccess(f *frontEnd, w, r []byte) {
	addr := w[0] & 0x7F
	if w[0]&0x80 == 0 {
		for i := 1; i < len(r); i++ {
			r[i] = f.reg[(int(addr)+i-1)&0x7F]
		}
		return
	}
	for i, v := range w[1:] {
		a := (int(addr) + i) & 0x7F
		if a == sx125xVersion || a == sx125xStatus {
			continue // read-only
		}
		f.reg[a] = v
	}
	f.lock125x(c.faults[NoLock])
}

// lock125x sets the lock bits: a PLL locks at once when its half of the radio is
// on (mode bits: 0 standby, 1 receiver, 2 transmitter) and tuned to something.
func (f *frontEnd) lock125x(never bool) {
	f.reg[sx125xStatus] &^= 3
	mode := f.reg[sx125xMode]
	if never || mode&1 == 0 {
		return
	}
	if mode&2 != 0 && f.word(sx125xFreqRX) != 0 {
		f.reg[sx125xStatus] |= 2
	}
	if mode&4 != 0 && f.word(sx125xFreqRX+3) != 0 {
		f.reg[sx125xStatus] |= 1
	}
}

func (f *frontEnd) word(addr int) uint32 {
	return uint32(f.reg[addr])<<16 | uint32(f.reg[addr+1])<<8 | uint32(f.reg[addr+2])
}

// listensTo is the centre of an IF of the chain, given its two registers.
func (c *Chip) listensTo(chain int, ifReg uint16) radio.Hertz {
	return radio.Hertz(math.Round(c.fe[chain].centre() + c.intermediate(ifReg)))
}
