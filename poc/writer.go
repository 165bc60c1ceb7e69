package poc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// ErrValue: a value cannot be written because no reader would take it back.
var ErrValue = errors.New("poc: value out of range")

// writer is the reader's mirror: it appends fixed-width fields to b and
// remembers the first value that its field cannot hold.
type writer struct {
	b   []byte
	bad string
}

func newWriter(b []byte, k Kind) writer { return writer{b: append(b, byte(k), version)} }

func (w *writer) fail(format string, args ...any) {
	if w.bad == "" {
		w.bad = fmt.Sprintf(format, args...)
	}
}

func (w *writer) u8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(v []byte) { w.b = append(w.b, v...) }
func (w *writer) frequency(f radio.Hertz) {
	w.u32(uint32(w.within(int64(f), 0, math.MaxUint32, "frequency")))
}
func (w *writer) i16(v int64, field string) {
	w.u16(uint16(w.within(v, math.MinInt16, math.MaxInt16, field)))
}
func (w *writer) instant(ns int64, field string) {
	w.u64(uint64(w.within(ns, 0, math.MaxInt64, field)))
}

func (w *writer) within(v, lo, hi int64, field string) int64 {
	if v < lo || v > hi {
		w.fail("%s %d is outside %d..%d", field, v, lo, hi)
	}
	return v
}

func (w *writer) hotspot(id identity.HotspotID) {
	if id.IsZero() {
		w.fail("hotspot is not set")
	}
	w.raw(id[:])
}

// varBytes writes a length byte and v, which has lo to hi bytes.
func (w *writer) varBytes(v []byte, lo, hi int, field string) {
	if len(v) < lo || len(v) > hi {
		w.fail("%s is %d bytes, want %d to %d", field, len(v), lo, hi)
		return
	}
	w.u8(byte(len(v)))
	w.raw(v)
}

func (w *writer) dataRate(d radio.DataRate) {
	if d.Modulation != radio.LoRa || !d.Valid() {
		w.fail("data rate %v has no code", d)
	}
	code := byte(d.SF)
	switch d.Bandwidth {
	case 250 * radio.KHz:
		code |= 1 << 4
	case 500 * radio.KHz:
		code |= 2 << 4
	}
	w.u8(code)
}

// wallTime writes UTC in nanoseconds and its error bound in microseconds,
// rounded up: nobody's clock gets better by being written down. A bound that the
// field cannot hold (71 minutes) is written as the largest.
func (w *writer) wallTime(t radio.WallTime) {
	w.instant(t.UnixNano, "time")
	if !t.Known() {
		w.u32(0)
		return
	}
	if t.Bound < 0 {
		w.fail("time bound %v is negative", t.Bound)
	}
	whole := t.Bound / time.Microsecond
	if t.Bound%time.Microsecond > 0 {
		whole++
	}
	w.u32(uint32(min(whole, math.MaxUint32)))
}

// end gives the bytes, or what is wrong with the value.
func (w *writer) end(what Kind) ([]byte, error) {
	if w.bad != "" {
		return nil, fmt.Errorf("%w: %v: %s", ErrValue, what, w.bad)
	}
	return w.b, nil
}
