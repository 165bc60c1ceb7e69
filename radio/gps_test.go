package radio

import (
	"testing"
	"time"
)

// TestGPSTime has instants of IS-GPS-200 and of public leap second tables.
func TestGPSTime(t *testing.T) {
	for utc, gps := range map[string]int64{
		"1980-01-06T00:00:00Z": 0,
		"1981-06-30T23:59:59Z": 46_828_799,
		"1981-07-01T00:00:00Z": 46_828_801,
		"1999-08-21T23:59:47Z": 619_315_200, // week 1024 begins
		"2016-12-31T23:59:59Z": 1_167_264_016,
		"2017-01-01T00:00:00Z": 1_167_264_018,
		"2019-04-06T23:59:42Z": 1_238_630_400, // week 2048 begins
	} {
		at, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		want := time.Duration(gps)*time.Second + 7
		if got := GPSOfUTC(at.UnixNano() + 7); got != want {
			t.Errorf("%s is GPS %v, want %v", utc, got, want)
		}
		if got := UTCOfGPS(want); got != at.UnixNano()+7 {
			t.Errorf("GPS %v is %v, want %s", want, time.Unix(0, got).UTC(), utc)
		}
	}
	// 2016-12-31T23:59:60 is GPS second 1167264017.
	if got, want := UTCOfGPS(1_167_264_017*time.Second), int64(1_483_228_800*time.Second); got != want {
		t.Errorf("the leap second is %d, want %d", got, want)
	}
	for i, from := range leaps { // at the beginning of a January or July
		if d := time.Unix(from, 0).UTC(); d.Format("02 15:04:05") != "01 00:00:00" || d.Month()%6 != 1 || i > 0 && from <= leaps[i-1] {
			t.Errorf("leap second %d: %v", i, d)
		}
	}
}
