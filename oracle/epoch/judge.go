package epoch

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"heliograph/oracle/journal"
	"heliograph/oracle/registry"
	"heliograph/oracle/verify"
	"heliograph/poc"
)

// judged is the outcome of the rules in the form that the rest wants.
type judged struct {
	verify.Outcome
	verdicts []poc.Verdict
	beacons  []Beacon
	reports  map[string]int
}

// judge runs the rules over the evidence.
func judge(ctx context.Context, ev Evidence, hotspots *registry.Snapshot) (judged, error) {
	in := verify.Input{
		Epoch: ev.Epoch, Seed: ev.Secret.Seed(ev.Epoch, ev.Opening.Blockhash), Open: ev.Opening,
		Params: ev.Terms.Params, ChallengeConfig: ev.Terms.Challenge,
		Registry: hotspots, Sessions: sessions(ev.Control), Entries: entries(ev.Reports),
	}
	out, err := verify.Run(ctx, in)
	if err != nil {
		return judged{}, err
	}
	j := judged{Outcome: out, verdicts: make([]poc.Verdict, len(out.Verdicts)), reports: make(map[string]int)}
	at := make(map[journal.Position]poc.Verdict, len(out.Verdicts))
	for i, v := range out.Verdicts {
		j.verdicts[i] = v.Verdict
		at[v.At] = v.Verdict
		j.reports[v.Kind.String()]++
	}
	j.beacons = show(ev, at)
	return j, nil
}

// sessions are the certificates in the control shard that are what they say.
func sessions(control []Frame) (out []poc.SessionCert) {
	for _, e := range entries(control) {
		if e.Type != journal.TypeSession {
			continue
		}
		if c, err := poc.ParseSessionCert(e.Data); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// Limits of what is kept of an epoch for people to look at.
const (
	maxShownBeacons   = 20_000 // the newest
	maxShownWitnesses = 100    // of a beacon
)

// show joins beacons and witnesses for display.
func show(ev Evidence, at map[journal.Position]poc.Verdict) []Beacon {
	byPayload := make(map[poc.Payload]*Beacon)
	var heard []poc.Report
	var verdicts []poc.Verdict
	for p, e := range entries(ev.Reports) {
		v, found := at[p]
		if e.Type != journal.TypeReport || !found {
			continue
		}
		r, err := poc.ParseReport(e.Data)
		if err != nil {
			continue
		}
		switch r.Kind {
		case poc.KindBeacon:
			if _, taken := byPayload[r.Beacon.Payload()]; taken && v.Reason != poc.OK {
				continue
			}
			byPayload[r.Beacon.Payload()] = &Beacon{
				Epoch: ev.Epoch, Report: Hash(r.ID), Hotspot: r.Hotspot, UnixNano: r.Beacon.Time.UnixNano, Frequency: r.Beacon.Frequency,
				DataRate: r.Beacon.DataRate.String(), Power: r.Beacon.Power, Verdict: verdictOf(v), Witnesses: []Witness{}}
		case poc.KindWitness:
			heard, verdicts = append(heard, r), append(verdicts, v)
		}
	}
	for i, r := range heard {
		b := byPayload[r.Witness.Payload]
		if b == nil || len(b.Witnesses) >= maxShownWitnesses {
			continue
		}
		b.Witnesses = append(b.Witnesses, Witness{Report: Hash(r.ID), Hotspot: r.Hotspot, RSSI: r.Witness.RSSI, SNR: r.Witness.SNR, Verdict: verdictOf(verdicts[i])})
	}
	out := make([]Beacon, 0, len(byPayload))
	for _, b := range byPayload {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Beacon) int {
		return cmp.Or(cmp.Compare(b.UnixNano, a.UnixNano), slices.Compare(a.Report[:], b.Report[:]))
	})
	return out[:min(len(out), maxShownBeacons)]
}

// checkFrames refuses evidence that holds a frame which is no entry: the journal
// never does, a forged bundle may.
func (ev Evidence) checkFrames() error {
	for _, fs := range [][]Frame{ev.Control, ev.Reports} {
		for _, f := range fs {
			if _, err := journal.ParseEntry(f.Raw); err != nil {
				return fmt.Errorf("epoch: shard %d offset %d: %w", f.Shard, f.Offset, err)
			}
		}
	}
	return nil
}
