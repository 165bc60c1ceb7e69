package poc

import (
	"encoding/binary"
	"fmt"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Epoch numbers the accounting periods: unix time divided by the epoch's length.
type Epoch uint32

// Challenge asks one hotspot to send one beacon.
type Challenge struct {
	Epoch     Epoch
	Slot      uint16 // ordinal of the hotspot's beacon in the epoch
	Hotspot   identity.HotspotID
	UnixNano  int64 // when the packet starts, UTC
	Frequency radio.Hertz
	DataRate  radio.DataRate
	EIRP      radio.EIRP // power to radiate, antenna gain included
	Nonce     [16]byte
}

const challengeBody = 2 + 4 + 2 + 33 + 8 + 4 + 1 + 2 + 16

// AppendBinary appends the body.
func (c Challenge) AppendBinary(dst []byte) ([]byte, error) {
	dst = putHeader(dst, KindChallenge)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Epoch))
	dst = binary.BigEndian.AppendUint16(dst, c.Slot)
	dst = append(dst, c.Hotspot[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.UnixNano))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Frequency))
	dst = putDataRate(dst, c.DataRate)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.EIRP))
	return append(dst, c.Nonce[:]...), nil
}

// ID is the hash of the body.
func (c Challenge) ID() ID {
	body, _ := c.AppendBinary(make([]byte, 0, challengeBody)) // cannot fail
	return IDOf(body)
}

// Prove signs the challenge with the hotspot's own key. The beacon's payload is
// the hash of the result ([PayloadOf]).
func (c Challenge) Prove(key identity.Signer) ([]byte, error) {
	body, err := c.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	proof, err := key.Sign(signedBytes(body))
	if err != nil {
		return nil, fmt.Errorf("poc: prove: %w", err)
	}
	return proof, nil
}

// VerifyProof checks a proof against the challenge's own hotspot.
func (c Challenge) VerifyProof(proof []byte) error {
	body, err := c.AppendBinary(nil)
	if err != nil {
		return err
	}
	return Signature{Bytes: proof}.Verify(body, c.Hotspot)
}

// SignChallenge encodes and signs with the oracle's key.
func SignChallenge(c Challenge, oracle identity.Signer) ([]byte, error) {
	body, err := c.AppendBinary(make([]byte, 0, challengeBody))
	if err != nil {
		return nil, err
	}
	return SignBody(body, oracle)
}

// ParseChallenge reads a challenge and verifies that the oracle signed it.
func ParseChallenge(b []byte, oracle identity.HotspotID) (c Challenge, err error) {
	body, sig, err := splitSigned(b, challengeBody)
	if err != nil {
		return Challenge{}, err
	}
	r := reader{b: body}
	r.header(KindChallenge)
	c.Epoch = Epoch(r.u32("epoch"))
	c.Slot = r.u16("slot")
	c.Hotspot = r.hotspot()
	c.UnixNano = int64(r.u64("instant"))
	c.Frequency = r.frequency()
	c.DataRate = r.dataRate()
	c.EIRP = radio.EIRP(int16(r.u16("eirp")))
	copy(c.Nonce[:], r.take(len(c.Nonce), "nonce"))
	if sig.BySession {
		r.fail("signed by a session key")
	}
	if err := r.end(KindChallenge); err != nil {
		return Challenge{}, err
	}
	if err := sig.Verify(body, oracle); err != nil {
		return Challenge{}, err
	}
	return c, nil
}
