package calc

import (
	"encoding/csv"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"heliograph/radio"
	"heliograph/radio/airtime"
)

// vectors are the files, and how many rows each has.
var vectors = map[string]int{
	"lora_timing.csv": 2880, "if_freq_reg.csv": 21, "freq_to_time_drift.csv": 51,
	"payload_crc16.csv": 26, "rssi_tcomp.csv": 26, "dc_notch_delay.csv": 41,
}

// vectorsDir is SX1302_VECTORS, when that is set; own says that it is not, so that
// the number of rows is known.
func vectorsDir() (dir string, own bool) {
	if dir := os.Getenv("SX1302_VECTORS"); dir != "" {
		return dir, false
	}
	return "testdata", true
}

// TestVectorsComplete makes sure that there is a test of each file.
func TestVectorsComplete(t *testing.T) {
	dir, _ := vectorsDir()
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil || len(files) < len(vectors) {
		t.Errorf("%d files in %s, %v; want %d", len(files), dir, err, len(vectors))
	}
	for _, f := range files {
		if vectors[filepath.Base(f)] == 0 {
			t.Errorf("%s is not tested", f)
		}
	}
}

// rows reads all rows of one file of vectors.
func rows(t *testing.T, name string, columns int) [][]string {
	t.Helper()
	dir, own := vectorsDir()
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.FieldsPerRecord = columns
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all) - 1; n < 1 || own && n != vectors[name] {
		t.Fatalf("%s has %d rows, want %d", name, n, vectors[name])
	}
	return all[1:]
}

func num(t *testing.T, s string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func real(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVectorsLoRaTiming(t *testing.T) {
	wrong := 0 // rows where the vendor's fine correction is known to be off
	for _, r := range rows(t, "lora_timing.csv", 9) {
		p := Packet{
			DataRate: radio.LoRaRate(radio.SpreadingFactor(num(t, r[0])), radio.Hertz(num(t, r[1]))*radio.KHz),
			Coding:   radio.CodingRate(num(t, r[2])), CRC: num(t, r[3]) == 1, Bytes: int(num(t, r[4])),
		}
		if got, want := LegacyCorrection(p), radio.Micros(num(t, r[5])); got != want {
			t.Errorf("legacy correction %v = %d, want %d", r[:5], got, want)
		}
		want := radio.Micros(num(t, r[6]))
		if got := VendorFineCorrection(p); got != want {
			t.Errorf("vendor's fine correction %v = %d, want %d", r[:5], got, want)
		}
		if sf := p.DataRate.SF; sf >= 11 && !airtime.LowDataRateOptimize(p.DataRate) {
			wrong++
		} else if got := FineCorrection(p); got != want {
			t.Errorf("fine correction %v = %d, want %d", r[:5], got, want)
		}
		a := airtime.Params{DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: p.Bytes, NoCRC: !p.CRC}
		us, err := airtime.VendorOnAir(a)
		if want := num(t, r[7]); err != nil || int64(us) != want {
			t.Errorf("time on air %v = %d, %v; want %d", r[:5], us, err, want)
		}
		ms, err := VendorAirMS(a)
		if want := num(t, r[8]); err != nil || ms != want {
			t.Errorf("time on air %v = %d ms, %v; want %d", r[:5], ms, err, want)
		}
	}
	t.Logf("%d rows lie at SF11BW250, SF11BW500 and SF12BW500", wrong)
	if _, own := vectorsDir(); own && wrong != 3*120 {
		t.Errorf("%d rows are left out of the comparison of our fine correction, want 360", wrong)
	}
}

func TestVectorsIF(t *testing.T) {
	for _, r := range rows(t, "if_freq_reg.csv", 5) {
		f := radio.Hertz(num(t, r[0]))
		reg, err := IFRegister(f)
		msb, lsb := reg.Bytes()
		if err != nil || int64(reg) != num(t, r[1]) || int64(msb) != num(t, r[2]) || int64(lsb) != num(t, r[3]) {
			t.Errorf("IF %d = %d (%#x %#x), %v; want %v", f, reg, msb, lsb, err, r)
		}
		if got := reg.Error(f); int64(got) != num(t, r[4]) {
			t.Errorf("IF %d error = %d, want %s", f, got, r[4])
		}
	}
}

func TestVectorsDrift(t *testing.T) {
	for _, r := range rows(t, "freq_to_time_drift.csv", 4) {
		got, err := FrequencyToTimeDrift(radio.Hertz(num(t, r[0])), radio.Hertz(num(t, r[1]))*radio.KHz)
		if err != nil || int64(got.Mantissa) != num(t, r[2]) || int64(got.Exponent) != num(t, r[3]) {
			t.Errorf("drift %v = %+v, %v", r, got, err)
		}
	}
}

func TestVectorsPayloadCRC(t *testing.T) {
	for _, r := range rows(t, "payload_crc16.csv", 2) {
		b, err := hex.DecodeString(r[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := PayloadCRC(b); int64(got) != num(t, r[1]) {
			t.Errorf("CRC of %d bytes = %#04x, want %s", len(b), got, r[1])
		}
	}
}

func TestVectorsTempComp(t *testing.T) {
	for _, r := range rows(t, "rssi_tcomp.csv", 4) {
		c := TempComp{C: real(t, r[1]), D: real(t, r[2])}
		if got, want := c.DB(real(t, r[0])), real(t, r[3]); math.Abs(got-want) > 1e-6 {
			t.Errorf("compensation at %s = %f, want %f", r[0], got, want)
		}
	}
}

func TestVectorsDCNotch(t *testing.T) {
	for _, r := range rows(t, "dc_notch_delay.csv", 2) {
		got, want := DCNotchDelay(radio.Hertz(num(t, r[0]))*radio.KHz), real(t, r[1])
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("notch delay at %s kHz = %f, want %f", r[0], got, want)
		}
	}
}
