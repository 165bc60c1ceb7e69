package poc

import (
	"crypto/sha256"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// PayloadSize is the length in bytes of a beacon's payload.
const PayloadSize = 20

// MHDR is the first byte of a beacon on the air: LoRaWAN MType 111 (proprietary),
// major version 0 (LoRaWAN 1.0.4, section 4.2).
const MHDR = 0xE0

// FrameSize is the length in bytes of a beacon's PHY payload.
const FrameSize = 1 + PayloadSize

// Payload is what a beacon carries: the first bytes of the hash of the hotspot's
// signature over its challenge. Only the hotspot can know it before it is sent.
type Payload [PayloadSize]byte

// PayloadOf derives the payload from the proof, the signature over the challenge.
func PayloadOf(proof []byte) (p Payload) {
	sum := sha256.Sum256(proof)
	copy(p[:], sum[:])
	return p
}

// Frame is the PHY payload that carries p.
func (p Payload) Frame() []byte { return append([]byte{MHDR}, p[:]...) }

// PayloadFromFrame recognises a beacon by its shape.
func PayloadFromFrame(phy []byte) (p Payload, ok bool) {
	if len(phy) != FrameSize || phy[0] != MHDR {
		return Payload{}, false
	}
	copy(p[:], phy[1:])
	return p, true
}

// maxProof is the longest signature of a hotspot's key: DER of two 256-bit integers.
const maxProof = 72

// Beacon is a hotspot's report that it transmitted.
type Beacon struct {
	Hotspot   identity.HotspotID
	Challenge ID     // the challenge that it answers
	Proof     []byte // the hotspot key's signature over the challenge, 1..72 bytes
	Frequency radio.Hertz
	DataRate  radio.DataRate
	Power     radio.CentiDBm // conducted, as the radio really sent it
	Tick      radio.Tick     // start of the packet on the concentrator's counter
	Time      radio.WallTime // UTC of that start
}

// Payload is the payload that the beacon must have carried.
func (b Beacon) Payload() Payload { return PayloadOf(b.Proof) }

// AppendBinary appends the body. It fails with [ErrValue] for a beacon that no
// parser would take.
func (b Beacon) AppendBinary(dst []byte) ([]byte, error) {
	w := newWriter(dst, KindBeacon)
	w.hotspot(b.Hotspot)
	w.raw(b.Challenge[:])
	w.varBytes(b.Proof, 1, maxProof, "proof")
	w.frequency(b.Frequency)
	w.dataRate(b.DataRate)
	w.i16(int64(b.Power), "power")
	w.u64(uint64(b.Tick))
	w.wallTime(b.Time)
	return w.end(KindBeacon)
}

func parseBeacon(r reader) (b Beacon, err error) {
	r.header(KindBeacon)
	b.Hotspot = r.hotspot()
	b.Challenge = r.id("challenge")
	b.Proof = r.varBytes(maxProof, "proof")
	if len(b.Proof) == 0 {
		r.fail("proof is empty")
	}
	b.Frequency = r.frequency()
	b.DataRate = r.dataRate()
	b.Power = radio.CentiDBm(int16(r.u16("power")))
	b.Tick = radio.Tick(r.u64("tick"))
	b.Time = r.wallTime()
	return b, r.end(KindBeacon)
}
