package chip

// What the calibration program finds. The values are those of a good radio:
// image rejection 20 log10(0x6000/8) = 69 dB, SNR 20 log10(0x6000/4) = 75 dB.
const (
	calGain       = 0x09
	calSignal     = 0x6000
	calImageFirst = 0x0100
	calImage      = 0x0008
	calPoorImage  = 0x2000 // rejection of 9 dB
	calNoise      = 0x0004
	calOffset     = 0x0010
	calAmp        = 0x02
	calPhi        = 0xFD // -3
	calOffsetI    = 0x03
	calOffsetQ    = 0xFE // -2
)

// calibration is the state of the SX125x calibration program (c.3).
type calibration struct {
	open bool // the greeting 0xFF was received
	job  byte // 0, 1: receive image of chain A, B; 2, 3: transmit offset
}

// calibrate handles one command of the dialogue. The host writes a command to
// mailbox byte 3 and waits for a status; results are in the other mailbox.
func (c *Chip) calibrate(command byte) {
	a := &c.agc
	if c.faults[DeadCalibrator] && command >= 4 && command != 0xFF {
		return
	}
	switch {
	case command == 0xFF && a.status == 0x01:
		a.cal.open, a.status = true, 0
	case !a.cal.open || command == 0:
	case command == 1:
		a.cal.job, a.status = c.mailbox(2)&3, 1
	case command == 2 && a.status == 1, command == 3 && a.status == 2:
		a.status = command
	case command == 4 && a.status == 3:
		c.measured(c.mailbox(1), calGain, c.calSignal())
		a.status = 6
	case command == 6 && a.status == 6:
		c.solved()
		a.status = 7
	case command == 7 && a.status == 7:
		c.judged()
		a.status = 8
	default:
		a.finish(command)
	}
}

// finish handles the commands after the measurement, each of which names the
// status it answers.
func (a *agc) finish(command byte) {
	if command != a.status {
		return
	}
	image := a.cal.job < 2
	if command >= 9 {
		a.out = [4]byte{}
	}
	switch {
	case image && command == 8:
		a.status = 0x11 * (a.cal.job + 1)
	case image:
	case command == 0x0A:
		a.status = 0x0C
	case command >= 8 && command < 0x20:
		a.out = [4]byte{}
		a.status++
	case command == 0x20:
		a.status = 0x11 * (a.cal.job + 1)
	}
}

// calSignal is the level of the test tone: there is none when the receiver that
// is measured is off.
func (c *Chip) calSignal() uint16 {
	if !c.fe[c.agc.cal.job&1].receiving() {
		return calNoise
	}
	return calSignal
}

func (c *Chip) measured(byte3, byte2 byte, word uint16) {
	c.agc.out = [4]byte{byte3, byte2, byte(word >> 8), byte(word)}
}

// solved reports what the search started from and the correction it found.
func (c *Chip) solved() {
	if c.agc.cal.job < 2 {
		c.agc.out = [4]byte{calImageFirst >> 8, calImageFirst & 0xFF, calAmp, calPhi}
		return
	}
	c.agc.out = [4]byte{calOffset >> 8, calOffset & 0xFF, calOffsetI, calOffsetQ}
}

// judged reports what is left after the correction.
func (c *Chip) judged() {
	left := uint16(calImage)
	if c.faults[BadCalibration] {
		left = calPoorImage
	}
	c.measured(byte(left>>8), byte(left), calNoise)
}
