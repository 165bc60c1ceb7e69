package native

import (
	"time"

	"heliograph/poc"
	"heliograph/radio"
)

// Beacon is a beacon report with everything that its checks look at.
type Beacon struct {
	Origin
	Report    poc.Beacon
	Received  int64 // unix nanoseconds by the oracle's clock
	Site      Site
	Issued    bool          // the challenge was issued to this hotspot and counted when it was due
	Challenge poc.Challenge // meaningful when Issued
	Proof     bool          // the proof is the hotspot's signature over the challenge
}

// Check is one rule: its name, what it says when it is broken, and the rule.
type Check[E any] struct {
	Name  string
	Gives []poc.Reason
	Judge func(*Params, *E) Finding
}

// BeaconChecks are the rules for a beacon report, in order.
func BeaconChecks() []Check[Beacon] { return beaconChecks[:] }

var beaconChecks = [...]Check[Beacon]{
	{"registered", []poc.Reason{poc.UnknownHotspot}, func(_ *Params, b *Beacon) Finding { return need(b.Registered, poc.UnknownHotspot) }},
	{"session", []poc.Reason{poc.BadSession}, func(_ *Params, b *Beacon) Finding { return need(b.Session, poc.BadSession) }},
	{"signature", []poc.Reason{poc.BadSignature}, func(_ *Params, b *Beacon) Finding { return need(b.Signature, poc.BadSignature) }},
	{"challenge", []poc.Reason{poc.ChallengeUnknown}, func(_ *Params, b *Beacon) Finding { return need(b.Issued, poc.ChallengeUnknown) }},
	{"proof", []poc.Reason{poc.BadProof}, func(_ *Params, b *Beacon) Finding { return need(b.Proof, poc.BadProof) }},
	{"once", []poc.Reason{poc.Duplicate}, func(_ *Params, b *Beacon) Finding { return need(!b.Repeated, poc.Duplicate) }},
	{"stated_time", []poc.Reason{poc.NoTime}, func(_ *Params, b *Beacon) Finding { return need(b.Report.Time.Known(), poc.NoTime) }},
	{"received", []poc.Reason{poc.InTheFuture, poc.TooOld}, func(p *Params, b *Beacon) Finding {
		return checkReceived(p, b.Report.Time, b.Received)
	}},
	{"instant", []poc.Reason{poc.ChallengeNotDue}, checkInstant},
	{"frequency", []poc.Reason{poc.WrongFrequency}, func(p *Params, b *Beacon) Finding {
		return above(poc.WrongFrequency, abs(int64(b.Report.Frequency-b.Challenge.Frequency)), int64(p.BeaconFrequencyTolerance))
	}},
	{"data_rate", []poc.Reason{poc.WrongDataRate}, func(_ *Params, b *Beacon) Finding {
		return need(b.Report.DataRate == b.Challenge.DataRate, poc.WrongDataRate)
	}},
	{"power", []poc.Reason{poc.WrongPower}, checkPower},
}

// CheckBeacon applies the rules for a beacon report.
func CheckBeacon(p *Params, b *Beacon) Finding { return first(beaconChecks[:], p, b) }

func first[E any](checks []Check[E], p *Params, e *E) Finding {
	for i := range checks {
		if f := checks[i].Judge(p, e); !f.Accepted() {
			return f
		}
	}
	return Finding{}
}

func need(ok bool, r poc.Reason) Finding {
	if ok {
		return Finding{}
	}
	return broke(r)
}

// checkReceived compares the stated time with the oracle's clock.
func checkReceived(p *Params, stated radio.WallTime, received int64) Finding {
	delay := micros(received - stated.UnixNano)
	if f := above(poc.InTheFuture, -delay, micros(int64(p.MaxClockLead))); !f.Accepted() {
		return f
	}
	return above(poc.TooOld, delay, micros(int64(p.MaxReportDelay)))
}

// checkInstant asks whether the beacon can have started when it was asked for.
func checkInstant(p *Params, b *Beacon) Finding {
	off := micros(b.Report.Time.UnixNano - b.Challenge.UnixNano)
	return above(poc.ChallengeNotDue, abs(off), micros(int64(p.BeaconTimeTolerance+bound(p, b.Report.Time))))
}

// checkPower compares what was radiated with what was asked for. Challenges ask
// only for what the region allows with the asserted gain; a radio that cannot
// make the power has to decline: the power is secret until the epoch closes, and
// the levels at which others hear it are evidence only while it is not chosen.
func checkPower(p *Params, b *Beacon) Finding {
	got := int64(b.Report.Power.Add(b.Site.Gain))
	asked := int64(b.Challenge.EIRP)
	if f := above(poc.WrongPower, got, asked+int64(p.PowerOver)); !f.Accepted() {
		return f
	}
	return below(poc.WrongPower, got, asked-int64(p.PowerUnder))
}

// bound is the error that a clock admits to, as far as it is taken.
func bound(p *Params, t radio.WallTime) time.Duration { return min(t.Bound, p.MaxTimeBound) }

func micros(ns int64) int64 { return ns / int64(time.Microsecond) }

func abs(v int64) int64 { return max(v, -v) }
