package poc

import (
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Wallet is a Solana account address: 32 bytes.
type Wallet [32]byte

// Limits of an assertion.
const (
	maxRegion = 16 // bytes in the name of a region, as in "AS923-1B"
	maxLatE7  = 90e7
	maxLonE7  = 180e7
	minGain   = -1000 // hundredths of dBi
	maxGain   = 2000
)

// Position is a place on the ground in ten-millionths of a degree (WGS 84).
type Position struct {
	LatE7, LonE7 int32 // -90e7..90e7, -180e7..180e7
}

// Valid says whether the place is on Earth.
func (p Position) Valid() bool {
	return p.LatE7 >= -maxLatE7 && p.LatE7 <= maxLatE7 && p.LonE7 >= -maxLonE7 && p.LonE7 <= maxLonE7
}

func validRegion(name string) bool {
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// Assertion is a hotspot's statement of where it is, what antenna it has and to
// which wallet its rewards go. The one with the highest Sequence counts. It is
// signed by the hotspot's own key, never by a session key.
type Assertion struct {
	Hotspot   identity.HotspotID
	Owner     Wallet
	Position  Position
	Elevation int16         // metres above ground
	Gain      radio.CentiDB // antenna gain in dBi less cable loss, -10..20 dB
	Region    string        // name of the region, as in package radio/region
	Sequence  uint64        // 1, 2, 3...
	Time      radio.WallTime
}

// AppendBinary appends the body. It fails with [ErrValue] for an assertion that
// no parser would take.
func (a Assertion) AppendBinary(dst []byte) ([]byte, error) {
	w := newWriter(dst, KindAssertion)
	w.hotspot(a.Hotspot)
	w.raw(a.Owner[:])
	w.u32(uint32(w.within(int64(a.Position.LatE7), -maxLatE7, maxLatE7, "latitude")))
	w.u32(uint32(w.within(int64(a.Position.LonE7), -maxLonE7, maxLonE7, "longitude")))
	w.u16(uint16(a.Elevation))
	w.i16(w.within(int64(a.Gain), minGain, maxGain, "antenna gain"), "antenna gain")
	if !validRegion(a.Region) {
		w.fail("region name has a character other than A-Z, 0-9 and '-'")
	}
	w.varBytes([]byte(a.Region), 0, maxRegion, "region")
	if a.Sequence == 0 {
		w.fail("sequence is 0")
	}
	w.u64(a.Sequence)
	w.wallTime(a.Time)
	return w.end(KindAssertion)
}

func parseAssertion(r reader) (a Assertion, err error) {
	r.header(KindAssertion)
	a.Hotspot = r.hotspot()
	copy(a.Owner[:], r.take(len(a.Owner), "owner"))
	a.Position = Position{int32(r.u32("latitude")), int32(r.u32("longitude"))}
	if !a.Position.Valid() {
		r.fail("position is not on Earth")
	}
	a.Elevation = int16(r.u16("elevation"))
	a.Gain = radio.CentiDB(int16(r.u16("gain")))
	if a.Gain < minGain || a.Gain > maxGain {
		r.fail("antenna gain %v is outside -10..20 dB", a.Gain)
	}
	a.Region = string(r.varBytes(maxRegion, "region"))
	if !validRegion(a.Region) {
		r.fail("region name has a character other than A-Z, 0-9 and '-'")
	}
	a.Sequence = r.u64("sequence")
	if a.Sequence == 0 {
		r.fail("sequence is 0")
	}
	a.Time = r.wallTime()
	return a, r.end(KindAssertion)
}
