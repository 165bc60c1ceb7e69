package uplink

import (
	"errors"
	"fmt"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
)

// event takes in what a link received.
func (s *service) event(e event) error {
	c := s.c
	if e.err != nil {
		if e.link == s.old {
			s.drop()
			return nil
		}
		if e.link == s.cur {
			return fmt.Errorf("uplink: session lost: %w", e.err)
		}
		e.link.lost = e.err // a successor that has just been opened
		return nil
	}
	switch m := e.msg.GetMessage().(type) {
	case *pb.ToHotspot_Outcome:
		err := c.outcome(e.link, m.Outcome)
		if e.link == s.old && err != nil {
			s.drop() // its reports are sent again on the new link
			return nil
		}
		s.maybeDrop()
		return err
	case *pb.ToHotspot_Time:
		if l := e.link; l.cookie != 0 && m.Time.GetCookie() == l.cookie {
			l.cookie = 0
			c.sample(l.asked, m.Time.GetUnixNano())
		}
	case *pb.ToHotspot_Challenge:
		ch, err := poc.ParseChallenge(m.Challenge.GetChallenge(), c.cfg.OracleKey)
		if err != nil {
			c.count(func(st *Stats) { st.Outcomes["bad_challenge"]++ })
			c.cfg.Log.Warn("bad challenge", "error", err.Error())
		} else if c.cfg.Hooks.Challenge != nil {
			c.cfg.Hooks.Challenge(ch)
		}
	case *pb.ToHotspot_Downlink:
		if c.cfg.Hooks.Downlink != nil {
			c.cfg.Hooks.Downlink(m.Downlink)
		}
	case *pb.ToHotspot_Verdict:
		if c.cfg.Hooks.Verdict != nil {
			c.cfg.Hooks.Verdict(m.Verdict)
		}
	case *pb.ToHotspot_Drain:
		if e.link == s.cur {
			wait := time.Duration(m.Drain.GetReconnectAfterMs()) * time.Millisecond
			e.link.renewAt = c.cfg.Mono() + min(wait, c.cfg.BackoffMax)
			c.cfg.Log.Info("the oracle asks for a new session", "after_ms", wait.Milliseconds())
		}
	}
	return nil // messages of later versions are left out
}

// outcome settles a report. An error ends the link; the report is sent again.
func (c *Client) outcome(l *link, o *pb.Outcome) error {
	reason := poc.Reason(o.GetReason())
	c.count(func(s *Stats) { s.Outcomes[reason.String()]++ })
	if len(o.GetReportId()) != len(poc.ID{}) {
		return fmt.Errorf("uplink: the oracle's outcome names no report: %v: %s", reason, clip(o.GetDetail()))
	}
	id, f, ok := c.named(poc.ID(o.GetReportId()))
	if !ok {
		c.count(func(s *Stats) { s.Unasked++ })
		return nil
	}
	switch {
	case reason == poc.OK:
		if err := c.checkReceipt(id, o); err != nil {
			return err
		}
		c.retries = 0
		c.land(id, f)
		c.count(func(s *Stats) { s.Delivered++ })
	case reason == poc.BadSession, reason == poc.UnknownHotspot:
		// Not the report's fault: a new session, or a new assertion, helps.
		if reason == poc.UnknownHotspot {
			c.again.Store(true)
			return fmt.Errorf("%w: %s", errUnknown, clip(o.GetDetail()))
		}
		return fmt.Errorf("uplink: the oracle does not accept the session: %s", clip(o.GetDetail()))
	case reason.Retryable():
		delete(c.flying, id)
		c.cfg.Outbox.Release(f.entry)
		c.pause(time.Duration(o.GetRetryAfterMs()) * time.Millisecond)
	default:
		c.land(id, f)
		c.cfg.Log.Warn("report refused", "report", id.String(), "reason", reason.String(), "detail", clip(o.GetDetail()))
	}
	return nil
}

// named finds the report under way that an outcome is about. An oracle that did
// not read a report names it by the hash of all its bytes.
func (c *Client) named(id poc.ID) (poc.ID, flight, bool) {
	if f, ok := c.flying[id]; ok {
		return id, f, true
	}
	for own, f := range c.flying {
		if f.whole == id {
			return own, f, true
		}
	}
	return poc.ID{}, flight{}, false
}

// land ends a report's flight for good.
func (c *Client) land(id poc.ID, f flight) {
	delete(c.flying, id)
	c.cfg.Outbox.Ack(f.entry)
	c.count(func(s *Stats) { s.InFlight = len(c.flying) })
}

// pause stops sending for as long as the oracle asks, and longer each time in a
// row that it asks.
func (c *Client) pause(asked time.Duration) {
	wait := c.backoff(min(c.retries, 6))
	c.retries++
	if asked > 0 {
		wait = max(min(asked, c.cfg.BackoffMax), wait)
	}
	c.paused = max(c.paused, c.cfg.Mono()+wait)
}

// checkReceipt verifies the oracle's promise. Without a good one the report
// stays in the outbox.
func (c *Client) checkReceipt(id poc.ID, o *pb.Outcome) error {
	rc, err := poc.ParseReceipt(o.GetReceipt(), c.cfg.OracleKey)
	switch {
	case err != nil:
	case rc.Report != id:
		err = errors.New("it is for another report")
	case rc.Hotspot != c.cfg.Key.ID():
		err = errors.New("it is for another hotspot")
	default:
		return nil
	}
	c.count(func(s *Stats) { s.BadReceipts++ })
	return fmt.Errorf("uplink: bad receipt: %w", err)
}
