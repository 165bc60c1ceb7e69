package gnss

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// sentence frames the text between '$' and '*'.
func sentence(body string) []byte {
	var sum byte
	for _, c := range []byte(body) {
		sum ^= c
	}
	return fmt.Appendf(nil, "$%s*%02X", body, sum)
}

func TestParseTime(t *testing.T) {
	noon := time.Date(2026, 11, 18, 9, 46, 40, 0, time.UTC).Unix()
	for body, want := range map[string]UTC{
		"GPRMC,094640.00,A,4717.11399,N,00833.91590,E,0.004,77.52,181126,,,A":    {Unix: noon},
		"GNRMC,094640.000,A,4717.11399,N,00833.91590,E,0.004,77.52,181126,,,A,V": {Unix: noon},
		"GPRMC,094640,A,4717.11,N,00833.91,E,0.0,77.5,181126,,":                  {Unix: noon},
		"GNRMC,094640.25,A,,,,,,,181126,,,D":                                     {Unix: noon, Nano: 250_000_000},
		"GNZDA,094640.00,18,11,2026,00,00":                                       {Unix: noon},
		"GPZDA,235960.00,31,12,2016,,":                                           {Unix: 1483228800, Leap: true},
		"GPRMC,235959.00,A,,,,,,,280228,,,A":                                     {Unix: time.Date(2028, 2, 28, 23, 59, 59, 0, time.UTC).Unix()},
	} {
		m, err := ParseSentence(sentence(body))
		if err != nil || m.UTC == nil || *m.UTC != want || m.GPS != nil || m.Position != nil {
			t.Errorf("%s = %+v, %v", body, m.UTC, err)
		}
	}
	for _, body := range []string{
		"GPRMC,094640.00,V,,,,,,,181126,,,N", "GPRMC,094640.00,A,,,,,,,181126,,,N", "GPRMC,246000.00,A,,,,,,,181126,,,A",
		"GPRMC,094660.00,A,,,,,,,181126,,,A", "GPRMC,094640.00,A,,,,,,,311126,,,A", "GPRMC,094640.00,A,,,,,,,001126,,,A",
		"GPRMC,09464,A,,,,,,,181126,,,A", "GPRMC,094640x00,A,,,,,,,181126,,,A", "GPRMC,094640.+0,A,,,,,,,181126,,,A",
		"GPRMC,,A,,,,,,,181126,,,A", "GPRMC,094640.00,A,,,,,,,,,,A", "GPRMC,094640.00,A", "GPZDA,094640.00,1,11,2026,,",
		"GPZDA,094640.00,18,13,2026,,", "GPZDA,094640.00,18,11,1980,,", "GPGSV,3,1,11,09,76,148,32", "GPRMC,094640.12345678901,A,,,,,,,181126,,,A",
	} {
		if m, err := ParseSentence(sentence(body)); err == nil {
			t.Errorf("%s = %+v", body, m)
		}
	}
}

func TestParsePosition(t *testing.T) {
	m, err := ParseSentence(sentence("GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,"))
	if err != nil || *m.Position != (Position{LatitudeE7: 472852332, LongitudeE7: 85652650, AltitudeCM: 49960, Satellites: 8}) {
		t.Errorf("position %+v, %v", m.Position, err)
	}
	m, err = ParseSentence(sentence("GNGGA,092725.00,3352.0000,S,15112.5000,W,2,12,0.6,-3.5,M,48.0,M,,"))
	if err != nil || *m.Position != (Position{LatitudeE7: -338666667, LongitudeE7: -1512083333, AltitudeCM: -350, Satellites: 12}) {
		t.Errorf("position %+v, %v", m.Position, err)
	}
	for _, body := range []string{
		"GPGGA,092725.00,,,,,0,00,99.99,,,,,,", "GPGGA,092725.00,9117.0,N,00833.9,E,1,08,1.0,499.6,M,48.0,M,,",
		"GPGGA,092725.00,4760.0,N,00833.9,E,1,08,1.0,499.6,M,48.0,M,,", "GPGGA,092725.00,4717.1,X,00833.9,E,1,08,1.0,499.6,M,48.0,M,,",
		"GPGGA,092725.00,4717.1,N,00833.9,E,1,08,1.0,NaN,M,48.0,M,,", "GPGGA,092725.00,4717.1,N,18000.1,E,1,08,1.0,4,M,48.0,M,,",
		"GPGGA,092725.00,4717.1,N,00833.9,E,1,,1.0,4,M,48.0,M,,",
	} {
		if m, err := ParseSentence(sentence(body)); err == nil {
			t.Errorf("%s = %+v", body, m.Position)
		}
	}
}

func TestFrameDamage(t *testing.T) {
	good := sentence("GPRMC,094640.00,A,4717.11399,N,00833.91590,E,0.004,77.52,181126,,,A")
	if _, err := ParseSentence(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if strings.EqualFold(string(bad), string(good)) {
				continue // the checksum's hex digits in lower case
			}
			if m, err := ParseSentence(bad); err == nil {
				t.Errorf("bit %d of byte %d flipped: %q = %+v", bit, i, bad, m)
			}
		}
		if _, err := ParseSentence(good[:i]); err == nil {
			t.Errorf("cut at %d", i)
		}
	}
}

func TestTimeGPS(t *testing.T) {
	if got := hex.EncodeToString(EnableTimeGPS()); got != "b562060108000120000101000000"+"3294" {
		t.Errorf("CFG-MSG = %s", got)
	}
	want := TimeGPS{TowMS: 345_600_000, TowNanos: -1234, Week: 2445, Leap: 18, TowValid: true, WeekValid: true, LeapValid: true, Accuracy: 25}
	b, err := want.AppendBinary(nil)
	got, err2 := ParseTimeGPS(b)
	if err != nil || err2 != nil || got != want {
		t.Errorf("%+v, %v, %v", got, err, err2)
	}
	if ns, ok := got.Nanos(); !ok || ns != (2445*604800+345600)*1_000_000_000-1234 {
		t.Errorf("GPS time %d, %v", ns, ok)
	}
	for name, change := range map[string]func(*TimeGPS){
		"tow": func(t *TimeGPS) { t.TowMS = 604_800_000 }, "nanos": func(t *TimeGPS) { t.TowNanos = 500_001 },
		"week": func(t *TimeGPS) { t.Week = -1 }, "leap": func(t *TimeGPS) { t.Leap = -1 },
	} {
		bad := want
		change(&bad)
		b, _ := bad.AppendBinary(nil)
		if _, err := ParseTimeGPS(b); err == nil {
			t.Errorf("bad %s passes", name)
		}
	}
	for _, change := range []func(*TimeGPS){func(t *TimeGPS) { t.TowValid = false }, func(t *TimeGPS) { t.WeekValid = false }} {
		bad := want
		change(&bad)
		if _, ok := bad.Nanos(); ok {
			t.Errorf("%+v has a time", bad)
		}
	}
	if _, err := ParseTimeGPS(b[:15]); err == nil {
		t.Error("15 bytes pass")
	}
}

func timeGPS(gps int64, leap int8) []byte {
	t := TimeGPS{
		TowMS: uint32(gps % 604800 * 1000), Week: int16(gps / 604800), Leap: leap,
		TowValid: true, WeekValid: true, LeapValid: leap > 0, Accuracy: 30,
	}
	b, _ := t.AppendBinary(nil)
	return AppendUBX(nil, 0x01, 0x20, b)
}

func TestScannerFindsMessagesInAnyPieces(t *testing.T) {
	var line []byte
	line = append(line, "noise\xB5\x00$GPRMC,cut"...)
	line = append(append(line, sentence("GPGSV,1,1,00")...), "\r\n"...)
	line = append(line, timeGPS(1_400_000_000, 18)...)
	line = append(append(line, sentence("GNRMC,094640.00,A,,,,,,,181126,,,A")...), "\r\n"...)
	line = append(line, 0xB5, 0x62, 1, 0x20, 0xFF, 0xFF) // a length that would swallow the rest
	line = append(line, AppendUBX(nil, 5, 1, []byte{6, 1})...)
	bad := timeGPS(1_400_000_001, 18)
	bad[9] ^= 1
	line = append(line, bad...)
	line = append(append(line, sentence("GPGGA,092725.00,4717.1,N,00833.9,E,1,08,1.0,4.6,M,48.0,M,,")...), "\r\n"...)
	for size := 1; size <= len(line); size++ {
		var s Scanner
		var got []string
		for rest := line; len(rest) > 0; {
			n := min(size, len(rest))
			s.Feed(rest[:n], func(m Message) {
				switch {
				case m.GPS != nil:
					got = append(got, "gps")
				case m.UTC != nil:
					got = append(got, "utc")
				case m.Position != nil:
					got = append(got, "position")
				}
			})
			rest = rest[n:]
		}
		if strings.Join(got, " ") != "gps utc position" {
			t.Fatalf("pieces of %d: %v, %+v", size, got, s.Counters())
		}
		if c := s.Counters(); c.Messages != 3 || c.Ignored != 2 || c.Damaged < 3 || c.JunkBytes == 0 {
			t.Fatalf("pieces of %d: %+v", size, c)
		}
	}
}

type port struct {
	reads     []any // []byte or error
	deadlines int
}

func (p *port) SetReadDeadline(time.Time) error { p.deadlines++; return nil }

func (p *port) Read(b []byte) (int, error) {
	if len(p.reads) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	r := p.reads[0]
	p.reads = p.reads[1:]
	if err, ok := r.(error); ok {
		return 0, err
	}
	return copy(b, r.([]byte)), nil
}

func TestRead(t *testing.T) {
	line := timeGPS(1_400_000_000, 18)
	p := &port{reads: []any{line[:5], os.ErrDeadlineExceeded, line[5:]}}
	n := 0
	err := Read(context.Background(), p, new(Scanner), func(Message) { n++ })
	if n != 1 || !errors.Is(err, io.ErrUnexpectedEOF) || p.deadlines != 4 {
		t.Errorf("%d messages, %v, %d deadlines", n, err, p.deadlines)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p = &port{reads: []any{line, os.ErrDeadlineExceeded, line}}
	err = Read(ctx, p, new(Scanner), func(Message) { n++; cancel() })
	if n != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d messages, %v", n, err)
	}
}

func FuzzSentence(f *testing.F) {
	f.Add(sentence("GPRMC,094640.00,A,4717.11399,N,00833.91590,E,0.004,77.52,181126,,,A"))
	f.Add(sentence("GPZDA,235960.00,31,12,2016,,"))
	f.Add(sentence("GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,"))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(m Message) {
			if u := m.UTC; u != nil && (u.Nano < 0 || u.Nano > 999_999_999 || u.Unix < 946_684_800 || u.Unix > 4_102_444_800) {
				t.Fatalf("time %+v", *u)
			}
			if p := m.Position; p != nil && (max(p.LatitudeE7, -p.LatitudeE7) > 900_000_000 || max(p.LongitudeE7, -p.LongitudeE7) > 1_800_000_000) {
				t.Fatalf("position %+v", *p)
			}
		}
		if m, err := ParseSentence(b); err == nil {
			check(m)
		}
		if m, err := ParseSentence(sentence(string(b))); err == nil { // past the checksum
			check(m)
		}
	})
}

func FuzzTimeGPS(f *testing.F) {
	f.Add(timeGPS(1_400_000_000, 18)[6:22])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseTimeGPS(b)
		if err != nil {
			return
		}
		if again, _ := m.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x becomes %x", b, again)
		}
	})
}

func FuzzScanner(f *testing.F) {
	f.Add(append(timeGPS(1_400_000_000, 18), "$GPRMC,0*00\r\n"...), uint8(3))
	f.Add([]byte("\xB5\x62\x01\x20\x00\x02$$$\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		var whole, parts Scanner
		a, c := 0, 0
		whole.Feed(b, func(Message) { a++ })
		for rest := b; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			parts.Feed(rest[:n], func(Message) { c++ })
			rest = rest[n:]
		}
		if a != c || whole.Counters() != parts.Counters() || len(parts.buf) > maxUBX+ubxOverhead || len(whole.buf) > maxUBX+ubxOverhead {
			t.Fatalf("whole %d %+v, in pieces %d %+v; keeps %d", a, whole.Counters(), c, parts.Counters(), len(parts.buf))
		}
		// Whatever came before, a message after a gap of line ends is found.
		found := false
		parts.Feed(bytes.Repeat([]byte("\r\n"), maxUBX), func(Message) {})
		parts.Feed(timeGPS(1_400_000_000, 18), func(m Message) { found = found || m.GPS != nil })
		if !found {
			t.Fatal("the scanner is lost")
		}
	})
}

// A receiver without a fix is told from one that cannot be understood.
func TestNoFixIsNoDamage(t *testing.T) {
	var s Scanner
	for _, body := range []string{"GNRMC,,V,,,,,,,,,,N", "GNGGA,,,,,,0,00,99.99,,,,,,"} {
		s.Feed(append(sentence(body), '\r', '\n'), func(m Message) { t.Errorf("message %+v", m) })
	}
	if c := s.Counters(); c != (Counters{NoFix: 2}) {
		t.Errorf("%+v", c)
	}
}
