package calc

import (
	"fmt"

	"heliograph/radio"
)

// IF is an intermediate frequency as the channelizer takes it (c.12): 13 bits,
// two's complement, 488.28125 Hz a step.
type IF int16

// IFRegister is the register for a channel's distance from its radio's centre,
// rounded toward zero. It fails beyond ±2 MHz, which 13 bits cannot hold (the
// usable limit, |f| + bandwidth/2 <= 800 kHz, is [CheckIF]).
func IFRegister(f radio.Hertz) (IF, error) {
	if f < -1_999_999 || f > 1_999_999 {
		return 0, fmt.Errorf("calc: intermediate frequency %d Hz does not fit the register: keep it within ±2 MHz of the radio's centre", f)
	}
	return IF(int64(f) * 32 / 15625), nil
}

// CheckIF says whether a channel of the given bandwidth lies within what the
// radio's filters pass: |f| + bw/2 <= 800 kHz (c.12).
func CheckIF(f, bw radio.Hertz) error {
	if max(f, -f)+bw/2 > 800*radio.KHz {
		return fmt.Errorf("calc: channel of %v at %v from the radio's centre reaches beyond 800 kHz: move the radio or the channel", bw, f)
	}
	return nil
}

// Bytes are the register's two parts: the upper five bits and the lower eight.
func (r IF) Bytes() (msb5, lsb8 byte) { return byte(r>>8) & 0x1F, byte(r) }

// Error is what rounding cost: the wanted frequency less the one that the
// register stands for, to the hertz as the vendor rounds it. Receivers add it to
// the frequency offset that they report (d.3).
func (r IF) Error(wanted radio.Hertz) radio.Hertz {
	return wanted - radio.Hertz(int64(r)*15625/32)
}

// FrequencyOffset is the vendor's "foff" of a packet, in hertz, from the 20-bit
// error in its metadata (already sign-extended) and the rounding error of the
// channel's [IF] (d.3). bw is the bandwidth of the packet; the result is 0 for a
// bandwidth that LoRa modems lack.
//
// It is channel less carrier: positive for a transmitter that is too low. The
// modem is centred on radio + register, so for a transmitter exactly on radio + IF
// it measures the rounding error, and what the vendor adds cancels that only if
// the modem counts its own centre less the carrier, as the LoRa modem of the
// SX1276 does too. The vendor's fine timestamp agrees: there a positive offset
// means longer symbols, a slow transmitter (d.6).
func FrequencyOffset(reg int32, bw, ifError radio.Hertz) radio.Hertz {
	if bandwidthFactor(bw) == 0 {
		return 0
	}
	return radio.Hertz(int64(reg)*int64(bw)/(1<<20)) + ifError
}

// OffsetStep is the resolution of [FrequencyOffset]'s register in microhertz:
// bw / 2^20, that is 0.119, 0.238 or 0.477 Hz.
func OffsetStep(bw radio.Hertz) int64 { return int64(bw) * 1_000_000 >> 20 }

// SignExtend20 widens the three bytes of a packet's frequency error (d.2,
// offsets 6, 7 and 8), of which only the low 20 bits count.
func SignExtend20(b0, b1, b2 byte) int32 {
	v := uint32(b0) | uint32(b1)<<8 | uint32(b2&0x0F)<<16
	return int32(v<<12) >> 12
}

// Drift is the multi-SF modems' ratio of frequency error to time error (c.14):
// a 12-bit mantissa and a count of the shifts that normalized it.
type Drift struct {
	Mantissa uint16 // 2048..4095
	Exponent uint8
}

// FrequencyToTimeDrift is the ratio for a channel bandwidth and the centre of
// radio 0 (the vendor uses radio 0's also for the channels of radio 1). It fails
// where the mantissa would not fit: frequencies outside 130..2600 MHz.
func FrequencyToTimeDrift(center, bw radio.Hertz) (Drift, error) {
	if bandwidthFactor(bw) == 0 || center < 130*radio.MHz || center > 2600*radio.MHz {
		return Drift{}, fmt.Errorf("calc: no frequency-to-time drift for %v at %v: need 125, 250 or 500 kHz within 130..2600 MHz", bw, center)
	}
	m, e := int64(bw)<<20/int64(center), uint8(0)
	for m < 2048 {
		m <<= 1
		e++
	}
	return Drift{Mantissa: uint16(m), Exponent: e}, nil
}

// SX1250Frequency is the argument of SET_RF_FREQUENCY (c.1): f * 2^25 / 32 MHz,
// rounded down.
func SX1250Frequency(f radio.Hertz) (uint32, error) {
	return synthesizer(f, 25, 1<<32)
}

// SX125xFrequency is the value of FRF_RX and FRF_TX, 24 bits most significant
// byte first (c.2): f * 2^19 / 32 MHz on an SX1257, f * 2^20 / 32 MHz on an
// SX1255, rounded down.
func SX125xFrequency(kind FrontEnd, f radio.Hertz) (uint32, error) {
	switch kind {
	case SX1255:
		return synthesizer(f, 20, 1<<24)
	case SX1257:
		return synthesizer(f, 19, 1<<24)
	}
	return 0, fmt.Errorf("calc: %v has no FRF register", kind)
}

// TxFrequency is the concentrator's FREQ_RF, 24 bits (e.1): f * 2^18 / 32 MHz,
// rounded down; twice that with an SX1255.
func TxFrequency(kind FrontEnd, f radio.Hertz) (uint32, error) {
	if kind == SX1255 {
		return synthesizer(f, 19, 1<<24)
	}
	return synthesizer(f, 18, 1<<24)
}

func synthesizer(f radio.Hertz, shift uint, limit int64) (uint32, error) {
	if f <= 0 || f > 4*1000*radio.MHz {
		return 0, fmt.Errorf("calc: frequency %v is outside 0..4 GHz", f)
	}
	v := int64(f) << shift / xtalHz
	if v >= limit {
		return 0, fmt.Errorf("calc: frequency %v does not fit the synthesizer's register", f)
	}
	return uint32(v), nil
}

// TxDeviation is the 12-bit FREQ_DEV (e.1): d * 2^18 / 32 MHz, rounded down. For
// LoRa d is half the bandwidth, for FSK the frequency deviation.
func TxDeviation(d radio.Hertz) (uint16, error) {
	v := int64(d) << 18 / xtalHz
	if d < 0 || v > 0xFFF {
		return 0, fmt.Errorf("calc: frequency deviation %d Hz is outside 0..499877", d)
	}
	return uint16(v), nil
}

// SX1250Deviation is the FSK deviation as the AGC microcontroller passes it to an
// SX1250 (e.1), 24 bits in mailbox bytes 2, 1, 0: d * 2^25 / 32 MHz.
func SX1250Deviation(d radio.Hertz) (uint32, error) {
	if d < 0 || d > 500*radio.KHz {
		return 0, fmt.Errorf("calc: frequency deviation %d Hz is outside 0..500000", d)
	}
	return uint32(int64(d) << 25 / xtalHz), nil
}

// BitRate is the FSK modems' clock divider: 32 MHz / bits a second, 16 bits (c.16).
func BitRate(bitsPerSecond uint32) (uint16, error) {
	if bitsPerSecond == 0 || xtalHz/bitsPerSecond > 0xFFFF || xtalHz/bitsPerSecond == 0 {
		return 0, fmt.Errorf("calc: FSK bit rate %d is outside 489..32000000", bitsPerSecond)
	}
	return uint16(xtalHz / bitsPerSecond), nil
}

// CalibrationBand is the pair of frequency codes that CALIBRATE_IMAGE takes for
// the band of a frequency (c.5, SX1250 and SX1261). The limits themselves are
// excluded, as in the vendor's library; any other frequency is an error.
func CalibrationBand(f radio.Hertz) (first, last byte, err error) {
	for _, b := range calibrationBands {
		if f > b.low && f < b.high {
			return b.first, b.last, nil
		}
	}
	return 0, 0, fmt.Errorf("calc: no image calibration for %v: need 430-440, 470-510, 779-787, 863-870 or 902-928 MHz", f)
}

var calibrationBands = [...]struct {
	low, high   radio.Hertz
	first, last byte
}{
	{430 * radio.MHz, 440 * radio.MHz, 0x6B, 0x6F},
	{470 * radio.MHz, 510 * radio.MHz, 0x75, 0x81},
	{779 * radio.MHz, 787 * radio.MHz, 0xC1, 0xC5},
	{863 * radio.MHz, 870 * radio.MHz, 0xD7, 0xDB},
	{902 * radio.MHz, 928 * radio.MHz, 0xE1, 0xE9},
}
