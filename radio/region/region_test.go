package region

import (
	"errors"
	"strings"
	"testing"

	"heliograph/radio"
)

func plan(t *testing.T, name string) *Plan {
	t.Helper()
	p, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestByNameListsKnown(t *testing.T) {
	_, err := ByName("eu868")
	if err == nil {
		t.Fatal("an unknown name was accepted")
	}
	for _, name := range Names() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

// TestTablesHoldTogether rejects plans that contradict themselves.
func TestTablesHoldTogether(t *testing.T) {
	for _, name := range Names() {
		p := plan(t, name)
		if p.Source.Regional == "" || p.Source.Regulation == "" {
			t.Errorf("%s: no source", name)
		}
		for _, r := range []Revision{RP002v100, RP002v102, RP002v105} {
			checkRates(t, p.At(r))
		}
		checkBands(t, p)
		checkPoC(t, p)
	}
}

func checkRates(t *testing.T, p *Plan) {
	t.Helper()
	for _, dir := range []Direction{Up, Down} {
		seen := map[DR]bool{}
		for _, r := range p.rates(dir) {
			if seen[r.DR] {
				t.Errorf("%s %s: two rows for data rate %d", p.Name, dir, r.DR)
			}
			seen[r.DR] = true
			if r.DataRate.Valid() == (r.LRFHSS != "") {
				t.Errorf("%s %s DR%d: neither or both of radio rate and LR-FHSS", p.Name, dir, r.DR)
			}
			if r.MaxMAC < r.MaxMACRepeater || r.MaxMACRepeater < 9 {
				t.Errorf("%s %s DR%d: payload limits %d, %d", p.Name, dir, r.DR, r.MaxMAC, r.MaxMACRepeater)
			}
		}
	}
	for _, r := range p.UplinkRates {
		if int(r.DR) >= len(p.RX1Rates) || len(p.RX1Rates[r.DR]) == 0 {
			t.Errorf("%s: no RX1 row for uplink DR%d", p.Name, r.DR)
		}
	}
	for up, row := range p.RX1Rates {
		for offset, down := range row {
			if _, ok := p.Rate(Down, down); !ok {
				t.Errorf("%s %s: RX1 of DR%d, offset %d is DR%d, which does not exist", p.Name, p.Revision, up, offset, down)
			}
		}
	}
	for _, w := range []DR{p.RX2Default.DR, p.ClassB.DR} {
		if r, ok := p.Rate(Down, w); !ok || !r.DataRate.Valid() {
			t.Errorf("%s: default downlink DR%d does not exist", p.Name, w)
		}
	}
	if _, dr := p.RX2(); !dr.Valid() {
		t.Errorf("%s: RX2 default has no data rate", p.Name)
	}
}

func checkBands(t *testing.T, p *Plan) {
	t.Helper()
	for i, b := range p.SubBands {
		if b.From >= b.To || i > 0 && b.From < p.SubBands[i-1].To {
			t.Errorf("%s: band %s is empty, out of order or overlaps", p.Name, b.Name)
		}
		if b.Power == (Power{}) || b.Power.Max(0) > radio.EIRP(radio.DBm(36)) {
			t.Errorf("%s: band %s has no sane power limit", p.Name, b.Name)
		}
		if b.DutyPerMille < 1 || b.DutyPerMille > 1000 {
			t.Errorf("%s: band %s has duty cycle %d", p.Name, b.Name, b.DutyPerMille)
		}
	}
	var all []radio.Hertz
	for _, c := range append(p.Uplink[:len(p.Uplink):len(p.Uplink)], p.Downlink...) {
		all = append(all, c.Frequency)
	}
	all = append(append(append(all, p.ClassB.Channels...), p.PoC.Channels...), p.RX2Default.Frequency)
	for _, f := range all {
		if b, ok := p.SubBand(f); !ok || !b.holds(f, 125*radio.KHz) {
			t.Errorf("%s: channel %v does not fit into a band", p.Name, f)
		}
	}
}

// beaconOnAir is the time on air of a 21-byte beacon with explicit header,
// checksum and coding rate 4/5 at 125 kHz, in microseconds.
var beaconOnAir = map[radio.SpreadingFactor]radio.Micros{7: 56_576, 8: 113_152, 9: 205_824, 10: 370_688}

func checkPoC(t *testing.T, p *Plan) {
	t.Helper()
	if len(p.PoC.Channels) != 8 || p.PoC.PayloadBytes != 21 {
		t.Errorf("%s: PoC %+v", p.Name, p.PoC)
	}
	for _, f := range p.PoC.Channels {
		allowed, err := p.BeaconSteps(f, 0)
		if err != nil || len(allowed) != len(p.PoC.Steps) {
			t.Errorf("%s: %v allows steps %v (%v)", p.Name, f, allowed, err)
		}
		for i, s := range allowed {
			if i > 0 && s >= allowed[i-1] {
				t.Errorf("%s: steps %v do not fall", p.Name, allowed)
			}
			for _, dr := range p.PoC.Rates {
				tx := Tx{Frequency: f, DataRate: dr, EIRP: s, OnAir: beaconOnAir[dr.SF], Listened: true}
				if tx.OnAir == 0 {
					t.Errorf("%s: no time on air known for %v", p.Name, dr)
				}
				if err := p.CheckTx(tx); err != nil {
					t.Errorf("beacon refused: %v", err)
				}
			}
		}
	}
}

func TestCheckTx(t *testing.T) {
	sf7, sf12 := radio.LoRaRate(7, 125*radio.KHz), radio.LoRaRate(12, 125*radio.KHz)
	wide := radio.LoRaRate(12, 500*radio.KHz)
	eirp := func(centi int) radio.EIRP { return radio.EIRP(centi) }
	for _, c := range []struct {
		name string
		plan string
		tx   Tx
		want Reason // 0: allowed
		max  radio.EIRP
	}{
		{"EU868 at the limit of 14 dBm ERP", "EU868", Tx{Frequency: 868_100_000, DataRate: sf7, EIRP: eirp(1615)}, 0, 0},
		{"EU868 a hundredth above", "EU868", Tx{Frequency: 868_100_000, DataRate: sf7, EIRP: eirp(1616)}, PowerAboveLimit, 1615},
		{"EU868 gain does not raise an ERP limit", "EU868", Tx{Frequency: 868_100_000, DataRate: sf7, EIRP: eirp(1616), Gain: 900}, PowerAboveLimit, 1615},
		{"EU868 RX2 at 27 dBm ERP", "EU868", Tx{Frequency: 869_525_000, DataRate: sf12, EIRP: eirp(2915)}, 0, 0},
		{"EU868 RX2 above", "EU868", Tx{Frequency: 869_525_000, DataRate: sf12, EIRP: eirp(2916)}, PowerAboveLimit, 2915},
		{"EU868 RX2 at 250 kHz fills band P", "EU868", Tx{Frequency: 869_525_000, DataRate: radio.LoRaRate(7, 250*radio.KHz)}, 0, 0},
		{"EU868 off centre it does not fit", "EU868", Tx{Frequency: 869_525_001, DataRate: radio.LoRaRate(7, 250*radio.KHz)}, FrequencyNotInPlan, 0},
		{"EU868 between L and M", "EU868", Tx{Frequency: 868_000_000, DataRate: sf7}, FrequencyNotInPlan, 0},
		{"EU868 alarm band", "EU868", Tx{Frequency: 868_650_000, DataRate: sf7}, FrequencyNotInPlan, 0},
		{"EU868 outside", "EU868", Tx{Frequency: 902_300_000, DataRate: sf7}, FrequencyNotInPlan, 0},
		{"EU868 knows no 500 kHz", "EU868", Tx{Frequency: 867_500_000, DataRate: wide}, DataRateNotInPlan, 0},
		{"EU868 FSK", "EU868", Tx{Frequency: 868_300_000, DataRate: radio.FSKRate(50_000)}, 0, 0},
		{"EU868 has no dwell limit", "EU868", Tx{Frequency: 868_100_000, DataRate: sf12, OnAir: 2_465_792}, 0, 0},

		{"US915 30 dBm into 6 dBi", "US915", Tx{Frequency: 903_900_000, DataRate: sf7, EIRP: eirp(3600), Gain: 600}, 0, 0},
		{"US915 9 dBi", "US915", Tx{Frequency: 903_900_000, DataRate: sf7, EIRP: eirp(3601), Gain: 900}, PowerAboveLimit, 3600},
		{"US915 1.2 dBi", "US915", Tx{Frequency: 903_900_000, DataRate: sf7, EIRP: eirp(3121), Gain: 120}, PowerAboveLimit, 3120},
		{"US915 lossy antenna", "US915", Tx{Frequency: 903_900_000, DataRate: sf7, EIRP: eirp(2801), Gain: -200}, PowerAboveLimit, 2800},
		{"US915 400 ms", "US915", Tx{Frequency: 903_900_000, DataRate: radio.LoRaRate(10, 125*radio.KHz), OnAir: 400_000}, 0, 0},
		{"US915 above 400 ms", "US915", Tx{Frequency: 903_900_000, DataRate: radio.LoRaRate(10, 125*radio.KHz), OnAir: 400_001}, DwellExceeded, 3000},
		{"US915 500 kHz downlink has no dwell limit", "US915", Tx{Frequency: 923_300_000, DataRate: wide, OnAir: 900_000}, 0, 0},
		{"US915 knows no SF12 at 125 kHz", "US915", Tx{Frequency: 903_900_000, DataRate: sf12}, DataRateNotInPlan, 0},
		{"US915 lower edge", "US915", Tx{Frequency: 902_000_000, DataRate: sf7}, FrequencyNotInPlan, 0},
	} {
		err := plan(t, c.plan).CheckTx(c.tx)
		var r *Refusal
		switch {
		case c.want == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != 0 && (!errors.As(err, &r) || r.Reason != c.want || r.MaxEIRP != c.max):
			t.Errorf("%s: %v (%+v), want %v with limit %v", c.name, err, r, c.want, c.max)
		}
	}
}

// TestListen uses a made-up plan: no region in the tables needs it yet.
func TestListen(t *testing.T) {
	p := plan(t, "US915")
	p.SubBands[0].Listen = &Listen{For: 5_000, Threshold: radio.DBm(-80), MaxOnAir: 4_000_000, Pause: 50_000}
	tx := Tx{Frequency: 923_300_000, DataRate: radio.LoRaRate(12, 500*radio.KHz), OnAir: 4_000_001}
	var r *Refusal
	if err := p.CheckTx(tx); !errors.As(err, &r) || r.Reason != ListenFirst {
		t.Errorf("without listening: %v", err)
	}
	tx.Listened = true
	if err := p.CheckTx(tx); !errors.As(err, &r) || r.Reason != DwellExceeded || r.MaxOnAir != 4_000_000 {
		t.Errorf("too long after listening: %v", err)
	}
	tx.OnAir--
	if err := p.CheckTx(tx); err != nil {
		t.Errorf("within the limits: %v", err)
	}
	if again := plan(t, "US915"); again.SubBands[0].Listen != nil {
		t.Error("changing one plan changed the next")
	}
}

func TestRX1(t *testing.T) {
	type answer struct {
		freq radio.Hertz
		rate string
	}
	for _, c := range []struct {
		plan   string
		freq   radio.Hertz
		rate   string
		offset int
		want   answer
	}{
		{"EU868", 868_300_000, "SF7BW125", 0, answer{868_300_000, "SF7BW125"}},
		{"EU868", 867_100_000, "SF7BW125", 3, answer{867_100_000, "SF10BW125"}},
		{"EU868", 868_300_000, "SF6BW125", 1, answer{868_300_000, "SF7BW125"}},
		{"EU868", 868_300_000, "SF7BW125", 6, answer{}},
		{"EU868", 868_300_000, "SF7BW125", -1, answer{}},
		{"EU868", 868_300_000, "SF7BW500", 0, answer{}},
		{"EU868", 871_000_000, "SF7BW125", 0, answer{}},
		{"US915", 903_900_000, "SF10BW125", 0, answer{923_300_000, "SF10BW500"}},
		{"US915", 902_300_000, "SF7BW125", 3, answer{923_300_000, "SF10BW500"}},
		{"US915", 914_900_000, "SF7BW125", 0, answer{927_500_000, "SF7BW500"}},
		{"US915", 904_600_000, "SF8BW500", 0, answer{923_900_000, "SF7BW500"}},
		{"US915", 903_900_000, "SF5BW125", 0, answer{923_300_000, "SF5BW500"}},
		{"US915", 903_900_000, "SF5BW125", 1, answer{923_300_000, "SF6BW500"}},
		{"US915", 903_950_000, "SF10BW125", 0, answer{}},
		{"US915", 903_900_000, "SF12BW500", 0, answer{}}, // a downlink rate
		{"US915", 903_900_000, "SF10BW125", 4, answer{}},
	} {
		dr, err := radio.ParseDataRate(c.rate)
		if err != nil {
			t.Fatal(err)
		}
		freq, rate, err := plan(t, c.plan).RX1(c.freq, dr, c.offset)
		if c.want == (answer{}) {
			if err == nil {
				t.Errorf("%s %v %s offset %d: answered %v %v", c.plan, c.freq, c.rate, c.offset, freq, rate)
			}
			continue
		}
		if err != nil || (answer{freq, rate.String()}) != c.want {
			t.Errorf("%s %v %s offset %d: %v %v (%v), want %v", c.plan, c.freq, c.rate, c.offset, freq, rate, err, c.want)
		}
	}
}

// TestSameIndexTwoRates is the trap of RP002-1.0.5.
func TestSameIndexTwoRates(t *testing.T) {
	p := plan(t, "US915")
	for _, c := range []struct {
		dr       DR
		up, down string
	}{{0, "SF10BW125", "SF5BW500"}, {8, "SF5BW125", "SF12BW500"}} {
		up, _ := p.Rate(Up, c.dr)
		down, _ := p.Rate(Down, c.dr)
		if up.DataRate.String() != c.up || down.DataRate.String() != c.down {
			t.Errorf("DR%d is %v up and %v down, want %s and %s", c.dr, up.DataRate, down.DataRate, c.up, c.down)
		}
	}
	old := p.At(RP002v102)
	if _, ok := old.Rate(Down, 0); ok {
		t.Error("the older revision has a downlink DR0")
	}
	if _, ok := old.Rate(Up, 7); ok {
		t.Error("the older revision has an uplink DR7")
	}
	if _, err := old.RX1Rate(8, 0); err == nil {
		t.Error("the older revision answers an uplink at DR8")
	}
}

func TestDutyLimited(t *testing.T) {
	names := ""
	for _, b := range plan(t, "EU868").DutyLimited() {
		names += b.Name
	}
	if names != "KLMNPQ" {
		t.Errorf("EU868 limits %q", names)
	}
	if n := len(plan(t, "US915").DutyLimited()); n != 0 {
		t.Errorf("US915 limits %d bands", n)
	}
}
