package poc

import (
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

// AppendBinary appends the body. It fails with [ErrValue] for a challenge that no
// parser would take.
func (c Challenge) AppendBinary(dst []byte) ([]byte, error) {
	w := newWriter(dst, KindChallenge)
	w.u32(uint32(c.Epoch))
	w.u16(c.Slot)
	w.hotspot(c.Hotspot)
	w.instant(c.UnixNano, "instant")
	w.frequency(c.Frequency)
	w.dataRate(c.DataRate)
	w.i16(int64(c.EIRP), "eirp")
	w.raw(c.Nonce[:])
	return w.end(KindChallenge)
}

// ID is the hash of the body. A challenge that has no body, because a field is
// out of range, has the zero ID.
func (c Challenge) ID() ID {
	body, err := c.AppendBinary(make([]byte, 0, challengeBody))
	if err != nil {
		return ID{}
	}
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
	if c.UnixNano = int64(r.u64("instant")); c.UnixNano < 0 {
		r.fail("instant lies before 1970")
	}
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
