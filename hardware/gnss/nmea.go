package gnss

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// maxSentence is the longest NMEA sentence taken, without line end. The standard
// says 82 with it; receivers of several constellations exceed that.
const maxSentence = 120

// errSentence starts every error about a sentence.
var errSentence = errors.New("gnss: parse sentence")

// errNoFix: a good sentence of a receiver that has no fix yet.
var errNoFix = fmt.Errorf("%w: no fix", errSentence)

// errIgnored: a good sentence of a kind that is not used.
var errIgnored = errors.New("gnss: parse sentence: not a kind that is used")

// UTC is the time in an RMC or ZDA sentence: a date and a time of day in UTC.
type UTC struct {
	Unix int64 // seconds; of 23:59:60, the first second of the next day
	Nano int64 // 0..999999999
	Leap bool  // the second is 23:59:60
}

// Position is a GGA sentence's.
type Position struct {
	LatitudeE7, LongitudeE7 int64 // degrees * 10^7, north and east positive
	AltitudeCM              int64 // above mean sea level
	Satellites              int
}

// ParseSentence reads one NMEA sentence from '$' to the checksum, without the line
// end. Exactly one of the message's parts is set; it fails when the sentence is
// damaged, of no use, or says of itself that it is not valid.
func ParseSentence(b []byte) (Message, error) {
	f, err := fields(b)
	if err != nil {
		return Message{}, err
	}
	var m Message
	switch kind := f[0][2:]; {
	case kind == "RMC" && len(f) >= 12:
		m.UTC, err = parseRMC(f)
	case kind == "ZDA" && len(f) >= 5:
		m.UTC, err = parseZDA(f)
	case kind == "GGA" && len(f) >= 15:
		m.Position, err = parseGGA(f)
	default:
		return Message{}, errIgnored
	}
	return m, err
}

// fields checks the frame and splits it; the first has five characters.
func fields(b []byte) ([]string, error) {
	star := bytes.LastIndexByte(b, '*')
	if len(b) > maxSentence || star < 6 || b[0] != '$' || len(b) != star+3 {
		return nil, fmt.Errorf("%w: not framed", errSentence)
	}
	want, err := strconv.ParseUint(string(b[star+1:]), 16, 8)
	if err != nil {
		return nil, fmt.Errorf("%w: checksum is not hexadecimal", errSentence)
	}
	var sum byte
	for _, c := range b[1:star] {
		if c < 0x20 || c > 0x7E {
			return nil, fmt.Errorf("%w: byte %#02x is not text", errSentence, c)
		}
		sum ^= c
	}
	if sum != byte(want) {
		return nil, fmt.Errorf("%w: checksum is %02X, not %02X", errSentence, sum, want)
	}
	parts := bytes.Split(b[1:star], []byte{','})
	if len(parts[0]) != 5 || b[1] != 'G' && b[1] != 'B' && b[1] != 'Q' {
		return nil, errIgnored
	}
	f := make([]string, len(parts))
	for i := range parts {
		f[i] = string(parts[i])
	}
	return f, nil
}

// parseRMC: 1 time, 2 status, 9 date ddmmyy, 12 mode (absent before NMEA 2.3).
func parseRMC(f []string) (*UTC, error) {
	if f[2] != "A" || len(f) > 12 && f[12] == "N" {
		return nil, errNoFix
	}
	n, ok := digits(f[9], 6)
	if !ok {
		return nil, fmt.Errorf("%w: RMC date %q", errSentence, f[9])
	}
	return utc(f[1], n/10000, n/100%100, 2000+n%100)
}

// parseZDA: 1 time, 2 day, 3 month, 4 year.
func parseZDA(f []string) (*UTC, error) {
	d, ok1 := digits(f[2], 2)
	m, ok2 := digits(f[3], 2)
	y, ok3 := digits(f[4], 4)
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("%w: ZDA date %q %q %q", errSentence, f[2], f[3], f[4])
	}
	return utc(f[1], d, m, y)
}

// utc joins hhmmss[.sss] and a date.
func utc(clock string, day, month, year int) (*UTC, error) {
	if len(clock) < 6 || len(clock) > 16 || len(clock) > 6 && clock[6] != '.' {
		return nil, fmt.Errorf("%w: time %q", errSentence, clock)
	}
	n, ok := digits(clock[:6], 6)
	frac := int64(0)
	if len(clock) > 7 {
		v, good := digits(clock[7:], len(clock)-7)
		frac, ok = int64(v), ok && good
		for range 9 - len(clock[7:]) {
			frac *= 10
		}
	}
	h, min, s := n/10000, n/100%100, n%100
	leap := h == 23 && min == 59 && s == 60
	t := time.Date(year, time.Month(month), day, h, min, s, 0, time.UTC)
	if !ok || h > 23 || min > 59 || s > 59 && !leap || year < 2000 || year > 2099 ||
		month < 1 || month > 12 || day < 1 || t.AddDate(0, 0, -btoi(leap)).Day() != day {
		return nil, fmt.Errorf("%w: time %q on %d-%d-%d does not exist", errSentence, clock, year, month, day)
	}
	return &UTC{Unix: t.Unix(), Nano: frac, Leap: leap}, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parseGGA: 2-5 position, 6 quality, 7 satellites, 9 altitude, 10 its unit.
func parseGGA(f []string) (*Position, error) {
	lat, ok1 := degrees(f[2], 2, 90)
	lon, ok2 := degrees(f[4], 3, 180)
	sats, ok3 := digits(f[7], len(f[7]))
	alt, ok4 := centi(f[9])
	if f[6] == "0" || f[6] == "" {
		return nil, errNoFix
	}
	north, south, east, west := f[3] == "N", f[3] == "S", f[5] == "E", f[5] == "W"
	if !ok1 || !ok2 || !ok3 || !ok4 || !(north || south) || !(east || west) || f[10] != "M" || sats > 99 {
		return nil, fmt.Errorf("%w: GGA position is damaged", errSentence)
	}
	if south {
		lat = -lat
	}
	if west {
		lon = -lon
	}
	return &Position{LatitudeE7: lat, LongitudeE7: lon, AltitudeCM: alt, Satellites: sats}, nil
}

// degrees reads d..dmm.mmmm with that many digits of degrees.
func degrees(s string, width, limit int) (e7 int64, ok bool) {
	if len(s) < width+2 || len(s) > width+10 || len(s) > width+2 && s[width+2] != '.' {
		return 0, false
	}
	n, ok := digits(s[:width+2], width+2)
	frac, scale := 0, int64(1)
	if len(s) > width+3 {
		var good bool
		frac, good = digits(s[width+3:], len(s)-width-3)
		ok = ok && good
		for range len(s) - width - 3 {
			scale *= 10
		}
	}
	d, m := int64(n/100), int64(n%100)
	minutes := m*scale + int64(frac)
	e7 = d*1e7 + (minutes*1e7/60+scale/2)/scale
	return e7, ok && m < 60 && e7 <= int64(limit)*1e7
}

// centi reads a decimal with a sign and keeps two places.
func centi(s string) (int64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > -20_000 && v < 100_000) {
		return 0, false
	}
	return int64(v * 100), true
}

// digits reads exactly n decimal digits, 1..9 of them.
func digits(s string, n int) (int, bool) {
	if len(s) != n || n < 1 || n > 9 {
		return 0, false
	}
	v := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}
