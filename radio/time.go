package radio

import (
	"fmt"
	"time"
)

// Micros is a span of time in whole microseconds.
type Micros int64

// Duration converts to a [time.Duration].
func (m Micros) Duration() time.Duration { return time.Duration(m) * time.Microsecond }

// MicrosOf rounds a duration down to whole microseconds.
func MicrosOf(d time.Duration) Micros { return Micros(d / time.Microsecond) }

// Tick is an instant on one concentrator's own counter, in microseconds since
// that counter's epoch, widened to 64 bits so that it does not wrap. Ticks of
// two concentrators have nothing to do with each other.
type Tick uint64

// Add moves the instant by d, which may be negative.
func (t Tick) Add(d Micros) Tick { return Tick(int64(t) + int64(d)) }

// Sub is the span from u to t, negative when t is earlier.
func (t Tick) Sub(u Tick) Micros { return Micros(int64(t) - int64(u)) }

// Low32 is the 32-bit count that Semtech UDP and Helium messages carry as tmst.
func (t Tick) Low32() uint32 { return uint32(t) }

// Widen gives the 64-bit tick nearest to near whose low 32 bits are tmst. It is
// right as long as the two instants are less than 35.8 minutes apart.
func Widen(tmst uint32, near Tick) Tick {
	diff := int32(tmst - near.Low32())
	if diff < 0 && Tick(-int64(diff)) > near {
		return Tick(tmst) // before the counter's epoch: nothing to wrap into
	}
	return near.Add(Micros(diff))
}

// WallTime is an instant in UTC with the error that its clock admits to: the
// true time lies within UnixNano ± Bound.
type WallTime struct {
	UnixNano int64
	Bound    time.Duration
}

// Known says whether the time is set at all: the zero value is "no idea".
func (w WallTime) Known() bool { return w.UnixNano != 0 }

// Time is the centre of the interval, in UTC.
func (w WallTime) Time() time.Time { return time.Unix(0, w.UnixNano).UTC() }

func (w WallTime) String() string {
	if !w.Known() {
		return "unknown time"
	}
	return fmt.Sprintf("%s ±%s", w.Time().Format(time.RFC3339Nano), w.Bound)
}
