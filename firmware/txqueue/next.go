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
	q.settle(now)
	q.dropLate(now)
	s.Abort = q.watch(now)
	if q.inRadio.id == 0 && now >= q.busyUntil && len(q.entries) > 0 {
		if e := q.entries[0]; e.start <= now.Add(q.cfg.Ahead) {
			s.Program = q.handOver(e, now)
		}
	}
	s.Reports, q.reports = q.reports, nil
	s.Wake = q.wake(now)
	return s
}

// latest is how long before its start a packet may be handed over at the latest.
func (q *Queue) latest() radio.Micros { return q.cfg.Start + q.cfg.Margin + q.cfg.Bus }

func (q *Queue) handOver(e entry, now radio.Tick) *Program {
	q.inRadio = held{entry: e}
	q.settle(now)
	p := &Program{ID: e.id, Packet: e.packet, Class: e.class, Until: e.start.Add(-q.cfg.Start)}
	p.Packet.Tick = e.start
	if e.asSoon {
		p.Packet.When = radio.AtTick
	}
	return p
}

// settle takes the packet in the radio out of the entries when its start is so near
// that it stays, whatever else is pushed. One that has to be given back is not
// settled: it waits for that first.
func (q *Queue) settle(now radio.Tick) {
	h := &q.inRadio
	if h.id != 0 && !h.aborting && !q.recalled() && h.start <= now.Add(q.cfg.Lead) {
		h.settled = true
		q.entries = slices.DeleteFunc(q.entries, func(e entry) bool { return e.id == h.id })
	}
}

// recalled says whether the packet in the radio has to be given back: it has to end,
// or move, or another one goes first.
func (q *Queue) recalled() bool {
	h := &q.inRadio
	if h.id == 0 || h.settled {
		return h.ends != end{}
	}
	return h.ends != end{} || q.entries[0].id != h.id || q.entries[0].start != h.start
}

// watch asks for an abort of a packet that was recalled or is overdue, and gives up
// on one whose abort is not confirmed either.
func (q *Queue) watch(now radio.Tick) ID {
	h := &q.inRadio
	switch {
	case h.id == 0:
	case h.aborting && now >= h.abortAt.Add(q.cfg.AbortTime):
		why := Stuck
		if h.ends.why == Cancelled {
			why = Cancelled
		}
		q.report(h.id, radio.TxFailed, why)
		q.busyUntil = max(q.busyUntil, h.end()) // it may still be sending
		q.leave(h.id)
		q.inRadio = held{}
	case !h.aborting && (q.recalled() || now >= q.overdue()):
		h.aborting, h.abortAt = true, now
		return h.id
	}
	return 0
}

func (q *Queue) overdue() radio.Tick { return q.inRadio.end().Add(q.cfg.Grace) }

// leave takes a packet out of the entries; it is false when it was not there.
func (q *Queue) leave(id ID) bool {
	i := q.index(id)
	if i >= 0 {
		q.entries = slices.Delete(q.entries, i, i+1)
	}
	return i >= 0
}

// dropLate reports the timed packets that cannot be programmed in time any more,
// and places the others anew. One that the radio still has to give back waits for
// that.
func (q *Queue) dropLate(now radio.Tick) {
	for i := 0; i < len(q.entries) && q.entries[i].start < now.Add(q.latest()); {
		e := q.entries[i]
		if e.id == q.inRadio.id {
			i++
			continue
		}
		q.entries = slices.Delete(q.entries, i, i+1)
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
	case q.inRadio.aborting:
		at = q.inRadio.abortAt.Add(q.cfg.AbortTime)
	case q.recalled():
		at = now
	default:
		at = q.overdue()
	}
	for i := range q.entries {
		e := &q.entries[i]
		if e.id == q.inRadio.id {
			continue
		}
		due := max(before(e.start, q.cfg.Ahead), q.busyUntil)
		if q.inRadio.id != 0 { // Done comes first, or the packet is missed
			due = before(e.start, q.latest()-1)
		}
		at = min(at, due)
		break // the others start later
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
//
// A packet whose abort was asked for, so that another one goes first, has not ended
// with [radio.TxFailed]: it waits again.
func (q *Queue) Done(id ID, r radio.TxResult) bool {
	h := q.inRadio
	if id == 0 || id != h.id {
		return false
	}
	q.inRadio = held{}
	if r.Status == 0 {
		r.Status = radio.TxFailed
	}
	why := FromRadio
	switch {
	case r.Status == radio.TxOK:
		q.busyUntil = max(q.busyUntil, h.end())
	case h.ends != end{}:
		r.Status, why = h.ends.status, h.ends.why
	case h.aborting && r.Status == radio.TxFailed && q.index(id) >= 0:
		return true
	}
	q.leave(id)
	q.reports = append(q.reports, Report{ID: id, Result: r, Reason: why})
	return true
}

// Cancel takes a packet back. One that still waits ends with a report; one in the
// radio is aborted by the next Step, and its report says what really happened. It
// is false when the packet has already ended. Call Next afterwards.
func (q *Queue) Cancel(id ID) bool {
	if id == 0 || !q.leave(id) && id != q.inRadio.id {
		return false
	}
	q.drop(id, radio.TxFailed, Cancelled)
	return true
}

// Flush ends every packet: the radio stopped or is started again, and its counter
// begins anew. The next Step brings the reports. Time may start from any tick
// afterwards.
func (q *Queue) Flush() {
	if q.inRadio.id != 0 {
		q.leave(q.inRadio.id)
		q.report(q.inRadio.id, radio.TxNoRadio, Flushed)
	}
	for _, e := range q.entries {
		q.report(e.id, radio.TxNoRadio, Flushed)
	}
	q.entries = q.entries[:0]
	q.inRadio = held{}
	q.busyUntil, q.now = 0, 0
}
