package chip

import (
	"context"
	"errors"
	"time"

	"heliograph/hardware/bus"
	"heliograph/radio"
)

// errBus is what BusError makes the host's driver say.
var errBus = errors.New("chip: spi transfer: input/output error")

// Stats counts what went over the wires since the chip was made.
type Stats struct {
	Frames      int64         // SPI frames of the SX1302's chip select, radios included
	Bytes       int64         // bytes of those frames, header and all
	ListenBytes int64         // bytes on the SX1261's chip select
	BusTime     time.Duration // time of all frames at SPIRate, 2 MHz when that is 0
	Commands    int64         // commands to the USB bridge
	USBIn       int64         // bytes from the host to the bridge
	USBOut      int64         // bytes from the bridge to the host
	I2C         int64         // transactions on the I2C bus
	Received    int64         // packets put into the FIFO
	Sent        int64         // packets put on the air
}

// Access is one transaction as the chip saw it. Its fields are those of the
// vendor traces.
type Access struct {
	At   time.Time
	Op   string // "r", "w", "cmd", "cmd1261" or "pin"
	Mux  int    // 0 SX1302, 1 and 2 radios, -1 otherwise
	Addr uint16 // register address, or the command's opcode
	Data []byte // bytes written, or read by "r"
	Resp []byte // answer of a command
}

// Stats is a copy of the counters.
func (c *Chip) Stats() Stats {
	c.lock()
	defer c.unlock()
	return c.stats
}

// Record starts a new transcript, or with false ends it. A transcript grows
// without limit while it is on.
func (c *Chip) Record(on bool) {
	c.lock()
	defer c.unlock()
	c.record = on
	if on {
		c.accesses = nil
	}
}

// Transcript is what was recorded so far.
func (c *Chip) Transcript() []Access {
	c.lock()
	defer c.unlock()
	return append([]Access(nil), c.accesses...)
}

func (c *Chip) note(op string, mux int, addr uint16, data, resp []byte) {
	if c.record {
		a := Access{At: c.now, Op: op, Mux: mux, Addr: addr}
		a.Data, a.Resp = append(a.Data, data...), append(a.Resp, resp...)
		c.accesses = append(c.accesses, a)
	}
}

// Poke writes a byte of the register file past the bus, as damage or a test's
// set-up. It has no side effects.
func (c *Chip) Poke(addr uint16, v byte) {
	c.lock()
	defer c.unlock()
	c.reg[addr%addressSpace] = v
}

// Peek reads a byte of the register file past the bus, without side effects.
func (c *Chip) Peek(addr uint16) byte {
	c.lock()
	defer c.unlock()
	return c.reg[addr%addressSpace]
}

type spiPort struct {
	chip  *Chip
	frame func(w, r []byte)
}

// SPI is the chip select of the SX1302 and, behind its first byte, of the
// radios (a.1).
func (c *Chip) SPI() bus.SPI { return spiPort{c, c.mainFrame} }

// ListenSPI is the chip select of the SX1261.
func (c *Chip) ListenSPI() bus.SPI { return spiPort{c, c.listenFrame} }

// Tx implements [bus.SPI].
func (p spiPort) Tx(ctx context.Context, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r != nil && len(r) != len(w) {
		return errors.New("chip: spi transfer: buffers differ in length")
	}
	err := p.chip.transfer(p.frame, w, r)
	p.chip.pass(len(w))
	return err
}

// transfer runs one frame. The two buffers may be the same slice.
func (c *Chip) transfer(frame func(w, r []byte), w, r []byte) error {
	c.lock()
	defer c.unlock()
	if c.faults[BusError] {
		return errBus
	}
	in := make([]byte, len(w))
	frame(w, in)
	copy(r, in)
	return nil
}

// pass lets the time of a frame pass on a ManualClock.
func (c *Chip) pass(bytes int) {
	clock, manual := c.cfg.Clock.(*ManualClock)
	if manual && c.cfg.SPIRate > 0 {
		clock.Advance(frameTime(bytes, c.cfg.SPIRate))
	}
}

func frameTime(bytes int, rate radio.Hertz) time.Duration {
	return time.Duration(bytes) * 8 * time.Second / time.Duration(rate)
}

// mainFrame answers one frame on the SX1302's chip select; r is zero.
func (c *Chip) mainFrame(w, r []byte) {
	rate := c.cfg.SPIRate
	if rate == 0 {
		rate = 2 * radio.MHz
	}
	c.stats.Frames++
	c.stats.Bytes += int64(len(w))
	c.stats.BusTime += frameTime(len(w), rate)
	if c.garbled(w, r) || len(w) == 0 {
		return
	}
	switch mux := w[0]; {
	case mux == 0 && len(w) >= 3:
		c.registerFrame(w, r)
	case mux == 1, mux == 2:
		c.radioFrame(int(mux)-1, w, r)
		c.noteRadio(int(mux), w, r)
	}
}

// noteRadio puts a frame to a radio in the transcript.
func (c *Chip) noteRadio(mux int, w, r []byte) {
	if !c.record || len(w) < 3 {
		return
	}
	switch {
	case c.fe[mux-1].kind == SX1250:
		c.note("cmd", mux, uint16(w[1]), w[2:], r[2:])
	case w[1]&0x80 != 0:
		c.note("w", mux, uint16(w[1]&0x7F), w[2:], nil)
	default:
		c.note("r", mux, uint16(w[1]), r[2:], nil)
	}
}

// garbled fills r with what a host reads when the chip is not there.
func (c *Chip) garbled(w, r []byte) bool {
	switch {
	case c.faults[AbsentHigh]:
		fill(r, 0xFF)
	case c.faults[WrongBus]:
		for i := range r {
			r[i] = byte(i*37) ^ byte(len(w))
		}
		if len(r) > 4 {
			r[4] = 0x05
		}
	case c.faults[AbsentLow], c.dead():
	default:
		return false
	}
	return true
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// registerFrame is an access to the SX1302 itself. The address increments with
// each byte, except in the FIFO window.
func (c *Chip) registerFrame(w, r []byte) {
	addr := uint16(w[1]&0x7F)<<8 | uint16(w[2])
	if w[1]&0x80 != 0 {
		for i, v := range w[3:] {
			c.write((addr+uint16(i))%addressSpace, v)
		}
		c.note("w", 0, addr, w[3:], nil)
		return
	}
	if len(w) <= 4 {
		return
	}
	out := r[4:]
	for i := range out {
		a := (addr + uint16(i)) % addressSpace
		if addr >= fifoWindow && addr < fifoWindow+fifoSize {
			a = addr
		}
		out[i] = c.read(a)
	}
	if addr <= regBytes && int(addr)+len(out) > regBytes {
		c.tearBytes(out[regBytes-addr:])
	}
	c.note("r", 0, addr, out, nil)
}
