package gnss

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// u-blox framing: B5 62, class, id, length (little endian), payload, two bytes of
// Fletcher's checksum over class..payload.
const (
	ubxOverhead = 8
	maxUBX      = 512 // payload; longer is taken for noise
	timeGPSSize = 16
	weekNanos   = 604_800 * 1_000_000_000
)

// TimeGPS is a NAV-TIMEGPS message.
type TimeGPS struct {
	TowMS     uint32 // time of week, ms
	TowNanos  int32  // to be added to it, ±500000 ns
	Week      int16
	Leap      int8 // GPS - UTC, seconds; meaningful when LeapValid
	TowValid  bool
	WeekValid bool
	LeapValid bool
	Accuracy  uint32 // ns
}

// ParseTimeGPS reads the payload of a NAV-TIMEGPS message.
func ParseTimeGPS(b []byte) (TimeGPS, error) {
	if len(b) != timeGPSSize {
		return TimeGPS{}, fmt.Errorf("gnss: parse NAV-TIMEGPS: %d bytes, want %d", len(b), timeGPSSize)
	}
	t := TimeGPS{
		TowMS: binary.LittleEndian.Uint32(b), TowNanos: int32(binary.LittleEndian.Uint32(b[4:])),
		Week: int16(binary.LittleEndian.Uint16(b[8:])), Leap: int8(b[10]),
		TowValid: b[11]&1 != 0, WeekValid: b[11]&2 != 0, LeapValid: b[11]&4 != 0,
		Accuracy: binary.LittleEndian.Uint32(b[12:]),
	}
	if t.TowMS >= 604_800_000 || t.TowNanos < -500_000 || t.TowNanos > 500_000 || t.Week < 0 || t.Leap < 0 || b[11]&^7 != 0 {
		return TimeGPS{}, errors.New("gnss: parse NAV-TIMEGPS: a field is out of its range")
	}
	return t, nil
}

// AppendBinary appends the payload that ParseTimeGPS reads.
func (t TimeGPS) AppendBinary(b []byte) ([]byte, error) {
	b = binary.LittleEndian.AppendUint32(b, t.TowMS)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.TowNanos))
	b = binary.LittleEndian.AppendUint16(b, uint16(t.Week))
	b = append(b, byte(t.Leap), byte(btoi(t.TowValid)|btoi(t.WeekValid)<<1|btoi(t.LeapValid)<<2))
	return binary.LittleEndian.AppendUint32(b, t.Accuracy), nil
}

// Nanos is the time since GPS's epoch (1980-01-06) in nanoseconds; false when the
// receiver does not know its week or its time of week.
func (t TimeGPS) Nanos() (int64, bool) {
	return int64(t.Week)*weekNanos + int64(t.TowMS)*1_000_000 + int64(t.TowNanos), t.TowValid && t.WeekValid
}

// AppendUBX appends a framed u-blox message. It panics on a payload over 512 bytes.
func AppendUBX(b []byte, class, id byte, payload []byte) []byte {
	if len(payload) > maxUBX {
		panic("gnss: u-blox payload is too long")
	}
	start := len(b)
	b = append(b, 0xB5, 0x62, class, id, byte(len(payload)), byte(len(payload)>>8))
	b = append(b, payload...)
	ckA, ckB := fletcher(b[start+2:])
	return append(b, ckA, ckB)
}

// EnableTimeGPS is the CFG-MSG command that makes a u-blox receiver send
// NAV-TIMEGPS with each fix on its UART 1 and its SPI port, and nowhere else.
func EnableTimeGPS() []byte {
	return AppendUBX(nil, 0x06, 0x01, []byte{0x01, 0x20, 0, 1, 1, 0, 0, 0})
}

func fletcher(b []byte) (ckA, ckB byte) {
	for _, c := range b {
		ckA += c
		ckB += ckA
	}
	return ckA, ckB
}
