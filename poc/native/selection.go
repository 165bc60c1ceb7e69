package native

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// Candidate is a witness whose report was accepted.
type Candidate struct {
	Witness identity.HotspotID
	Area    Area
}

// Select draws the witnesses that share a beacon's reward, at most limit of them,
// and returns their indices in ascending order. The draw is fair: candidates are
// shuffled by a hash with the epoch's seed, which nobody knew when the reports
// were made. It is spread out: areas take turns, in the order of their first
// candidate, so that ten hotspots in one house get one turn a round together.
// Arrival order has no influence.
func Select(seed poc.Seed, beacon poc.Payload, all []Candidate, limit uint32) []int {
	if len(all) <= int(limit) {
		out := make([]int, len(all))
		for i := range out {
			out[i] = i
		}
		return out
	}
	type ticket struct {
		sum   [sha256.Size]byte
		index int
		round int
	}
	tickets := make([]ticket, len(all))
	var msg []byte
	for i, c := range all {
		msg = append(append(append(msg[:0], seed[:]...), beacon[:]...), c.Witness[:]...)
		tickets[i] = ticket{sum: sha256.Sum256(msg), index: i}
	}
	slices.SortFunc(tickets, func(a, b ticket) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	taken := make(map[Area]int)
	for i := range tickets {
		area := all[tickets[i].index].Area
		tickets[i].round = taken[area]
		taken[area]++
	}
	slices.SortStableFunc(tickets, func(a, b ticket) int { return a.round - b.round })
	out := make([]int, limit)
	for i := range out {
		out[i] = tickets[i].index
	}
	slices.Sort(out)
	return out
}
