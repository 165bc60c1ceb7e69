package helium

import (
	"math"

	"heliograph/poc/geo"
	"heliograph/radio"
)

// SpeedOfLight is the figure that the baseline used, in m/s. It is not the exact
// one (299,792,458).
const SpeedOfLight = 2.998e8

// minCellResolution is the resolution at which the minimum distance is counted.
const minCellResolution = 11

// Link is what the RSSI ceiling depends on.
type Link struct {
	TxPowerDBm         int32
	BeaconGainDeciDBi  int32
	WitnessGainDeciDBi int32
	Frequency          radio.Hertz // as the witness reports it
	Metres             int64
	LightMPS           float64 // speed of light in m/s: [SpeedOfLight]
}

// ExpectedRSSI is the highest signal in dBm that free space allows. The gains
// lose their tenths to integer division, as they did in the baseline. Floating
// point: see the package comment.
func ExpectedRSSI(l Link) float64 {
	fspl := 20 * math.Log10(4*math.Pi*float64(l.Metres)*float64(l.Frequency)/l.LightMPS)
	return float64(int64(l.TxPowerDBm)+int64(l.BeaconGainDeciDBi/10)+int64(l.WitnessGainDeciDBi/10)) - fspl
}

// CheckRSSI is the ceiling only: an attenuated signal passes at any distance.
func CheckRSSI(signalDeciDBm int32, l Link) Reason {
	if float64(signalDeciDBm)/10 > ExpectedRSSI(l) {
		return BadRSSI
	}
	return None
}

// DistanceMetres is the great circle between the centres of two cells, rounded
// to metres. Floating point: see the package comment.
func DistanceMetres(a, b geo.Cell) int64 { return int64(math.Round(geo.Haversine(a, b))) }

// CheckMinDistance counts steps between the parents at resolution 11. A pair
// without a grid distance fails, however far apart it is.
func CheckMinDistance(a, b geo.Cell, minCells int64) Reason {
	cells, err := geo.GridDistance(a.Parent(minCellResolution), b.Parent(minCellResolution))
	if err != nil || cells < minCells {
		return BelowMinDistance
	}
	return None
}

// CheckMaxDistance compares whole kilometres, rounded down: with a limit of 100
// everything below 101,000 m passes.
func CheckMaxDistance(metres, maxKM int64) Reason {
	if metres/1000 > maxKM {
		return MaxDistanceExceeded
	}
	return None
}

// CheckFrequency compares the two reported frequencies, limit included.
func CheckFrequency(beacon, witness, limit radio.Hertz) Reason {
	if d := beacon - witness; d > limit || d < -limit {
		return InvalidFrequency
	}
	return None
}
