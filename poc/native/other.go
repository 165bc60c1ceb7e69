package native

import "heliograph/poc"

// Decline is a decline report with everything that its checks look at.
type Decline struct {
	Origin
	Issued bool // the challenge was issued to this hotspot
}

// DeclineChecks are the rules for a decline report, in order. The last one always
// speaks: a decline earns nothing, and Declined is its good end.
func DeclineChecks() []Check[Decline] { return declineChecks[:] }

var declineChecks = [...]Check[Decline]{
	{"registered", []poc.Reason{poc.UnknownHotspot}, func(_ *Params, d *Decline) Finding { return need(d.Registered, poc.UnknownHotspot) }},
	{"session", []poc.Reason{poc.BadSession}, func(_ *Params, d *Decline) Finding { return need(d.Session, poc.BadSession) }},
	{"signature", []poc.Reason{poc.BadSignature}, func(_ *Params, d *Decline) Finding { return need(d.Signature, poc.BadSignature) }},
	{"challenge", []poc.Reason{poc.ChallengeUnknown}, func(_ *Params, d *Decline) Finding { return need(d.Issued, poc.ChallengeUnknown) }},
	{"once", []poc.Reason{poc.Duplicate}, func(_ *Params, d *Decline) Finding { return need(!d.Repeated, poc.Duplicate) }},
	{"declined", []poc.Reason{poc.Declined}, func(*Params, *Decline) Finding { return broke(poc.Declined) }},
}

// CheckDecline applies the rules for a decline report.
func CheckDecline(p *Params, d *Decline) Finding { return first(declineChecks[:], p, d) }

// Packet is a packet report with everything that its checks look at.
type Packet struct {
	Origin
	Carried bool // a route took it
}

// PacketChecks are the rules for a packet report, in order.
func PacketChecks() []Check[Packet] { return packetChecks[:] }

var packetChecks = [...]Check[Packet]{
	{"registered", []poc.Reason{poc.UnknownHotspot}, func(_ *Params, k *Packet) Finding { return need(k.Registered, poc.UnknownHotspot) }},
	{"session", []poc.Reason{poc.BadSession}, func(_ *Params, k *Packet) Finding { return need(k.Session, poc.BadSession) }},
	{"signature", []poc.Reason{poc.BadSignature}, func(_ *Params, k *Packet) Finding { return need(k.Signature, poc.BadSignature) }},
	{"once", []poc.Reason{poc.Duplicate}, func(_ *Params, k *Packet) Finding { return need(!k.Repeated, poc.Duplicate) }},
	{"routed", []poc.Reason{poc.NotRouted}, func(_ *Params, k *Packet) Finding { return need(k.Carried, poc.NotRouted) }},
}

// CheckPacket applies the rules for a packet report.
func CheckPacket(p *Params, k *Packet) Finding { return first(packetChecks[:], p, k) }

// creditBytes is how many bytes of PHY payload one data credit pays for.
const creditBytes = 24

// Credits is the price of one copy of an uplink of phyBytes bytes: one data
// credit for each 24 bytes that were begun, at least one.
func Credits(phyBytes int) uint32 {
	return uint32((max(phyBytes, 1) + creditBytes - 1) / creditBytes)
}
