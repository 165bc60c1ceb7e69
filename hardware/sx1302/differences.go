package sx1302

// Difference is something that this driver does otherwise than Semtech's library
// when it starts a chip or transmits, on purpose.
type Difference struct {
	Name   string
	Reason string
}

// Names of the differences, for the tests that apply them.
const (
	diffShadow = "no repeated writes"
	diffBurst  = "bursts"
	diffFill   = "filled gaps"
	diffRadio  = "radio register bursts"
	diffTimer  = "start time before payload"
	diffOTP    = "reading the OTP"
	diffPower  = "power below the table"
	diffListen = "offset of the listening radio"
)

// Differences lists every deliberate difference between the driver and the vendor's
// library, as far as the chip can see them. The tests that compare the two with a
// chip's start and with a packet allow these and nothing else.
func Differences() []Difference {
	return []Difference{
		{diffShadow, "A byte that several fields share is written once, with all of them, instead of once for each field: " +
			"the intermediate values never mattered, because nothing runs before COMMON_GEN. Where they do (clocks, resets, " +
			"microcontroller control, mailbox byte 3, triggers) every step is written."},
		{diffBurst, "Configuration registers go out in rising order of address, many in one frame, instead of in the order of the " +
			"vendor's source. At each write that has an effect of its own the whole chip holds the vendor's values."},
		{diffFill, "Up to three configuration bytes between two others are written again, with the value just read from the chip, " +
			"so that one frame does instead of two."},
		{diffRadio, "Neighbouring registers of an SX1250 are written with one WRITE_REGISTER instead of one each, and fields of one " +
			"SX1255 or SX1257 register with one write: the chips take both, and each SX1250 command costs a millisecond."},
		{diffTimer, "A packet's start time is written with its other settings, before its payload: neither means anything " +
			"before the trigger bit, which comes last."},
		{diffOTP, "The OTP address register is also written to read the chip's model and unique identifier at the end of the " +
			"start, which the vendor's library leaves to another program."},
		{diffPower, "A packet whose power is below the first entry of tx_gain_lut is refused with radio.TxBadPower. The vendor's " +
			"library sends it with that entry, stronger than asked; what was asked is what the region's limit leaves after " +
			"the antenna's gain, so that would break the law."},
		{diffListen, "The SX1261's rssi_offset is taken off the threshold that it compares raw readings with, since a level is a " +
			"reading plus the offset, as in a spectral scan. The vendor's library adds it, and with an offset of 10 dB is 20 dB off."},
	}
}
