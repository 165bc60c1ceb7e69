package calc

import (
	"math"

	"heliograph/radio"
)

// TempComp are the coefficients of an RF chain's RSSI over temperature (d.3), as
// "rssi_tcomp" in a packet forwarder's configuration. The zero value compensates
// nothing.
type TempComp struct{ A, B, C, D, E float64 }

// CoreCell is the compensation that Semtech measured for its reference board
// with SX1250 radios, which most boards copy.
func CoreCell() TempComp { return TempComp{C: 20.41, D: 2162.56} }

// DB is the compensation at a temperature in degrees Celsius:
// (a T^4 + b T^3 + c T^2 + d T + e) / 2^16 dB.
func (c TempComp) DB(celsius float64) float64 {
	return ((((c.A*celsius+c.B)*celsius+c.C)*celsius+c.D)*celsius + c.E) / 65536
}

// At is [TempComp.DB] rounded to hundredths; 0 where the curve leaves ±100 dB or
// the temperature is not a number.
func (c TempComp) At(celsius float64) radio.CentiDB {
	db := c.DB(celsius)
	if math.IsNaN(db) || db < -100 || db > 100 {
		return 0
	}
	return radio.CentiDB(math.Round(db * 100))
}

// RSSI is a LoRa packet's level at the antenna (d.3): the raw byte is whole dB;
// offset is the RF chain's (about -215.4 dB on boards with SX1250, -207 dB on
// older ones), comp the result of [TempComp.At].
func RSSI(raw byte, offset, comp radio.CentiDB) radio.CentiDBm {
	return radio.CentiDBm(raw)*100 + radio.CentiDBm(offset) + radio.CentiDBm(comp)
}

// FSKRSSI is an FSK packet's level (d.3): the FSK modem's scale is a cubic.
func FSKRSSI(raw byte, offset, comp radio.CentiDB) radio.CentiDBm {
	r := float64(raw)
	db := 90.636423 + 0.420835*r + 0.007129*r*r - 0.000026*r*r*r
	return radio.CentiDBm(math.Round(db*100)) + radio.CentiDBm(offset) + radio.CentiDBm(comp)
}

// SNR is a LoRa packet's average signal-to-noise ratio: a quarter dB a step (d.2).
func SNR(raw int8) radio.CentiDB { return radio.CentiDB(raw) * 25 }

// DCNotchDelay is what the notch filter at the radio's centre adds to a packet's
// arrival, in cycles of 32 MHz (d.6), for a channel at that distance from the
// centre; 0 beyond 75 kHz.
func DCNotchDelay(f radio.Hertz) float64 {
	k := float64(f) / 1000
	if k < -75 || k > 75 {
		return 0
	}
	return 1.7e-6*k*k*k*k + 2.4e-6*k*k*k - 0.0101*k*k - 0.01275*k + 10.2922
}
