package poc

import (
	"encoding/binary"
	"fmt"
	"time"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// reader takes fixed-width fields off the front of b. The first short read sets
// bad, and every later read gives zeros: a parser checks once, at its end.
type reader struct {
	b     []byte
	bad   string
	known func(identity.HotspotID) bool // see Parser
}

func (r *reader) take(n int, field string) []byte {
	if r.bad != "" || len(r.b) < n {
		if r.bad == "" {
			r.bad = "too short for " + field
		}
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8(field string) uint8   { return r.take(1, field)[0] }
func (r *reader) u16(field string) uint16 { return binary.BigEndian.Uint16(r.take(2, field)) }
func (r *reader) u32(field string) uint32 { return binary.BigEndian.Uint32(r.take(4, field)) }
func (r *reader) u64(field string) uint64 { return binary.BigEndian.Uint64(r.take(8, field)) }

func (r *reader) fail(format string, args ...any) {
	if r.bad == "" {
		r.bad = fmt.Sprintf(format, args...)
	}
}

func (r *reader) header(k Kind) {
	if got := Kind(r.u8("kind")); got != k {
		r.fail("kind is %v, want %v", got, k)
	}
	if v := r.u8("version"); v != version {
		r.fail("version %d is not known, want %d", v, version)
	}
}

func (r *reader) hotspot() identity.HotspotID {
	raw := r.take(len(identity.HotspotID{}), "hotspot")
	if r.bad != "" {
		return identity.HotspotID{}
	}
	if r.known != nil && r.known(identity.HotspotID(raw)) {
		return identity.HotspotID(raw)
	}
	id, err := identity.ParseHotspotID(raw)
	if err != nil {
		r.fail("hotspot: %v", err)
	}
	return id
}

func (r *reader) id(field string) (id ID) { copy(id[:], r.take(len(id), field)); return id }

// varBytes reads a length byte and that many bytes, at most max.
func (r *reader) varBytes(max int, field string) []byte {
	n := int(r.u8(field))
	if n > max {
		r.fail("%s is %d bytes, at most %d", field, n, max)
		return nil
	}
	return append([]byte(nil), r.take(n, field)...)
}

func (r *reader) frequency() radio.Hertz { return radio.Hertz(r.u32("frequency")) }

func (r *reader) dataRate() radio.DataRate {
	c := r.u8("data rate")
	bw := [...]radio.Hertz{125 * radio.KHz, 250 * radio.KHz, 500 * radio.KHz}
	if int(c>>4) >= len(bw) {
		r.fail("data rate code 0x%02x is not known", c)
		return radio.DataRate{}
	}
	d := radio.LoRaRate(radio.SpreadingFactor(c&0x0f), bw[c>>4])
	if !d.Valid() {
		r.fail("data rate code 0x%02x is not known", c)
	}
	return d
}

// wallTime reads UTC in nanoseconds and its error bound in microseconds.
func (r *reader) wallTime() radio.WallTime {
	t := radio.WallTime{UnixNano: int64(r.u64("time"))}
	t.Bound = time.Duration(r.u32("time bound")) * time.Microsecond
	if t.UnixNano < 0 {
		r.fail("time lies before 1970")
	}
	if !t.Known() && t.Bound != 0 {
		r.fail("an unknown time has a bound")
	}
	return t
}

// end gives the parser's verdict: everything read, nothing left over.
func (r *reader) end(what Kind) error {
	if r.bad == "" && len(r.b) != 0 {
		r.bad = fmt.Sprintf("%d bytes too many", len(r.b))
	}
	if r.bad != "" {
		return fmt.Errorf("%w %v: %s", ErrMalformed, what, r.bad)
	}
	return nil
}

func putVar(b, v []byte) []byte { return append(append(b, byte(len(v))), v...) }
