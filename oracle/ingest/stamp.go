package ingest

import (
	"fmt"
	"time"

	"heliograph/poc"
	"heliograph/radio"
)

// Calendar says which epoch an instant belongs to and how long an epoch takes
// reports. All fields are positive; Grace is at most Length.
type Calendar struct {
	Length    time.Duration // of an epoch
	Grace     time.Duration // how long after its end an epoch takes reports
	Tolerance time.Duration // how far a stated time may lie ahead of the oracle's clock
}

// maxBound is the largest error bound that a hotspot may claim in its favour.
const maxBound = 10 * time.Second

// Epoch is the epoch of an instant in unix nanoseconds.
func (c Calendar) Epoch(unixNano int64) poc.Epoch {
	return poc.Epoch(max(unixNano, 0) / int64(c.Length))
}

// Start is the first instant of an epoch, in unix nanoseconds.
func (c Calendar) Start(e poc.Epoch) int64 { return int64(e) * int64(c.Length) }

// End is the first instant after an epoch, in unix nanoseconds.
func (c Calendar) End(e poc.Epoch) int64 { return c.Start(e + 1) }

// CutDue is when an epoch stops taking reports, in unix nanoseconds.
func (c Calendar) CutDue(e poc.Epoch) int64 { return c.End(e) + int64(c.Grace) }

// Check says whether the calendar can work.
func (c Calendar) Check() error {
	switch {
	case c.Length < time.Second || c.Length%time.Second != 0 || c.Length > 31*24*time.Hour:
		return fmt.Errorf("ingest: epoch length is %v: choose whole seconds, 1 s to 31 days", c.Length)
	case c.Grace <= 0 || c.Grace > c.Length:
		return fmt.Errorf("ingest: grace is %v: choose more than 0 and at most the epoch's length, %v", c.Grace, c.Length)
	case c.Tolerance <= 0 || c.Tolerance > time.Minute:
		return fmt.Errorf("ingest: clock tolerance is %v: choose more than 0 and at most a minute", c.Tolerance)
	}
	return nil
}

// Stamp decides which epoch judges a report that states time t and arrives at
// now (unix nanoseconds). A time that lies ahead within what is tolerated
// belongs to the current epoch.
func (c Calendar) Stamp(t radio.WallTime, now int64) (poc.Epoch, poc.Reason, string) {
	if !t.Known() {
		return 0, poc.NoTime, "the report states no time: set the hotspot's clock (GNSS, NTP, or the oracle's TimeReply)"
	}
	ahead := time.Duration(t.UnixNano - now)
	if limit := c.Tolerance + min(max(t.Bound, 0), maxBound); ahead > limit {
		return 0, poc.InTheFuture, fmt.Sprintf("the report states a time %v ahead of the oracle's clock, the limit is %v: correct the hotspot's clock",
			ahead.Round(time.Millisecond), limit)
	}
	current := c.Epoch(now)
	e := min(c.Epoch(t.UnixNano), current)
	if now >= c.CutDue(e) {
		closed := time.Unix(0, c.CutDue(e)).UTC()
		return 0, poc.TooOld, fmt.Sprintf("the report states %s, epoch %d, which closed at %s: the hotspot's clock is wrong or the report waited too long",
			t.Time().Format(time.RFC3339), e, closed.Format(time.RFC3339))
	}
	return e, poc.OK, ""
}
