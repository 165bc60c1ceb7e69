package gwmp

import (
	"math"
	"strings"
	"time"

	"heliograph/radio"
)

// Error bounds given to times that a forwarder reports. The protocol has no
// field for them; see [RxPK.Packet].
const (
	// BoundGPS is for times of a forwarder that also reports GPS time, whose
	// resolution is 1 ms.
	BoundGPS = time.Millisecond
	// BoundHost is for times of a forwarder's host clock, of unknown quality.
	BoundHost = time.Second
)

const (
	// Times before 2017 come from clocks that are not set.
	minGPSMillis = (1_483_228_800 - radio.GPSEpoch + 18) * 1000
	maxGPSMillis = 1 << 42 // the year 2119
)

// unixNano converts GPS milliseconds to UTC.
func unixNano(gpsMillis int64) int64 {
	return radio.UTCOfGPS(time.Duration(gpsMillis) * time.Millisecond)
}

// gpsMillis converts UTC to GPS milliseconds, rounding down; 0 when the instant
// is outside the range that tmms is used in.
func gpsMillis(unixNano int64) int64 {
	if unixNano < 0 {
		return 0
	}
	ms := radio.GPSOfUTC(unixNano).Milliseconds()
	if ms < minGPSMillis || ms > maxGPSMillis {
		return 0
	}
	return ms
}

// tmms reads GPS time; a clock that is not set counts as absent.
func tmms(n number) int64 {
	v, err := n.integer(minGPSMillis, maxGPSMillis)
	if err != nil {
		return 0
	}
	return v
}

// The forms of "time" in the field: compact ISO 8601 in packets, the expanded
// form in statistics, either without a zone from careless vendors.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05 MST",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
}

// parseTime gives UTC in nanoseconds since 1970, 0 when s holds no usable time.
func parseTime(s string) int64 {
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return 0
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if name, _ := t.Zone(); layout == timeLayouts[1] && name != "GMT" && name != "UTC" {
			return 0 // an abbreviation says nothing about the offset
		}
		if t.Year() < 1970 || t.UnixMilli() > math.MaxInt64/int64(time.Millisecond) {
			return 0
		}
		return t.UnixNano()
	}
	return 0
}

func appendTime(b []byte, unixNano int64, layout string) []byte {
	return time.Unix(0, unixNano).UTC().AppendFormat(b, layout)
}

// wallTime joins the two times of a packet. Where they disagree by more than
// the bound, the bound grows until it covers both.
func wallTime(nano, gps int64) radio.WallTime {
	switch {
	case nano == 0 && gps == 0:
		return radio.WallTime{}
	case gps == 0:
		return radio.WallTime{UnixNano: nano, Bound: BoundHost}
	case nano == 0:
		return radio.WallTime{UnixNano: unixNano(gps), Bound: BoundGPS}
	}
	diff := time.Duration(nano - unixNano(gps)).Abs()
	return radio.WallTime{UnixNano: nano, Bound: max(BoundGPS, diff)}
}
