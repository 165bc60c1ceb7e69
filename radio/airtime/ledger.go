package airtime

import (
	"fmt"
	"math"

	"heliograph/radio"
)

const (
	// windowSlots is the resolution of the account: a window is cut in that
	// many slots, 10 s each for the regulator's hour.
	windowSlots = 360
	// coverSlots is how many slots a window can touch when it does not start
	// on a slot boundary.
	coverSlots = windowSlots + 1
	// keepSlots bounds what an account remembers: two covers.
	keepSlots = 2 * coverSlots

	maxBands    = 64
	maxBandName = 32
	maxWindow   = radio.Micros(24 * 3600 * 1_000_000)
	maxInstant  = radio.Micros(1) << 60
)

// Hour is the observation period of ETSI EN 300 220-1.
const Hour radio.Micros = 3600 * 1_000_000

// Never is the retry time of a request that no waiting can satisfy.
const Never radio.Micros = math.MaxInt64

// Band is one sub-band whose time on air is limited.
type Band struct {
	Name   string       // 1..32 bytes, unique in a ledger
	Window radio.Micros // observation period, 1 s..24 h; usually [Hour]
	Budget radio.Micros // most time on air in any such period, 0..Window
}

// DutyCycle makes the band of a limit in thousandths over one hour: 10 is 1 %.
func DutyCycle(name string, perMille int) Band {
	return Band{Name: name, Window: Hour, Budget: Hour / 1000 * radio.Micros(perMille)}
}

// Ledger accounts time on air per sub-band so that no observation period, of
// whatever start, holds more than the band's budget.
//
// An instant is a number of microseconds on one clock of the caller's that
// never steps: the concentrator's tick or the host's monotonic clock. When that
// clock starts anew (a reboot), [Ledger.Resume] carries the account over.
//
// Time is summed in slots of 1/360 of the window, and every run of 361 slots is
// kept within the budget, so the ledger errs towards silence by at most one slot
// (10 s of an hour) and needs a bounded 722 counters a band. Reservations may be
// made ahead and out of order. A Ledger is not safe for concurrent use.
type Ledger struct {
	accounts []account
}

// account is one band's dense run of slots: used[i] is the time in slot base+i.
type account struct {
	band Band
	base int64
	used []radio.Micros
}

// NewLedger makes a ledger with nothing spent. It fails on a band that is
// outside the limits that [Band] states, on a name given twice, and on more
// than 64 bands.
func NewLedger(bands ...Band) (*Ledger, error) {
	if len(bands) > maxBands {
		return nil, fmt.Errorf("airtime: ledger of %d bands: at most %d are supported", len(bands), maxBands)
	}
	l := &Ledger{}
	for _, b := range bands {
		if err := b.check(); err != nil {
			return nil, err
		}
		if l.find(b.Name) != nil {
			return nil, fmt.Errorf("airtime: band %q is given twice", b.Name)
		}
		l.accounts = append(l.accounts, account{band: b})
	}
	return l, nil
}

func (b Band) check() error {
	switch {
	case b.Name == "" || len(b.Name) > maxBandName:
		return fmt.Errorf("airtime: band name %q: want 1..%d bytes", b.Name, maxBandName)
	case b.Window < 1_000_000 || b.Window > maxWindow:
		return fmt.Errorf("airtime: band %s: window %v is outside 1s..24h", b.Name, b.Window.Duration())
	case b.Budget < 0 || b.Budget > b.Window:
		return fmt.Errorf("airtime: band %s: budget %v is outside 0..%v", b.Name, b.Budget.Duration(), b.Window.Duration())
	}
	return nil
}

// Bands lists the bands in the order in which they were given.
func (l *Ledger) Bands() []Band {
	out := make([]Band, len(l.accounts))
	for i := range l.accounts {
		out[i] = l.accounts[i].band
	}
	return out
}

// Reserve books a transmission that starts at the instant at and lasts onAir.
// When it would break the budget nothing is booked, ok is false and retryAt is
// the first instant from which the same transmission would fit, or [Never]: the
// band is unknown, the packet alone exceeds the budget, or an argument is
// negative. An instant more than a window before the latest booking is refused
// too. When ok is true, retryAt is at.
func (l *Ledger) Reserve(band string, at, onAir radio.Micros) (ok bool, retryAt radio.Micros) {
	a := l.find(band)
	if a == nil || at < 0 || at > maxInstant || onAir < 0 || onAir > a.band.Budget {
		return false, Never
	}
	if a.fits(at, onAir) {
		a.book(at, onAir)
		return true, at
	}
	slot := a.slotLen()
	// One slot past everything that is booked, the band is idle for a cover.
	last := a.end() + coverSlots
	for s := max(int64(at/slot)+1, a.end()-coverSlots); s <= last; s++ {
		if t := radio.Micros(s) * slot; a.fits(t, onAir) {
			return false, t
		}
	}
	return false, radio.Micros(last) * slot
}

// Release takes back a reservation whose packet was not sent. The arguments are
// those of the reservation.
func (l *Ledger) Release(band string, at, onAir radio.Micros) {
	a := l.find(band)
	if a == nil || at < 0 || at > maxInstant || onAir <= 0 || onAir > a.band.Budget {
		return
	}
	a.parts(at, onAir, func(slot int64, part radio.Micros) {
		if i := slot - a.base; i >= 0 && i < int64(len(a.used)) {
			a.used[i] = max(0, a.used[i]-part)
		}
	})
}

// Remaining is the time on air that the band has left in the period that ends
// with the instant now; 0 for an unknown band.
func (l *Ledger) Remaining(band string, now radio.Micros) radio.Micros {
	a := l.find(band)
	if a == nil || now < 0 || now > maxInstant {
		return 0
	}
	s := int64(now / a.slotLen())
	return max(0, a.band.Budget-a.sum(s-windowSlots, s))
}

// Fill books all that the band has left at the instant now. It is for a start
// without a usable saved ledger: assuming the last hour fully used keeps a
// reboot from being free airtime.
func (l *Ledger) Fill(band string, now radio.Micros) {
	a := l.find(band)
	if a == nil || now < 0 || now > maxInstant {
		return
	}
	slot := int64(now / a.slotLen())
	if len(a.used) > 0 {
		slot = max(slot, a.end()-coverSlots) // what lies before is forgotten
	}
	if left := a.band.Budget - a.sum(slot-windowSlots, slot); left > 0 {
		a.add(slot, left)
	}
}

// Resume carries a parsed ledger over to a new clock that reads now. What was
// booked last counts as sent just now: the time that the device was off is not
// known and is not credited.
func (l *Ledger) Resume(now radio.Micros) {
	now = min(max(now, 0), maxInstant)
	for i := range l.accounts {
		a := &l.accounts[i]
		a.trim()
		if n := int64(len(a.used)); n > 0 {
			a.base = int64(now/a.slotLen()) - n + 1
		}
	}
}

// Rebudget gives the ledger the bands of another plan (or firmware). A band that
// keeps its name and window keeps what it has spent; others start at zero and
// should be filled with [Ledger.Fill]. fresh names those.
func (l *Ledger) Rebudget(bands ...Band) (next *Ledger, fresh []string, err error) {
	next, err = NewLedger(bands...)
	if err != nil {
		return nil, nil, err
	}
	for i := range next.accounts {
		n := &next.accounts[i]
		old := l.find(n.band.Name)
		if old == nil || old.band.Window != n.band.Window {
			fresh = append(fresh, n.band.Name)
			continue
		}
		n.base, n.used = old.base, append([]radio.Micros(nil), old.used...)
	}
	return next, fresh, nil
}

func (l *Ledger) find(name string) *account {
	for i := range l.accounts {
		if l.accounts[i].band.Name == name {
			return &l.accounts[i]
		}
	}
	return nil
}
