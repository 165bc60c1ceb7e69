package poc

import (
	"fmt"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Report is a parsed, not yet verified, signed statement of a hotspot: exactly
// one of the pointers is set, the one that Kind names.
type Report struct {
	Kind      Kind
	ID        ID
	Hotspot   identity.HotspotID
	Body      []byte // as received: this is what the signature covers
	Signature Signature

	Beacon    *Beacon
	Witness   *Witness
	Decline   *Decline
	Packet    *Packet
	Assertion *Assertion
}

// bodyLen finds where a report's body ends without parsing it: the lengths are
// fixed but for one length byte each. -1 when b is too short to tell.
func bodyLen(b []byte) int {
	const head = 2 + 33
	at := func(i int) int {
		if i >= len(b) {
			return -1 << 20
		}
		return int(b[i])
	}
	if len(b) < 2 {
		return -1
	}
	switch Kind(b[0]) {
	case KindBeacon:
		return head + 32 + 1 + at(head+32) + 4 + 1 + 2 + 8 + 12
	case KindWitness:
		return head + PayloadSize + 4 + 4 + 1 + 2 + 2 + 8 + 12 + 4
	case KindDecline:
		return head + 32 + 1 + 12
	case KindPacket:
		return head + 1 + at(head) + 4 + 1 + 2 + 2 + 8 + 12
	case KindAssertion:
		const region = head + 32 + 8 + 2 + 2
		return region + 1 + at(region) + 8 + 12
	}
	return -1
}

// ParseReport reads a signed report. It checks everything that can be checked
// without a key; the signature is checked by [Report.Verify]. The result shares
// no memory with b.
func ParseReport(b []byte) (Report, error) { return Parser{}.Report(b) }

// Parser reads many reports. The zero value does what [ParseReport] does.
type Parser struct {
	// Known says whether an id came out of [identity.ParseHotspotID] before, as
	// those of a registry did. That its bytes are a point of the curve is then not
	// computed again, which takes a fourth of the time of a signature check. It
	// changes no result.
	Known func(identity.HotspotID) bool
}

// Report is [ParseReport].
func (p Parser) Report(b []byte) (Report, error) {
	if len(b) > MaxReport {
		return Report{}, fmt.Errorf("%w: report of %d bytes, at most %d", ErrTooLarge, len(b), MaxReport)
	}
	n := bodyLen(b)
	if n < 0 {
		return Report{}, fmt.Errorf("%w: not a report, or cut short", ErrMalformed)
	}
	body, sig, err := splitSigned(b, n)
	if err != nil {
		return Report{}, err
	}
	r := Report{Kind: Kind(b[0]), ID: IDOf(body), Body: body, Signature: sig}
	if err := r.parseBody(p.Known); err != nil {
		return Report{}, err
	}
	if sig.BySession && r.Kind == KindAssertion {
		return Report{}, fmt.Errorf("%w assertion: signed by a session key, must be the hotspot's own", ErrMalformed)
	}
	return r, nil
}

func (r *Report) parseBody(known func(identity.HotspotID) bool) error {
	in := reader{b: r.Body, known: known}
	switch r.Kind {
	case KindBeacon:
		v, err := parseBeacon(in)
		r.Beacon, r.Hotspot = &v, v.Hotspot
		return err
	case KindWitness:
		v, err := parseWitness(in)
		r.Witness, r.Hotspot = &v, v.Hotspot
		return err
	case KindDecline:
		v, err := parseDecline(in)
		r.Decline, r.Hotspot = &v, v.Hotspot
		return err
	case KindPacket:
		v, err := parsePacket(in)
		r.Packet, r.Hotspot = &v, v.Hotspot
		return err
	case KindAssertion:
		v, err := parseAssertion(in)
		r.Assertion, r.Hotspot = &v, v.Hotspot
		return err
	}
	return fmt.Errorf("%w: kind %v is not a report", ErrMalformed, r.Kind)
}

// Verify checks the signature. It does not check that a session key was
// authorised: see [SessionCert].
func (r Report) Verify() error { return r.Signature.Verify(r.Body, r.Hotspot) }

// Time is the hotspot's own statement of when the thing happened.
func (r Report) Time() radio.WallTime {
	switch r.Kind {
	case KindBeacon:
		return r.Beacon.Time
	case KindWitness:
		return r.Witness.Time
	case KindDecline:
		return r.Decline.Time
	case KindPacket:
		return r.Packet.Time
	case KindAssertion:
		return r.Assertion.Time
	}
	return radio.WallTime{}
}
