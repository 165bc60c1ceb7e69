package native

import (
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Units are what a hotspot earned in an epoch. Beacon and Witness are millionths
// of a reward unit.
type Units struct {
	Hotspot identity.HotspotID
	Beacon  uint64
	Witness uint64
	Credits uint64 // data credits burned for packets that it carried
}

// Unit is one reward unit in millionths.
const Unit = 1_000_000

const (
	fullUnits = 4  // witnesses that make a beacon whole
	maxTable  = 22 // 5^18 leaves room for the products below in 64 bits
)

// BeaconUnits is what a beacon with w selected witnesses is worth: a quarter of a
// unit each up to four, then 2 - 0.8^(w-4), so that more witnesses always add a
// little and never reach two units. Rounded down to a millionth.
func BeaconUnits(w int) uint64 {
	switch {
	case w <= 0:
		return 0
	case w <= fullUnits:
		return uint64(w) * Unit / fullUnits
	}
	num, den := decay(w)
	return (2*den - num) * Unit / den
}

// WitnessUnits is what each of w selected witnesses of a beacon gets: a unit up to
// four, then the beacon's worth spread thinner, (3 + 0.8^(w-4)) / w. Rounded
// down to a millionth. Both tables are those of the baseline rule set, and both
// take more than 22 witnesses as 22 in the power.
func WitnessUnits(w int) uint64 {
	switch {
	case w <= 0:
		return 0
	case w <= fullUnits:
		return Unit
	}
	num, den := decay(w)
	return (3*den + num) * Unit / (den * uint64(w))
}

// decay is 0.8^(w-4) as a fraction; w counts as at most maxTable.
func decay(w int) (num, den uint64) {
	num, den = 1, 1
	for range min(w, maxTable) - fullUnits {
		num, den = num*4, den*5
	}
	return num, den
}

// Weight is the weight of an accepted report in thousandths: the class of its
// clock times the class of its key.
func Weight(p *Params, h identity.HotspotID, t radio.WallTime) uint32 {
	w := uint32(poc.FullWeight)
	switch {
	case t.Bound > p.LooseBound:
		w = p.CoarseWeight
	case t.Bound > p.TightBound:
		w = p.LooseWeight
	}
	if h.Type() == identity.Ed25519 {
		w = w * p.FileWeight / poc.FullWeight
	}
	return w
}

// Weighted is units at a weight, rounded down.
func Weighted(units uint64, weight uint32) uint64 { return units * uint64(weight) / poc.FullWeight }
