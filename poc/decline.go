package poc

import (
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Decline is a hotspot's report that it did not answer a challenge.
type Decline struct {
	Hotspot   identity.HotspotID
	Challenge ID
	Cause     DeclineCause
	Time      radio.WallTime
}

// DeclineCause says why a hotspot did not transmit.
type DeclineCause uint8

// The causes. Numbers are never reused.
const (
	DeclineRegion    DeclineCause = 1 // the region forbids frequency, power, rate or dwell time
	DeclineDutyCycle DeclineCause = 2 // the airtime budget is spent
	DeclineTooLate   DeclineCause = 3 // the challenge arrived after its instant, or too close to it
	DeclineNoClock   DeclineCause = 4 // the hotspot does not know the time well enough
	DeclineRadio     DeclineCause = 5 // the radio refused or failed
	DeclineDisabled  DeclineCause = 6 // the owner switched beacons off
)

var declineNames = [...]string{"", "region", "duty_cycle", "too_late", "no_clock", "radio", "disabled"}

func (c DeclineCause) String() string {
	if int(c) < len(declineNames) && c != 0 {
		return declineNames[c]
	}
	return "unknown"
}

// AppendBinary appends the body. It fails with [ErrValue] for a decline that no
// parser would take.
func (d Decline) AppendBinary(dst []byte) ([]byte, error) {
	w := newWriter(dst, KindDecline)
	w.hotspot(d.Hotspot)
	w.raw(d.Challenge[:])
	w.u8(uint8(w.within(int64(d.Cause), 1, int64(len(declineNames))-1, "cause")))
	w.wallTime(d.Time)
	return w.end(KindDecline)
}

func parseDecline(r reader) (d Decline, err error) {
	r.header(KindDecline)
	d.Hotspot = r.hotspot()
	d.Challenge = r.id("challenge")
	d.Cause = DeclineCause(r.u8("cause"))
	if d.Cause == 0 || int(d.Cause) >= len(declineNames) {
		r.fail("cause %d is not known", d.Cause)
	}
	d.Time = r.wallTime()
	return d, r.end(KindDecline)
}
