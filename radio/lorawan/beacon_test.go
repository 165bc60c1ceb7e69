package lorawan

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"heliograph/radio"
)

// The two examples of LoRaWAN L2 1.0.4, section 13.4. The specification labels the
// second SF12; its reserved bytes are those of SF10.
var beaconExamples = []struct {
	sf   radio.SpreadingFactor
	wire string
}{
	{9, "0000000002cca27e00012000008103de55"},
	{10, "000000000002cca27e0001200000810300" + "50d4"},
}

func TestBeaconExamples(t *testing.T) {
	want := Beacon{GPSSeconds: 0xCC020000, HasInfo: true, Info: [6]byte{0x01, 0x20, 0x00, 0x00, 0x81, 0x03}}
	for _, tt := range beaconExamples {
		wire, err := hex.DecodeString(tt.wire)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseBeacon(wire, tt.sf)
		if err != nil || got != want {
			t.Errorf("SF%d: %+v, %v", tt.sf, got, err)
		}
		if out, err := want.AppendBinary([]byte{7}, tt.sf); err != nil || !bytes.Equal(out[1:], wire) || out[0] != 7 {
			t.Errorf("SF%d: built % x, %v", tt.sf, out, err)
		}
	}
}

func TestBeaconSizes(t *testing.T) {
	// RP002: 17 bytes in EU868 at SF9, 23 in US915 at SF12, 19 at SF8 and SF10.
	for sf, want := range map[radio.SpreadingFactor]int{7: 0, 8: 19, 9: 17, 10: 19, 11: 0, 12: 23} {
		b := Beacon{GPSSeconds: 1_300_000_000, Precision: 2, HasInfo: true, InfoDesc: 200, Info: [6]byte{1, 2, 3, 4, 5, 6}}
		wire, err := b.AppendBinary(nil, sf)
		if len(wire) != want || (err == nil) != (want > 0) || BeaconSize(sf) != want {
			t.Errorf("SF%d: %d bytes, %v, want %d", sf, len(wire), err, want)
		}
		if got, err := ParseBeacon(wire, sf); want > 0 && (err != nil || got != b) {
			t.Errorf("SF%d: read back %+v, %v", sf, got, err)
		}
	}
	for _, bad := range []Beacon{{}, {HasInfo: true, Precision: 4}} {
		if _, err := bad.AppendBinary(nil, 9); err == nil {
			t.Errorf("%+v was built", bad)
		}
	}
}

// Every flipped bit is noticed, in the part that it is in.
func TestBeaconDamage(t *testing.T) {
	wire, _ := hex.DecodeString(beaconExamples[1].wire)
	for i := range len(wire) * 8 {
		bad := bytes.Clone(wire)
		bad[i/8] ^= 1 << (i % 8)
		b, err := ParseBeacon(bad, 10)
		if common := i/8 < 9; (err != nil) != common || !common && (b.HasInfo || b.GPSSeconds != 0xCC020000) {
			t.Errorf("bit %d: %+v, %v", i, b, err)
		}
	}
	for _, n := range []int{0, 1, 16, 18} {
		if _, err := ParseBeacon(make([]byte, n), 9); err == nil {
			t.Errorf("%d bytes were read", n)
		}
	}
}

func TestBeaconPosition(t *testing.T) {
	for _, p := range [][2]int32{
		{0, 0}, {488_500_000, 23_500_000}, {-338_600_000, 1_512_000_000}, {900_000_000, 1_800_000_000}, {-900_000_000, -1_800_000_000}, {-1, -1}, {1, 1},
	} {
		var b Beacon
		if err := b.SetPosition(1, p[0], p[1]); err != nil {
			t.Fatal(err)
		}
		lat, lon, ok := b.Position()
		// One step is 107.3e-7 degrees north and 214.6e-7 east; the poles' last is missing.
		if dLat, dLon := lat-p[0], lon-p[1]; !ok || b.InfoDesc != BeaconAntenna1 || dLat < -108 || dLat > 108 || dLon < -215 || dLon > 215 {
			t.Errorf("%v comes back as %d, %d, %v", p, lat, lon, ok)
		}
	}
	var b Beacon
	for _, bad := range [][3]int64{{3, 0, 0}, {0, 900_000_001, 0}, {0, 0, -1_800_000_001}} {
		if b.SetPosition(uint8(bad[0]), int32(bad[1]), int32(bad[2])) == nil {
			t.Errorf("%v is on Earth", bad)
		}
	}
	if _, _, ok := (Beacon{HasInfo: true, InfoDesc: BeaconNetwork}).Position(); ok {
		t.Error("a NetID is a position")
	}
}

func TestBeaconTimes(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct{ at, next time.Duration }{{0, 128 * s}, {127 * s, 128 * s}, {128*s - 1, 128 * s}, {128 * s, 256 * s}, {1_000_000_000 * s, 1_000_000_000*s + 128*s}} {
		if got := NextBeacon(tt.at); got != tt.next {
			t.Errorf("after %v: %v, want %v", tt.at, got, tt.next)
		}
	}
	for _, tt := range []struct {
		bound time.Duration
		want  uint8
		ok    bool
	}{{0, 0, true}, {time.Microsecond, 0, true}, {1001, 1, true}, {100 * time.Microsecond, 2, true}, {time.Millisecond, 3, true}, {1_000_001, 0, false}, {-1, 0, false}} {
		if got, ok := BeaconPrecision(tt.bound); got != tt.want || ok != tt.ok {
			t.Errorf("precision for %v: %d, %v", tt.bound, got, ok)
		}
	}
	for i, want := range []int{0, 1, 2, 3, 4, 5, 6, 7, 0} {
		if got := BeaconChannel(time.Duration(i)*BeaconPeriod+s, 8); got != want {
			t.Errorf("beacon %d is on channel %d", i, got)
		}
	}
}

func FuzzBeacon(f *testing.F) {
	for _, tt := range beaconExamples {
		wire, _ := hex.DecodeString(tt.wire)
		f.Add(wire, uint8(tt.sf))
	}
	f.Fuzz(func(t *testing.T, wire []byte, sf uint8) {
		b, err := ParseBeacon(wire, radio.SpreadingFactor(sf))
		if err != nil || !b.HasInfo {
			return
		}
		again, err := b.AppendBinary(nil, radio.SpreadingFactor(sf))
		if err != nil {
			t.Fatalf("%+v cannot be built: %v", b, err)
		}
		if c, err := ParseBeacon(again, radio.SpreadingFactor(sf)); err != nil || c != b {
			t.Fatalf("%+v became %+v, %v", b, c, err)
		}
	})
}
