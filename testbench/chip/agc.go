package chip

// agc is the microcontroller that owns the radios: it runs the calibration
// program or the gain control.
type agc struct {
	running bool
	parity  bool
	stalled bool // hangs until it is cleared
	used    bool // reached its main loop since the last hardware reset
	program Program
	status  byte
	out     [4]byte // mailbox bytes 3..0 to the host, in the order of their addresses
	ready   bool    // main loop: set up and serving the radios
	listen  bool    // listen before talk
	cal     calibration
}

// agcStep is one exchange of the set-up dialogue (c.5).
type agcStep struct {
	status  byte // in which the step may be taken
	command byte // written to mailbox byte 3
	next    byte // status afterwards
	echo    int  // number of mailbox bytes 0.. that come back
}

var agcSteps = map[Program][]agcStep{
	ProgramAGC1250: {
		{0x01, 0x80, 0x02, 2}, {0x02, 0x20, 0x03, 2}, {0x03, 0x03, 0x04, 2}, {0x04, 0x04, 0x05, 2},
		{0x05, 0x05, 0x06, 2}, {0x06, 0x06, 0x07, 3}, {0x07, 0x07, 0x08, 2}, {0x08, 0x08, 0x09, 2},
		{0x09, 0x09, 0x0A, 3}, {0x0A, 0x0A, 0x0B, 1}, {0x0B, 0x0B, 0x0F, 1}, {0x0F, 0x0F, 0x00, 0},
	},
	ProgramAGC125x: {
		{0x01, 0x80, 0x02, 3}, {0x02, 0x20, 0x03, 3}, {0x03, 0x03, 0x04, 2}, {0x04, 0x04, 0x05, 2},
		{0x05, 0x05, 0x06, 2}, {0x06, 0x06, 0x07, 3}, {0x07, 0x07, 0x08, 2}, {0x08, 0x08, 0x09, 2},
		{0x09, 0x0A, 0x0B, 1}, {0x0B, 0x0B, 0x0F, 1}, {0x0F, 0x0F, 0x00, 0},
	},
}

// controlAGC follows MCU_CLEAR: the program starts when it falls.
func (c *Chip) controlAGC(old, v byte) {
	if old&^v&mcuClear != 0 {
		c.startAGC()
	}
	if v&^old&mcuClear != 0 {
		c.agc = agc{used: c.agc.used}
	}
}

// startAGC runs whatever is in the program memory.
func (c *Chip) startAGC() {
	a := &c.agc
	*a = agc{used: a.used}
	image := c.image(agcMemory)
	if c.faults[LoadParity] || !parityOK(image) {
		a.parity = true
		return
	}
	p, version, ok := identify(image)
	if !ok || p == ProgramARB || c.faults[AGCDead] || c.faults[NeedsReset] && a.used {
		return
	}
	if c.faults[WrongAGC] {
		version++
	}
	a.running, a.program, a.status = true, p, 0x01
	a.setMailbox(0, version)
}

// setMailbox sets byte n (0..3) of the mailbox to the host.
func (a *agc) setMailbox(n int, v byte) { a.out[3-n] = v }

// mailbox is byte n (0..3) of the mailbox from the host.
func (c *Chip) mailbox(n uint16) byte { return c.reg[regMailboxIn+3-n] }

// commandAGC handles a write to mailbox byte 3.
func (c *Chip) commandAGC(command byte) {
	a := &c.agc
	switch {
	case !a.running || a.stalled:
	case a.program == ProgramCalibrate:
		c.calibrate(command)
	case a.ready:
		// The main loop watches byte 0 (see acknowledge), not commands.
	default:
		c.setUpAGC(command)
	}
}

func (c *Chip) setUpAGC(command byte) {
	a := &c.agc
	if c.faults[AGCStops] && a.status >= 0x05 {
		return
	}
	for _, s := range agcSteps[a.program] {
		if s.status != a.status || s.command != command {
			continue
		}
		for n := range 3 {
			a.setMailbox(n, 0)
			if n < s.echo {
				a.setMailbox(n, c.mailbox(uint16(n)))
			}
		}
		if c.faults[AGCWrongEcho] {
			a.setMailbox(0, ^c.mailbox(0))
		}
		if command == 0x0B {
			a.listen = c.mailbox(0)&1 != 0
		}
		a.status = s.next
		if s.next == 0 {
			a.ready, a.used = true, true
		}
		return
	}
}

// acknowledge ends the report of a listen-before-talk result: the host has
// written 0xFF to mailbox byte 0.
func (c *Chip) acknowledge(v byte) {
	if a := &c.agc; a.running && a.ready && !a.stalled && v == 0xFF {
		a.status = 0
	}
}

// arb is the microcontroller that assigns demodulators to packets.
type arb struct {
	running bool
	parity  bool
	ready   bool
	status  byte
	report  [16]byte
}

// controlARB follows MCU_CLEAR.
func (c *Chip) controlARB(old, v byte) {
	if v&^old&mcuClear != 0 {
		c.arb = arb{}
	}
	if old&^v&mcuClear == 0 {
		return
	}
	c.arb = arb{}
	image := c.image(arbMemory)
	if c.faults[LoadParity] || !parityOK(image) {
		c.arb.parity = true
		return
	}
	p, version, ok := identify(image)
	if !ok || p != ProgramARB || c.faults[ARBDead] {
		return
	}
	if c.faults[WrongARB] {
		version++
	}
	c.arb.running, c.arb.status = true, 0x01
	c.arb.report[0] = version
}

// commandARB handles a write to debug configuration 1: 1 starts the main loop
// (c.6).
func (c *Chip) commandARB(v byte) {
	a := &c.arb
	if v == 1 && a.running && a.status == 0x01 && !c.faults[ARBStops] {
		a.ready, a.status = true, 0
		a.report[0] = 0
	}
}

// fineMask is the set of spreading factors, bit 0 for SF5, that are received
// with a second demodulator for fine timestamps.
func (c *Chip) fineMask() byte { return c.reg[regARBConfig+3] }
