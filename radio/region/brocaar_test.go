package region

import (
	"testing"
	"time"

	"github.com/brocaar/lorawan"
	"github.com/brocaar/lorawan/band"

	"heliograph/radio"
)

// TestAgainstBrocaar compares the tables, taken back to before SF5 and SF6, with
// an implementation that others wrote from the same documents.
func TestAgainstBrocaar(t *testing.T) {
	for name, theirs := range map[string]band.Name{"EU868": band.EU868, "US915": band.US915} {
		ours := plan(t, name).At(RP002v102)
		for _, repeater := range []bool{false, true} {
			other, err := band.GetConfig(theirs, repeater, lorawan.DwellTimeNoLimit)
			if err != nil {
				t.Fatal(err)
			}
			compareRates(t, ours, other, repeater)
			if !repeater {
				compareWindows(t, ours, other)
			}
		}
	}
}

func compareRates(t *testing.T, p *Plan, other band.Band, repeater bool) {
	t.Helper()
	rows := 0
	for _, dir := range []Direction{Up, Down} {
		for dr := range 15 {
			row, have := p.Rate(dir, DR(dr))
			theirs, err := other.GetDataRate(dr)
			if err == nil {
				if theirs.Modulation != band.LRFHSSModulation {
					i, err := other.GetDataRateIndex(dir == Up, theirs)
					if (err == nil && i == dr) != have {
						t.Errorf("%s %s DR%d: we have it: %v, they say %d (%v)", p.Name, dir, dr, have, i, err)
					}
				}
			} else if have {
				t.Errorf("%s %s DR%d: only we have it", p.Name, dir, dr)
			}
			if !have {
				continue
			}
			rows++
			size, err := other.GetMaxPayloadSizeForDataRateIndex(band.LoRaWAN_1_0_4, band.RegParamRevRP002_1_0_3, dr)
			want := int(row.MaxMAC)
			if repeater {
				want = int(row.MaxMACRepeater)
			}
			if err != nil || size.M != want || size.N != want-8 {
				t.Errorf("%s %s DR%d (repeater %v): %d bytes, they say %+v (%v)", p.Name, dir, dr, repeater, want, size, err)
			}
			if !repeater && row.MaxApp() != size.N {
				t.Errorf("%s %s DR%d: %d application bytes, they say %d", p.Name, dir, dr, row.MaxApp(), size.N)
			}
			switch theirs.Modulation {
			case band.LoRaModulation:
				same := radio.LoRaRate(radio.SpreadingFactor(theirs.SpreadFactor), radio.Hertz(theirs.Bandwidth)*radio.KHz)
				if row.DataRate != same {
					t.Errorf("%s %s DR%d: %v, they say %v", p.Name, dir, dr, row.DataRate, same)
				}
			case band.FSKModulation:
				if row.DataRate != radio.FSKRate(uint32(theirs.BitRate)) {
					t.Errorf("%s %s DR%d: %v, they say %d bit/s", p.Name, dir, dr, row.DataRate, theirs.BitRate)
				}
			case band.LRFHSSModulation:
				if row.LRFHSS == "" {
					t.Errorf("%s %s DR%d: not LR-FHSS", p.Name, dir, dr)
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("%s: only %d rows compared", p.Name, rows)
	}
}

func compareWindows(t *testing.T, p *Plan, other band.Band) {
	t.Helper()
	for _, row := range p.UplinkRates {
		for offset := range p.RX1Rates[row.DR] {
			ours, err := p.RX1Rate(row.DR, offset)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := other.GetRX1DataRateIndex(int(row.DR), offset)
			if err != nil || theirs != int(ours) {
				t.Errorf("%s: RX1 of DR%d offset %d: DR%d, they say %d (%v)", p.Name, row.DR, offset, ours, theirs, err)
			}
		}
		if _, err := other.GetRX1DataRateIndex(int(row.DR), len(p.RX1Rates[row.DR])); err == nil {
			t.Errorf("%s: they have more RX1 offsets for DR%d", p.Name, row.DR)
		}
	}
	indices := other.GetUplinkChannelIndices()
	if len(indices) != len(p.Uplink) {
		t.Fatalf("%s: %d uplink channels, they have %d", p.Name, len(p.Uplink), len(indices))
	}
	for _, i := range indices {
		theirs, err := other.GetUplinkChannel(i)
		if err != nil {
			t.Fatal(err)
		}
		c := p.Uplink[i]
		if radio.Hertz(theirs.Frequency) != c.Frequency || theirs.MinDR != int(c.Min) || theirs.MaxDR != int(c.Max) {
			t.Errorf("%s: channel %d is %+v, they say %+v", p.Name, i, c, theirs)
		}
		down, err := other.GetRX1FrequencyForUplinkFrequency(theirs.Frequency)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := p.RX1Frequency(c.Frequency)
		if err != nil || ours != radio.Hertz(down) {
			t.Errorf("%s: RX1 of %v is %v (%v), they say %d", p.Name, c.Frequency, ours, err, down)
		}
	}
	d := other.GetDefaults()
	us := func(m radio.Micros) time.Duration { return m.Duration() }
	if radio.Hertz(d.RX2Frequency) != p.RX2Default.Frequency || d.RX2DataRate != int(p.RX2Default.DR) ||
		d.ReceiveDelay1 != us(p.Delays.RX1) || d.ReceiveDelay2 != us(p.Delays.RX2) ||
		d.JoinAcceptDelay1 != us(p.Delays.JoinAccept1) || d.JoinAcceptDelay2 != us(p.Delays.JoinAccept2) {
		t.Errorf("%s: defaults %+v %+v, they say %+v", p.Name, p.RX2Default, p.Delays, d)
	}
	if other.GetDefaultMaxUplinkEIRP() != float32(radio.CentiDBm(p.DeviceMaxEIRP).Float()) {
		t.Errorf("%s: device EIRP %v, they say %v", p.Name, p.DeviceMaxEIRP, other.GetDefaultMaxUplinkEIRP())
	}
}
