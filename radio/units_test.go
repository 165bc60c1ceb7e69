package radio

import (
	"math"
	"testing"
)

func TestHertzFromMHz(t *testing.T) {
	for _, tt := range []struct {
		mhz  float64
		want Hertz
		text string
	}{
		{868.1, 868_100_000, "868.1 MHz"},
		{866.349812, 866_349_812, "866.349812 MHz"},
		{903.9 + 3e-10, 903_900_000, "903.9 MHz"}, // float noise of a vendor's JSON
		{0, 0, "0 MHz"},
	} {
		got, err := HertzFromMHz(tt.mhz)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("HertzFromMHz(%v) = %d (%v), %v; want %d (%s)", tt.mhz, got, got, err, tt.want, tt.text)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e12} {
		if got, err := HertzFromMHz(bad); err == nil {
			t.Errorf("HertzFromMHz(%v) = %v, want an error", bad, got)
		}
	}
}

func TestPower(t *testing.T) {
	if got := ERP(DBm(14)).EIRP(); got != 1615 || got.ERP() != 1400 {
		t.Errorf("14 dBm ERP = %v", got)
	}
	if got := EIRP(1615).Conducted(DB(3)); got != 1315 {
		t.Errorf("16.15 dBm EIRP through 3 dBi = %v conducted", got)
	}
	if got := DBm(-60).Add(DB(-7)).Sub(DBm(-70)); got != DB(3) {
		t.Errorf("-60 dBm - 7 dB over -70 dBm = %v", got)
	}
	for _, tt := range []struct {
		got  interface{ String() string }
		want string
	}{
		{CentiDBm(-12345), "-123.45 dBm"}, {DB(7), "7 dB"}, {CentiDB(750), "7.5 dB"},
		{EIRP(1610), "16.1 dBm EIRP"}, {ERP(0), "0 dBm ERP"}, {CentiDB(-5), "-0.05 dB"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("String() = %q, want %q", tt.got, tt.want)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), -1e9} {
		if _, err := CentiDBFrom(bad); err == nil {
			t.Errorf("CentiDBFrom(%v) passed", bad)
		}
		if _, err := CentiDBmFrom(bad); err == nil {
			t.Errorf("CentiDBmFrom(%v) passed", bad)
		}
	}
	if got, _ := CentiDBmFrom(-57.334232963418515); got != -5733 {
		t.Errorf("CentiDBmFrom rounds to %d", got)
	}
}
