package helium

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"heliograph/poc/geo"
	"heliograph/radio"
)

// octets is a list of numbers 0..255, not a base64 string.
type octets []uint8

func (o *octets) UnmarshalJSON(b []byte) error {
	var wide []uint16
	if err := json.Unmarshal(b, &wide); err != nil {
		return err
	}
	for _, v := range wide {
		if v > 255 {
			return fmt.Errorf("%d is not a byte", v)
		}
		*o = append(*o, uint8(v))
	}
	return nil
}

func checkBeaconDerivation(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source       string  `json:"source"`
		Remote       octets  `json:"remote_entropy"`
		RemoteTime   int64   `json:"remote_entropy_timestamp_s"`
		Local        octets  `json:"local_entropy"`
		LocalTime    *int64  `json:"local_entropy_timestamp_s"`
		Version      uint32  `json:"entropy_version"`
		Preimage     string  `json:"seed_preimage"`
		Seed         string  `json:"seed_sha256_hex"`
		Stream       string  `json:"stream"`
		Len          int     `json:"payload_len"`
		Payload      octets  `json:"payload"`
		PayloadHex   string  `json:"payload_hex"`
		MHDR         string  `json:"phy_payload_first_byte_hex"`
		PHYLen       int     `json:"phy_payload_len"`
		FreqIndex    int     `json:"freq_index_u16le"`
		Region       string  `json:"region"`
		Frequencies  []int64 `json:"region_frequencies_hz"`
		ExpectedHz   int64   `json:"expected_frequency_hz"`
		ExpectedRate string  `json:"expected_datarate"`
	}](t, raw)
	if v.LocalTime == nil || *v.LocalTime != 0 {
		t.Fatal("the local entropy's time is always 0")
	}
	region, err := ParseRegion(v.Region)
	if err != nil {
		t.Fatal(err)
	}
	params, ok := Published(region)
	if !ok {
		t.Fatalf("no parameters for %s", region)
	}
	// Frequencies are the file's; they must be the published ones as well.
	var own []int64
	for _, c := range params {
		own = append(own, int64(c.Frequency))
	}
	if !slices.Equal(own, cases(t, v.Frequencies)) {
		t.Errorf("channels of %s: %v, want %v", region, own, v.Frequencies)
	}
	remote := Entropy{Data: cases(t, v.Remote), Start: v.RemoteTime, Version: v.Version}
	seed := Seed(remote, cases(t, v.Local))
	equal(t, "seed", hex.EncodeToString(seed[:]), v.Seed)
	b, err := Derive(remote, v.Local, params, 12)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Payload[:], v.Payload) {
		t.Errorf("payload %v, want %v", b.Payload, v.Payload)
	}
	phy := b.PHYPayload()
	equal(t, "payload in hex", hex.EncodeToString(b.Payload[:]), v.PayloadHex)
	equal(t, "payload length", len(b.Payload), v.Len)
	equal(t, "header", hex.EncodeToString(phy[:1]), v.MHDR)
	equal(t, "PHY payload length", len(phy), v.PHYLen)
	equal(t, "channel draw", b.channelDraw(), v.FreqIndex)
	equal(t, "frequency", b.Frequency, radio.Hertz(v.ExpectedHz))
	equal(t, "data rate", b.DataRate.String(), v.ExpectedRate)
}

func checkDataRateSelection(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string  `json:"source"`
		Region string  `json:"region"`
		Tagged [][]any `json:"tagged_spreading"`
		Cases  []struct {
			Size   int    `json:"size"`
			Expect string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	region, err := ParseRegion(v.Region)
	if err != nil {
		t.Fatal(err)
	}
	var tagged []Tagged
	for _, pair := range cases(t, v.Tagged) {
		if len(pair) != 2 {
			t.Fatal("tagged spreading is a list of pairs")
		}
		name, ok1 := pair[0].(string)
		size, ok2 := pair[1].(float64)
		rate, err := radio.ParseDataRate(name + "BW125")
		if !ok1 || !ok2 || err != nil {
			t.Fatalf("tagged spreading %v: %v", pair, err)
		}
		tagged = append(tagged, Tagged{rate.SF, int(size)})
	}
	published, _ := Published(region)
	if !slices.Equal(published[0].TaggedSpread, tagged) {
		t.Errorf("tagged spreading of %s: %v, want %v", region, published[0].TaggedSpread, tagged)
	}
	params := RegionParams{{Bandwidth: published[0].Bandwidth, TaggedSpread: tagged}}
	for _, c := range cases(t, v.Cases) {
		got, err := params.SelectDataRate(c.Size)
		if c.Expect == "error" {
			equal(t, fmt.Sprint(c.Size, " bytes fail"), err != nil, true)
			continue
		}
		equal(t, fmt.Sprint(c.Size, " bytes"), got.String(), c.Expect)
	}
}

// deci turns a decimal figure into tenths.
func deci(t *testing.T, s string) int32 {
	t.Helper()
	v := dec(t, s).Mul(Int(10))
	if !v.rat().IsInt() {
		t.Fatalf("%s has more than one decimal place", s)
	}
	return int32(v.Floor().Int64())
}

func checkConductedPower(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Rule   string `json:"rule"`
		Cases  []struct {
			EIRP   string `json:"max_eirp_dBm"`
			Gain   string `json:"gain_dBi"`
			Expect any    `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		// A quieter channel beside it must not matter.
		params := RegionParams{{MaxEIRPDeci: deci(t, c.EIRP) - 7}, {MaxEIRPDeci: deci(t, c.EIRP)}}
		got, err := params.ConductedPower(deci(t, c.Gain))
		name := c.EIRP + " dBm, " + c.Gain + " dBi"
		if c.Expect == "error" {
			equal(t, name+" fails", err != nil, true)
			continue
		}
		equal(t, name, any(float64(got)), c.Expect)
		equal(t, name+" fails", err != nil, false)
	}
}

func checkDistance(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			A      string `json:"a"`
			B      string `json:"b"`
			Metres int64  `json:"metres_rounded"`
			Grid   int64  `json:"res11_grid_distance"`
			Min    string `json:"min_cell_check"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		a, b := vectorCell(t, c.A), vectorCell(t, c.B)
		equal(t, "metres", DistanceMetres(a, b), c.Metres)
		grid, err := geo.GridDistance(a.Parent(minCellResolution), b.Parent(minCellResolution))
		if err != nil {
			t.Error(err)
		}
		equal(t, "grid distance", grid, c.Grid)
		if c.Min != "" {
			equal(t, "minimum", CheckMinDistance(a, b, DefaultLimits().MinCells), outcome(t, c.Min))
		}
	}
}

func checkExpectedRSSI(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string  `json:"source"`
		Light  float64 `json:"speed_of_light"`
		Cases  []struct {
			Power       int32   `json:"tx_power_dbm"`
			BeaconGain  int32   `json:"beacon_gain_ddbi"`
			WitnessGain int32   `json:"witness_gain_ddbi"`
			Freq        int64   `json:"freq_hz"`
			Metres      int64   `json:"distance_m"`
			Expect      float64 `json:"expected_max_rssi_dbm"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		got := ExpectedRSSI(Link{c.Power, c.BeaconGain, c.WitnessGain, radio.Hertz(c.Freq), c.Metres, v.Light})
		if math.Abs(got-c.Expect) > 1e-9 {
			t.Errorf("expected RSSI %v, want %v", got, c.Expect)
		}
	}
}

func checkRSSICheck(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			Signal      int32  `json:"signal_ddbm"`
			Freq        int64  `json:"freq_hz"`
			Power       int32  `json:"tx_power_dbm"`
			BeaconGain  int32  `json:"beacon_gain_ddbi"`
			WitnessGain int32  `json:"witness_gain_ddbi"`
			A           string `json:"a"`
			B           string `json:"b"`
			Expect      string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		metres := DistanceMetres(vectorCell(t, c.A), vectorCell(t, c.B))
		got := CheckRSSI(c.Signal, Link{c.Power, c.BeaconGain, c.WitnessGain, radio.Hertz(c.Freq), metres, SpeedOfLight})
		equal(t, fmt.Sprint("signal ", c.Signal), got, outcome(t, c.Expect))
	}
}

func checkFrequencyCheck(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Beacon int64  `json:"beacon_hz"`
		Cases  []struct {
			Delta  int64  `json:"delta_hz"`
			Expect string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		for _, sign := range []int64{1, -1} {
			got := CheckFrequency(radio.Hertz(v.Beacon), radio.Hertz(v.Beacon+sign*c.Delta), DefaultLimits().FrequencyHz)
			equal(t, fmt.Sprint("delta ", sign*c.Delta), got, outcome(t, c.Expect))
		}
	}
}

func checkLagCheck(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Limits struct {
			Beacon  int64 `json:"beacon_first"`
			Witness int64 `json:"witness_first"`
		} `json:"limits_ms"`
		Cases []struct {
			Beacon  int64  `json:"beacon_s"`
			First   int64  `json:"first_witness_s"`
			Witness int64  `json:"witness_s"`
			Expect  string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	l := DefaultLimits()
	l.FirstBeaconLagMS, l.FirstWitnessLagMS = v.Limits.Beacon, v.Limits.Witness
	for i, c := range cases(t, v.Cases) {
		got := CheckLag(Millis(c.Beacon*1000), Millis(c.First*1000), Millis(c.Witness*1000), l)
		equal(t, fmt.Sprint("case ", i), got, outcome(t, c.Expect))
	}
}

func instant(t *testing.T, s string) Millis {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return Millis(at.UnixMilli())
}

func checkScheduleCheck(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source   string `json:"source"`
		Interval int64  `json:"interval_s"`
		Last     string `json:"last_beacon"`
		Cases    []struct {
			Received string `json:"received"`
			Expect   string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		got := CheckSchedule(instant(t, v.Last), instant(t, c.Received), v.Interval)
		equal(t, c.Received, got, outcome(t, c.Expect))
	}
}

func checkEntropyWindow(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			Start    int64  `json:"start_s"`
			End      int64  `json:"end_s"`
			Received int64  `json:"received_s"`
			Expect   string `json:"expect"`
		} `json:"cases"`
	}](t, raw)
	for i, c := range cases(t, v.Cases) {
		got := CheckEntropyWindow(c.Start, c.End, Millis(c.Received*1000))
		equal(t, fmt.Sprint("case ", i), got, outcome(t, c.Expect))
	}
}
