package radio

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Hertz is a frequency, or a difference of two frequencies, in whole hertz.
type Hertz int64

// Common multiples of [Hertz].
const (
	KHz Hertz = 1_000
	MHz Hertz = 1_000_000
)

// String prints the frequency in MHz, with the digits that it has.
func (f Hertz) String() string {
	return strconv.FormatFloat(float64(f)/1e6, 'f', -1, 64) + " MHz"
}

// HertzFromMHz converts a decimal MHz figure, as Semtech UDP carries it, to the
// nearest whole hertz. It refuses NaN, infinities and figures outside 0..10 GHz.
func HertzFromMHz(mhz float64) (Hertz, error) {
	if math.IsNaN(mhz) || mhz < 0 || mhz > 10_000 {
		return 0, fmt.Errorf("radio: frequency %v MHz is outside 0..10000", mhz)
	}
	return Hertz(math.Round(mhz * 1e6)), nil
}

// MHzFloat is the frequency in MHz, for wire formats that carry decimal MHz.
func (f Hertz) MHzFloat() float64 { return float64(f) / 1e6 }

// CentiDB is a ratio of powers (a gain, a loss, an SNR) in hundredths of a decibel.
type CentiDB int32

// DB makes a CentiDB out of whole decibels.
func DB(whole int) CentiDB { return CentiDB(whole * 100) }

// CentiDBFrom rounds a decimal figure in dB to the nearest hundredth. It refuses
// NaN, infinities and figures beyond ±1000 dB.
func CentiDBFrom(db float64) (CentiDB, error) {
	if math.IsNaN(db) || db < -1000 || db > 1000 {
		return 0, fmt.Errorf("radio: %v dB is outside -1000..1000", db)
	}
	return CentiDB(math.Round(db * 100)), nil
}

// Float is the ratio in dB, for wire formats and physics models.
func (d CentiDB) Float() float64 { return float64(d) / 100 }

func (d CentiDB) String() string { return centi(int64(d)) + " dB" }

// CentiDBm is an absolute power level in hundredths of dBm.
type CentiDBm int32

// DBm makes a CentiDBm out of whole dBm.
func DBm(whole int) CentiDBm { return CentiDBm(whole * 100) }

// CentiDBmFrom rounds a decimal figure in dBm to the nearest hundredth. It
// refuses NaN, infinities and figures beyond ±1000 dBm.
func CentiDBmFrom(dbm float64) (CentiDBm, error) {
	d, err := CentiDBFrom(dbm)
	return CentiDBm(d), err
}

// Add applies a gain (or, negative, a loss) to a level.
func (p CentiDBm) Add(g CentiDB) CentiDBm { return p + CentiDBm(g) }

// Sub is the ratio between two levels.
func (p CentiDBm) Sub(q CentiDBm) CentiDB { return CentiDB(p - q) }

// Float is the level in dBm, for wire formats and physics models.
func (p CentiDBm) Float() float64 { return float64(p) / 100 }

func (p CentiDBm) String() string { return centi(int64(p)) + " dBm" }

// EIRP is power radiated relative to an isotropic antenna.
type EIRP CentiDBm

// ERP is power radiated relative to a half-wave dipole.
type ERP CentiDBm

// dipoleGain is the gain of a half-wave dipole over an isotropic antenna,
// 2.15 dB (ITU-R V.573).
const dipoleGain = 215

// EIRP converts: EIRP = ERP + 2.15 dB.
func (p ERP) EIRP() EIRP { return EIRP(p + dipoleGain) }

// ERP converts: ERP = EIRP - 2.15 dB.
func (p EIRP) ERP() ERP { return ERP(p - dipoleGain) }

// Conducted is the power at the antenna connector that radiates p through an
// antenna of the given gain (dBi, cable loss already taken off).
func (p EIRP) Conducted(gain CentiDB) CentiDBm { return CentiDBm(p) - CentiDBm(gain) }

func (p EIRP) String() string { return centi(int64(p)) + " dBm EIRP" }
func (p ERP) String() string  { return centi(int64(p)) + " dBm ERP" }

func centi(v int64) string {
	s := strconv.FormatFloat(float64(v)/100, 'f', 2, 64)
	s = strings.TrimRight(s, "0")
	return strings.TrimRight(s, ".")
}

var errDataRate = errors.New("radio: bad data rate")
