package calc

import (
	"fmt"

	"heliograph/radio"
)

// STTS751Celsius is a board sensor's temperature from its two registers (g), in
// 1/256 degree steps.
func STTS751Celsius(high, low byte) float64 { return float64(int16(uint16(high)<<8|uint16(low))) / 256 }

// BridgeCelsius is the temperature in a USB bridge's status (a.2); ok is false
// when the bridge has no reading (it then says -0.01).
func BridgeCelsius(raw int16) (celsius float64, ok bool) { return float64(raw) / 100, raw != -1 }

// AD5338R is the two data bytes that set the DAC of a full-duplex board (g) to a
// voltage in millivolts, 0..4999, rounded down to a 10-bit code.
func AD5338R(mV int) (high, low byte, err error) {
	if mV < 0 || mV > 4999 {
		return 0, 0, fmt.Errorf("calc: %d mV is outside the DAC's 0..4999", mV)
	}
	code := mV * 1024 / 5000
	return byte(code >> 2), byte(code&3) << 6, nil
}

// ListenThreshold is the SX1261's carrier-sense threshold (g): half dB below 0 dBm.
func ListenThreshold(level radio.CentiDBm) (byte, error) {
	if level > 0 || level < -12750 {
		return 0, fmt.Errorf("calc: carrier-sense threshold %v is outside -127.5..0 dBm", level)
	}
	return byte(-level / 50), nil
}

// ListenScans is the number of RSSI readings for the carrier-sense times that the
// SX1261's program knows (g): 128 µs and 5 ms.
func ListenScans(us radio.Micros) (uint16, error) {
	switch us {
	case 128:
		return 24, nil
	case 5000:
		return 715, nil
	}
	return 0, fmt.Errorf("calc: carrier-sense time %d µs is not one the SX1261 has: use 128 or 5000", us)
}

// SpectralLevel is the level that result i (0..32) of a spectral scan counts (g):
// 4 dB steps down from offset; the last repeats the one before it.
func SpectralLevel(i int, offset radio.CentiDB) radio.CentiDBm {
	return radio.CentiDBm(-400*min(i, 31)) + radio.CentiDBm(offset)
}
