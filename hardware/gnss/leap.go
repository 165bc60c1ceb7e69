package gnss

import "heliograph/radio"

// leapSeconds knows GPS - UTC, and the last change of it, so that times on either
// side of a leap second come out right.
type leapSeconds struct {
	known bool
	now   int64 // since the second from
	from  int64 // GPS scale; 0 when no change was seen
	prev  int64 // before it

	hint  int64 // from UTC sentences
	hints int

	utcFrom int64 // UTC scale: the second at which the last step took place
}

// reset keeps the number and forgets what is tied to a running counter.
func (l leapSeconds) reset() leapSeconds {
	l.utcFrom = 0
	return l
}

// set takes the number that the receiver states at a GPS second.
func (l *leapSeconds) set(second, n int64) {
	switch {
	case !l.known:
		l.known, l.now, l.prev, l.from = true, n, n, 0
	case n != l.now:
		l.prev, l.now, l.from = l.now, n, second
	}
}

// suggest takes a number worked out from a UTC sentence; three in a row count,
// and only as long as the receiver has not stated one.
func (l *leapSeconds) suggest(second, n int64) {
	if l.known && l.now == n {
		l.hints = 0
		return
	}
	if n != l.hint {
		l.hint, l.hints = n, 0
	}
	if l.hints++; l.hints >= agree {
		l.set(second-agree+1, n)
		l.hints = 0
	}
}

// stepUTC notes that the UTC scale had a leap second just before this second.
func (l *leapSeconds) stepUTC(second int64) { l.utcFrom = second }

// unix converts nanoseconds of a scale to Unix time.
func (l *leapSeconds) unix(ns int64, s scale, utcSteps int64) (int64, bool) {
	const e9 = 1_000_000_000
	if s == utcScale {
		if l.utcFrom != 0 && ns < l.utcFrom*e9 {
			utcSteps--
		}
		return ns - utcSteps*e9, true
	}
	n := l.now
	if l.from != 0 && ns < l.from*e9 {
		n = l.prev
	}
	return ns + (radio.GPSEpoch-n)*e9, l.known
}

// scaled converts Unix time to nanoseconds of a scale: the inverse of unix. Of a
// second that UTC shows twice it takes the later one.
func (l *leapSeconds) scaled(unix int64, s scale, utcSteps int64) (int64, bool) {
	const e9 = 1_000_000_000
	if s == utcScale {
		ns := unix + utcSteps*e9
		if l.utcFrom != 0 && ns < l.utcFrom*e9 {
			ns -= e9
		}
		return ns, true
	}
	ns := unix - (radio.GPSEpoch-l.now)*e9
	if l.from != 0 && ns < l.from*e9 {
		ns = unix - (radio.GPSEpoch-l.prev)*e9
	}
	return ns, l.known
}
