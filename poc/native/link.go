package native

import (
	"math/bits"

	"heliograph/poc"
	"heliograph/radio"
)

// Observation is one accepted reception of a link, which is one beaconer and one
// witness.
type Observation struct {
	EIRP radio.EIRP // as the beaconer reports it
	RSSI radio.CentiDBm
	SNR  radio.CentiDB
}

// CheckLink asks whether the levels at which a witness heard a beaconer follow
// the powers that were secret while the reports were made. Between antennas that
// stand still the loss is nearly constant, so the regression of level on power
// has slope one; whoever invents levels, or attenuates a neighbour's signal to a
// level of his choice without knowing the power, has slope zero.
//
// The link is refused when the slope is below one half and lies more than
// LinkSigmas standard errors below one, given the fading that LinkFading allows.
// The error shrinks with the number of receptions and the spread of the powers,
// so the rule keeps silent until it can tell: with the default parameters, steps
// drawn evenly and a level that stays the same, after 6 receptions in US915
// (21..30 dBm) and 12 in EU868 (10..16 dBm). An honest link whose fading has the
// assumed deviation is refused once in 740 times at most; one with a mean SNR
// under LinkMinSNR is not judged, because there noise adds to the level and weak
// packets are lost, which flattens an honest slope.
//
// Got and Limit are the difference in level between the lowest and the highest
// power as the slope gives it, and half of the difference in power.
func CheckLink(p *Params, obs []Observation) Finding {
	obs = obs[:min(len(obs), maxObservations)]
	if len(obs) < int(p.LinkObservations) {
		return Finding{}
	}
	lo, hi := obs[0].EIRP, obs[0].EIRP
	var snr, sx, sy int64
	for _, o := range obs {
		lo, hi = min(lo, o.EIRP), max(hi, o.EIRP)
		snr += int64(o.SNR)
		sx += int64(o.EIRP)
		sy += int64(o.RSSI)
	}
	n := int64(len(obs))
	if int64(hi-lo) < int64(p.LinkSpread) || snr < n*int64(p.LinkMinSNR) {
		return Finding{}
	}
	var sxx, sxy int64 // n² times variance and covariance
	for _, o := range obs {
		dx := n*int64(o.EIRP) - sx
		sxx += dx * dx / n
		sxy += dx * (n*int64(o.RSSI) - sy) / n
	}
	spread := int64(hi - lo)
	if 2*sxy >= sxx || !significant(sxx-sxy, sxx, n, int64(p.LinkFading)*int64(p.LinkSigmas)/100) {
		return Finding{}
	}
	return Finding{Reason: poc.PowerNotFollowed, Got: sxy / max(sxx/spread, 1), Limit: spread / 2}
}

// maxObservations keeps the sums within 63 bits; an epoch has far fewer.
const maxObservations = 4096

// significant says whether 1-slope = missing/sxx exceeds k standard errors, where
// the standard error is sigma*sqrt(n/sxx) and k*sigma is given:
// missing² > (k*sigma)² * n * sxx.
func significant(missing, sxx, n, kSigma int64) bool {
	gotHi, gotLo := bits.Mul64(uint64(missing), uint64(missing))
	limHi, limLo := bits.Mul64(uint64(kSigma*kSigma*n), uint64(sxx))
	return gotHi > limHi || gotHi == limHi && gotLo > limLo
}
