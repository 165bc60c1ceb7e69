package geo

import (
	"errors"
	"fmt"
	"math"
)

// E7 is an angle in units of 1e-7 degrees (1.1 cm on a meridian).
type E7 int32

// Limits of latitude and longitude.
const (
	MaxLat E7 = 90 * degree
	MaxLng E7 = 180 * degree

	degree = 10_000_000
)

// Degrees is the angle in degrees.
func (e E7) Degrees() float64 { return float64(e) / degree }

// LatLng is a place on the sphere. The zero value is a place in the Gulf of
// Guinea; keep "no place" elsewhere.
type LatLng struct {
	Lat E7 // -90..90 degrees, north positive
	Lng E7 // -180..180 degrees, east positive
}

// Valid says whether both angles are within their limits.
func (p LatLng) Valid() bool {
	return p.Lat >= -MaxLat && p.Lat <= MaxLat && p.Lng >= -MaxLng && p.Lng <= MaxLng
}

func (p LatLng) String() string { return fmt.Sprintf("%.7f,%.7f", p.Lat.Degrees(), p.Lng.Degrees()) }

var errPlace = errors.New("geo: latitude must be within -90..90 and longitude within -180..180 degrees")

// FromDegrees rounds decimal degrees to the nearest 1e-7. It refuses NaN and
// figures outside the limits.
func FromDegrees(lat, lng float64) (LatLng, error) {
	if !(math.Abs(lat) <= 90 && math.Abs(lng) <= 180) {
		return LatLng{}, errPlace
	}
	return LatLng{E7(math.Round(lat * degree)), E7(math.Round(lng * degree))}, nil
}
