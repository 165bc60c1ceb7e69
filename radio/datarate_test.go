package radio

import "testing"

func TestDataRateText(t *testing.T) {
	for sf := SpreadingFactor(5); sf <= 12; sf++ {
		for _, bw := range []Hertz{125 * KHz, 250 * KHz, 500 * KHz} {
			d := LoRaRate(sf, bw)
			if got, err := ParseDataRate(d.String()); err != nil || got != d || !d.Valid() {
				t.Errorf("%v: parsed as %v, %v", d, got, err)
			}
		}
	}
	if got, err := ParseDataRate("FSK50000"); err != nil || got != FSKRate(50_000) {
		t.Errorf("FSK50000 = %v, %v", got, err)
	}
	for _, bad := range []string{
		"", "SF", "SF7", "SF7BW", "BW125", "SF4BW125", "SF13BW125", "SF7BW126", "sf7bw125", "SF7BW125 ",
		"SF07BW125", "SF7BW0125", "SF+7BW125", "FSK", "FSK0", "FSK-1", "FSK99999999999", "7BW125", "SF300BW125",
	} {
		if got, err := ParseDataRate(bad); err == nil {
			t.Errorf("ParseDataRate(%q) = %v, want an error", bad, got)
		}
	}
}

func FuzzParseDataRate(f *testing.F) {
	for _, s := range []string{"SF7BW125", "FSK50000", "SF12BW500", "SF0BW0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDataRate(s); err == nil && (d.String() != s || !d.Valid()) {
			t.Errorf("ParseDataRate(%q) = %v", s, d)
		}
	})
}

func TestNames(t *testing.T) {
	for c, want := range map[CodingRate]string{0: "OFF", 1: "4/5", 4: "4/8", 5: "OFF"} {
		if c.String() != want {
			t.Errorf("CodingRate(%d) = %q, want %q", c, c, want)
		}
	}
	for s := TxOK; s <= TxFailed; s++ {
		if s.String() == "unknown" {
			t.Errorf("TxStatus %d has no name", s)
		}
	}
	if TxStatus(0).String() != "unknown" || (DataRate{}).String() != "invalid" || (DataRate{}).Valid() {
		t.Error("zero values pass for something")
	}
	p := RxPacket{RSSI: -9000, SignalRSSI: -9500}
	if p.Level() != -9000 {
		t.Error("Level without signal RSSI is not the channel's")
	}
	p.HasSignalRSSI = true
	if p.Level() != -9500 {
		t.Error("Level with signal RSSI is not the signal's")
	}
}
