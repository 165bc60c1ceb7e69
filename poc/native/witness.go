package native

import (
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/radio"
)

// BeaconState is what is known of the beacon that a witness report names.
type BeaconState uint8

// The states.
const (
	BeaconMissing BeaconState = 0 // no report has the payload
	BeaconRefused BeaconState = 1 // its report broke a rule
	BeaconCounts  BeaconState = 2
)

// Witness is a witness report with everything that its checks look at.
type Witness struct {
	Origin
	Report   poc.Witness
	Received int64 // unix nanoseconds by the oracle's clock
	Site     Site

	State  BeaconState
	Beacon Transmission // meaningful unless BeaconMissing
}

// WitnessChecks are the rules for a witness report, in order.
func WitnessChecks() []Check[Witness] { return witnessChecks[:] }

var witnessChecks = [...]Check[Witness]{
	{"registered", []poc.Reason{poc.UnknownHotspot}, func(_ *Params, w *Witness) Finding { return need(w.Registered, poc.UnknownHotspot) }},
	{"session", []poc.Reason{poc.BadSession}, func(_ *Params, w *Witness) Finding { return need(w.Session, poc.BadSession) }},
	{"signature", []poc.Reason{poc.BadSignature}, func(_ *Params, w *Witness) Finding { return need(w.Signature, poc.BadSignature) }},
	{"once", []poc.Reason{poc.Duplicate}, func(_ *Params, w *Witness) Finding { return need(!w.Repeated, poc.Duplicate) }},
	{"beacon", []poc.Reason{poc.NoBeacon}, func(_ *Params, w *Witness) Finding { return need(w.State != BeaconMissing, poc.NoBeacon) }},
	{"self", []poc.Reason{poc.SelfWitness}, func(_ *Params, w *Witness) Finding {
		return need(w.Report.Hotspot != w.Beacon.Hotspot, poc.SelfWitness)
	}},
	{"beacon_counts", []poc.Reason{poc.BeaconRejected}, func(_ *Params, w *Witness) Finding { return need(w.State == BeaconCounts, poc.BeaconRejected) }},
	{"region", []poc.Reason{poc.WrongRegion}, func(_ *Params, w *Witness) Finding {
		return need(w.Site.Region == w.Beacon.Site.Region, poc.WrongRegion)
	}},
	{"stated_time", []poc.Reason{poc.NoTime}, func(_ *Params, w *Witness) Finding { return need(w.Report.Time.Known(), poc.NoTime) }},
	{"received", []poc.Reason{poc.InTheFuture, poc.TooOld}, func(p *Params, w *Witness) Finding {
		return checkReceived(p, w.Report.Time, w.Received)
	}},
	{"time", []poc.Reason{poc.WrongTime}, checkTime},
	{"frequency", []poc.Reason{poc.WrongFrequency}, func(p *Params, w *Witness) Finding {
		carrier := w.Report.Frequency + w.Report.Offset
		return above(poc.WrongFrequency, abs(int64(carrier-w.Beacon.Frequency)), int64(p.WitnessFrequencyTolerance))
	}},
	{"data_rate", []poc.Reason{poc.WrongDataRate}, func(_ *Params, w *Witness) Finding {
		return need(w.Report.DataRate == w.Beacon.DataRate, poc.WrongDataRate)
	}},
	{"near", []poc.Reason{poc.TooClose}, func(p *Params, w *Witness) Finding {
		return below(poc.TooClose, w.distance(), int64(p.MinDistance))
	}},
	{"far", []poc.Reason{poc.TooFar}, func(p *Params, w *Witness) Finding {
		return above(poc.TooFar, w.distance(), int64(p.MaxDistance))
	}},
	{"rssi_floor", []poc.Reason{poc.BelowSensitivity}, func(p *Params, w *Witness) Finding {
		return below(poc.BelowSensitivity, int64(w.Report.RSSI), int64(Sensitivity(w.Report.DataRate, p.NoiseFigure)-radio.CentiDBm(p.SensitivityMargin)))
	}},
	{"rssi_ceiling", []poc.Reason{poc.AboveFreeSpace}, func(p *Params, w *Witness) Finding {
		limit := Ceiling(w.Beacon.Site, w.Site, w.Beacon.Power, w.Beacon.Frequency).Add(p.CeilingMargin)
		return above(poc.AboveFreeSpace, int64(w.Report.RSSI), int64(limit))
	}},
	{"snr_floor", []poc.Reason{poc.SNRTooLow}, func(p *Params, w *Witness) Finding {
		return below(poc.SNRTooLow, int64(w.Report.SNR), int64(MinSNR(w.Report.DataRate.SF)-p.SNRFloorMargin))
	}},
	{"snr_ceiling", []poc.Reason{poc.SNRTooHigh}, func(p *Params, w *Witness) Finding {
		limit := w.Report.RSSI.Sub(ThermalNoise(w.Report.DataRate.Bandwidth)) + p.SNRCeilingMargin
		return above(poc.SNRTooHigh, int64(w.Report.SNR), int64(limit))
	}},
}

// CheckWitness applies the rules for a witness report that look at it alone. What
// a link's reports say together is [CheckLink]'s business.
func CheckWitness(p *Params, w *Witness) Finding { return first(witnessChecks[:], p, w) }

// CheckWitnessOfRefused is [CheckWitness] given that the beacon turns out not to
// count although w.State said so.
func CheckWitnessOfRefused(p *Params, w *Witness) Finding {
	refused := *w
	refused.State = min(refused.State, BeaconRefused)
	return CheckWitness(p, &refused)
}

func (w *Witness) distance() int64 { return int64(geo.Distance(w.Beacon.Site.Place, w.Site.Place)) }

// checkTime compares the end of the packet at the witness with its start at the
// beaconer.
func checkTime(p *Params, w *Witness) Finding {
	end := w.Beacon.Time.UnixNano + int64(OnAir(w.Beacon.DataRate).Duration())
	off := micros(w.Report.Time.UnixNano - end)
	limit := p.WitnessTimeTolerance + bound(p, w.Beacon.Time) + bound(p, w.Report.Time)
	return above(poc.WrongTime, abs(off), micros(int64(limit)))
}
