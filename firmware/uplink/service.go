package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "heliograph/oracle/api/heliographv1"
	"heliograph/poc"
)

// service is the time in which at least one link is alive.
type service struct {
	c       *Client
	cur     *link
	old     *link         // being drained
	opening chan openedUp // a successor is being opened; nil when not
}

type openedUp struct {
	link *link
	err  error
}

// drainTime is how long an old link may wait for its answers.
const drainTime = 30 * time.Second

func (s *service) cleanUp() {
	if s.opening != nil {
		if o := <-s.opening; o.link != nil { // its context has ended: it comes soon
			o.link.close()
		}
	}
	for _, l := range []*link{s.cur, s.old} {
		if l != nil {
			l.close()
			s.c.ground(l)
		}
	}
}

// ground makes the reports available again that were under way on a link.
func (c *Client) ground(l *link) {
	var ids []uint64
	for id, f := range c.flying {
		if f.link == l {
			ids = append(ids, f.entry)
			delete(c.flying, id)
		}
	}
	c.cfg.Outbox.Release(ids...)
}

// wake is the monotonic instant of the next thing to do.
func (s *service) wake() time.Duration {
	at := s.cur.ends
	if s.opening == nil {
		at = min(at, s.cur.renewAt)
	}
	if s.cur.cookie != 0 {
		at = min(at, s.cur.asked+s.c.cfg.AnswerTimeout)
	} else {
		at = min(at, s.cur.nextTime)
	}
	if s.old != nil {
		at = min(at, s.old.closeAt)
	}
	for _, f := range s.c.flying {
		if f.link == s.cur { // those on the old link end with it
			at = min(at, f.sent+s.c.cfg.AnswerTimeout)
		}
	}
	if s.c.paused > s.c.cfg.Mono() {
		at = min(at, s.c.paused)
	}
	return at
}

// tick does what is due.
func (s *service) tick(ctx context.Context) error {
	now, c := s.c.cfg.Mono(), s.c
	for _, f := range c.flying {
		if now >= f.sent+c.cfg.AnswerTimeout && f.link == s.cur {
			return errors.New("uplink: the oracle does not answer reports")
		}
	}
	switch {
	case now >= s.cur.ends:
		return errors.New("uplink: the session ran out before the next one was open")
	case s.cur.cookie != 0 && now >= s.cur.asked+c.cfg.AnswerTimeout:
		return errors.New("uplink: the oracle does not answer")
	}
	if s.old != nil && now >= s.old.closeAt {
		s.drop()
	}
	if s.opening == nil && now >= s.cur.renewAt {
		ch := make(chan openedUp, 1)
		s.opening = ch
		go func() {
			l, err := c.open(ctx)
			ch <- openedUp{l, err}
		}()
	}
	if s.cur.cookie == 0 && now >= s.cur.nextTime {
		s.askTime(now)
	}
	return nil
}

func (s *service) askTime(now time.Duration) {
	l := s.cur
	l.samples++
	l.cookie, l.asked = uint64(l.samples), now
	l.nextTime = now + s.c.cfg.TimeEvery
	if l.samples < 4 { // a few quick ones narrow the error
		l.nextTime = now + min(time.Second, s.c.cfg.TimeEvery)
	}
	l.put(&pb.FromHotspot{Message: &pb.FromHotspot_Time{Time: &pb.TimeRequest{Cookie: l.cookie}}})
}

// put sends on a link. When the stream is over, the answers that came before its
// end are still to be read, and its receiver tells why; until then nothing more
// is sent.
func (l *link) put(m *pb.FromHotspot) {
	if !l.broken && l.stream.Send(m) != nil {
		l.broken = true
	}
}

// replace puts the new link in place and drains the old one.
func (s *service) replace(o openedUp) {
	s.opening = nil
	now := s.c.cfg.Mono()
	if o.err == nil && o.link.lost != nil {
		o.link.close()
		o.err = fmt.Errorf("uplink: the new session was lost at once: %w", o.link.lost)
	}
	if o.err != nil {
		s.cur.renewAt = now + s.c.backoff(3)
		s.c.cfg.Log.Warn("cannot renew the session yet", "error", o.err.Error())
		return
	}
	s.drop()
	s.old, s.cur = s.cur, o.link
	s.old.closeAt = min(now+drainTime, s.old.ends)
	s.c.up(s.cur)
	s.c.cfg.Log.Info("session renewed", "valid_s", int((s.cur.ends-s.cur.opened)/time.Second))
	s.maybeDrop()
}

// maybeDrop closes the old link when nothing is under way on it.
func (s *service) maybeDrop() {
	if s.old == nil {
		return
	}
	for _, f := range s.c.flying {
		if f.link == s.old {
			return
		}
	}
	s.drop()
}

func (s *service) drop() {
	if s.old == nil {
		return
	}
	s.old.close()
	s.c.ground(s.old)
	s.old = nil
}

// send fills the window with reports.
func (s *service) send() error {
	c := s.c
	now := c.cfg.Mono()
	if now < c.paused || s.cur.broken {
		return nil
	}
	room := c.cfg.MaxInFlight - len(c.flying)
	if room <= 0 {
		return nil
	}
	utc := c.cfg.UTC()
	for _, e := range c.cfg.Outbox.Next(utc.UnixNano, room) {
		id := poc.IDOf(e.Body)
		if f, twice := c.flying[id]; twice && f.entry != e.ID {
			c.cfg.Outbox.Ack(e.ID) // the same report once more
			continue
		}
		signed, err := poc.SignBySession(e.Body, s.cur.key)
		if err != nil {
			c.cfg.Outbox.Release(e.ID)
			return fmt.Errorf("uplink: sign report: %w", err)
		}
		c.flying[id] = flight{entry: e.ID, whole: poc.IDOf(signed), link: s.cur, sent: now}
		r := &pb.Report{Report: signed}
		if held := utc.UnixNano - e.Made; utc.Known() && e.Made != 0 && held > 0 {
			r.HeldMs = uint32(min(held/1e6, 1<<32-1))
		}
		s.cur.put(&pb.FromHotspot{Message: &pb.FromHotspot_Report{Report: r}})
	}
	c.count(func(st *Stats) { st.InFlight = len(c.flying) })
	return nil
}
