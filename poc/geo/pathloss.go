package geo

import (
	"math/bits"

	"heliograph/radio"
)

// FreeSpaceLoss is the loss between isotropic antennas in free space (ITU-R
// P.525): 20 log10(4 pi d f / c). It uses integers only; the error is below
// 0.01 dB. A distance below 1 m or a frequency below 1 Hz counts as 1.
func FreeSpaceLoss(d Metres, f radio.Hertz) radio.CentiDB {
	const (
		logBits   = 24
		scaleBits = 20
		// An octave of distance is 20 log10(2) dB = 602.05999 hundredths.
		octave = 631305673 // round(602.0599913279624 * 2^20)
		// 20 log10(4 pi / 299792458) = -147.55222 dB.
		offset = -14755_22 // in 1/10,000 dB
	)
	octaves := log2(uint64(max(d, 1)), logBits) + log2(uint64(max(f, 1)), logBits)
	// Rounded once, at the end, in units of 1/10,000 dB.
	hi, lo := bits.Mul64(octaves*100, octave)
	tenThousandths := int64(hi<<(64-logBits-scaleBits)|lo>>(logBits+scaleBits)) + offset
	return radio.CentiDB(divRound(tenThousandths, 100))
}

func divRound(v, by int64) int64 {
	if v < 0 {
		return -((-v + by/2) / by)
	}
	return (v + by/2) / by
}

// log2 is the binary logarithm of v >= 1 with the given number of fractional
// bits, truncated: each squaring of the mantissa tells one more bit.
func log2(v uint64, fraction int) uint64 {
	whole := bits.Len64(v) - 1
	m := v << (63 - whole) // mantissa in 1..2, 63 fractional bits
	out := uint64(whole)
	for range fraction {
		hi, _ := bits.Mul64(m, m) // 62 fractional bits
		out <<= 1
		if hi>>63 != 0 {
			out |= 1
			m = hi
		} else {
			m = hi << 1
		}
	}
	return out
}
