package native

import (
	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Finding is what a check says: OK, or the reason with the number that broke the
// limit, both in the reason's unit.
type Finding struct {
	Reason poc.Reason
	Got    int64
	Limit  int64
}

// Accepted says whether no check failed.
func (f Finding) Accepted() bool { return f.Reason == poc.OK }

func broke(r poc.Reason) Finding { return Finding{Reason: r} }

// above gives the finding if got is over the limit, below if it is under.
func above(r poc.Reason, got, limit int64) Finding {
	if got > limit {
		return Finding{Reason: r, Got: got, Limit: limit}
	}
	return Finding{}
}

func below(r poc.Reason, got, limit int64) Finding {
	if got < limit {
		return Finding{Reason: r, Got: got, Limit: limit}
	}
	return Finding{}
}

// Origin says how far a report can be traced to its hotspot. A caller may leave
// later fields false once one is.
type Origin struct {
	Registered bool // the hotspot has an assertion on record
	Session    bool // signed by the hotspot's own key, or by a session key that it had authorised
	Signature  bool // the signature fits
	Repeated   bool // an earlier report with a good origin says the same thing
}

// Site is what a hotspot asserts about its antenna.
type Site struct {
	Place  geo.LatLng
	Gain   radio.CentiDB
	Region string
}

// SiteOf takes the site out of an assertion.
func SiteOf(a poc.Assertion) Site {
	return Site{
		Place:  geo.LatLng{Lat: geo.E7(a.Position.LatE7), Lng: geo.E7(a.Position.LonE7)},
		Gain:   a.Gain,
		Region: a.Region,
	}
}

// Transmission is a beacon as its sender reports it.
type Transmission struct {
	Hotspot   identity.HotspotID
	Site      Site
	Frequency radio.Hertz
	DataRate  radio.DataRate
	Power     radio.CentiDBm // conducted
	Time      radio.WallTime // start of the packet
}

// EIRP is what the sender says it radiated.
func (t Transmission) EIRP() radio.EIRP { return radio.EIRP(t.Power.Add(t.Site.Gain)) }

// TransmissionOf puts a beacon report and its sender's site together.
func TransmissionOf(b poc.Beacon, s Site) Transmission {
	return Transmission{Hotspot: b.Hotspot, Site: s, Frequency: b.Frequency, DataRate: b.DataRate, Power: b.Power, Time: b.Time}
}

const beaconCoding = 1 // 4/5

// Answer is the packet that answers a challenge, given the proof and the gain of
// the hotspot's antenna. When to send it is the challenge's instant.
func Answer(c poc.Challenge, proof []byte, gain radio.CentiDB) radio.TxPacket {
	return radio.TxPacket{
		Payload:   poc.PayloadOf(proof).Frame(),
		Frequency: c.Frequency,
		DataRate:  c.DataRate,
		Coding:    beaconCoding,
		Power:     c.EIRP.Conducted(gain),
	}
}

// Observe makes a witness report out of a received packet, if that is a beacon.
func Observe(h identity.HotspotID, p radio.RxPacket) (poc.Witness, bool) {
	payload, ok := poc.PayloadFromFrame(p.Payload)
	if !ok || p.CRC != radio.CRCOK || p.DataRate.Modulation != radio.LoRa {
		return poc.Witness{}, false
	}
	w := poc.Witness{
		Hotspot: h, Payload: payload, Frequency: p.Frequency, DataRate: p.DataRate,
		RSSI: p.Level(), SNR: p.SNR, Tick: p.Tick, Time: p.Time, FineNanos: p.FineNanos, HasFine: p.HasFine,
	}
	if p.HasOffset {
		w.Offset = p.Offset
	}
	return w, true
}
