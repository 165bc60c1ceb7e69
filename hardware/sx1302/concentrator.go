package sx1302

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Options are what a concentrator is made of: its wires, its configuration and
// the programs of its microcontrollers. Either SPI or USB must be set.
type Options struct {
	SPI    bus.SPI // the concentrator's chip select
	SX1261 bus.SPI // the SX1261's, with SPI; nil where there is none
	I2C    bus.I2C // for the temperature sensor and DAC of SPI boards; nil where there is none, full duplex needs it
	Pins   Pins    // of SPI boards

	// USB opens a USB board's tty, in raw mode. It is called by every Start, so
	// that a board that was unplugged can come back; the port is closed before.
	USB func(ctx context.Context) (bus.Serial, error)

	Config   Config
	Firmware Firmware

	// Poll is how often Receive looks into the FIFO of 4096 bytes; 0 means 10 ms.
	Poll time.Duration

	// Silence is how long a receiver that has heard packets may hear none before it
	// counts as deaf and needs a restart ([FaultSilent]); 0 means for ever.
	Silence time.Duration

	// Celsius is taken for the temperature of boards without a sensor; 0 means 25.
	Celsius float64

	Clock Clock        // nil: the operating system's
	Log   *slog.Logger // nil: silent
}

// Chip is what a concentrator turned out to be when it was started.
type Chip struct {
	Version byte   // 0x10 SX1302, 0x12 SX1303 boards
	Model   byte   // 0x03 SX1303
	EUI     uint64 // unique identifier from its one-time programmable memory
}

// String names the part.
func (c Chip) String() string {
	if c.Model == modelSX1303 {
		return "SX1303"
	}
	return "SX1302"
}

// The concentrator's life.
const (
	modelSX1303 = 0x03

	pollTime       = 10 * time.Millisecond
	usualCelsius   = 25
	celsiusEvery   = 30 * time.Second
	counterEvery   = time.Second
	fineEvery      = 500 * time.Millisecond // every pulse per second has to be seen
	minimumVersion = 0x10
)

// Concentrator is one SX1302 or SX1303. Its methods are safe for concurrent use:
// they take turns at the bus, and wait for their turn until ctx ends.
type Concentrator struct {
	cfg   Config
	fw    Firmware
	t     transport
	link  *link
	regs  *registers
	clock Clock
	log   *slog.Logger
	poll  time.Duration
	dac   bus.I2C
	lbt   bool // the SX1261 is in use

	turn chan struct{} // holds one token: whose turn it is

	// Below is only touched in turn.
	front    [RFChains]fxShadow
	offsets  [RFChains][]iqOffset
	ifError  [IFChains]radio.Hertz
	started  bool
	chip     Chip
	rx       receiver
	count    calc.Counter
	pps      calc.PPS
	epoch    time.Time // host time 0 of the counter
	due      time.Time // of the next counter reading
	celsius  float64
	heat     time.Time // of the next temperature reading
	usual    float64
	tx       [RFChains]transmission
	watch    watch
	silent   silence
	scanning bool // the SX1261 belongs to Spectrum

	receiving atomic.Int32 // calls of Receive under way
	wanted    atomic.Int32 // packets that wait to be programmed

	mu    sync.Mutex // guards what follows, never across I/O
	now   calc.Cycles
	nowAt time.Time
	nowOK bool
	stats Stats
}

// New makes a concentrator. It touches no wire; [Concentrator.Start] does.
func New(o Options) (*Concentrator, error) {
	if (o.SPI == nil) == (o.USB == nil) {
		return nil, bad("options: exactly one of SPI and USB must be set")
	}
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.USB != nil && o.Config.Radios[o.Config.ClockSource].Kind != calc.SX1250 {
		return nil, bad("SX1255 and SX1257 front ends do not work behind a USB bridge")
	}
	if o.SPI != nil && o.I2C == nil && o.Config.FullDuplex {
		return nil, bad("full duplex needs the board's I2C bus, for the DAC that biases its amplifier: set i2c")
	}
	if o.SPI != nil && o.SX1261 == nil && o.Config.SX1261.Enable {
		return nil, bad("the SX1261 is enabled but has no SPI device")
	}
	c := &Concentrator{
		cfg: o.Config, fw: o.Firmware, clock: o.Clock, log: o.Log, poll: o.Poll, usual: o.Celsius,
		turn: make(chan struct{}, 1), lbt: o.Config.SX1261.Enable, silent: silence{limit: o.Silence},
	}
	if c.clock == nil {
		c.clock = SystemClock{}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.poll <= 0 {
		c.poll = pollTime
	}
	if c.usual == 0 {
		c.usual = usualCelsius
	}
	c.celsius = c.usual
	if o.USB != nil {
		c.t = newBridge(o.USB)
	} else {
		t := &spiTransport{chip: o.SPI, lbt: o.SX1261, pins: o.Pins, clock: c.clock, log: c.log}
		if o.I2C != nil {
			t.sensor = &sensor{bus: o.I2C}
			if c.cfg.FullDuplex {
				c.dac = o.I2C
			}
		}
		c.t = t
	}
	c.link = newLink(c.t)
	c.regs = newRegisters(c.link)
	c.rx.init()
	return c, nil
}

// take waits for the turn at the bus.
func (c *Concentrator) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Concentrator) release() { <-c.turn }

func (c *Concentrator) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return c.clock.Sleep(ctx, d)
}

// Start resets the chip and brings it into reception; it takes about 2.3 s. It may
// be called again at any time to start over. When it fails the chip is left in
// reset, and the error (an [*Error], or ctx's) says why.
func (c *Concentrator) Start(ctx context.Context) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.release()
	c.started = false
	c.forget()
	if err := CheckFirmware(&c.cfg, &c.fw); err != nil {
		return err
	}
	if err := c.bringUp(ctx); err != nil {
		// Whatever state it is in, it must not radiate.
		quiet, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.t.rest(quiet)
		return err
	}
	c.started = true
	c.log.InfoContext(ctx, "concentrator started", "chip", c.chip.String(), "version", c.chip.Version, "eui", fmt.Sprintf("%016x", c.chip.EUI))
	return nil
}

// forget drops what was known about the chip before its reset.
func (c *Concentrator) forget() {
	c.regs.forget()
	for i := range c.front {
		c.front[i].forget()
		c.offsets[i] = nil
		c.tx[i] = transmission{}
	}
	c.rx.reset()
	c.count, c.pps = calc.Counter{}, calc.PPS{}
	c.epoch = c.clock.Now()
	c.due, c.heat = time.Time{}, time.Time{}
	c.watch = watch{lastPPS: c.epoch}
	c.silent.at = c.epoch
	c.celsius, c.scanning = c.usual, false
	c.mu.Lock()
	c.nowOK = false
	c.mu.Unlock()
}

// bringUp is the whole of section c, in the vendor's order.
func (c *Concentrator) bringUp(ctx context.Context) error {
	steps := []func(context.Context) error{
		c.t.open,
		c.identify,
		func(ctx context.Context) error { return c.regs.put(ctx, regGpioGpioOutLOutValue, 0) },
		c.eachRadio(func(ctx context.Context, chain int) error {
			if err := c.resetRadio(ctx, chain); err != nil {
				return err
			}
			return c.setDialect(ctx, chain)
		}),
		c.selectClock,
		c.calibrateRadios,
		c.eachRadio(c.setupRadio),
		c.selectClock,
		func(ctx context.Context) error { return c.regs.put(ctx, regCommonCtrl0HostRadioCtrl, 0) },
		c.checkModel,
		c.configure,
		c.enableModems,
		c.startAGC,
		c.startARB,
		c.configureTx,
		c.startDAC,
		c.startSX1261,
		func(ctx context.Context) error { return c.regs.put(ctx, regGpioGpioOutLOutValue, 1) },
		c.readChip,
		func(ctx context.Context) error { return c.housekeep(ctx, c.clock.Now()) },
	}
	for _, s := range steps {
		if err := s(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Concentrator) eachRadio(do func(context.Context, int) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for chain := range RFChains {
			if !c.cfg.Radios[chain].Enable {
				continue
			}
			if err := do(ctx, chain); err != nil {
				return err
			}
		}
		return nil
	}
}

// identify checks that a concentrator answers (c.1).
func (c *Concentrator) identify(ctx context.Context) error {
	v, err := c.link.readByte(ctx, regCommonVersionVersion.addr())
	if err != nil {
		return err
	}
	c.chip = Chip{Version: v}
	switch {
	case v == 0x00 || v == 0xFF:
		return fault(FaultNoChip, nil, "version register reads %#02x", v)
	case v < minimumVersion || v > 0x1F:
		return fault(FaultBadID, nil, "version register reads %#02x", v)
	}
	return nil
}

// otp reads bytes of the one-time programmable memory, in one go.
func (c *Concentrator) otp(ctx context.Context, addrs ...byte) ([]byte, error) {
	l := c.link
	l.begin()
	for _, a := range addrs {
		l.addWrite(regOtpByteAddrAddr.addr(), []byte{a})
		l.addRead(regOtpRdDataRdData.addr(), 1, false)
	}
	if err := l.send(ctx); err != nil {
		return nil, err
	}
	out := make([]byte, len(addrs))
	for i := range out {
		out[i] = l.frames[2*i+1].r[readStart]
	}
	return out, nil
}

const otpModel = 0xD0

// checkModel makes sure that the chip can stamp finely, if it has to (c.9).
func (c *Concentrator) checkModel(ctx context.Context) error {
	if c.cfg.Fine == FineOff {
		return nil
	}
	m, err := c.otp(ctx, otpModel)
	if err != nil {
		return err
	}
	if c.chip.Model = m[0]; m[0] != modelSX1303 {
		return fault(FaultModel, nil, "model %#02x has no fine timestamps", m[0])
	}
	return nil
}

// readChip completes the chip's description.
func (c *Concentrator) readChip(ctx context.Context) error {
	b, err := c.otp(ctx, 0, 1, 2, 3, 4, 5, 6, 7, otpModel)
	if err != nil {
		return err
	}
	c.chip.EUI, c.chip.Model = binary.BigEndian.Uint64(b), b[8]
	return nil
}

// startDAC initializes the full-duplex board's bias DAC, at 0 V (g).
func (c *Concentrator) startDAC(ctx context.Context) error {
	if c.dac == nil {
		return nil
	}
	for _, w := range [][]byte{{0x69, 0x00}, {0x40, 0x00, 0x00}, {0x70, 0x00, 0x00}} {
		if err := c.dac.Tx(ctx, dacAddr, w, nil); err != nil {
			return fault(FaultBus, err, "AD5338R")
		}
	}
	return c.setDAC(ctx, 0)
}

const (
	dacAddr    = 0x0C
	dacSending = 2510 // mV
)

func (c *Concentrator) setDAC(ctx context.Context, mV int) error {
	if c.dac == nil {
		return nil
	}
	hi, lo, err := calc.AD5338R(mV)
	if err != nil {
		return fault(FaultConfig, err, "AD5338R")
	}
	if err := c.dac.Tx(ctx, dacAddr, []byte{0x39, hi, lo}, nil); err != nil {
		return fault(FaultBus, err, "AD5338R")
	}
	return nil
}

// Chip is what was found at the last start.
func (c *Concentrator) Chip(ctx context.Context) (Chip, error) {
	if err := c.take(ctx); err != nil {
		return Chip{}, err
	}
	defer c.release()
	return c.chip, nil
}

// Close aborts transmissions, puts the chip into reset and lets go of the wire.
// The concentrator cannot be used afterwards.
func (c *Concentrator) Close(ctx context.Context) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.release()
	var errs []error
	if c.started {
		for chain := range RFChains {
			if c.cfg.Radios[chain].TxEnable {
				errs = append(errs, c.abort(ctx, chain))
			}
		}
	}
	c.started = false
	errs = append(errs, c.t.rest(ctx), c.t.close())
	return errors.Join(errs...)
}

// Traffic counts the work on the bus since New.
func (c *Concentrator) Traffic(ctx context.Context) (Traffic, error) {
	if err := c.take(ctx); err != nil {
		return Traffic{}, err
	}
	defer c.release()
	return c.link.count, nil
}

// offsetFor is the I/Q correction for a pair of gains, zero where there is none.
func (c *Concentrator) offsetFor(chain int, g calc.Gain) iqOffset {
	i := slices.IndexFunc(c.offsets[chain], func(o iqOffset) bool { return o.dac == g.DAC && o.mix == g.Mixer })
	if i < 0 {
		return iqOffset{}
	}
	return c.offsets[chain][i]
}
