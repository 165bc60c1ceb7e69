package ingest

import (
	"context"
	"fmt"
	"time"

	"heliograph/poc"
)

// mayRegister checks an assertion against the rules of registration and the one
// on record. The same assertion again is welcome: it gets its receipt.
func (k *Core) mayRegister(r poc.Report) (Outcome, bool) {
	a := r.Assertion
	old, known := k.roll.get(r.Hotspot)
	switch {
	case known && old.ID == r.ID:
		return Outcome{}, true
	case known && a.Sequence <= old.Sequence:
		return refuse(r.ID, poc.NotRegistered, fmt.Sprintf("the assertion has sequence %d, the one on record %d: use a higher one", a.Sequence, old.Sequence)), false
	case !known && k.cfg.Allow != nil && !k.cfg.Allow(r.Hotspot):
		return refuse(r.ID, poc.NotRegistered, "registration is limited to a list and hotspot "+r.Hotspot.String()+" is not on it: ask the oracle's operator"), false
	case k.cfg.RegionKnown != nil && !k.cfg.RegionKnown(a.Region):
		return refuse(r.ID, poc.NotRegistered, fmt.Sprintf("region %q is not known: use a name such as EU868 or US915", a.Region)), false
	}
	return Outcome{}, true
}

// admitAssertion journals an assertion whose signature was checked. Assertions
// are taken one by one, so that of two with one sequence the first wins.
func (k *Core) admitAssertion(ctx context.Context, r poc.Report, raw []byte, e poc.Epoch, now time.Time) Outcome {
	select {
	case k.register <- struct{}{}:
		defer func() { <-k.register }()
	case <-ctx.Done():
		return overloaded(r.ID, ctx.Err())
	}
	if m, known := k.known(r); known {
		return k.receipt(r, m, true)
	}
	if o, ok := k.mayRegister(r); !ok {
		return o
	}
	m, o, ok := k.append(ctx, r, raw, stamp{e, now.UnixNano()})
	if !ok {
		return o
	}
	k.roll.apply(Registration{Assertion: *r.Assertion, ID: r.ID, mark: m})
	k.cfg.Logger.Info("hotspot registered", "hotspot", r.Hotspot.String(), "name", r.Hotspot.Name(),
		"region", r.Assertion.Region, "sequence", r.Assertion.Sequence)
	return k.receipt(r, m, false)
}

// OpenSession checks a session certificate against the nonce that was offered
// and journals it. When the outcome is OK the certificate is on disk and its key
// may sign. The nonce must not be used again, whatever the outcome. The budget of
// the network address peer is charged before the signature is looked at.
func (k *Core) OpenSession(ctx context.Context, peer string, nonce [poc.NonceSize]byte, raw []byte) (poc.SessionCert, Outcome) {
	s, o := k.openSession(ctx, peer, nonce, raw)
	k.cfg.Metrics.countSession(o)
	return s, o
}

func (k *Core) openSession(ctx context.Context, peer string, nonce [poc.NonceSize]byte, raw []byte) (poc.SessionCert, Outcome) {
	no := func(r poc.Reason, detail string) (poc.SessionCert, Outcome) {
		return poc.SessionCert{}, refuse(poc.ID{}, r, detail)
	}
	id, ok := certHotspot(raw)
	if !ok {
		return no(poc.Malformed, "this is not a session certificate")
	}
	if _, known := k.roll.get(id); !known {
		return no(poc.UnknownHotspot, "hotspot "+id.String()+" has no assertion on record: submit one first")
	}
	now := k.cfg.Now()
	if wait, ok := k.peers.take(peer, now.UnixNano()); !ok {
		return poc.SessionCert{}, Outcome{Reason: poc.RateLimited, RetryAfter: wait,
			Detail: fmt.Sprintf("too many sessions and reports from this network address: wait %v", wait.Round(time.Millisecond))}
	}
	s, err := poc.ParseSessionCert(raw)
	if err != nil {
		return no(poc.BadSession, err.Error())
	}
	switch {
	case s.Nonce != nonce:
		return no(poc.BadSession, "the certificate answers another offer: sign the nonce of this one")
	case time.Duration(s.NotAfter-s.NotBefore)*time.Second > k.cfg.MaxSession:
		return no(poc.BadSession, fmt.Sprintf("the certificate is valid for %d s, the limit is %v", s.NotAfter-s.NotBefore, k.cfg.MaxSession))
	case time.Unix(s.NotBefore, 0).After(now.Add(k.cfg.Calendar.Tolerance + time.Second)):
		return no(poc.BadSession, "the certificate is not valid yet: use the clock of the offer")
	case s.NotAfter <= now.Unix():
		return no(poc.BadSession, "the certificate has expired: use the clock of the offer")
	case k.certs.taken(s.Key, s.Hotspot):
		return no(poc.BadSession, "the session key is another hotspot's: draw a new one")
	}
	if wait, ok := k.opening.take(s.Hotspot, now.UnixNano()); !ok {
		return poc.SessionCert{}, Outcome{Reason: poc.RateLimited, RetryAfter: wait,
			Detail: fmt.Sprintf("too many sessions of this hotspot: wait %v", wait.Round(time.Millisecond))}
	}
	if err := k.journalSession(ctx, raw, now); err != nil {
		k.cfg.Logger.Error("append to the journal failed", "error", err)
		return poc.SessionCert{}, overloaded(poc.ID{}, err)
	}
	if !k.certs.add(s) {
		return no(poc.BadSession, "the session key is another hotspot's: draw a new one")
	}
	return s, Outcome{}
}
