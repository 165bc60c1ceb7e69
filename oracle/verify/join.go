package verify

import (
	"bytes"
	"cmp"
	"slices"

	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// join decides what needs more than one shard and adds up.
func (j *judge) join(shards []*shardResult) Outcome {
	j.dropRepeated(shards)
	j.dropLinks(shards)
	out := Outcome{Epoch: j.in.Epoch, Counts: make(map[poc.Reason]uint64)}
	sums := make([]native.Units, j.in.Registry.Len())
	n := 0
	for _, s := range shards {
		n += len(s.verdicts)
		out.Ignored += s.ignored
		for i := range s.beacons {
			j.reward(s, &s.beacons[i], sums)
		}
		for _, c := range s.credits {
			sums[c.hotspot].Credits += uint64(c.credits)
		}
	}
	out.Verdicts = make([]Verdict, 0, n)
	for _, s := range shards {
		out.Verdicts = append(out.Verdicts, s.verdicts...)
		s.verdicts = nil
	}
	for i := range out.Verdicts {
		out.Counts[out.Verdicts[i].Reason]++
	}
	for i, u := range sums {
		if u != (native.Units{}) {
			u.Hotspot = j.in.Registry.At(i).ID
			out.Units = append(out.Units, u)
		}
	}
	out.Digest = digest(j.in.Epoch, j.in.Params.Hash(), out.Verdicts)
	return out
}

// dropRepeated finds beacons that answer one challenge with different proofs, and
// so lie in different shards. The first one received counts, even if it was
// refused for something else: a second try would be a choice.
func (j *judge) dropRepeated(shards []*shardResult) {
	type place struct {
		shard *shardResult
		b     *beacon
	}
	first := make(map[poc.ID]place)
	for _, s := range shards {
		for i := range s.beacons {
			late := place{s, &s.beacons[i]}
			early, taken := first[late.b.challenge]
			if !taken {
				first[late.b.challenge] = late
				continue
			}
			if late.b.received < early.b.received { // equal: the lower shard and offset
				first[late.b.challenge] = late
				late = early
			}
			late.shard.refuse(late.b)
		}
	}
}

// refuse makes a beacon a duplicate, and its witnesses those of a refused one.
func (s *shardResult) refuse(b *beacon) {
	s.verdicts[b.verdict].Reason = poc.Duplicate
	s.verdicts[b.verdict].Got, s.verdicts[b.verdict].Limit = 0, 0
	for _, h := range b.heard {
		if h.gated {
			v := &s.verdicts[h.verdict]
			v.Reason, v.Got, v.Limit = poc.BeaconRejected, 0, 0
		}
	}
	b.heard = nil
}

// dropLinks applies the rule for all receptions of one witness from one beaconer.
func (j *judge) dropLinks(shards []*shardResult) {
	type reception struct {
		beaconer, witness int32
		v                 *Verdict
		obs               native.Observation
	}
	var all []reception
	for _, s := range shards {
		for i := range s.beacons {
			b := &s.beacons[i]
			if s.verdicts[b.verdict].Reason != poc.OK {
				continue
			}
			for _, h := range b.heard {
				if v := &s.verdicts[h.verdict]; v.Reason == poc.OK {
					all = append(all, reception{b.hotspot, h.hotspot, v, native.Observation{EIRP: b.eirp, RSSI: radio.CentiDBm(h.rssi), SNR: radio.CentiDB(h.snr)}})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b reception) int {
		return cmp.Or(cmp.Compare(a.beaconer, b.beaconer), cmp.Compare(a.witness, b.witness))
	})
	var obs []native.Observation
	for i, k := 0, 0; i < len(all); i = k {
		obs = obs[:0]
		for k = i; k < len(all) && all[k].beaconer == all[i].beaconer && all[k].witness == all[i].witness; k++ {
			obs = append(obs, all[k].obs)
		}
		f := native.CheckLink(&j.in.Params, obs)
		if f.Accepted() {
			continue
		}
		for _, r := range all[i:k] {
			r.v.Reason, r.v.Got, r.v.Limit = f.Reason, f.Got, f.Limit
		}
	}
}

// reward draws the witnesses that share a beacon's reward and credits all of them.
func (j *judge) reward(s *shardResult, b *beacon, sums []native.Units) {
	sent := &s.verdicts[b.verdict]
	if sent.Reason != poc.OK {
		return
	}
	var candidates []native.Candidate
	var from []heard
	for _, h := range b.heard {
		if s.verdicts[h.verdict].Reason == poc.OK {
			hs := j.in.Registry.At(int(h.hotspot))
			candidates = append(candidates, native.Candidate{Witness: hs.ID, Area: hs.Area})
			from = append(from, h)
		}
	}
	if len(from) == 0 {
		sent.Reason = poc.Unwitnessed
		return
	}
	drawn := native.Select(j.in.Seed, b.payload, candidates, j.in.Params.MaxWitnesses)
	for i, h := range from {
		v := &s.verdicts[h.verdict]
		if _, ok := slices.BinarySearch(drawn, i); !ok {
			v.Reason = poc.NotSelected
			continue
		}
		v.Weight = uint32(h.weight)
		sums[h.hotspot].Witness += native.Weighted(native.WitnessUnits(len(drawn)), v.Weight)
	}
	sent.Weight = b.weight
	sums[b.hotspot].Beacon += native.Weighted(native.BeaconUnits(len(drawn)), b.weight)
}

// UnitsOf finds what a hotspot earned; the zero value for one that did not.
func (o Outcome) UnitsOf(id identity.HotspotID) native.Units {
	i, ok := slices.BinarySearchFunc(o.Units, id, func(u native.Units, id identity.HotspotID) int { return bytes.Compare(u.Hotspot[:], id[:]) })
	if !ok {
		return native.Units{}
	}
	return o.Units[i]
}
