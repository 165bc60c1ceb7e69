package verify

import (
	"cmp"
	"slices"

	"heliograph/oracle/challenge"
	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/poc"
	"heliograph/poc/native"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// judge is what all shards share; it is read-only but for the scheduler, which
// locks itself.
type judge struct {
	in       Input
	sched    *challenge.Scheduler
	inPlay   int64 // challenges due before do not count
	sessions map[poc.SessionKey][]*poc.SessionCert
	parser   poc.Parser
}

func newJudge(in Input, sched *challenge.Scheduler) *judge {
	if in.Registry == nil {
		in.Registry = &registry.Snapshot{}
	}
	j := &judge{in: in, sched: sched, inPlay: in.Open.Received + int64(in.ChallengeConfig.MinLead)}
	j.sessions = make(map[poc.SessionKey][]*poc.SessionCert, len(in.Sessions))
	for i := range in.Sessions {
		c := &in.Sessions[i]
		j.sessions[c.Key] = append(j.sessions[c.Key], c)
	}
	j.parser.Known = func(id identity.HotspotID) bool { _, ok := in.Registry.Index(id); return ok }
	return j
}

// shardResult is what remains of a shard for the join.
type shardResult struct {
	verdicts []Verdict
	beacons  []beacon
	credits  []credit
	ignored  uint64
}

// beacon is a beacon report that has answered its challenge with a good proof.
type beacon struct {
	verdict   int32 // index in shardResult.verdicts
	hotspot   int32 // index in the registry
	weight    uint32
	received  int64
	challenge poc.ID
	payload   poc.Payload
	eirp      radio.EIRP
	heard     []heard
}

// heard is a witness report about a beacon.
type heard struct {
	verdict int32
	hotspot int32
	weight  uint16
	rssi    int16
	snr     int16
	gated   bool // the checks before the beacon's own standing have passed
}

type credit struct {
	hotspot int32
	credits uint32
}

// report is a parsed report of the shard with the evidence that all kinds share.
type report struct {
	poc.Report
	received int64
	hotspot  registry.Hotspot
	index    int32
	origin   native.Origin
	verdict  int32
}

// judgeShard judges what can be judged within a shard.
func (j *judge) judgeShard(b *batch) *shardResult {
	res := &shardResult{}
	var beacons, witnesses, rest []*report
	var sales []journal.Carried
	start := 0
	for _, e := range b.entries {
		data := b.data[start:e.end]
		start = e.end
		if e.kind == journal.TypeCarried {
			if c, err := journal.ParseCarried(data); err == nil {
				sales = append(sales, c)
			} else {
				res.ignored++
			}
			continue
		}
		r := j.open(res, journal.Position{Shard: b.shard, Offset: e.at}, e.received, data)
		switch {
		case r == nil:
		case r.Kind == poc.KindBeacon:
			beacons = append(beacons, r)
		case r.Kind == poc.KindWitness:
			witnesses = append(witnesses, r)
		default:
			rest = append(rest, r)
		}
	}
	senders := j.beacons(res, beacons)
	j.witnesses(res, senders, witnesses)
	j.rest(res, rest, sales)
	return res
}

// open parses a report, traces it to its hotspot and reserves its verdict.
func (j *judge) open(res *shardResult, at journal.Position, received int64, data []byte) *report {
	parsed, err := j.parser.Report(data)
	if err == nil && journal.ShardKey(parsed) != at.Shard {
		err = poc.ErrMalformed // in a shard where nothing can meet it
	}
	if err != nil {
		res.verdicts = append(res.verdicts, Verdict{At: at, Verdict: poc.Verdict{Report: poc.IDOf(data), Reason: poc.Malformed}})
		return nil
	}
	r := &report{Report: parsed, received: received, verdict: int32(len(res.verdicts))}
	res.verdicts = append(res.verdicts, Verdict{At: at, Verdict: poc.Verdict{Report: r.ID, Kind: r.Kind, Hotspot: r.Hotspot}})
	var i int
	i, r.origin.Registered = j.in.Registry.Index(r.Hotspot)
	switch {
	case r.origin.Registered:
		r.hotspot, r.index = j.in.Registry.At(i), int32(i)
	case r.Kind == poc.KindAssertion:
		r.origin.Registered = true // it is how a hotspot gets registered
	default:
		return r
	}
	if r.origin.Session = j.authorised(r); r.origin.Session {
		r.origin.Signature = r.Verify() == nil
	}
	return r
}

// authorised says whether the signing key spoke for the hotspot.
func (j *judge) authorised(r *report) bool {
	if !r.Signature.BySession {
		return true
	}
	for _, c := range j.sessions[r.Signature.Session] {
		if c.Hotspot == r.Hotspot && c.Covers(r.received) {
			return true
		}
	}
	return false
}

func (res *shardResult) settle(r *report, f native.Finding) {
	v := &res.verdicts[r.verdict]
	v.Reason, v.Got, v.Limit = f.Reason, f.Got, f.Limit
}

// issued finds the challenge that the oracle issued to the hotspot.
func (j *judge) issued(r *report, id poc.ID) (poc.Challenge, bool) {
	if !r.origin.Signature {
		return poc.Challenge{}, false
	}
	c, ok := j.sched.Find(r.hotspot, id, r.Time().UnixNano)
	return c, ok && c.UnixNano >= j.inPlay
}

// sender is what the shard's witnesses need to know of a payload.
type sender struct {
	state  native.BeaconState
	beacon native.Transmission
	entry  int // index in shardResult.beacons; -1 when the proof was not good
}

// beacons judges the beacon reports. Of those that answer one challenge the one
// that was received first counts; here that is decided among those with the same
// proof, the rest is left to the join.
func (j *judge) beacons(res *shardResult, all []*report) map[poc.Payload]sender {
	slices.SortStableFunc(all, func(a, b *report) int { return cmp.Compare(a.received, b.received) })
	out := make(map[poc.Payload]sender, len(all))
	for _, r := range all {
		ev := native.Beacon{Origin: r.origin, Report: *r.Beacon, Received: r.received, Site: r.hotspot.Site()}
		ev.Challenge, ev.Issued = j.issued(r, r.Beacon.Challenge)
		ev.Proof = ev.Issued && ev.Challenge.VerifyProof(r.Beacon.Proof) == nil
		payload := r.Beacon.Payload()
		old, taken := out[payload]
		ev.Repeated = taken && old.entry >= 0 && ev.Proof
		f := native.CheckBeacon(&j.in.Params, &ev)
		res.settle(r, f)
		if ev.Repeated || taken && !ev.Proof {
			continue
		}
		s := sender{state: native.BeaconRefused, beacon: native.TransmissionOf(*r.Beacon, ev.Site), entry: -1}
		if f.Accepted() {
			s.state = native.BeaconCounts
		}
		if ev.Proof {
			s.entry = len(res.beacons)
			res.beacons = append(res.beacons, beacon{
				verdict: r.verdict, hotspot: r.index, weight: native.Weight(&j.in.Params, r.Hotspot, r.Beacon.Time),
				received: r.received, challenge: r.Beacon.Challenge, payload: payload, eirp: s.beacon.EIRP(),
			})
		}
		out[payload] = s
	}
	return out
}

// witnesses judges the witness reports as if every beacon that counts in this
// shard counted.
func (j *judge) witnesses(res *shardResult, senders map[poc.Payload]sender, all []*report) {
	type claim struct {
		hotspot identity.HotspotID
		payload poc.Payload
	}
	claims := make(map[claim]bool, len(all))
	for _, r := range all {
		s := senders[r.Witness.Payload]
		ev := native.Witness{Origin: r.origin, Report: *r.Witness, Received: r.received, Site: r.hotspot.Site(), State: s.state, Beacon: s.beacon}
		if r.origin.Signature {
			c := claim{r.Hotspot, r.Witness.Payload}
			ev.Repeated = claims[c]
			claims[c] = true
		}
		f := native.CheckWitness(&j.in.Params, &ev)
		res.settle(r, f)
		if s.state != native.BeaconCounts {
			continue
		}
		gated := f.Accepted() || native.CheckWitnessOfRefused(&j.in.Params, &ev).Reason == poc.BeaconRejected
		b := &res.beacons[s.entry]
		b.heard = append(b.heard, heard{
			verdict: r.verdict, hotspot: r.index, gated: gated,
			weight: uint16(native.Weight(&j.in.Params, r.Hotspot, r.Witness.Time)),
			rssi:   int16(r.Witness.RSSI), snr: int16(r.Witness.SNR),
		})
	}
}

// rest judges declines, packets and assertions.
func (j *judge) rest(res *shardResult, all []*report, sales []journal.Carried) {
	packets := make(map[poc.ID]*report)
	seen := make(map[poc.ID]bool, len(all))
	for _, r := range all {
		if r.origin.Signature {
			r.origin.Repeated = seen[r.ID]
			seen[r.ID] = true
			if r.Kind == poc.KindPacket && !r.origin.Repeated {
				packets[r.ID] = r
			}
		}
	}
	carried := res.sell(packets, sales)
	for _, r := range all {
		switch r.Kind {
		case poc.KindDecline:
			_, ok := j.issued(r, r.Decline.Challenge)
			res.settle(r, native.CheckDecline(&j.in.Params, &native.Decline{Origin: r.origin, Issued: ok}))
		case poc.KindPacket:
			f := native.CheckPacket(&j.in.Params, &native.Packet{Origin: r.origin, Carried: carried[r.ID]})
			res.settle(r, f)
			if f.Accepted() {
				res.verdicts[r.verdict].Weight = poc.FullWeight
			}
		case poc.KindAssertion:
			// What it does to the registry is the registry's business.
			if !r.origin.Signature {
				res.settle(r, native.Finding{Reason: poc.BadSignature})
			} else if r.origin.Repeated {
				res.settle(r, native.Finding{Reason: poc.Duplicate})
			}
		}
	}
}

// sell counts the credits of packets that routes bought, each route's once.
func (res *shardResult) sell(packets map[poc.ID]*report, sales []journal.Carried) map[poc.ID]bool {
	type sale struct {
		packet poc.ID
		route  uint32
	}
	carried := make(map[poc.ID]bool)
	sold := make(map[sale]bool, len(sales))
	for _, c := range sales {
		r := packets[c.Packet]
		if r == nil || sold[sale{c.Packet, c.Route}] || !fairPrice(r.Packet.PHY, c.Credits) {
			res.ignored++
			continue
		}
		sold[sale{c.Packet, c.Route}] = true
		carried[c.Packet] = true
		if c.Credits > 0 {
			res.credits = append(res.credits, credit{r.index, c.Credits})
		}
	}
	return carried
}

// Message types that a router may carry for nothing (LoRaWAN 1.0.4, 4.2.1): the
// upper three bits of the first byte.
const (
	joinRequest   = 0
	rejoinRequest = 6
)

func fairPrice(phy []byte, credits uint32) bool {
	if credits == 0 {
		return phy[0]>>5 == joinRequest || phy[0]>>5 == rejoinRequest
	}
	return credits == native.Credits(len(phy))
}
