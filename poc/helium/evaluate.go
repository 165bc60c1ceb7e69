package helium

import (
	"cmp"
	"slices"

	"heliograph/provisioning/identity"
)

// Verdict is the outcome for one report; the zero value means valid.
type Verdict struct {
	Reason Reason
	Side   Side
}

// Valid says whether no check failed.
func (v Verdict) Valid() bool { return v.Reason == None }

// WitnessVerdict is the outcome for one witness report.
type WitnessVerdict struct {
	Report WitnessReport
	Verdict
	Units Decimal // reward unit; zero unless selected
}

// Effects are the clocks that the verdict sets for later verdicts.
type Effects struct {
	// LastBeacon is always set to the beacon's receive time, valid or not: one
	// attempt per window.
	LastBeacon Millis
	// LastBeaconMutual is to be set to the same time when Mutual. It counts raw
	// witness reports, even the hotspot's own.
	Mutual bool
	// LastWitness has the valid witnesses, before reciprocity was looked at, so
	// that two newcomers can vouch for each other.
	LastWitness map[identity.HotspotID]Millis
}

// Outcome is the verdict on a beacon and all its witnesses.
type Outcome struct {
	Beacon     Verdict
	Scale      Decimal // hex scale of the beaconer, for beaconer and witnesses
	Units      Decimal // reward unit of the beaconer
	Selected   []WitnessVerdict
	Unselected []WitnessVerdict // valid ones that came too late, then the invalid; self-witnesses are dropped
	Effects    Effects
}

// Evaluate judges one beacon report and the witness reports with its payload. It
// fails with [ErrRetry] only; then nothing is decided and nothing changes.
func Evaluate(b BeaconReport, witnesses []WitnessReport, w *World) (Outcome, error) {
	sorted := slices.Clone(witnesses)
	slices.SortStableFunc(sorted, func(x, y WitnessReport) int {
		return cmp.Compare(x.Received, y.Received)
	})
	bc := newBeaconCase(w, &b)
	verdict, err := checkBeacon(bc)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Beacon: verdict, Effects: Effects{LastBeacon: b.Received, LastWitness: map[identity.HotspotID]Millis{}}}
	if !verdict.Valid() {
		out.Unselected = allInvalid(sorted, verdict)
		return out, nil
	}
	out.Effects.Mutual = len(sorted) > 0
	judged := judgeWitnesses(bc, sorted)
	for _, v := range judged {
		if v.Valid() {
			out.Effects.LastWitness[v.Report.Key] = v.Report.Received
		}
	}
	last, ever := w.LastWitness(b.Key)
	if !recent(last, ever, b.Received, w.Limits.ReciprocityMS) {
		out.Beacon = Verdict{mutualBeacon.Reason, mutualBeacon.Side}
		out.Unselected = allInvalid(sorted, out.Beacon)
		return out, nil
	}
	for i, v := range judged {
		last, ever := w.LastBeaconMutual(v.Report.Key)
		if v.Valid() && !recent(last, ever, v.Report.Received, w.Limits.ReciprocityMS) {
			judged[i].Verdict = Verdict{mutualWitness.Reason, mutualWitness.Side}
		}
	}
	out.Scale = w.Scale(bc.gateway.Location)
	out.Selected, out.Unselected = Select(judged, w.Limits.MaxWitnesses)
	out.Units = w.Limits.Units.Beaconer(len(out.Selected))
	each := w.Limits.Units.Witness(len(out.Selected))
	for i := range out.Selected {
		out.Selected[i].Units = each
	}
	return out, nil
}

func judgeWitnesses(bc *beaconCase, sorted []WitnessReport) []WitnessVerdict {
	out := make([]WitnessVerdict, len(sorted))
	seen := make(map[identity.HotspotID]bool, len(sorted))
	for i := range sorted {
		r := &sorted[i]
		c := &witnessCase{w: bc.w, b: bc.r, beaconer: bc.gateway, firstWitness: sorted[0].Received, r: r, seen: seen[r.Key]}
		c.gateway, c.known = bc.w.Gateway(r.Key)
		seen[r.Key] = true
		out[i] = WitnessVerdict{Report: *r, Verdict: checkWitness(c)}
	}
	return out
}

// allInvalid gives every witness of an invalid beacon the beacon's own verdict.
func allInvalid(reports []WitnessReport, v Verdict) []WitnessVerdict {
	out := make([]WitnessVerdict, len(reports))
	for i, r := range reports {
		out[i] = WitnessVerdict{Report: r, Verdict: v}
	}
	return out
}

// Select keeps the valid witnesses in the order in which their reports came,
// takes the first of them up to limit, and lists the others: valid ones beyond
// the limit, then the invalid, without self-witnesses.
func Select(judged []WitnessVerdict, limit int) (selected, unselected []WitnessVerdict) {
	var invalid []WitnessVerdict
	for _, v := range judged {
		switch {
		case v.Valid():
			selected = append(selected, v)
		case v.Reason != SelfWitness:
			invalid = append(invalid, v)
		}
	}
	slices.SortStableFunc(selected, func(x, y WitnessVerdict) int {
		return cmp.Compare(x.Report.Received, y.Report.Received)
	})
	if limit = max(limit, 0); len(selected) > limit {
		unselected = append(unselected, selected[limit:]...)
		selected = selected[:limit:limit]
	}
	return selected, append(unselected, invalid...)
}
