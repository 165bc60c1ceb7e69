package native

import "heliograph/poc/geo"

// Area is a patch of ground of about 0.7 km², the size of an H3 cell of
// resolution 8, in a grid that integers alone define: H3's own arithmetic is
// floating point, whose last bits may differ between machines, and who could
// choose his place could make two auditors disagree.
//
// Rows are 0.0075 degrees of latitude high (834 m); each row is divided into as
// many columns per degree of longitude as make them about as wide.
type Area uint64

const (
	rowE7      = 75_000
	rowMetres  = 834
	degreeE7   = 10_000_000
	columnBits = 32
)

// AreaOf is the area in which a valid place lies.
func AreaOf(p geo.LatLng) Area {
	row := (int64(p.Lat) + int64(geo.MaxLat)) / rowE7
	middle := geo.E7(min(row*rowE7+rowE7/2-int64(geo.MaxLat), int64(geo.MaxLat)))
	wide := int64(geo.Distance(geo.LatLng{Lat: middle}, geo.LatLng{Lat: middle, Lng: degreeE7}))
	columns := max(1, (wide+rowMetres/2)/rowMetres) // per degree
	turn := (int64(p.Lng) + 2*int64(geo.MaxLng)) % (2 * int64(geo.MaxLng))
	return Area(row<<columnBits | turn*columns/degreeE7)
}
