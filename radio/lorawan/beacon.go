package lorawan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"heliograph/radio"
)

// Class B beacons: LoRaWAN L2 1.0.4, section 13.

// BeaconPeriod is the time between two beacons; each belongs to a GPS time that is a
// multiple of it.
const BeaconPeriod = 128 * time.Second

// BeaconDelay is how long after that time the beacon's first symbol begins.
const BeaconDelay = 1500 * time.Microsecond

// Kinds of what a beacon says of the gateway that sends it.
const (
	BeaconAntenna0 = 0 // position of the first, second or third antenna
	BeaconAntenna1 = 1
	BeaconAntenna2 = 2
	BeaconNetwork  = 3 // NetID and the network's own number for the gateway
)

// maxPrecision is the largest value of a beacon's precision.
const maxPrecision = 3

// Beacon is the content of a class B beacon.
type Beacon struct {
	GPSSeconds uint32 // time since GPS's epoch, modulo 2^32
	Precision  uint8  // the beacon's time is good to 10^(Precision-6) s, 0..3

	// What follows is the gateway's own part. It is protected by a checksum of its
	// own, because the beacons of several gateways overlap in the air and this is
	// where they differ: HasInfo says whether it was received well.
	HasInfo  bool
	InfoDesc uint8 // kind: one of those above, or 128..255 for the network's own use
	Info     [6]byte
}

// beaconRoom is how many reserved bytes stand before and after a beacon's fields,
// by spreading factor, so that it fills its symbols. The precision is the last of
// those before.
var beaconRoom = map[radio.SpreadingFactor][2]int{8: {1, 3}, 9: {2, 0}, 10: {3, 1}, 12: {5, 3}}

const (
	beaconTime = 4
	beaconInfo = 7
	beaconCRC  = 2
)

// BeaconSize is the number of bytes of a beacon, 0 for spreading factors that have
// none.
func BeaconSize(sf radio.SpreadingFactor) int {
	room, ok := beaconRoom[sf]
	if !ok {
		return 0
	}
	return room[0] + beaconTime + beaconCRC + beaconInfo + room[1] + beaconCRC
}

// NextBeacon is the first time of a beacon after a GPS time.
func NextBeacon(sinceEpoch time.Duration) time.Duration {
	return sinceEpoch.Truncate(BeaconPeriod) + BeaconPeriod
}

// BeaconChannel is the channel, of n, that the beacon of a GPS time is sent on where
// beacons hop.
func BeaconChannel(sinceEpoch time.Duration, n int) int {
	return int(sinceEpoch/BeaconPeriod) % n
}

// BeaconPrecision is the precision to state for a beacon whose start may be off by
// bound; false when that is too much for a beacon, over a millisecond.
func BeaconPrecision(bound time.Duration) (precision uint8, ok bool) {
	limit := time.Microsecond
	for precision = range uint8(maxPrecision + 1) {
		if bound <= limit {
			return precision, bound >= 0
		}
		limit *= 10
	}
	return 0, false
}

// SetPosition states where an antenna is, 0..2, in degrees * 10^7, north and east
// positive. It is rounded to about 1.2 m north and 2.4 m east.
func (b *Beacon) SetPosition(antenna uint8, latE7, lonE7 int32) error {
	if antenna > BeaconAntenna2 || latE7 < -900_000_000 || latE7 > 900_000_000 || lonE7 < -1_800_000_000 || lonE7 > 1_800_000_000 {
		return fmt.Errorf("lorawan: beacon: antenna %d at %d, %d is not on Earth", antenna, latE7, lonE7)
	}
	b.HasInfo, b.InfoDesc = true, antenna
	put24(b.Info[:3], share(int64(latE7), 900_000_000))
	put24(b.Info[3:], share(int64(lonE7), 1_800_000_000))
	return nil
}

// Position is where the antenna named by InfoDesc is; false when the beacon says
// something else.
func (b Beacon) Position() (latE7, lonE7 int32, ok bool) {
	if !b.HasInfo || b.InfoDesc > BeaconAntenna2 {
		return 0, 0, false
	}
	return int32(signed24(b.Info[:3]) * 900_000_000 >> 23), int32(signed24(b.Info[3:]) * 1_800_000_000 >> 23), true
}

// share is v/full as a signed 24-bit fraction, the nearest that exists.
func share(v, full int64) int64 {
	half := full / 2
	if v < 0 {
		half = -half
	}
	return min((v<<23+half)/full, 1<<23-1)
}

func put24(b []byte, v int64) { b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16) }

func signed24(b []byte) int64 { return int64(int32(wire24(b)<<8) >> 8) }

// errBeacon starts every error about a beacon that was received.
var errBeacon = errors.New("lorawan: parse beacon")

// ParseBeacon reads the payload of a beacon that was received at a spreading factor.
// It fails when the part that all gateways share is damaged. Reserved bytes are
// passed over.
func ParseBeacon(p []byte, sf radio.SpreadingFactor) (Beacon, error) {
	room, ok := beaconRoom[sf]
	if !ok {
		return Beacon{}, fmt.Errorf("%w: there are none at SF%d", errBeacon, sf)
	}
	if want := BeaconSize(sf); len(p) != want {
		return Beacon{}, fmt.Errorf("%w: %d bytes at SF%d, want %d", errBeacon, len(p), sf, want)
	}
	common, info := p[:room[0]+beaconTime+beaconCRC], p[room[0]+beaconTime+beaconCRC:]
	if !beaconGood(common) {
		return Beacon{}, fmt.Errorf("%w: checksum of the common part is wrong", errBeacon)
	}
	b := Beacon{GPSSeconds: binary.LittleEndian.Uint32(common[room[0]:]), Precision: common[room[0]-1] & maxPrecision}
	if beaconGood(info) {
		b.HasInfo, b.InfoDesc = true, info[0]
		copy(b.Info[:], info[1:])
	}
	return b, nil
}

// AppendBinary appends the payload of the beacon at a spreading factor. It fails
// when there is none at it, and for a beacon without the gateway's part.
func (b Beacon) AppendBinary(p []byte, sf radio.SpreadingFactor) ([]byte, error) {
	room, ok := beaconRoom[sf]
	if !ok || !b.HasInfo || b.Precision > maxPrecision {
		return p, fmt.Errorf("lorawan: build beacon: want SF8, 9, 10 or 12 (is SF%d), a precision up to %d (is %d) and the gateway's part (is there: %t)",
			sf, maxPrecision, b.Precision, b.HasInfo)
	}
	start := len(p)
	p = append(p, make([]byte, room[0]-1)...)
	p = append(p, b.Precision)
	p = binary.LittleEndian.AppendUint32(p, b.GPSSeconds)
	p = binary.LittleEndian.AppendUint16(p, beaconSum(p[start:]))
	start = len(p)
	p = append(p, b.InfoDesc)
	p = append(p, b.Info[:]...)
	p = append(p, make([]byte, room[1])...)
	return binary.LittleEndian.AppendUint16(p, beaconSum(p[start:])), nil
}

// beaconGood says whether the last two bytes are the checksum of those before.
func beaconGood(b []byte) bool {
	n := len(b) - beaconCRC
	return beaconSum(b[:n]) == binary.LittleEndian.Uint16(b[n:])
}

// beaconSum is the CRC of IEEE 802.15.4-2003, section 7.2.1.8, as the beacon's
// section uses it: polynomial x^16+x^12+x^5+1, most significant bit first, from 0.
func beaconSum(b []byte) uint16 {
	var sum uint16
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			carry := sum&0x8000 != 0
			if sum <<= 1; carry {
				sum ^= 0x1021
			}
		}
	}
	return sum
}
