package airtime

import "heliograph/radio"

// slotLen is the length of a slot, rounded up so that 360 cover the window.
func (a *account) slotLen() radio.Micros {
	return (a.band.Window + windowSlots - 1) / windowSlots
}

// end is the slot after the last one remembered.
func (a *account) end() int64 { return a.base + int64(len(a.used)) }

// parts cuts a transmission at the slot boundaries.
func (a *account) parts(at, onAir radio.Micros, f func(slot int64, part radio.Micros)) {
	l := a.slotLen()
	for onAir > 0 {
		slot := at / l
		part := min(onAir, (slot+1)*l-at)
		f(int64(slot), part)
		at, onAir = at+part, onAir-part
	}
}

// fits says whether every cover that holds a part of the transmission stays
// within the budget with it.
func (a *account) fits(at, onAir radio.Micros) bool {
	if onAir == 0 {
		return true
	}
	l := a.slotLen()
	first, last := int64(at/l), int64((at+onAir-1)/l)
	if len(a.used) > 0 && first < a.end()-coverSlots {
		return false // its past is forgotten
	}
	// Slide a cover from the first one that ends in the transmission to the
	// last one that starts in it.
	sum := a.sum(first-windowSlots, first-1)
	var mine radio.Micros
	for lead := first; lead <= last+windowSlots; lead++ {
		sum += a.at(lead)
		mine += part(at, onAir, lead, l)
		if sum+mine > a.band.Budget {
			return false
		}
		tail := lead - windowSlots
		sum -= a.at(tail)
		mine -= part(at, onAir, tail, l)
		if lead >= last && lead >= a.end() {
			return true // further covers only lose bookings
		}
	}
	return true
}

// part is how much of a transmission lies in the slot.
func part(at, onAir radio.Micros, slot int64, l radio.Micros) radio.Micros {
	from := max(at, radio.Micros(slot)*l)
	to := min(at+onAir, radio.Micros(slot+1)*l)
	return max(0, to-from)
}

func (a *account) book(at, onAir radio.Micros) { a.parts(at, onAir, a.add) }

// add books time in a slot, growing or forgetting as needed. The slot must not
// lie before what is remembered by more than fits allows.
func (a *account) add(slot int64, t radio.Micros) {
	switch {
	case len(a.used) == 0:
		a.base = slot
	case slot < a.base:
		grown := make([]radio.Micros, a.end()-slot)
		copy(grown[a.base-slot:], a.used)
		a.base, a.used = slot, grown
	case slot >= a.end()+keepSlots: // all of it is too old
		a.base, a.used = slot, a.used[:0]
	}
	for a.end() <= slot {
		a.used = append(a.used, 0)
	}
	a.used[slot-a.base] += t
	if over := len(a.used) - keepSlots; over > 0 {
		a.used = append(a.used[:0], a.used[over:]...)
		a.base += int64(over)
	}
}

// at is the time booked in one slot.
func (a *account) at(slot int64) radio.Micros {
	if i := slot - a.base; i >= 0 && i < int64(len(a.used)) {
		return a.used[i]
	}
	return 0
}

// sum is the time booked in the slots from..to, both included.
func (a *account) sum(from, to int64) (total radio.Micros) {
	from, to = max(from, a.base), min(to, a.end()-1)
	for s := from; s <= to; s++ {
		total += a.used[s-a.base]
	}
	return total
}

// trim drops empty slots at both ends.
func (a *account) trim() {
	for n := len(a.used); n > 0 && a.used[n-1] == 0; n-- {
		a.used = a.used[:n-1]
	}
	for len(a.used) > 0 && a.used[0] == 0 {
		a.used = a.used[1:]
		a.base++
	}
}
