package geo

import "math/bits"

// Metres is a distance in whole metres.
type Metres int64

// earthRadiusCM is the radius of the sphere of [Distance]: 6,371,007 m, the
// authalic radius of WGS 84. The true distance on the ellipsoid differs from
// that on the sphere by up to 0.5 %; rules must leave that much room.
const earthRadiusCM = 637_100_700

// Fixed point: angles and their functions are unsigned with 61 fractional bits,
// so that pi/2 and all below it fit.
const (
	fracBits = 61
	one      = uint64(1) << fracBits
	pi       = uint64(7244019458077122842) // round(pi * 2^61)
)

// mul is a*b, truncated; the product of the values must be below 8.
func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi<<(64-fracBits) | lo>>fracBits
}

// Distance is the length of the shorter arc of the great circle between two
// valid places, on a sphere, rounded to the nearest metre. It uses integers
// only. The error against exact arithmetic on that sphere is below 1 m at any
// distance. For a place outside its limits the result is meaningless but does
// not panic; check with [LatLng.Valid] first.
func Distance(a, b LatLng) Metres {
	dLat := absDiff(a.Lat, b.Lat)
	dLng := absDiff(a.Lng, b.Lng)
	if dLng > uint64(2*int64(MaxLng))/2 {
		dLng = uint64(2*int64(MaxLng)) - dLng // the shorter way round
	}
	// Haversine: sin²(Δφ/2) + cos φ1 cos φ2 sin²(Δλ/2). Its root is the chord
	// divided by the diameter.
	sLat, sLng := sinHalf(dLat), sinHalf(dLng)
	h := mul(sLat, sLat) + mul(mul(cosine(a.Lat), cosine(b.Lat)), mul(sLng, sLng))
	chord := sqrtFixed(min(h, one))
	arc := asin(chord) // half the central angle
	hi, lo := bits.Mul64(arc, 2*earthRadiusCM)
	cm := hi<<(64-fracBits) | lo>>fracBits
	return Metres((cm + 50) / 100)
}

func absDiff(a, b E7) uint64 {
	d := int64(a) - int64(b)
	return uint64(max(d, -d))
}

// sinHalf is the sine of half an angle given in 1e-7 degrees, 0..180 degrees.
func sinHalf(e7 uint64) uint64 {
	const quarter = 90 * degree // half of it is 45 degrees
	switch {
	case e7 <= quarter:
		return sinTaylor(halfRadians(e7))
	case e7 <= 2*quarter:
		return cosTaylor(halfRadians(2*quarter - e7))
	}
	return one
}

// cosine is the cosine of a latitude: the sine of half of twice the angle to the
// pole.
func cosine(lat E7) uint64 {
	a := uint64(max(int64(lat), -int64(lat)))
	return sinHalf(2 * (uint64(MaxLat) - min(a, uint64(MaxLat))))
}

// halfRadians is half of an angle in 1e-7 degrees, in radians.
func halfRadians(e7 uint64) uint64 {
	hi, lo := bits.Mul64(e7, pi)
	q, _ := bits.Div64(hi, lo, 2*180*degree)
	return q
}

// sinTaylor and cosTaylor are the power series for angles of 0..pi/4, all terms
// that the format can hold.
func sinTaylor(x uint64) uint64 { return series(x, x, 2) }
func cosTaylor(x uint64) uint64 { return series(one, x, 1) }

// series is first - first*x²/(n(n+1)) + ..., n going up by two.
func series(first, x, n uint64) uint64 {
	xx := mul(x, x)
	sum, term := first, first
	for minus := true; term != 0; minus = !minus {
		term = mul(term, xx) / (n * (n + 1))
		if n += 2; minus {
			sum -= term
		} else {
			sum += term
		}
	}
	return sum
}

// asin is the inverse sine for 0..1. Above a half the series is slow and the
// identity asin x = pi/2 - 2 asin sqrt((1-x)/2) brings the argument below.
func asin(x uint64) uint64 {
	if x > one/2 {
		return pi/2 - 2*asinSeries(sqrtFixed((one-x)/2))
	}
	return asinSeries(x)
}

// asinSeries is x + x³/6 + 3x⁵/40 + ...; 30 terms are enough for x <= 1/2.
func asinSeries(x uint64) uint64 {
	xx := mul(x, x)
	power, sum := x, x // power: the coefficient without its 1/(2n+1)
	for n := uint64(1); power != 0; n++ {
		power = mul(power, xx) / (2 * n) * (2*n - 1)
		sum += power / (2*n + 1)
	}
	return sum
}

// sqrtFixed is the square root of a fixed-point number of 0..1: the integer root
// of x * 2^61, bit by bit.
func sqrtFixed(x uint64) uint64 {
	hi, lo := x>>(64-fracBits), x<<fracBits
	var root uint64
	for bit := one; bit != 0; bit >>= 1 {
		try := root | bit
		h, l := bits.Mul64(try, try)
		if h < hi || h == hi && l <= lo {
			root = try
		}
	}
	return root
}
