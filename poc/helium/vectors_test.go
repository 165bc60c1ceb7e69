package helium

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/airtime"
)

// The vectors came with the project's specification. POC_VECTORS names another
// file of the same form to try against the same code; a section that it lacks is
// reported as skipped.
const keptVectors = "testdata/poc_vectors.json"

var sections = map[string]func(*testing.T, json.RawMessage){
	"beacon_derivation":   checkBeaconDerivation,
	"datarate_selection":  checkDataRateSelection,
	"conducted_power":     checkConductedPower,
	"distance":            checkDistance,
	"expected_rssi":       checkExpectedRSSI,
	"rssi_check":          checkRSSICheck,
	"frequency_check":     checkFrequencyCheck,
	"lag_check":           checkLagCheck,
	"schedule_check":      checkScheduleCheck,
	"entropy_window":      checkEntropyWindow,
	"reward_units":        checkRewardUnits,
	"witness_selection":   checkWitnessSelection,
	"hex_density":         checkHexDensity,
	"pool_split":          checkPoolSplit,
	"dc_conversion":       checkDCConversion,
	"reward_distribution": checkRewardDistribution,
	"post_hip149_split":   checkPostHIP149Split,
	"packet_dc":           checkPacketDC,
	"airtime_ms":          checkAirtime,
	"pubkey_encoding":     checkPubkeyEncoding,
	"verification_order":  checkVerificationOrder,
	"invalid_reason_enum": checkReasonEnum,
}

func TestVectors(t *testing.T) {
	path := cmp.Or(os.Getenv("POC_VECTORS"), keptVectors)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := strict[map[string]json.RawMessage](t, b)
	var checked int
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		checked++
		t.Run(name, func(t *testing.T) {
			check, ok := sections[name]
			if !ok {
				t.Fatal("no check knows this section")
			}
			check(t, file[name])
		})
	}
	if checked == 0 {
		t.Error("the file has no sections")
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if _, ok := file[name]; ok {
			continue
		}
		if path == keptVectors {
			t.Errorf("section %s is missing", name)
			continue
		}
		t.Run(name, func(t *testing.T) { t.Skip("not in ", path) })
	}
}

// strict decodes JSON without unknown fields and without anything after it.
func strict[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Fatal("data after the value")
	}
	return v
}

// cases insists on a list that is not empty.
func cases[T any](t *testing.T, list []T) []T {
	t.Helper()
	if len(list) == 0 {
		t.Fatal("a case list is missing or empty")
	}
	return list
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func dec(t *testing.T, s string) Decimal {
	t.Helper()
	d, err := ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func vectorCell(t *testing.T, s string) geo.Cell {
	t.Helper()
	c, err := geo.ParseCellDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome turns an expectation such as "ok" or "bad_rssi" into a reason.
func outcome(t *testing.T, s string) Reason {
	t.Helper()
	if s == "ok" {
		return None
	}
	r, err := ParseReason(s)
	if err != nil || r == None {
		t.Fatalf("expectation %q is neither ok nor a reason", s)
	}
	return r
}

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

func checkRewardUnits(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source     string `json:"source"`
		Redundancy int    `json:"redundancy"`
		Decay      string `json:"decay"`
		Cap        string `json:"cap"`
		Places     int    `json:"dp"`
		Cases      []struct {
			W        int    `json:"w"`
			Witness  string `json:"witness_each"`
			Beaconer string `json:"beaconer"`
		} `json:"by_valid_selected_witnesses"`
	}](t, raw)
	rule := UnitRule{v.Redundancy, dec(t, v.Decay), dec(t, v.Cap), v.Places}
	for _, c := range cases(t, v.Cases) {
		equal(t, fmt.Sprint("witness of ", c.W), rule.Witness(c.W).Text(v.Places), c.Witness)
		equal(t, fmt.Sprint("beaconer of ", c.W), rule.Beaconer(c.W).Text(v.Places), c.Beaconer)
	}
}

func checkWitnessSelection(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Max    int    `json:"max_witnesses"`
		Cases  []struct {
			Valid      int    `json:"valid"`
			Selected   int    `json:"selected"`
			Unselected int    `json:"unselected"`
			Order      string `json:"order"`
		} `json:"cases"`
		Filter *struct {
			Input      []string `json:"input"`
			Selected   int      `json:"selected"`
			Unselected []string `json:"unselected_reasons"`
		} `json:"filter_case"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		if c.Order != "" && c.Order != "ascending received_timestamp" {
			t.Fatalf("unknown order %q", c.Order)
		}
		judged := make([]WitnessVerdict, c.Valid)
		for i := range judged { // received in descending order
			judged[i].Report.Received = Millis(c.Valid - i)
		}
		selected, unselected := Select(judged, v.Max)
		equal(t, "selected", len(selected), c.Selected)
		equal(t, "unselected", len(unselected), c.Unselected)
		for i, s := range append(selected, unselected...) {
			equal(t, "arrival", s.Report.Received, Millis(i+1))
		}
	}
	if v.Filter == nil {
		t.Fatal("filter_case is missing")
	}
	var judged []WitnessVerdict
	for _, s := range cases(t, v.Filter.Input) {
		var w WitnessVerdict
		if name, invalid := strings.CutPrefix(s, "invalid:"); invalid {
			w.Verdict = Verdict{outcome(t, name), SideWitness}
		} else {
			equal(t, "input", s, "valid")
		}
		judged = append(judged, w)
	}
	selected, unselected := Select(judged, v.Max)
	var reasons []string
	for _, u := range unselected {
		reasons = append(reasons, u.Reason.String())
	}
	equal(t, "selected", len(selected), v.Filter.Selected)
	if !slices.Equal(reasons, v.Filter.Unselected) {
		t.Errorf("unselected %v, want %v", reasons, v.Filter.Unselected)
	}
}

func checkHexDensity(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source  string             `json:"source"`
		Params  map[string][]int64 `json:"params"`
		Order   []string           `json:"param_order"`
		Input   []string           `json:"input_asserted_cells"`
		Expect  map[string]string  `json:"expected_scale"`
		Missing string             `json:"default_scale_when_missing"`
	}](t, raw)
	if !slices.Equal(v.Order, []string{"neighbors_N", "target", "max"}) {
		t.Fatalf("unknown order of parameters %v", v.Order)
	}
	rules := map[int]HexRule{}
	for res, p := range v.Params {
		n, err := strconv.Atoi(res)
		if err != nil || len(p) != 3 {
			t.Fatalf("parameters of %q: %v", res, p)
		}
		rules[n] = HexRule{p[0], p[1], p[2]}
	}
	var asserted []geo.Cell
	for _, s := range cases(t, v.Input) {
		asserted = append(asserted, vectorCell(t, s))
	}
	for range 3 { // maps and order must not matter
		got := Density(asserted, rules)
		equal(t, "number of cells", len(got), len(v.Expect))
		for s, want := range v.Expect {
			scale, ok := got[vectorCell(t, s)]
			if !ok {
				t.Fatalf("cell %s is missing", s)
			}
			equal(t, s, scale.Text(4), want)
		}
		slices.Reverse(asserted)
	}
	equal(t, "default scale", DefaultScale().Text(4), v.Missing)
}

func checkPoolSplit(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source    string `json:"source"`
		Emissions string `json:"epoch_emissions"`
		Cases     []struct {
			Remainder string `json:"dc_remainder"`
			Beacon    string `json:"beacon_pool"`
			Witness   string `json:"witness_pool"`
		} `json:"cases"`
		Operations string `json:"operations"`
		Oracles    string `json:"oracles"`
	}](t, raw)
	emissions := dec(t, v.Emissions)
	whole := PoCSplit().Pools(emissions, emissions).Data
	for _, c := range cases(t, v.Cases) {
		p := PoCSplit().Pools(emissions, whole.Sub(dec(t, c.Remainder)))
		equal(t, "beacon pool", p.Beacon.String(), c.Beacon)
		equal(t, "witness pool", p.Witness.String(), c.Witness)
		equal(t, "operations", p.Operations.String(), v.Operations)
		equal(t, "oracles", p.Oracles.String(), v.Oracles)
	}
}

func checkDCConversion(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			DC    string `json:"dc"`
			Price string `json:"price_per_bone"`
			Bones string `json:"bones"`
		} `json:"cases"`
		Price *struct {
			Units    string `json:"price_in_bones"`
			Decimals int    `json:"decimals"`
			PerToken string `json:"price_per_token"`
			PerBone  string `json:"price_per_bone"`
		} `json:"price_info"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		got := BonesOf(dec(t, c.DC), dec(t, c.Price))
		equal(t, c.DC+" DC at "+c.Price, got.String(), dec(t, c.Bones).String())
	}
	if v.Price == nil {
		t.Fatal("price_info is missing")
	}
	p := Price{dec(t, v.Price.Units), v.Price.Decimals}
	equal(t, "price of a token", p.PerToken().Cmp(dec(t, v.Price.PerToken)), 0)
	equal(t, "price of a bone", p.PerBone().Cmp(dec(t, v.Price.PerBone)), 0)
}

func checkRewardDistribution(t *testing.T, raw json.RawMessage) {
	type amounts struct {
		Beacon  string `json:"beacon"`
		Witness string `json:"witness"`
		Data    string `json:"dc_transfer"`
	}
	list := strict[[]struct {
		Note      string `json:"note"`
		Emissions string `json:"epoch_emissions_bones"`
		Price     string `json:"price_in_bones"`
		Decimals  int    `json:"token_decimals"`
		Shares    []struct {
			Gateway string `json:"gw"`
			Beacon  string `json:"beacon"`
			Witness string `json:"witness"`
			DC      string `json:"dc"`
		} `json:"shares"`
		Expected []*amounts `json:"expected"`
		PerShare struct {
			Beacon  string `json:"beacon"`
			Witness string `json:"witness"`
			DC      string `json:"dc"`
		} `json:"expected_per_share"`
		Unallocated string `json:"expected_unallocated_bones"`
	}](t, raw)
	for i, v := range cases(t, list) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			var shares []GatewayShares
			for _, s := range cases(t, v.Shares) {
				shares = append(shares, GatewayShares{dec(t, s.Beacon), dec(t, s.Witness), dec(t, s.DC)})
			}
			emissions := dec(t, v.Emissions)
			d, err := Distribute(emissions, Price{dec(t, v.Price), v.Decimals}, shares, PoCSplit())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "per beacon share", d.PerShare.Beacon.Text(sharePlaces), v.PerShare.Beacon)
			equal(t, "per witness share", d.PerShare.Witness.Text(sharePlaces), v.PerShare.Witness)
			equal(t, "per DC share", d.PerShare.DC.Text(sharePlaces), v.PerShare.DC)
			equal(t, "unallocated", d.Unallocated.String(), v.Unallocated)
			equal(t, "number of rewards", len(d.Rewards), len(v.Expected))
			paid := new(big.Int)
			for j, want := range cases(t, v.Expected) {
				got := d.Rewards[j]
				name := v.Shares[j].Gateway
				equal(t, name+" left out", got.IsZero(), want == nil)
				if want != nil {
					equal(t, name, amounts{got.Beacon.String(), got.Witness.String(), got.Data.String()}, *want)
				}
				paid.Add(paid, got.Beacon).Add(paid, got.Witness).Add(paid, got.Data)
			}
			// Nothing appears or disappears: 80 % of emissions, cut to whole bones.
			all := new(big.Int).Add(paid, d.Unallocated)
			equal(t, "paid and unallocated", all.Cmp(emissions.Mul(Int(80)).Quo(Int(100)).Floor()), 0)
		})
	}
}

func checkPostHIP149Split(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source    string `json:"source"`
		Emissions string `json:"epoch_emissions"`
		Data      string `json:"dc_pool"`
		Ops       string `json:"ops_base"`
		Oracles   string `json:"oracles"`
		Note      string `json:"note"`
	}](t, raw)
	emissions := dec(t, v.Emissions)
	full := HIP149Split().Pools(emissions, emissions)
	equal(t, "data pool", full.Data.String(), v.Data)
	equal(t, "operations", full.Operations.String(), v.Ops)
	equal(t, "oracles", full.Oracles.String(), v.Oracles)
	equal(t, "beacon pool", full.Beacon.Sign()+full.Witness.Sign(), 0)
	unused := HIP149Split().Pools(emissions, Decimal{})
	equal(t, "operations with the underflow", unused.Operations.Cmp(dec(t, v.Ops).Add(dec(t, v.Data))), 0)
	equal(t, "beacon pool", unused.Beacon.Sign()+unused.Witness.Sign(), 0)
}

func checkPacketDC(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Per    int    `json:"bytes_per_dc"`
		Cases  []struct {
			Bytes int    `json:"bytes"`
			DC    uint64 `json:"dc"`
		} `json:"cases"`
		Balance *struct {
			Initial uint64   `json:"initial_balance"`
			Minimum uint64   `json:"minimum_allowed"`
			Bytes   []int    `json:"packets_bytes"`
			Expect  []string `json:"expect"`
		} `json:"balance_case"`
		Free *struct {
			Free   bool     `json:"free"`
			Bytes  []int    `json:"bytes"`
			DC     []uint64 `json:"dc"`
			Expect string   `json:"expect"`
		} `json:"free_case"`
		Join string `json:"join"`
	}](t, raw)
	tariff := Tariff{BytesPerDC: v.Per}
	equal(t, "bytes for a data credit", DefaultTariff().BytesPerDC, v.Per)
	for _, c := range cases(t, v.Cases) {
		equal(t, fmt.Sprint(c.Bytes, " bytes"), tariff.Cost(c.Bytes), c.DC)
	}
	if v.Balance == nil || v.Free == nil {
		t.Fatal("balance_case or free_case is missing")
	}
	tariff.LowBalance = v.Balance.Minimum
	payer := Payer{Chain: v.Balance.Initial}
	equal(t, "number of verdicts", len(v.Balance.Expect), len(cases(t, v.Balance.Bytes)))
	for i, n := range v.Balance.Bytes {
		var c Charge
		payer, c = tariff.Charge(payer, Packet{Bytes: n})
		equal(t, fmt.Sprint("packet ", i), c.Verdict.String(), v.Balance.Expect[i])
		equal(t, fmt.Sprint("packet ", i, " disables"), c.Disable,
			c.Verdict != PacketValid || payer.Chain-payer.Pending < v.Balance.Minimum)
	}
	equal(t, "number of prices", len(v.Free.DC), len(cases(t, v.Free.Bytes)))
	for i, n := range v.Free.Bytes {
		after, c := tariff.Charge(Payer{}, Packet{Bytes: n, Free: v.Free.Free})
		equal(t, "free packet costs", c.DC, v.Free.DC[i])
		verdict, _, _ := strings.Cut(v.Free.Expect, ",")
		equal(t, "free packet", c.Verdict.String(), verdict)
		equal(t, "free packet burns", after, Payer{})
	}
	_, c := tariff.Charge(Payer{}, Packet{Bytes: 1, Join: true})
	verdict, _, _ := strings.Cut(v.Join, " ")
	equal(t, "join", c.Verdict.String(), verdict)
	equal(t, "join costs", c.DC, 0)
}

func checkAirtime(t *testing.T, raw json.RawMessage) {
	v := strict[map[string]json.RawMessage](t, raw)
	var lists int
	for name, list := range v {
		if name == "source" {
			continue
		}
		lists++
		size, ok := strings.CutSuffix(name, "_bytes")
		n, err := strconv.Atoi(size)
		if !ok || err != nil {
			t.Fatalf("unknown field %q", name)
		}
		byRate := strict[map[string]float64](t, list)
		if len(byRate) == 0 {
			t.Fatalf("%s is empty", name)
		}
		for sf, ms := range byRate {
			rate, err := radio.ParseDataRate(sf + "BW125")
			if err != nil {
				t.Fatal(err)
			}
			got, err := airtime.OnAir(airtime.Params{DataRate: rate, Coding: 1, PayloadBytes: n})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, name+" "+sf, math.Round(float64(got)/100)/10, ms)
		}
	}
	equal(t, "lists", lists > 0, true)
}

func checkPubkeyEncoding(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Source string `json:"source"`
		Cases  []struct {
			Text    string `json:"b58"`
			Binary  string `json:"binary_hex"`
			Network string `json:"network"`
			Type    string `json:"type"`
		} `json:"cases"`
		Verify *struct {
			Text string `json:"b58"`
			Msg  string `json:"msg_ascii"`
			Sig  string `json:"sig_hex"`
		} `json:"ed25519_verify"`
	}](t, raw)
	for _, c := range cases(t, v.Cases) {
		id, err := identity.ParseText(c.Text)
		if err != nil {
			t.Fatal(err)
		}
		bin, err := hex.DecodeString(c.Binary)
		if err != nil {
			t.Fatal(err)
		}
		back, err := identity.ParseHotspotID(bin)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "binary", id, back)
		equal(t, "text", back.String(), c.Text)
		equal(t, "network", id.Network().String(), c.Network)
		equal(t, "type", id.Type().String(), c.Type)
	}
	if v.Verify == nil {
		t.Fatal("ed25519_verify is missing")
	}
	id, err := identity.ParseText(v.Verify.Text)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := hex.DecodeString(v.Verify.Sig)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Verify([]byte(v.Verify.Msg), sig); err != nil {
		t.Error(err)
	}
	if id.Verify([]byte(v.Verify.Msg+"x"), sig) == nil {
		t.Error("another message verifies")
	}
}

// checkVerificationOrder compares with what the code does: the order in which
// faults of a report with every fault come to light (order_test.go), and the
// order that the package tells.
func checkVerificationOrder(t *testing.T, raw json.RawMessage) {
	v := strict[struct {
		Beacon  []string `json:"beacon"`
		Witness []string `json:"witness"`
	}](t, raw)
	compare := func(what string, got, want []string) {
		if !slices.Equal(got, cases(t, want)) {
			t.Errorf("%s:\n got %v\nwant %v", what, got, want)
		}
	}
	compare("observed order of a beacon's checks", observedBeaconOrder(t), v.Beacon)
	compare("observed order of a witness's checks", observedWitnessOrder(t), v.Witness)
	compare("told order of a beacon's checks", labels(BeaconOrder(), SideBeaconer), v.Beacon)
	compare("told order of a witness's checks", labels(WitnessOrder(), SideWitness), v.Witness)
}

func checkReasonEnum(t *testing.T, raw json.RawMessage) {
	want := strict[map[string]uint8](t, raw)
	got := map[string]uint8{}
	for _, r := range Reasons() {
		got[r.String()] = uint8(r)
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
}
