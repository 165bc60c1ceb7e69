package helium

import "bytes"

// witnessCase is what the checks of a witness look at.
type witnessCase struct {
	w            *World
	b            *BeaconReport
	beaconer     Gateway
	firstWitness Millis
	r            *WitnessReport
	gateway      Gateway
	known        bool
	seen         bool // an earlier report of the same key is in this PoC
}

type witnessCheck struct {
	Step
	ok func(*witnessCase) bool
}

// witnessChecks are checks 0 to 14 in their order. SNR, data rate, the hotspot's
// clock and counter, and any floor of the signal are not checked: they were not.
func witnessChecks() []witnessCheck {
	fault := func(r Reason, ok func(*witnessCase) bool) witnessCheck {
		return witnessCheck{Step{Reason: r, Side: SideWitness}, ok}
	}
	none := func(r Reason, f func(*witnessCase) Reason) witnessCheck {
		return fault(r, func(c *witnessCase) bool { return f(c) == None })
	}
	return []witnessCheck{
		fault(Duplicate, func(c *witnessCase) bool { return !c.seen }),
		fault(GatewayNotFound, func(c *witnessCase) bool { return c.known }),
		fault(NotAsserted, func(c *witnessCase) bool { return c.gateway.asserted() }),
		{Step{Reason: NotAsserted, Side: SideBeaconer}, func(c *witnessCase) bool { return c.beaconer.asserted() }},
		fault(Denied, func(c *witnessCase) bool { return c.w.Denied != nil && !c.w.Denied.Denied(c.r.Key) }),
		fault(DeniedEdge, func(c *witnessCase) bool { return !c.w.Denied.DeniedEdge(c.b.Key, c.r.Key) }),
		fault(SelfWitness, func(c *witnessCase) bool { return c.r.Key != c.b.Key }),
		none(EntropyExpired, func(c *witnessCase) Reason { return c.w.entropyWindow(c.b, c.r.Received) }),
		none(TooLate, func(c *witnessCase) Reason {
			return CheckLag(c.b.Received, c.firstWitness, c.r.Received, c.w.Limits)
		}),
		fault(InvalidPacket, func(c *witnessCase) bool { return bytes.Equal(c.r.Data, c.b.Data) }),
		fault(InvalidCapability, func(c *witnessCase) bool { return c.gateway.FullHotspot }),
		none(InvalidFrequency, func(c *witnessCase) Reason {
			return CheckFrequency(c.b.Frequency, c.r.Frequency, c.w.Limits.FrequencyHz)
		}),
		fault(InvalidRegion, func(c *witnessCase) bool { return c.beaconer.Region == c.gateway.Region }),
		none(BelowMinDistance, func(c *witnessCase) Reason {
			return CheckMinDistance(c.beaconer.Location, c.gateway.Location, c.w.Limits.MinCells)
		}),
		none(MaxDistanceExceeded, func(c *witnessCase) Reason { return CheckMaxDistance(c.metres(), c.w.Limits.MaxKM) }),
		none(BadRSSI, func(c *witnessCase) Reason {
			return CheckRSSI(c.r.SignalDeciDBm, Link{
				TxPowerDBm: c.b.TxPowerDBm, BeaconGainDeciDBi: c.beaconer.GainDeciDBi,
				WitnessGainDeciDBi: c.gateway.GainDeciDBi, Frequency: c.r.Frequency, Metres: c.metres(),
				LightMPS: SpeedOfLight,
			})
		}),
	}
}

// mutualWitness is check 15, after all others of all witnesses: the witness
// itself sent a beacon lately that somebody reported.
var mutualWitness = Step{Reason: NoValidBeacons, Side: SideWitness}

// WitnessOrder is the order in which a witness is checked, as [Evaluate] does it.
func WitnessOrder() []Step {
	var out []Step
	for _, c := range witnessChecks() {
		out = append(out, c.Step)
	}
	return append(out, mutualWitness)
}

func (c *witnessCase) metres() int64 { return DistanceMetres(c.beaconer.Location, c.gateway.Location) }

// checkWitness runs checks 0 to 14.
func checkWitness(c *witnessCase) Verdict {
	for _, check := range witnessChecks() {
		if !check.ok(c) {
			return Verdict{check.Reason, check.Side}
		}
	}
	return Verdict{}
}
