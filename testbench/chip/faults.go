package chip

// Fault is something that can be wrong with a concentrator, its wires or its
// surroundings.
type Fault string

// Faults of the board and its wires.
const (
	AbsentLow    Fault = "absent_low"    // no chip: MISO reads 0x00
	AbsentHigh   Fault = "absent_high"   // no chip: MISO reads 0xFF
	HeldInReset  Fault = "held_in_reset" // the reset line is stuck at its active level
	WrongBus     Fault = "wrong_bus"     // another device answers with garbage; VERSION reads 0x05
	BusError     Fault = "bus_error"     // the host's SPI driver fails
	USBSilent    Fault = "usb_silent"    // the bridge takes commands and never answers
	USBUnplugged Fault = "usb_unplugged" // the next answer breaks off half way and the stream ends
	USBShort     Fault = "usb_short"     // answers arrive a byte or two at a time
	USBWrongID   Fault = "usb_wrong_id"  // answers carry another request's id
	NoSensor     Fault = "no_sensor"     // no temperature sensor
)

// Faults of the microcontrollers.
const (
	ReadBackFlip   Fault = "read_back_flip"   // program memory reads back with one bit wrong
	LoadParity     Fault = "load_parity"      // parity error as soon as a program starts
	RunParity      Fault = "run_parity"       // parity errors of both microcontrollers, now
	WrongAGC       Fault = "wrong_agc"        // the AGC program reports another version
	WrongARB       Fault = "wrong_arb"        // the ARB program reports another version
	AGCDead        Fault = "agc_dead"         // the AGC never says that it is ready
	ARBDead        Fault = "arb_dead"         // the ARB never says that it is ready
	AGCStops       Fault = "agc_stops"        // the AGC stops answering in the middle of its set-up
	AGCWrongEcho   Fault = "agc_wrong_echo"   // the AGC echoes a set-up value wrongly
	ARBStops       Fault = "arb_stops"        // the ARB never enters its main loop
	ReceiveStall   Fault = "receive_stall"    // AGC status sticks at 0x14, parity bits set, nothing received
	StatusStall    Fault = "status_stall"     // the same without the parity bits
	NeedsReset     Fault = "needs_reset"      // microcontrollers start once for each hardware reset
	BadCalibration Fault = "bad_calibration"  // SX125x image rejection is never good enough
	DeadCalibrator Fault = "dead_calibration" // the SX125x calibration program stops answering
)

// Faults of the radios.
const (
	NoStandby  Fault = "no_standby"  // SX1250 does not reach standby RC
	NoCrystal  Fault = "no_crystal"  // SX1250 does not reach standby XOSC
	ImageError Fault = "image_error" // SX1250 image calibration fails
	NoLock     Fault = "no_lock"     // SX125x PLLs never lock
	ListenBusy Fault = "listen_busy" // SX1261 hears every channel occupied
	ListenDead Fault = "listen_dead" // SX1261 does not answer
	ScanStuck  Fault = "scan_stuck"  // spectral scan never completes
	OldPatch   Fault = "old_patch"   // SX1261 reports its ROM version after the patch
)

// Faults of reception and time.
const (
	FIFOOverflow      Fault = "fifo_overflow"      // the FIFO overwrites its oldest bytes and stays full
	FIFOGarbage       Fault = "fifo_garbage"       // bytes without meaning lead the next packet
	FIFOCorrupt       Fault = "fifo_corrupt"       // one byte of the next packet is wrong
	FIFOTorn          Fault = "fifo_torn"          // every other read of the byte count is torn
	FIFOAbsurd        Fault = "fifo_absurd"        // the byte count reads above 4096
	CounterBackwards  Fault = "counter_backwards"  // the counter runs backwards
	CounterStopped    Fault = "counter_stopped"    // the counter stands still
	CounterTorn       Fault = "counter_torn"       // every other read of the counter is torn
	NoPPS             Fault = "no_pps"             // pulses cease
	TransmitScheduled Fault = "transmit_scheduled" // a transmission stays scheduled for ever
	TransmitEmitting  Fault = "transmit_emitting"  // a transmission stays in the air for ever
	TransmitZero      Fault = "transmit_zero"      // the transmit status reads 0
)

// Faults lists every fault, in the order of their declaration.
func Faults() []Fault {
	return []Fault{
		AbsentLow, AbsentHigh, HeldInReset, WrongBus, BusError, USBSilent, USBUnplugged, USBShort, USBWrongID, NoSensor,
		ReadBackFlip, LoadParity, RunParity, WrongAGC, WrongARB, AGCDead, ARBDead, AGCStops, AGCWrongEcho, ARBStops,
		ReceiveStall, StatusStall, NeedsReset, BadCalibration, DeadCalibrator,
		NoStandby, NoCrystal, ImageError, NoLock, ListenBusy, ListenDead, ScanStuck, OldPatch,
		FIFOOverflow, FIFOGarbage, FIFOCorrupt, FIFOTorn, FIFOAbsurd, CounterBackwards, CounterStopped, CounterTorn,
		NoPPS, TransmitScheduled, TransmitEmitting, TransmitZero,
	}
}

// Break switches faults on. FIFOGarbage, FIFOCorrupt and USBUnplugged strike
// once and mend themselves; the others last until [Chip.Mend]. RunParity and
// the stalls strike at once; they are cured only by restarting the
// microcontrollers, mended or not, as on real hardware.
func (c *Chip) Break(faults ...Fault) {
	c.lock()
	defer c.unlock()
	for _, f := range faults {
		if !c.faults[f] {
			c.struck(f)
			c.faults[f] = true
		}
	}
}

// Mend switches faults off.
func (c *Chip) Mend(faults ...Fault) {
	c.lock()
	defer c.unlock()
	for _, f := range faults {
		if c.faults[f] {
			delete(c.faults, f)
			c.mended(f)
		}
	}
}

// struck does what a fault does at the moment before it is on.
func (c *Chip) struck(f Fault) {
	switch f {
	case RunParity:
		c.agc.parity, c.arb.parity = true, true
	case ReceiveStall, StatusStall:
		c.agc.stalled, c.agc.status = true, 0x14
		if f == ReceiveStall {
			c.agc.parity, c.arb.parity = true, true
		}
	case HeldInReset:
		c.reset()
	case CounterBackwards, CounterStopped:
		c.freeze = c.count(c.now)
		c.frozen = c.now
	case NoPPS:
		c.latchPPS()
	}
}

// mended does what a fault does when it has gone away.
func (c *Chip) mended(f Fault) {
	switch f {
	case HeldInReset:
		c.reset()
	case NoPPS:
		c.ppsFrom = c.now
	}
}

// once says whether a one-shot fault is on, and switches it off.
func (c *Chip) once(f Fault) bool {
	on := c.faults[f]
	delete(c.faults, f)
	return on
}
