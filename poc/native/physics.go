package native

import (
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/radio"
	"heliograph/radio/airtime"
)

// OnAir is how long a beacon lasts: explicit header, payload checksum, coding
// rate 4/5 and eight preamble symbols. It is 0 for a rate that is not LoRa.
func OnAir(d radio.DataRate) radio.Micros {
	us, err := airtime.OnAir(airtime.Params{DataRate: d, Coding: beaconCoding, PayloadBytes: poc.FrameSize})
	if err != nil {
		return 0
	}
	return us
}

// ThermalNoise is the power of a resistor at 290 K in a bandwidth: -174 dBm and
// 10 dB for each tenfold of hertz. Only LoRa's three bandwidths occur.
func ThermalNoise(bandwidth radio.Hertz) radio.CentiDBm {
	switch bandwidth {
	case 125 * radio.KHz:
		return -12_301 // -173.975 + 50.969
	case 250 * radio.KHz:
		return -12_000
	}
	return -11_699
}

// MinSNR is the lowest SNR at which a spreading factor can be demodulated
// (SX1276 data sheet, table 13, and SX1261/2 data sheet, table 6-1, for SF5).
func MinSNR(sf radio.SpreadingFactor) radio.CentiDB {
	return 1000 - 250*radio.CentiDB(sf)
}

// Sensitivity is the weakest signal that a receiver of the noise figure hears.
func Sensitivity(d radio.DataRate, noiseFigure radio.CentiDB) radio.CentiDBm {
	return ThermalNoise(d.Bandwidth).Add(noiseFigure).Add(MinSNR(d.SF))
}

// Ceiling is the strongest level that free space allows at the far end: conducted
// power plus both antenna gains less the loss of the distance.
func Ceiling(from, to Site, conducted radio.CentiDBm, f radio.Hertz) radio.CentiDBm {
	d := geo.Distance(from.Place, to.Place)
	return conducted.Add(from.Gain).Add(to.Gain).Add(-geo.FreeSpaceLoss(d, f))
}
