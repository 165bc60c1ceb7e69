package txqueue

import (
	"slices"

	"heliograph/radio"
)

// Next says what to do at now: which packets have ended, which one to program,
// which one to abort, and when to ask again. It hands over one packet at a time.
func (q *Queue) Next(now radio.Tick) Step {
	now = q.advance(now)
	var s Step
	s.Abort = q.watch(now)
	q.dropLate(now)
	if q.inRadio.id == 0 && now >= q.busyUntil && len(q.entries) > 0 {
		if e := q.entries[0]; e.start <= now.Add(q.cfg.Lead) {
			s.Program = q.handOver(e)
		}
	}
	s.Reports, q.reports = q.reports, nil
	s.Wake = q.wake(now)
	return s
}

// latest is how long before its start a packet may be handed over at the latest.
func (q *Queue) latest() radio.Micros { return q.cfg.Start + q.cfg.Margin + q.cfg.Bus }

func (q *Queue) handOver(e entry) *Program {
	q.entries = slices.Delete(q.entries, 0, 1)
	q.inRadio, q.cancelled, q.aborting = e, false, false
	p := &Program{ID: e.id, Packet: e.packet, Class: e.class, Until: e.start.Add(-q.cfg.Start)}
	p.Packet.Tick = e.start
	if e.asSoon {
		p.Packet.When = radio.AtTick
	}
	return p
}

// watch asks for an abort of a packet that was cancelled or is overdue, and gives
// up on one whose abort is not confirmed either.
func (q *Queue) watch(now radio.Tick) ID {
	if q.inRadio.id == 0 {
		return 0
	}
	if q.aborting && now >= q.abortAt.Add(q.cfg.AbortTime) {
		why := Stuck
		if q.cancelled {
			why = Cancelled
		}
		q.report(q.inRadio.id, radio.TxFailed, why)
		q.busyUntil = max(q.busyUntil, q.inRadio.end()) // it may still be sending
		q.free()
		return 0
	}
	if !q.aborting && (q.cancelled || now >= q.overdue()) {
		q.aborting, q.abortAt = true, now
		return q.inRadio.id
	}
	return 0
}

func (q *Queue) overdue() radio.Tick { return q.inRadio.end().Add(q.cfg.Grace) }

func (q *Queue) free() { q.inRadio, q.cancelled, q.aborting = entry{}, false, false }

// dropLate reports the timed packets that cannot be programmed in time any more,
// and places the others anew.
func (q *Queue) dropLate(now radio.Tick) {
	late := func(e entry) bool { return e.start < now.Add(q.latest()) }
	for len(q.entries) > 0 && late(q.entries[0]) {
		e := q.entries[0]
		q.entries = slices.Delete(q.entries, 0, 1)
		if e.asSoon {
			q.move(e, now)
		} else {
			q.report(e.id, radio.TxTooLate, Missed)
		}
	}
}

// wake is the first tick after now at which something falls due by itself; 0 when
// nothing ever will.
func (q *Queue) wake(now radio.Tick) radio.Tick {
	const never = ^radio.Tick(0)
	at := never
	switch {
	case q.inRadio.id == 0:
	case q.aborting:
		at = q.abortAt.Add(q.cfg.AbortTime)
	default:
		at = q.overdue()
	}
	if len(q.entries) > 0 {
		due := max(before(q.entries[0].start, q.cfg.Lead), q.busyUntil)
		if q.inRadio.id != 0 { // Done comes first, or the packet is missed
			due = before(q.entries[0].start, q.latest()-1)
		}
		at = min(at, due)
	}
	if at == never {
		return 0
	}
	return max(at, now+1)
}

// before is t - d, or the counter's start where that lies before it.
func before(t radio.Tick, d radio.Micros) radio.Tick {
	if d > 0 && t < radio.Tick(d) {
		return 0
	}
	return t.Add(-d)
}

// Done takes the radio's result for the packet that was handed over: when it has
// been sent, or could not be programmed, or was aborted. It may also come as soon
// as the radio is sure to send: the air stays reserved until the packet's end. It
// is false, and changes nothing, for any packet that is not in the radio. Call
// Next afterwards.
func (q *Queue) Done(id ID, r radio.TxResult) bool {
	if id == 0 || id != q.inRadio.id {
		return false
	}
	why := FromRadio
	switch {
	case r.Status == radio.TxOK:
		q.busyUntil = max(q.busyUntil, q.inRadio.end())
	case q.cancelled:
		why = Cancelled
	}
	if r.Status == 0 {
		r.Status = radio.TxFailed
	}
	q.reports = append(q.reports, Report{ID: id, Result: r, Reason: why})
	q.free()
	return true
}

// Cancel takes a packet back. One that still waits ends with a report; one in the
// radio is aborted by the next Step, and its report says what really happened. It
// is false when the packet has already ended. Call Next afterwards.
func (q *Queue) Cancel(id ID) bool {
	if id != 0 && id == q.inRadio.id {
		q.cancelled = true
		return true
	}
	for i := range q.entries {
		if q.entries[i].id == id {
			q.entries = slices.Delete(q.entries, i, i+1)
			q.report(id, radio.TxFailed, Cancelled)
			return true
		}
	}
	return false
}

// Flush ends every packet: the radio stopped or is started again, and its counter
// begins anew. The next Step brings the reports. Time may start from any tick
// afterwards.
func (q *Queue) Flush() {
	if q.inRadio.id != 0 {
		q.report(q.inRadio.id, radio.TxNoRadio, Flushed)
	}
	for _, e := range q.entries {
		q.report(e.id, radio.TxNoRadio, Flushed)
	}
	q.entries = q.entries[:0]
	q.free()
	q.busyUntil, q.now = 0, 0
}
