package txqueue

import (
	"cmp"
	"slices"

	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Push accepts a packet, which it copies, and returns its ID and [radio.TxOK]; or
// it refuses with the status that a network server understands:
// too late, too early, collision with a packet or beacon, busy (queue full), or
// failed (no such packet can be sent). Call Next afterwards.
//
// Beacons evict the packets that they collide with; packets to be sent as soon as
// possible make room for any timed one. That a packet is in the radio already does
// not protect it, until it is settled.
func (q *Queue) Push(r Request, now radio.Tick) (ID, radio.TxStatus) {
	now = q.advance(now)
	q.settle(now)
	e, status := q.admit(r, now)
	if status != radio.TxOK {
		return 0, status
	}
	if e.asSoon {
		if !q.place(&e, now) {
			return 0, radio.TxCollisionPacket
		}
	} else if status := q.makeRoom(&e, now); status != radio.TxOK {
		return 0, status
	}
	q.lastID++
	e.id = q.lastID
	e.packet.Payload = slices.Clone(e.packet.Payload)
	q.insert(e)
	if !e.asSoon {
		q.replace(&e, now)
	}
	return e.id, radio.TxOK
}

// admit checks everything that does not depend on the other entries.
func (q *Queue) admit(r Request, now radio.Tick) (entry, radio.TxStatus) {
	e := entry{packet: r.Packet, class: r.Class, start: r.Tick}
	air, err := airtime.OnAir(airtime.Params{
		DataRate: r.Packet.DataRate, Coding: r.Packet.Coding, PayloadBytes: len(r.Packet.Payload),
		PreambleSymbols: int(r.Packet.Preamble), ImplicitHeader: r.Packet.Implicit, NoCRC: r.Packet.NoCRC,
	})
	if err != nil || r.Class < ClassA || r.Class > Beacon {
		return e, radio.TxFailed
	}
	e.air = air
	if r.Class == Beacon {
		e.air = max(air, q.cfg.BeaconReserved)
	}
	switch {
	case q.Len() >= q.cfg.Depth:
		return e, radio.TxBusy
	case r.Packet.When == radio.Immediate:
		e.asSoon, e.deadline = true, now.Add(q.cfg.MaxAdvance)
	case r.Packet.When != radio.AtTick && r.Packet.When != radio.AtGPS:
		return e, radio.TxFailed
	case r.Tick <= now.Add(q.cfg.MinLead) || q.tooLateToRecall(r.Tick, now):
		return e, radio.TxTooLate
	case r.Tick > now.Add(q.cfg.MaxAdvance):
		return e, radio.TxTooEarly
	}
	return e, radio.TxOK
}

// tooLateToRecall says whether a packet would have to start before the one in the
// radio, so soon that the radio cannot give that one back first.
func (q *Queue) tooLateToRecall(start, now radio.Tick) bool {
	h := &q.inRadio
	return h.id != 0 && !h.settled && start < h.start && start <= now.Add(q.latest()+q.cfg.Recall)
}

// clear is the time that must lie between the end of a and the start of b: b is
// handed over after a has ended, and a beacon keeps its guard time free of beacons
// and of class B.
func (q *Queue) clear(a, b Class) radio.Micros {
	d := q.cfg.Start + q.cfg.Lead + q.cfg.Margin
	if b == Beacon && (a == ClassB || a == Beacon) {
		d += q.cfg.BeaconGuard
	}
	return d
}

// collide says whether two packets are too close.
func (q *Queue) collide(a, b *entry) bool {
	if a.start > b.start {
		a, b = b, a
	}
	return b.start <= a.end().Add(q.clear(a.class, b.class))
}

// fixed is a collision with what can no longer move: the settled packet in the
// radio, or one that the radio said it has sent but whose end is still to come.
func (q *Queue) fixed(e *entry, now radio.Tick) bool {
	if q.inRadio.settled && q.collide(&q.inRadio.entry, e) {
		return true
	}
	return q.busyUntil > now && e.start <= q.busyUntil.Add(q.clear(0, e.class))
}

// makeRoom clears the way for a timed packet, or says why it cannot be cleared.
// Nothing changes unless the packet can be accepted.
func (q *Queue) makeRoom(e *entry, now radio.Tick) radio.TxStatus {
	if q.fixed(e, now) {
		if q.inRadio.class == Beacon {
			return radio.TxCollisionBeacon
		}
		return radio.TxCollisionPacket
	}
	for i := range q.entries {
		o := &q.entries[i]
		switch {
		case o.asSoon || !q.collide(o, e):
		case o.class == Beacon:
			return radio.TxCollisionBeacon
		case e.class != Beacon:
			return radio.TxCollisionPacket
		}
	}
	q.entries = slices.DeleteFunc(q.entries, func(o entry) bool {
		if o.asSoon || !q.collide(&o, e) {
			return false
		}
		q.drop(o.id, radio.TxCollisionBeacon, Evicted)
		return true
	})
	return radio.TxOK
}

// place finds the first start for a packet to be sent as soon as possible: the
// shortest notice, or behind one of the others. It is false when there is none
// before the packet's deadline.
func (q *Queue) place(e *entry, now radio.Tick) bool {
	e.start = now.Add(q.cfg.AsSoon)
	if q.busyUntil > now {
		e.start = max(e.start, q.busyUntil.Add(q.clear(0, e.class)+1))
	}
	if h := &q.inRadio; h.id != 0 && !h.settled { // it may have to be given back first
		e.start = max(e.start, now.Add(q.latest()+q.cfg.Recall+1))
	}
	// Each round moves the packet behind one more of the others, for good.
	for e.start <= e.deadline {
		o := q.obstacle(e)
		if o == nil {
			return true
		}
		e.start = o.end().Add(q.clear(o.class, e.class) + 1)
	}
	return false
}

// obstacle is a packet that e collides with; nil when there is none.
func (q *Queue) obstacle(e *entry) *entry {
	if q.inRadio.settled && q.collide(&q.inRadio.entry, e) {
		return &q.inRadio.entry
	}
	for i := range q.entries {
		if o := &q.entries[i]; o.id != e.id && q.collide(o, e) {
			return o
		}
	}
	return nil
}

// replace gives a new place to the packets that move and are in the way of the
// timed packet e, in the order in which they came.
func (q *Queue) replace(e *entry, now radio.Tick) {
	var moving []entry
	q.entries = slices.DeleteFunc(q.entries, func(o entry) bool {
		out := o.asSoon && o.id != e.id && q.collide(&o, e)
		if out {
			moving = append(moving, o)
		}
		return out
	})
	slices.SortFunc(moving, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	for i := range moving {
		q.move(moving[i], now)
	}
}

// move places a packet anew, or reports it when there is no place.
func (q *Queue) move(e entry, now radio.Tick) {
	if q.place(&e, now) {
		q.insert(e)
		return
	}
	q.drop(e.id, radio.TxCollisionPacket, NoSlot)
}

func (q *Queue) insert(e entry) {
	i, _ := slices.BinarySearchFunc(q.entries, e, func(a, b entry) int { return cmp.Compare(a.start, b.start) })
	q.entries = slices.Insert(q.entries, i, e)
}
