package helium

import "heliograph/poc/geo"

// densityResolution is the resolution to which asserted cells are counted.
const densityResolution = 11

// HexRule are the parameters of one resolution (HIP-17, HIP-104).
type HexRule struct {
	Neighbours int64 // occupied cells that count as sparse
	Target     int64
	Max        int64
}

// DefaultHexRules are the parameters that ran, by resolution.
func DefaultHexRules() map[int]HexRule {
	return map[int]HexRule{
		4: {2, 500, 1000}, 5: {4, 100, 200}, 6: {4, 25, 50}, 7: {4, 5, 10},
		8: {2, 1, 1}, 9: {2, 1, 1}, 10: {2, 1, 1},
	}
}

// DefaultScale is the scale of a cell that [Density] has not seen.
func DefaultScale() Decimal { return Int(1).Quo(Int(5)) }

type hexCount struct{ clipped, unclipped int64 }

// Density gives the transmit scale of every asserted cell of the population,
// rounded to four places; a cell counts as often as it is listed. Cells that are
// invalid or coarser than resolution 11 are left out. Resolutions without a rule
// do not clip.
func Density(asserted []geo.Cell, rules map[int]HexRule) map[geo.Cell]Decimal {
	counts := map[geo.Cell]hexCount{}
	level := map[geo.Cell]bool{}
	for _, c := range asserted {
		if p := c.Parent(densityResolution); p != 0 {
			n := counts[p]
			counts[p] = hexCount{n.clipped + 1, n.unclipped + 1}
			level[p] = true
		}
	}
	coarsest := densityResolution
	for res := range rules {
		coarsest = max(0, min(coarsest, res))
	}
	for res := densityResolution - 1; res >= coarsest; res-- {
		level = climb(counts, level, res)
		if rule, ok := rules[res]; ok {
			clip(counts, level, rule)
		}
	}
	out := make(map[geo.Cell]Decimal, len(asserted))
	for _, c := range asserted {
		if _, done := out[c]; !done && c.Parent(densityResolution) != 0 {
			out[c] = scaleOf(c, counts, coarsest)
		}
	}
	return out
}

// climb adds the clipped counts of a level to its parents.
func climb(counts map[geo.Cell]hexCount, level map[geo.Cell]bool, res int) map[geo.Cell]bool {
	up := make(map[geo.Cell]bool, len(level))
	for c := range level {
		p := c.Parent(res)
		n := counts[p]
		counts[p] = hexCount{n.clipped + counts[c].clipped, n.unclipped + counts[c].clipped}
		up[p] = true
	}
	return up
}

// clip limits the counts of one level. Whether a cell counts as occupied is
// judged by its unclipped count, so the order does not matter.
func clip(counts map[geo.Cell]hexCount, level map[geo.Cell]bool, rule HexRule) {
	for c := range level {
		disk, err := geo.Disk(c, 1)
		if err != nil {
			continue // cannot be: parents of valid cells are valid
		}
		var occupied int64
		for _, d := range disk {
			if n, ok := counts[d]; ok && n.unclipped >= rule.Target {
				occupied++
			}
		}
		limit := min(rule.Max, rule.Target*(max(occupied-rule.Neighbours, 0)+1))
		n := counts[c]
		counts[c] = hexCount{min(limit, n.unclipped), n.unclipped}
	}
}

func scaleOf(c geo.Cell, counts map[geo.Cell]hexCount, coarsest int) Decimal {
	scale := Int(1)
	for res := coarsest; res <= densityResolution; res++ {
		n := counts[c.Parent(res)]
		scale = scale.Mul(Int(n.clipped).Quo(Int(n.unclipped)))
	}
	return scale.Round(unitPlaces)
}
