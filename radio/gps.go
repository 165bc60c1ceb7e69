package radio

import "time"

// GPSEpoch is 1980-01-06T00:00:00Z in Unix seconds, where GPS time begins. GPS time
// runs through leap seconds, so it is ahead of UTC by those since then.
const GPSEpoch = 315_964_800

// leaps are the Unix seconds just after the leap seconds since GPS's epoch, as in
// the bulletins C of the IERS: none after 2016-12-31 was announced so far. GNSS
// receivers say the number themselves and go before this table.
var leaps = [...]int64{
	362_793_600, 394_329_600, 425_865_600, 489_024_000, 567_993_600, 631_152_000,
	662_688_000, 709_948_800, 741_484_800, 773_020_800, 820_454_400, 867_715_200,
	915_148_800, 1_136_073_600, 1_230_768_000, 1_341_100_800, 1_435_708_800, 1_483_228_800,
}

// GPSOfUTC is the GPS time since its epoch of a Unix time in nanoseconds, by the
// published leap seconds. Instants before the epoch are negative.
func GPSOfUTC(unixNano int64) time.Duration {
	var n int64
	for _, from := range leaps {
		if unixNano >= from*int64(time.Second) {
			n++
		}
	}
	return time.Duration(unixNano + (n-GPSEpoch)*int64(time.Second))
}

// UTCOfGPS is the inverse of [GPSOfUTC]. A leap second is shown, as Unix time does,
// as the repeated first second after it.
func UTCOfGPS(sinceEpoch time.Duration) (unixNano int64) {
	var n int64
	for _, from := range leaps {
		if int64(sinceEpoch) >= (from-GPSEpoch+n+1)*int64(time.Second) {
			n++
		}
	}
	return int64(sinceEpoch) + (GPSEpoch-n)*int64(time.Second)
}
