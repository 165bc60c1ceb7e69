package geo

import "math"

// earthRadiusKM is the sphere of the H3 library: the authalic radius of WGS 84.
const earthRadiusKM = 6371.007180918475

// Haversine is the great-circle distance between the centres of two cells in
// metres, by the haversine formula as H3 computes it. It uses floating point: it
// is for the baseline rules that ran with it and for comparisons. It is zero
// when a cell is invalid.
func Haversine(a, b Cell) float64 {
	if !a.Valid() || !b.Valid() {
		return 0
	}
	const rad = math.Pi / 180
	aLat, aLng := a.centerDegrees()
	bLat, bLng := b.centerDegrees()
	sinLat := math.Sin((bLat - aLat) * rad / 2)
	sinLng := math.Sin((bLng - aLng) * rad / 2)
	h := sinLat*sinLat + sinLng*sinLng*math.Cos(aLat*rad)*math.Cos(bLat*rad)
	return 2 * math.Atan2(math.Sqrt(h), math.Sqrt(1-h)) * earthRadiusKM * 1000
}
