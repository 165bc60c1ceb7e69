package helium

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"heliograph/poc/geo"
	"heliograph/radio"
	"heliograph/radio/airtime"
)

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
