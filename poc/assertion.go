package poc

import (
	"encoding/binary"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Wallet is a Solana account address: 32 bytes.
type Wallet [32]byte

// maxRegion bounds the name of a region, as in "AS923-1B".
const maxRegion = 16

// Position is a place on the ground in ten-millionths of a degree (WGS 84).
type Position struct {
	LatE7, LonE7 int32 // -90e7..90e7, -180e7..180e7
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

// AppendBinary appends the body.
func (a Assertion) AppendBinary(dst []byte) ([]byte, error) {
	dst = putHeader(dst, KindAssertion)
	dst = append(dst, a.Hotspot[:]...)
	dst = append(dst, a.Owner[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Position.LatE7))
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Position.LonE7))
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.Elevation))
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.Gain))
	dst = putVar(dst, []byte(a.Region))
	dst = binary.BigEndian.AppendUint64(dst, a.Sequence)
	return putWallTime(dst, a.Time), nil
}

func parseAssertion(body []byte) (a Assertion, err error) {
	r := reader{b: body}
	r.header(KindAssertion)
	a.Hotspot = r.hotspot()
	copy(a.Owner[:], r.take(len(a.Owner), "owner"))
	a.Position = Position{int32(r.u32("latitude")), int32(r.u32("longitude"))}
	if a.Position.LatE7 < -90e7 || a.Position.LatE7 > 90e7 || a.Position.LonE7 < -180e7 || a.Position.LonE7 > 180e7 {
		r.fail("position is not on Earth")
	}
	a.Elevation = int16(r.u16("elevation"))
	a.Gain = radio.CentiDB(int16(r.u16("gain")))
	if a.Gain < -1000 || a.Gain > 2000 {
		r.fail("antenna gain %v is outside -10..20 dB", a.Gain)
	}
	a.Region = string(r.varBytes(maxRegion, "region"))
	for _, c := range []byte(a.Region) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			r.fail("region name has a character other than A-Z, 0-9 and '-'")
		}
	}
	a.Sequence = r.u64("sequence")
	if a.Sequence == 0 {
		r.fail("sequence is 0")
	}
	a.Time = r.wallTime()
	return a, r.end(KindAssertion)
}
