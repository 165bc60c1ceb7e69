package ingest

import (
	"fmt"
	"sync"
	"time"

	"heliograph/poc"
	"heliograph/provisioning/identity"
)

// maxCerts is how many session keys of one hotspot are remembered: those of the
// live sessions, and of those just before, whose reports may still come.
const maxCerts = 4

// cert is what counts of a session certificate.
type cert struct {
	hotspot   identity.HotspotID
	notBefore int64 // unix seconds
	notAfter  int64
}

// certs are the session keys that may sign.
type certs struct {
	mu  sync.RWMutex
	by  map[poc.SessionKey]cert
	own map[identity.HotspotID][]poc.SessionKey // oldest first
}

func newCerts() *certs {
	return &certs{by: make(map[poc.SessionKey]cert), own: make(map[identity.HotspotID][]poc.SessionKey)}
}

// add takes up a certificate. A key that speaks for another hotspot already is
// refused: its owner would lose its session.
func (c *certs) add(s poc.SessionCert) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, known := c.by[s.Key]; known && old.hotspot != s.Hotspot {
		return false
	} else if !known {
		own := append(c.own[s.Hotspot], s.Key)
		if len(own) > maxCerts {
			delete(c.by, own[0])
			own = append([]poc.SessionKey(nil), own[1:]...)
		}
		c.own[s.Hotspot] = own
	}
	c.by[s.Key] = cert{hotspot: s.Hotspot, notBefore: s.NotBefore, notAfter: s.NotAfter}
	return true
}

// taken says whether another hotspot's certificate names the key.
func (c *certs) taken(k poc.SessionKey, by identity.HotspotID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	old, known := c.by[k]
	return known && old.hotspot != by
}

// check says whether the key may sign for the hotspot at now; if not, why.
func (c *certs) check(k poc.SessionKey, h identity.HotspotID, now time.Time) string {
	c.mu.RLock()
	s, known := c.by[k]
	c.mu.RUnlock()
	switch {
	case !known:
		return "the session key is not authorised: open a session and sign the report again"
	case s.hotspot != h:
		return "the session key speaks for another hotspot"
	case now.Unix() < s.notBefore-poc.SessionClockTolerance: // the judge would say so
		return fmt.Sprintf("the session key is valid from %s on: open a session with the clock of its offer",
			time.Unix(s.notBefore, 0).UTC().Format(time.RFC3339))
	case now.Unix() > s.notAfter:
		return fmt.Sprintf("the session key expired at %s: open a session and sign the report again",
			time.Unix(s.notAfter, 0).UTC().Format(time.RFC3339))
	}
	return ""
}
