package poc

import (
	"fmt"

	"heliograph/provisioning/identity"
)

// NonceSize is the length in bytes of the nonce of a session offer.
const NonceSize = 32

// MaxSessionSeconds is the longest time for which a session key may be valid.
const MaxSessionSeconds = 24 * 3600

// SessionCert is a hotspot key's statement that a session key speaks for it. It
// exists because a secure element signs a few times a second, and a hotspot in
// a city reports more often than that.
type SessionCert struct {
	Hotspot   identity.HotspotID
	Key       SessionKey
	Nonce     [NonceSize]byte // from the oracle's offer: proves that the cert is fresh
	NotBefore int64           // unix seconds, by the oracle's clock
	NotAfter  int64           // unix seconds; at most MaxSessionSeconds after NotBefore

	Body      []byte
	Signature Signature
}

const sessionBody = 2 + 33 + 32 + NonceSize + 8 + 8

const badSpan = "validity is empty, or longer than a day"

func validSpan(from, to int64) bool {
	return from >= 0 && to >= from && to-from <= MaxSessionSeconds
}

// SessionClockTolerance is how many seconds before NotBefore a session key may
// already be used: certificates are made by the hotspot's idea of the oracle's
// clock, which may run ahead.
const SessionClockTolerance = 60

// Covers says whether the session key may speak for the hotspot in a report that
// the oracle received at an instant (unix nanoseconds). Ends count in whole seconds.
func (c SessionCert) Covers(unixNano int64) bool {
	second := unixNano / nanosPerSecond
	return second >= c.NotBefore-SessionClockTolerance && second <= c.NotAfter
}

// MakeSessionCert encodes and signs c with the hotspot's key.
func MakeSessionCert(c SessionCert, key identity.Signer) ([]byte, error) {
	if !validSpan(c.NotBefore, c.NotAfter) {
		return nil, fmt.Errorf("%w: session: %s", ErrValue, badSpan)
	}
	w := newWriter(make([]byte, 0, sessionBody), KindSession)
	w.hotspot(c.Hotspot)
	w.raw(c.Key[:])
	w.raw(c.Nonce[:])
	w.u64(uint64(c.NotBefore))
	w.u64(uint64(c.NotAfter))
	b, err := w.end(KindSession)
	if err != nil {
		return nil, err
	}
	return SignBody(b, key)
}

// ParseSessionCert reads a certificate and verifies its signature.
func ParseSessionCert(b []byte) (c SessionCert, err error) {
	if len(b) > MaxReport {
		return SessionCert{}, fmt.Errorf("%w: session certificate of %d bytes", ErrTooLarge, len(b))
	}
	c.Body, c.Signature, err = splitSigned(b, sessionBody)
	if err != nil {
		return SessionCert{}, err
	}
	r := reader{b: c.Body}
	r.header(KindSession)
	c.Hotspot = r.hotspot()
	copy(c.Key[:], r.take(len(c.Key), "session key"))
	copy(c.Nonce[:], r.take(len(c.Nonce), "nonce"))
	c.NotBefore = int64(r.u64("not before"))
	c.NotAfter = int64(r.u64("not after"))
	if !validSpan(c.NotBefore, c.NotAfter) {
		r.fail(badSpan)
	}
	if c.Signature.BySession {
		r.fail("signed by a session key")
	}
	if err := r.end(KindSession); err != nil {
		return SessionCert{}, err
	}
	if err := c.Signature.Verify(c.Body, c.Hotspot); err != nil {
		return SessionCert{}, err
	}
	return c, nil
}
