package airtime

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"heliograph/radio"
)

func mustOnAir(t *testing.T, p Params) radio.Micros {
	t.Helper()
	us, err := OnAir(p)
	if err != nil {
		t.Fatalf("OnAir(%+v): %v", p, err)
	}
	return us
}

// TestVendorGrid holds every row of the vendor's grid against OnAir: equal
// wherever the vendor applies low data rate optimisation as the modem does,
// and elsewhere different by exactly that rule.
func TestVendorGrid(t *testing.T) {
	f, err := os.Open("testdata/lora_timing.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows = rows[1:]
	if len(rows) != 2880 {
		t.Fatalf("%d rows, want 2880", len(rows))
	}
	differ := 0
	for line, row := range rows {
		var v [9]int64
		for i := range v {
			if v[i], err = strconv.ParseInt(row[i], 10, 64); err != nil {
				t.Fatalf("row %d: %v", line, err)
			}
		}
		sf, bwKHz, want, wantMS := v[0], v[1], radio.Micros(v[7]), v[8]
		p := Params{
			DataRate:     radio.LoRaRate(radio.SpreadingFactor(sf), radio.Hertz(bwKHz)*radio.KHz),
			Coding:       radio.CodingRate(v[2]),
			NoCRC:        v[3] == 0,
			PayloadBytes: int(v[4]),
		}
		ours := mustOnAir(t, p)
		vendor, err := VendorOnAir(p)
		if err != nil {
			t.Fatal(err)
		}
		if vendor != want || (int64(vendor)+500)/1000 != wantMS {
			t.Errorf("row %d: VendorOnAir(%+v) = %d us, want %d (%d ms)", line, p, vendor, want, wantMS)
		}
		vendorWrong := sf == 11 && bwKHz >= 250 || sf == 12 && bwKHz == 500
		if !vendorWrong && ours != want {
			t.Errorf("row %d: OnAir(%+v) = %d us, want %d", line, p, ours, want)
		}
		if ours != want {
			differ++
			if ours > want {
				t.Errorf("row %d: leaving optimisation out made the packet longer: %d > %d", line, ours, want)
			}
		}
	}
	if differ == 0 {
		t.Error("no row differs: the vendor's rule is not what the package says it is")
	}
}

// TestWithoutOptimisation gives the three settings in which the vendor's grid
// cannot vouch for OnAir, worked out by hand: 51 bytes take
// 12.25 + 8 + 5*ceil((408+44-4*SF)/(4*SF)) symbols.
func TestWithoutOptimisation(t *testing.T) {
	for _, c := range []struct {
		dr   radio.DataRate
		want radio.Micros
	}{
		{radio.LoRaRate(11, 250*radio.KHz), 575_488}, // 70.25 symbols of 8.192 ms
		{radio.LoRaRate(11, 500*radio.KHz), 287_744}, // 70.25 symbols of 4.096 ms
		{radio.LoRaRate(12, 500*radio.KHz), 534_528}, // 65.25 symbols of 8.192 ms
	} {
		if got := mustOnAir(t, Params{DataRate: c.dr, Coding: 1, PayloadBytes: 51}); got != c.want {
			t.Errorf("%v: %d us, want %d", c.dr, got, c.want)
		}
		if LowDataRateOptimize(c.dr) {
			t.Errorf("%v: low data rate optimisation is on", c.dr)
		}
	}
	for _, dr := range []radio.DataRate{
		radio.LoRaRate(11, 125*radio.KHz), radio.LoRaRate(12, 125*radio.KHz), radio.LoRaRate(12, 250*radio.KHz),
	} {
		if !LowDataRateOptimize(dr) {
			t.Errorf("%v: low data rate optimisation is off", dr)
		}
	}
}

// TestRoutingVectors checks the figures that two published formulas agree on.
func TestRoutingVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/routing_airtime.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Airtime []struct {
			BWKHz    int64   `json:"bw_khz"`
			SF       uint8   `json:"sf"`
			CR       string  `json:"cr"`
			Explicit bool    `json:"explicit_header"`
			LowDR    bool    `json:"low_dr_opt"`
			Bytes    int     `json:"phy_bytes"`
			Preamble int     `json:"preamble"`
			NoCRC    float64 `json:"no_crc_ms"`
			WithCRC  float64 `json:"with_crc_ms"`
		} `json:"airtime"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Airtime) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Airtime {
		dr := radio.LoRaRate(radio.SpreadingFactor(v.SF), radio.Hertz(v.BWKHz)*radio.KHz)
		coding := radio.CodingRate(v.CR[2] - '4')
		p := Params{DataRate: dr, Coding: coding, PayloadBytes: v.Bytes,
			PreambleSymbols: v.Preamble, ImplicitHeader: !v.Explicit}
		if got := mustOnAir(t, p); float64(got)/1000 != v.WithCRC {
			t.Errorf("%v %d bytes: %d us, want %v ms", dr, v.Bytes, got, v.WithCRC)
		}
		p.NoCRC = true
		if got := mustOnAir(t, p); float64(got)/1000 != v.NoCRC {
			t.Errorf("%v %d bytes without CRC: %d us, want %v ms", dr, v.Bytes, got, v.NoCRC)
		}
		if LowDataRateOptimize(dr) != v.LowDR {
			t.Errorf("%v: LowDataRateOptimize is not %v", dr, v.LowDR)
		}
	}
}

// TestBeaconAndFSK covers the shapes that the two files leave out.
func TestBeaconAndFSK(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Params
		want radio.Micros
	}{
		// 10 + 4.25 + 8 + 5*ceil((136-36+8)/36) = 37.25 symbols of 4.096 ms: the class B beacon
		// time that Regional Parameters give for EU868.
		{"class B beacon", Params{DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1, PayloadBytes: 17,
			PreambleSymbols: 10, ImplicitHeader: true, NoCRC: true}, 152_576},
		// (5+3+1+20+2)*8 bits at 50 kbit/s
		{"FSK", Params{DataRate: radio.FSKRate(50_000), PayloadBytes: 20}, 4_960},
		// (5+3+1+0)*8 bits at 7 bit/ms, rounded up from 10285.71
		{"FSK rounds up", Params{DataRate: radio.FSKRate(7_000), NoCRC: true}, 10_286},
		{"FSK own preamble and sync", Params{DataRate: radio.FSKRate(50_000), PayloadBytes: 20,
			PreambleSymbols: 8, SyncBytes: 4}, 5_600},
		{"empty implicit SF12", Params{DataRate: radio.LoRaRate(12, 125*radio.KHz), Coding: 4,
			ImplicitHeader: true, NoCRC: true}, 663_552}, // 12.25 + 8 symbols
	} {
		if got := mustOnAir(t, c.p); got != c.want {
			t.Errorf("%s: %d us, want %d", c.name, got, c.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	good := Params{DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, PayloadBytes: 20}
	for name, change := range map[string]func(*Params){
		"no rate":           func(p *Params) { p.DataRate = radio.DataRate{} },
		"SF4":               func(p *Params) { p.DataRate.SF = 4 },
		"203 kHz":           func(p *Params) { p.DataRate.Bandwidth = 203 * radio.KHz },
		"no coding":         func(p *Params) { p.Coding = 0 },
		"coding 5":          func(p *Params) { p.Coding = 5 },
		"256 bytes":         func(p *Params) { p.PayloadBytes = 256 },
		"-1 bytes":          func(p *Params) { p.PayloadBytes = -1 },
		"negative preamble": func(p *Params) { p.PreambleSymbols = -1 },
		"long preamble":     func(p *Params) { p.PreambleSymbols = 65536 },
		"long sync":         func(p *Params) { p.SyncBytes = 9 },
	} {
		p := good
		change(&p)
		if us, err := OnAir(p); err == nil {
			t.Errorf("%s: accepted with %d us", name, us)
		}
		if _, err := VendorOnAir(p); err == nil {
			t.Errorf("%s: accepted by VendorOnAir", name)
		}
	}
}

func BenchmarkOnAir(b *testing.B) {
	p := Params{DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1, PayloadBytes: 21}
	for b.Loop() {
		if _, err := OnAir(p); err != nil {
			b.Fatal(err)
		}
	}
}
