package poc

import "fmt"

// Reason is the first rule that a report broke, or OK. It is stored and sent as
// a number and shown as a word; numbers are never reused.
type Reason uint8

// Refusals at the door: the report is not journaled.
const (
	OK             Reason = 0
	Malformed      Reason = 1 // cannot be parsed, or not canonical
	TooLarge       Reason = 2
	UnknownHotspot Reason = 3 // no assertion of this hotspot is on record
	BadSignature   Reason = 4
	BadSession     Reason = 5  // session key not authorised, expired, or another hotspot's
	TooOld         Reason = 6  // stated time lies in an epoch that is closed
	InTheFuture    Reason = 7  // stated time lies ahead of the oracle's clock
	RateLimited    Reason = 8  // too many reports from this hotspot; retry later
	Overloaded     Reason = 9  // the oracle's queue is full; retry later
	NotRegistered  Reason = 10 // registration is closed, or the assertion is older than the one on record
	NoTime         Reason = 11 // the report states no time
)

// Verdicts on a journaled report.
const (
	ChallengeUnknown Reason = 32 // no such challenge was issued to this hotspot
	ChallengeNotDue  Reason = 33 // sent at another time than asked
	BadProof         Reason = 34 // the proof is not the hotspot's signature over the challenge
	Duplicate        Reason = 35 // a second report about the same thing
	WrongFrequency   Reason = 36
	WrongDataRate    Reason = 37
	WrongPower       Reason = 38
	Unwitnessed      Reason = 39 // nobody whose report was accepted heard the beacon
	NoBeacon         Reason = 40 // no beacon report has this payload
	BeaconRejected   Reason = 41 // the beacon itself was rejected
	SelfWitness      Reason = 42
	WrongTime        Reason = 43 // received at another time than the beacon was sent
	TooClose         Reason = 44
	TooFar           Reason = 45
	BelowSensitivity Reason = 46 // RSSI lower than the receiver can hear at this spreading factor
	AboveFreeSpace   Reason = 47 // RSSI higher than free space allows at the asserted distance
	SNRTooLow        Reason = 48 // SNR lower than the spreading factor can be demodulated at
	SNRTooHigh       Reason = 49 // SNR higher than RSSI over thermal noise
	PowerNotFollowed Reason = 50 // RSSI of the link does not follow the secret power steps
	FasterThanLight  Reason = 51 // fine timestamps contradict the asserted distance
	WrongRegion      Reason = 52 // beaconer and witness assert different regions
	Declined         Reason = 53 // the hotspot declined the challenge
	NotRouted        Reason = 54 // packet: no route wanted it
	NotSelected      Reason = 55 // valid, but others were drawn for the reward
)

var reasonNames = map[Reason]string{
	OK: "ok", Malformed: "malformed", TooLarge: "too_large", UnknownHotspot: "unknown_hotspot",
	BadSignature: "bad_signature", BadSession: "bad_session", TooOld: "too_old",
	InTheFuture: "in_the_future", RateLimited: "rate_limited", Overloaded: "overloaded",
	NotRegistered: "not_registered", NoTime: "no_time",
	ChallengeUnknown: "challenge_unknown", ChallengeNotDue: "challenge_not_due",
	BadProof: "bad_proof", Duplicate: "duplicate", WrongFrequency: "wrong_frequency",
	WrongDataRate: "wrong_data_rate", WrongPower: "wrong_power", Unwitnessed: "unwitnessed",
	NoBeacon: "no_beacon", BeaconRejected: "beacon_rejected", SelfWitness: "self_witness",
	WrongTime: "wrong_time", TooClose: "too_close", TooFar: "too_far",
	BelowSensitivity: "below_sensitivity", AboveFreeSpace: "above_free_space",
	SNRTooLow: "snr_too_low", SNRTooHigh: "snr_too_high", PowerNotFollowed: "power_not_followed",
	FasterThanLight: "faster_than_light", WrongRegion: "wrong_region", Declined: "declined",
	NotRouted: "not_routed", NotSelected: "not_selected",
}

func (r Reason) String() string {
	if n, ok := reasonNames[r]; ok {
		return n
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// ParseReason reads what String prints for a known reason.
func ParseReason(s string) (Reason, error) {
	for r, n := range reasonNames {
		if n == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("poc: reason %q is not known", s)
}

// Retryable says whether the same report may be accepted later.
func (r Reason) Retryable() bool {
	return r == RateLimited || r == Overloaded || r == BadSession || r == UnknownHotspot
}

// Unit names the unit of the numbers that a verdict with this reason carries.
func (r Reason) Unit() string {
	switch r {
	case ChallengeNotDue, WrongTime, TooOld, InTheFuture:
		return "us"
	case WrongFrequency:
		return "Hz"
	case WrongPower, BelowSensitivity, AboveFreeSpace:
		return "cdBm"
	case SNRTooLow, SNRTooHigh, PowerNotFollowed:
		return "cdB"
	case TooClose, TooFar:
		return "m"
	case FasterThanLight:
		return "ns"
	}
	return ""
}
