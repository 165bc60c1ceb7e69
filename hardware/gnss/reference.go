package gnss

import (
	"math/bits"
	"time"

	"heliograph/radio"
)

// Count is an instant on the concentrator's 32 MHz counter, widened to 64 bits.
type Count uint64

// countHz is the counter's nominal rate.
const countHz = 32_000_000

// countsPerMicro is the same in a microsecond.
const countsPerMicro = 32

// Limits of a [Reference].
const (
	// Lost is how long after the last good pulse a time is still given. The
	// counter wraps after 134.2 s, and then an old pulse looks like a new one.
	Lost = 135 * time.Second

	// Fresh is how long a reference counts as locked; between that and Lost it
	// runs on the crystal alone. The vendor gives up here.
	Fresh = 30 * time.Second

	// maxPPM is how far the crystal may be off, in parts per million.
	maxPPM = 20

	// jitter is how far a pulse may be off, in counts: 2 µs.
	jitter      = 64
	jitterNanos = jitter * 125 / 4

	// agree is how many pairs in a row make a reference.
	agree = 3

	// window is how many pairs the crystal's error is measured over.
	window = 64

	// holdPPB is how fast an error grows without pulses, given the crystal's last
	// rate: temperature moves a TCXO by less.
	holdPPB = 500
)

// State of a [Reference].
type State uint8

// The states, from the best to none.
const (
	Locked    State = 1 // pulses and times agree
	Holdover  State = 2 // no pulse for [Fresh]; the crystal carries on
	Acquiring State = 3 // no reference yet, or none any more
)

// String is the state's name for logs and metrics.
func (s State) String() string {
	switch s {
	case Locked:
		return "locked"
	case Holdover:
		return "holdover"
	case Acquiring:
		return "acquiring"
	}
	return "unknown"
}

// scale says what a pair's seconds count.
type scale uint8

const (
	gpsScale scale = 1 // since GPS's epoch
	utcScale scale = 2 // Unix seconds plus the leap seconds seen while running
)

// pair is a pulse and its second.
type pair struct {
	at     Count
	second int64
	scale  scale
	bound  int64 // ns
}

// Stats counts what happened to a Reference.
type Stats struct {
	Pulses   uint64
	Pairs    uint64 // accepted
	Aberrant uint64 // pairs that contradict the reference
	Unpaired uint64 // times without a pulse in the second before
	Locks    uint64 // references made, the first included
}

// Reference relates a concentrator's counter to UTC and GPS time. All instants are
// arguments. It is not safe for concurrent use. The zero value is ready.
type Reference struct {
	pulse    Count // the last one
	hasPulse bool

	good  []pair // accepted, oldest first, at most window
	maybe []pair // in a row, contradicting good; fewer than agree

	leap     leapSeconds
	utcSteps int64 // leap seconds seen on the UTC scale
	stats    Stats
}

// Stats since the start.
func (r *Reference) Stats() Stats { return r.stats }

// Reset forgets everything but the leap seconds, as when the concentrator's counter
// has started anew.
func (r *Reference) Reset() { *r = Reference{leap: r.leap.reset(), stats: r.stats} }

// Pulse takes the counter at a new pulse per second. Call it once for each change
// of the latch, not for a latch that still holds the last one.
func (r *Reference) Pulse(at Count) {
	if r.hasPulse && at <= r.pulse {
		return
	}
	r.pulse, r.hasPulse = at, true
	r.stats.Pulses++
}

// Message takes a receiver's message and the counter at the moment it came. Those
// without a time are passed over.
func (r *Reference) Message(m Message, now Count) {
	switch {
	case m.GPS != nil:
		r.gps(*m.GPS, now)
	case m.UTC != nil:
		r.utc(*m.UTC, now)
	}
}

func (r *Reference) gps(t TimeGPS, now Count) {
	ns, ok := t.Nanos()
	second := (ns + 500_000_000) / 1_000_000_000
	if off := ns - second*1_000_000_000; !ok || off > 1_000_000 || off < -1_000_000 {
		return // not the time of a pulse
	}
	if t.LeapValid {
		r.leap.set(second, int64(t.Leap))
	}
	r.pair(second, gpsScale, int64(min(t.Accuracy, 1_000_000_000)), now)
}

func (r *Reference) utc(t UTC, now Count) {
	if t.Nano != 0 || t.Leap && r.leap.utcFrom == t.Unix+r.utcSteps {
		return // not the time of a pulse, or a leap second said twice
	}
	if r.scale() == gpsScale && r.State(now) != Acquiring {
		r.learnLeap(t, now)
		return
	}
	before := r.stats.Pairs
	r.pair(t.Unix+r.utcSteps, utcScale, 1_000, now)
	if t.Leap && r.stats.Pairs == before+1 {
		// Unix repeats this second, the counter does not.
		r.utcSteps++
		r.leap.stepUTC(t.Unix + r.utcSteps)
	}
}

// learnLeap takes the leap seconds from the difference of a UTC sentence and the
// GPS time of the same pulse, when the receiver does not say them.
func (r *Reference) learnLeap(t UTC, now Count) {
	if !r.paired(now) || t.Leap {
		return
	}
	ns, scale, ok := r.at(r.pulse)
	second := (ns + 500_000_000) / 1_000_000_000
	if n := second + radio.GPSEpoch - t.Unix; ok && scale == gpsScale && n >= 0 && n < 100 {
		r.leap.suggest(second, n)
	}
}

func (r *Reference) scale() scale {
	if len(r.good) == 0 {
		return 0
	}
	return r.good[0].scale
}

// paired says whether a message that comes now can speak of the last pulse.
func (r *Reference) paired(now Count) bool {
	return r.hasPulse && now >= r.pulse && now-r.pulse < countHz*98/100
}

// pair judges the last pulse with its second.
func (r *Reference) pair(second int64, s scale, bound int64, now Count) {
	if !r.paired(now) {
		r.stats.Unpaired++
		return
	}
	p := pair{at: r.pulse, second: second, scale: s, bound: bound}
	if r.State(now) == Acquiring {
		r.good = r.good[:0]
	}
	if n := len(r.good); n > 0 {
		last := r.good[n-1]
		if last.at == p.at && last.second == p.second && last.scale == p.scale {
			return // said twice (RMC and ZDA)
		}
		if follows(last, p) {
			r.accept(p)
			return
		}
		if last.scale == p.scale {
			r.stats.Aberrant++
		}
	}
	r.suspect(p)
}

func (r *Reference) accept(p pair) {
	if len(r.good) == window {
		r.good = append(r.good[:0], r.good[1:]...)
	}
	r.good = append(r.good, p)
	if len(r.maybe) > 0 && r.maybe[0].scale == p.scale {
		r.maybe = r.maybe[:0]
	}
	r.stats.Pairs++
}

// suspect collects pairs that contradict the reference; when enough agree with
// each other, they are the new one.
func (r *Reference) suspect(p pair) {
	if n := len(r.maybe); n > 0 {
		last := r.maybe[n-1]
		switch {
		case last.at == p.at && last.second == p.second && last.scale == p.scale:
			return
		case last.scale == gpsScale && p.scale == utcScale && p.at-last.at < 10*countHz:
			return // both are spoken: GPS time leads
		case !follows(last, p):
			r.maybe = r.maybe[:0]
		}
	}
	r.maybe = append(r.maybe, p)
	if len(r.maybe) < agree {
		return
	}
	r.stats.Locks++
	r.stats.Pairs += agree
	r.good = append(r.good[:0], r.maybe...)
	r.maybe = r.maybe[:0]
}

// follows says whether q can be a pulse later than p on the same crystal.
func follows(p, q pair) bool {
	seconds := q.second - p.second
	if p.scale != q.scale || q.at <= p.at || seconds < 1 || seconds > 3600 {
		return false
	}
	off := int64(q.at-p.at) - seconds*countHz
	limit := seconds*countHz/1_000_000*maxPPM + jitter
	return off <= limit && off >= -limit
}

// State at a moment.
func (r *Reference) State(now Count) State {
	if len(r.good) == 0 {
		return Acquiring
	}
	age := r.age(now)
	switch {
	case age > Lost:
		return Acquiring
	case age > Fresh:
		return Holdover
	}
	return Locked
}

// age is the nominal time since the last accepted pulse, in either direction.
func (r *Reference) age(now Count) time.Duration {
	last := r.good[len(r.good)-1].at
	d := max(now, last) - min(now, last)
	if d > countHz*86_400 {
		return Lost + 1
	}
	return time.Duration(d * 125 / 4)
}

// CrystalPPB is how much the counter runs fast (slow, if negative), in parts per
// billion: the slope over up to a minute of pulses. It outlives the loss of the
// reference until another one begins, and is false before the first.
func (r *Reference) CrystalPPB() (int64, bool) {
	counts, seconds := r.span()
	if counts == 0 {
		return 0, false
	}
	nominal := seconds * countHz
	// |counts - nominal| <= 20 ppm of at most 63 h: times 10^9 fits.
	return (int64(counts) - nominal) * 1_000 / (nominal / 1_000_000), true
}

// span is how many counts lie between the first and the last pulse of the window,
// and how many seconds.
func (r *Reference) span() (counts uint64, seconds int64) {
	if len(r.good) < 2 {
		return 0, 0
	}
	first, last := r.good[0], r.good[len(r.good)-1]
	return uint64(last.at - first.at), last.second - first.second
}

// at is the time of a count, in nanoseconds of the reference's scale.
func (r *Reference) at(c Count) (ns int64, s scale, ok bool) {
	counts, seconds := r.span()
	if counts == 0 || r.age(c) > maxAhead {
		return 0, 0, false
	}
	last := r.good[len(r.good)-1]
	d := max(c, last.at) - min(c, last.at)
	ns = int64(mulDiv(uint64(d), uint64(seconds)*1_000_000_000, counts))
	if c < last.at {
		ns = -ns
	}
	return last.second*1_000_000_000 + ns, last.scale, true
}

// maxAhead is how far from the last pulse a conversion reaches: the longest notice
// of a transmission and what a reference may be old.
const maxAhead = 512*time.Second + Lost

// bound is what a time so far from the last pulse may be wrong: the receiver's own
// figure and the pulse's jitter, the error that jitter puts into the crystal's rate
// (less, the longer the window), and the crystal's wandering.
func (r *Reference) bound(c Count) time.Duration {
	_, seconds := r.span()
	last := r.good[len(r.good)-1]
	ppb := holdPPB + 2*jitterNanos/seconds
	micros := int64(r.age(c) / time.Microsecond)
	return time.Duration(last.bound + jitterNanos + micros*ppb/1_000_000 + 2)
}

// mulDiv is a*b/c, rounded to nearest; the result must fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, c/2, 0)
	q, _ := bits.Div64(hi+carry, lo, c)
	return q
}

// Pulsed is the last pulse that was taken in, whatever came of it.
func (r *Reference) Pulsed() (at Count, ok bool) { return r.pulse, r.hasPulse }

// UTC is the time of a count; unknown when there is no reference at now, or when
// GPS time is known and the leap seconds are not.
func (r *Reference) UTC(c, now Count) radio.WallTime {
	ns, s, ok := r.at(c)
	if !ok || r.State(now) == Acquiring {
		return radio.WallTime{}
	}
	unix, ok := r.leap.unix(ns, s, r.utcSteps)
	if !ok || unix <= 0 {
		return radio.WallTime{}
	}
	return radio.WallTime{UnixNano: unix, Bound: r.bound(c)}
}

// UTCOf is [Reference.UTC] of a tick in microseconds.
func (r *Reference) UTCOf(t radio.Tick, now Count) radio.WallTime {
	return r.UTC(Count(t)*countsPerMicro, now)
}

// GPS is the time of a count since GPS's epoch, with its error bound. False when
// there is no reference at now, or when it was made from UTC sentences alone.
func (r *Reference) GPS(c, now Count) (sinceEpoch, bound time.Duration, ok bool) {
	ns, s, ok := r.at(c)
	if !ok || s != gpsScale || r.State(now) == Acquiring {
		return 0, 0, false
	}
	return time.Duration(ns), r.bound(c), true
}

// CountAtGPS is the counter at a GPS time, up to 512 s ahead. False as for GPS.
func (r *Reference) CountAtGPS(sinceEpoch time.Duration, now Count) (Count, bool) {
	if r.State(now) == Acquiring || r.scale() != gpsScale {
		return 0, false
	}
	return r.countAt(int64(sinceEpoch))
}

// CountAtUTC is the counter at a Unix time in nanoseconds, up to 512 s ahead, with
// the error bound of that instant. False when there is no reference at now, or when
// GPS time is known and the leap seconds are not.
func (r *Reference) CountAtUTC(unixNano int64, now Count) (c Count, bound time.Duration, ok bool) {
	if unixNano <= 0 || r.State(now) == Acquiring {
		return 0, 0, false
	}
	ns, ok := r.leap.scaled(unixNano, r.scale(), r.utcSteps)
	if !ok {
		return 0, 0, false
	}
	if c, ok = r.countAt(ns); !ok {
		return 0, 0, false
	}
	return c, r.bound(c), true
}

// countAt is the counter at nanoseconds of the reference's scale.
func (r *Reference) countAt(ns int64) (Count, bool) {
	counts, seconds := r.span()
	last := r.good[len(r.good)-1]
	d := ns - last.second*1_000_000_000
	if counts == 0 || d > int64(maxAhead) || d < -int64(maxAhead) {
		return 0, false
	}
	n := Count(mulDiv(uint64(max(d, -d)), counts, uint64(seconds)*1_000_000_000))
	if d < 0 {
		if n > last.at {
			return 0, false
		}
		return last.at - n, true
	}
	return last.at + n, true
}

// TickAtGPS is [Reference.CountAtGPS] in microseconds, rounded to nearest.
func (r *Reference) TickAtGPS(sinceEpoch time.Duration, now Count) (radio.Tick, bool) {
	c, ok := r.CountAtGPS(sinceEpoch, now)
	return radio.Tick((c + countsPerMicro/2) / countsPerMicro), ok
}
