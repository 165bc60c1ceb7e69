package helium

import (
	"bytes"
	"errors"
)

// ErrRetry means that no verdict is possible yet because the region's parameters
// are not available; the report is to be judged again later.
var ErrRetry = errors.New("helium: region parameters are not available")

// Step is one check, for those who explain or test the order.
type Step struct {
	Reason Reason // what a failure gives; [None] when Retry
	Side   Side   // whose fault it is
	Retry  bool   // a failure is not a verdict, but [ErrRetry]
}

// beaconCase is what the checks of a beacon look at.
type beaconCase struct {
	w       *World
	r       *BeaconReport
	gateway Gateway
	known   bool
	params  RegionParams
	have    bool // params
}

type beaconCheck struct {
	Step
	ok func(*beaconCase) bool
}

func newBeaconCase(w *World, r *BeaconReport) *beaconCase {
	c := &beaconCase{w: w, r: r}
	c.gateway, c.known = w.Gateway(r.Key)
	if c.known && c.gateway.asserted() {
		c.params, c.have = w.Params(c.gateway.Region)
	}
	return c
}

// beaconChecks are checks 1 to 8 in their order.
func beaconChecks() []beaconCheck {
	fault := func(r Reason, ok func(*beaconCase) bool) beaconCheck {
		return beaconCheck{Step{Reason: r, Side: SideBeaconer}, ok}
	}
	return []beaconCheck{
		fault(GatewayNotFound, func(c *beaconCase) bool { return c.known }),
		fault(NotAsserted, func(c *beaconCase) bool { return c.gateway.asserted() }),
		{Step{Retry: true}, func(c *beaconCase) bool { return c.have }},
		fault(Denied, func(c *beaconCase) bool { return c.w.Denied != nil && !c.w.Denied.Denied(c.r.Key) }),
		fault(EntropyExpired, func(c *beaconCase) bool {
			return c.w.entropyWindow(c.r, c.r.Received) == None
		}),
		fault(InvalidCapability, func(c *beaconCase) bool { return c.gateway.FullHotspot }),
		fault(IrregularInterval, func(c *beaconCase) bool {
			last, ever := c.w.LastBeacon(c.r.Key)
			return !ever || CheckSchedule(last, c.r.Received, c.w.Limits.BeaconIntervalS) == None
		}),
		fault(InvalidPacket, func(c *beaconCase) bool { return c.matches() }),
	}
}

// mutualBeacon is check 9, after the witnesses are judged: the beaconer itself
// was a valid witness lately.
var mutualBeacon = Step{Reason: NoValidWitnesses, Side: SideBeaconer}

// BeaconOrder is the order in which a beacon is checked, as [Evaluate] does it.
func BeaconOrder() []Step {
	var out []Step
	for _, c := range beaconChecks() {
		out = append(out, c.Step)
	}
	return append(out, mutualBeacon)
}

func (w *World) entropyWindow(b *BeaconReport, received Millis) Reason {
	return CheckEntropyWindow(b.Remote.Start, b.Remote.Start+w.Limits.EntropyLifeS, received)
}

// matches derives the beacon again with the oracle's own parameters. Transmit
// power is not compared: that check was switched off.
func (c *beaconCase) matches() bool {
	want, err := Derive(c.r.Remote, c.r.Local, c.params, c.gateway.GainDeciDBi)
	return err == nil && bytes.Equal(want.Payload[:], c.r.Data) &&
		want.Frequency == c.r.Frequency && want.DataRate == c.r.DataRate
}

// checkBeacon runs checks 1 to 8.
func checkBeacon(c *beaconCase) (Verdict, error) {
	for _, check := range beaconChecks() {
		if check.ok(c) {
			continue
		}
		if check.Retry {
			return Verdict{}, ErrRetry
		}
		return Verdict{check.Reason, check.Side}, nil
	}
	return Verdict{}, nil
}
