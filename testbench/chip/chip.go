package chip

import (
	"sync"
	"time"

	"heliograph/radio"
)

// Model is the kind of concentrator chip.
type Model uint8

// The models; the values are those of OTP byte 0xD0 (section c, step 9).
const (
	SX1302 Model = 2
	SX1303 Model = 3
)

// version is what register 0x5606 reads.
func (m Model) version() byte {
	if m == SX1303 {
		return 0x12
	}
	return 0x10
}

// FrontEnd is the kind of radio behind both RF chains.
type FrontEnd string

// The front ends.
const (
	SX1250 FrontEnd = "SX1250"
	SX1255 FrontEnd = "SX1255"
	SX1257 FrontEnd = "SX1257"
)

// Config describes a board. The zero value is an SX1302 with two SX1250 on the
// machine's clock.
type Config struct {
	Model    Model    // 0 = SX1302
	FrontEnd FrontEnd // "" = SX1250
	EUI      uint64   // as the OTP holds it, most significant byte first

	Clock      Clock         // nil = RealClock
	CrystalPPB int64         // parts per billion that the 32 MHz crystal runs fast
	CounterAt  uint32        // the counter's value when the reset line is released
	NoGNSS     bool          // no receiver drives the PPS input
	PPSLate    time.Duration // how long after the UTC second the pulse comes
	SPIRate    radio.Hertz   // what a frame costs on a ManualClock; 0 = nothing

	// CommitLead is how long before its trigger a timed packet is handed to the
	// ether, after which it cannot be called back. 0 means 5 ms on a clock
	// other than ManualClock, which needs none.
	CommitLead time.Duration

	RSSIOffset  float64        // dB that a host adds to raw RSSI; 0 = -215.4 (SX1250), -207 (SX125x)
	TempCoeffs  [5]float64     // a..e of the host's RSSI compensation (d.3)
	Temperature float64        // board temperature in °C; 0 = 25
	TxLevels    []TxLevel      // conducted power of gain settings; nil = the vendor's reference design
	Occupied    ChannelLevel   // what the SX1261 hears; nil = -120 dBm everywhere
	Bridge      string         // version of the USB bridge's firmware; "" = V01.00.00
	BridgeUID   [12]byte       // serial number of the bridge
	Hear        func(Loss)     // told of receptions that the chip could not take; may be nil
	Log         func(s string) // told of what a real chip would do in silence; may be nil
}

// ChannelLevel is the power at a frequency and time, in dBm.
type ChannelLevel func(f radio.Hertz, at time.Time) float64

func (cfg Config) fill() Config {
	if cfg.Model == 0 {
		cfg.Model = SX1302
	}
	if cfg.FrontEnd == "" {
		cfg.FrontEnd = SX1250
	}
	if cfg.Clock == nil {
		cfg.Clock = RealClock{}
	}
	if _, manual := cfg.Clock.(*ManualClock); cfg.CommitLead == 0 && !manual {
		cfg.CommitLead = 5 * time.Millisecond
	}
	if cfg.RSSIOffset == 0 {
		cfg.RSSIOffset = -215.4
		if cfg.FrontEnd != SX1250 {
			cfg.RSSIOffset = -207
		}
	}
	if cfg.Temperature == 0 {
		cfg.Temperature = 25
	}
	if cfg.TxLevels == nil {
		cfg.TxLevels = referenceLevels(cfg.FrontEnd)
	}
	if cfg.Occupied == nil {
		cfg.Occupied = func(radio.Hertz, time.Time) float64 { return -120 }
	}
	if cfg.Bridge == "" {
		cfg.Bridge = "V01.00.00"
	}
	return cfg
}

// Chip is one simulated concentrator. Its methods are safe for concurrent use.
type Chip struct {
	cfg Config

	mu     sync.Mutex
	now    time.Time // of the access in progress
	later  []func()  // calls to make once the lock is free
	faults map[Fault]bool

	powered bool
	inReset bool

	reg      [addressSpace]byte
	agc      agc
	arb      arb
	fe       [2]frontEnd
	lbt      sx1261
	tx       [2]transmitter
	fifo     fifo
	busy     []span     // packets that occupy demodulators
	decoding []decoding // in the order in which they get into the FIFO

	started time.Time // when the counter had the value CounterAt
	freeze  uint32    // its value when it ceased to run forwards
	frozen  time.Time
	torn    bool
	pps     uint32
	ppsFrom time.Time // pulses after this instant are latched

	stats    Stats
	record   bool
	accesses []Access
	output   func(Transmission) (recall func())
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// New makes a board with power on and the reset line released.
func New(cfg Config) *Chip {
	c := &Chip{cfg: cfg.fill(), faults: map[Fault]bool{}, powered: true}
	c.lock()
	defer c.unlock()
	c.fe[0] = newFrontEnd(c.cfg.FrontEnd)
	c.fe[1] = newFrontEnd(c.cfg.FrontEnd)
	c.reset()
	c.lbt.reset()
	return c
}

// Config is the configuration with its defaults filled in.
func (c *Chip) Config() Config { return c.cfg }

func (c *Chip) lock() {
	c.mu.Lock()
	c.now = c.cfg.Clock.Now()
}

// unlock releases the lock and makes the calls that had to wait for it.
func (c *Chip) unlock() {
	calls := c.later
	c.later = nil
	c.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

func (c *Chip) logf(s string) {
	if c.cfg.Log != nil {
		c.later = append(c.later, func() { c.cfg.Log(s) })
	}
}

// reset puts everything on the SX1302's reset line to its initial state. The
// program memories lose their content too, so that nobody relies on it.
func (c *Chip) reset() {
	c.reg = registers().reset
	c.reg[regVersion] = c.cfg.Model.version()
	c.agc, c.arb = agc{}, arb{}
	c.fifo = fifo{}
	c.busy, c.decoding = nil, nil
	for i := range c.tx {
		c.tx[i].abandon()
	}
	for i := range c.fe {
		c.fe[i].reset()
	}
	c.started = c.now
	c.pps, c.ppsFrom = 0, c.now
}

// dead says that nothing on the SX1302's chip select answers.
func (c *Chip) dead() bool { return !c.powered || c.inReset || c.faults[HeldInReset] }

// read is one byte of a host's read access.
func (c *Chip) read(addr uint16) byte {
	switch {
	case addr < fifoWindow:
		return c.readMemory(addr)
	case addr < fifoWindow+fifoSize:
		return c.fifo.pop()
	}
	switch addr {
	case regAGCControl, regARBControl:
		return c.readControl(addr)
	case regAGCStatus:
		return c.agc.status
	case regARBStatus:
		return c.arb.status
	case regTxStatus, regTxStatus + chainStride:
		return c.txStatus(chainOf(addr))
	case regOTPData:
		return c.otp(c.reg[regOTPAddress])
	case regOTPStatus:
		return 1 // idle
	}
	switch {
	case addr >= regMailboxOut && addr < regMailboxOut+4:
		return c.agc.out[addr-regMailboxOut]
	case addr >= regARBReport && addr < regARBReport+16:
		return c.arb.report[addr-regARBReport]
	case addr >= regLastRead && addr < regBytes+2:
		return c.fifo.register(addr)
	case addr >= regPPS && addr < regCounter+4:
		return c.readTime(addr)
	}
	return c.reg[addr]
}

// write is one byte of a host's write access. Bits that the table does not
// know, or knows as read-only, do not change.
func (c *Chip) write(addr uint16, v byte) {
	switch {
	case addr < fifoWindow:
		c.writeMemory(addr, v)
		return
	case addr >= txBuffer && addr < txBuffer+txBufferSize,
		addr >= txBuffer+chainStride && addr < txBuffer+chainStride+txBufferSize:
		if c.reg[regTxControl+uint16(chainOf(addr))*chainStride]&1 != 0 {
			c.reg[addr] = v
		}
		return
	}
	old, mask := c.reg[addr], registers().write[addr]
	c.reg[addr] = old&^mask | v&mask
	c.written(addr, old)
}

// written does what a changed register sets going.
func (c *Chip) written(addr uint16, old byte) {
	v := c.reg[addr]
	switch addr {
	case regTxTrigger, regTxTrigger + chainStride:
		c.trigger(chainOf(addr), old, v)
	case regAGCControl:
		c.controlAGC(old, v)
	case regARBControl:
		c.controlARB(old, v)
	case regMailboxIn:
		c.commandAGC(v)
	case regMailboxIn + 3:
		c.acknowledge(v)
	case regARBConfig + 1:
		c.commandARB(v)
	case regRFEnableA, regRFEnableB:
		c.fe[addr-regRFEnableA].pins(v)
	case regGPS:
		if old&1 != v&1 {
			c.ppsFrom = c.now
		}
	}
}

// chainOf is the RF chain that a TX_TOP address belongs to.
func chainOf(addr uint16) int {
	if addr&chainStride == 0 {
		return 1
	}
	return 0
}

// field reads bits of a register.
func (c *Chip) field(addr uint16, offset, width uint) int {
	return int(c.reg[addr]>>offset) & (1<<width - 1)
}

// word reads registers as an unsigned number, most significant byte first.
func (c *Chip) word(addr uint16, bytes int) uint32 {
	var v uint32
	for i := range uint16(bytes) {
		v = v<<8 | uint32(c.reg[addr+i])
	}
	return v
}

// otp is one byte of the one-time programmable memory.
func (c *Chip) otp(addr byte) byte {
	switch {
	case addr < 8:
		return byte(c.cfg.EUI >> (56 - 8*addr))
	case addr == 0xD0:
		return byte(c.cfg.Model)
	}
	return 0
}
