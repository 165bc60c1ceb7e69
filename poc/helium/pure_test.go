package helium

import (
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"testing"

	"heliograph/poc/geo"
	"heliograph/radio"
)

// Key stream of ChaCha12 for the all-zero key and nonce (draft-strombergson-
// chacha-test-vectors-01, TC1, 256-bit key, 12 rounds).
func TestChaCha12(t *testing.T) {
	var got []byte
	for _, w := range chacha12([32]byte{}, 32) {
		got = binary.LittleEndian.AppendUint32(got, w)
	}
	const want = "9bf49a6a0755f953811fce125f2683d50429c3bb49e074147e0089a52eae155f" +
		"0564f879d27ae3c02ce82834acfa8c793a629f2ca0de6919610be82f411326be" +
		"0bd58841203e74fe86fc71338ce0173dc628ebb719bdcbcc151585214cc089b4" +
		"42258dcda14cf111c602b8971b8cc843e91e46ca905151c02744a6b017e69316"
	if hex.EncodeToString(got) != want {
		t.Errorf("key stream\n%x\n%s", got, want)
	}
}

func TestDeriveRefuses(t *testing.T) {
	eu, _ := Published(EU868)
	big := make([]byte, maxEntropy+1)
	for name, f := range map[string]func() (Beacon, error){
		"version":    func() (Beacon, error) { return Derive(Entropy{Version: 2}, nil, eu, 0) },
		"remote":     func() (Beacon, error) { return Derive(Entropy{Data: big}, nil, eu, 0) },
		"local":      func() (Beacon, error) { return Derive(Entropy{}, big, eu, 0) },
		"no channel": func() (Beacon, error) { return Derive(Entropy{}, nil, nil, 0) },
		"no rate": func() (Beacon, error) {
			return Derive(Entropy{}, nil, RegionParams{{TaggedSpread: []Tagged{{12, 50}}}}, 0)
		},
		"gain": func() (Beacon, error) { return Derive(Entropy{}, nil, eu, 162) },
	} {
		if b, err := f(); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// The table of the specification: data rate of a beacon by region.
func TestPublishedRegions(t *testing.T) {
	for r, c := range map[Region]struct {
		channels int
		first    radio.Hertz
		last     radio.Hertz
		eirp     int32
		rate     string
	}{
		US915:    {8, 903_900_000, 905_300_000, 360, "SF9BW125"},
		EU868:    {8, 867_100_000, 868_500_000, 161, "SF12BW125"},
		CD900x1A: {8, 867_100_000, 868_500_000, 161, "SF12BW125"},
		AU915:    {8, 916_800_000, 918_200_000, 300, "SF9BW125"},
		AU915SB1: {8, 915_200_000, 916_600_000, 300, "SF9BW125"},
		AS923x1:  {8, 923_200_000, 924_600_000, 160, "SF9BW125"},
		AS923x2:  {8, 921_400_000, 922_800_000, 160, "SF9BW125"},
		AS923x3:  {8, 916_600_000, 918_000_000, 160, "SF9BW125"},
		AS923x4:  {8, 917_300_000, 918_700_000, 160, "SF9BW125"},
		AS923x1B: {8, 922_000_000, 923_400_000, 160, "SF9BW125"},
		AS923x1C: {8, 923_200_000, 924_600_000, 300, "SF9BW125"},
		CN470:    {8, 486_300_000, 487_700_000, 191, "SF9BW125"},
		IN865:    {3, 865_062_500, 865_985_000, 300, "SF9BW125"},
		KR920:    {7, 922_100_000, 923_300_000, 140, "SF9BW125"},
		RU864:    {7, 864_100_000, 869_100_000, 160, "SF9BW125"},
		EU433:    {3, 43_317_500, 43_357_500, 121, "SF9BW125"},
	} {
		p, ok := Published(r)
		if !ok || len(p) != c.channels || p[0].Frequency != c.first || p[len(p)-1].Frequency != c.last || p[0].MaxEIRPDeci != c.eirp {
			t.Errorf("%s: %+v", r, p)
			continue
		}
		if rate, err := p.SelectDataRate(PayloadSize); err != nil || rate.String() != c.rate {
			t.Errorf("%s: %v, %v", r, rate, err)
		}
		if back, err := ParseRegion(r.String()); err != nil || back != r {
			t.Errorf("%s does not parse: %v", r, err)
		}
	}
	for _, r := range []Region{RegionAbsent, CN779, 77} {
		if _, ok := Published(r); ok {
			t.Errorf("%s has parameters", r)
		}
	}
	if _, err := ParseRegion("EU999"); err == nil {
		t.Error("EU999 parses")
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		in          string
		places      int
		round, ceil string
	}{
		{"0.5", 0, "0", "1"}, {"1.5", 0, "2", "2"}, {"2.5", 0, "2", "3"}, {"-0.5", 0, "0", "0"}, {"-1.5", 0, "-2", "-1"},
		{"0.00005", 4, "0", "0.0001"}, {"0.00015", 4, "0.0002", "0.0002"}, {"0.00025", 4, "0.0002", "0.0003"},
		{"0.000250000000000000000000001", 4, "0.0003", "0.0003"}, {"7", 4, "7", "7"},
	} {
		d := dec(t, c.in)
		if got := d.Round(c.places).String(); got != c.round {
			t.Errorf("%s rounds to %s, want %s", c.in, got, c.round)
		}
		if got := d.Ceil(c.places).String(); got != c.ceil {
			t.Errorf("%s rounds up to %s, want %s", c.in, got, c.ceil)
		}
	}
	for _, s := range []string{"", "-", ".", "1.", ".5", "1e5", "0x1", "1/2", "+1", "1.2.3", "--1", " 1", "1_000", string(make([]byte, 100))} {
		if d, err := ParseDecimal(s); err == nil {
			t.Errorf("%q parses as %s", s, d)
		}
	}
	var zero Decimal
	if zero.String() != "0" || zero.Add(Int(1)).Cmp(Int(1)) != 0 || zero.Floor().Sign() != 0 || dec(t, "-1.5").Floor().Cmp(big.NewInt(-2)) != 0 {
		t.Error("zero value or floor")
	}
}

func TestDistributeEdges(t *testing.T) {
	price := Price{Int(3_590_000), 8}
	one := GatewayShares{Int(1), Int(1), Int(1)}
	// Nobody earned anything: all of the pools is unallocated.
	d, err := Distribute(Int(1_000_000), price, nil, PoCSplit())
	if err != nil || d.Unallocated.Int64() != 800_000 || d.Operations.Int64() != 70_000 || d.Oracles.Int64() != 70_000 {
		t.Errorf("%+v, %v", d, err)
	}
	// More data transfer than its pool holds is cut to the pool.
	d, err = Distribute(Int(1_000_000), price, []GatewayShares{{DC: Int(1_000_000_000)}}, PoCSplit())
	if err != nil || d.Rewards[0].Data.Int64() != 500_000 || d.Unallocated.Int64() != 300_000 {
		t.Errorf("%+v, %v", d, err)
	}
	// After HIP-149 nothing is paid for coverage.
	d, err = Distribute(Int(10_000_000), price, []GatewayShares{one}, HIP149Split())
	if err != nil || d.Rewards[0].Beacon.Sign() != 0 || d.Rewards[0].Witness.Sign() != 0 || d.Rewards[0].Data.Int64() != 27855 ||
		d.Operations.Int64() != 3_700_000+5_000_000-27_856 || d.Unallocated.Sign() != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	for name, f := range map[string]func() (Distribution, error){
		"price":     func() (Distribution, error) { return Distribute(Int(1), Price{Int(0), 8}, nil, PoCSplit()) },
		"emissions": func() (Distribution, error) { return Distribute(Int(-1), price, nil, PoCSplit()) },
		"share": func() (Distribution, error) {
			return Distribute(Int(1), price, []GatewayShares{{Beacon: Int(-1)}}, PoCSplit())
		},
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDefaultsMatchTheTable(t *testing.T) {
	l := DefaultLimits()
	if l.BeaconIntervalS != 21600 || l.EntropyLifeS != 180 || l.MinCells != 8 || l.MaxKM != 100 || l.MaxWitnesses != 14 ||
		l.FirstBeaconLagMS != 4000 || l.FirstWitnessLagMS != 1500 || l.FrequencyHz != 100_000 {
		t.Errorf("%+v", l)
	}
	if r := DefaultHexRules(); len(r) != 7 || r[4] != (HexRule{2, 500, 1000}) || r[7] != (HexRule{4, 5, 10}) || r[10] != (HexRule{2, 1, 1}) {
		t.Errorf("%v", DefaultHexRules())
	}
	if u := l.Units; u.Beaconer(0).Sign() != 0 || u.Witness(0).Sign() != 0 || u.Beaconer(-1).Sign() != 0 || u.Beaconer(1000).Text(4) != "2.0000" {
		t.Error("units at the ends")
	}
	if Share(Int(0), Int(1)).Sign() != 0 || Share(Int(1), Int(-1)).Sign() != 0 {
		t.Error("shares of nothing")
	}
}

func TestDensityLeavesOutBadCells(t *testing.T) {
	good := place(0)
	got := Density([]geo.Cell{0, good.Parent(10), good, good.Parent(11)}, DefaultHexRules())
	if len(got) != 2 || got[good].Text(4) != "0.5000" || got[good.Parent(11)].Text(4) != "0.5000" {
		t.Errorf("%v", got)
	}
	if got := Density([]geo.Cell{good, good}, nil); got[good].Text(4) != "1.0000" {
		t.Errorf("without rules: %v", got)
	}
}

func TestCharge(t *testing.T) {
	tariff := DefaultTariff()
	p, c := tariff.Charge(Payer{Chain: 3_500_010}, Packet{Bytes: 240})
	if c != (Charge{Verdict: PacketValid, DC: 10}) || p.Pending != 10 {
		t.Errorf("exactly the minimum left: %+v %+v", p, c)
	}
	if p, c = tariff.Charge(p, Packet{}); !c.Disable || c.DC != 1 || c.Verdict != PacketValid {
		t.Errorf("below the minimum: %+v %+v", p, c)
	}
	if _, c := tariff.Charge(Payer{Chain: 1, Pending: 2}, Packet{Bytes: 1}); c.Verdict != PacketInsufficientBalance || !c.Disable {
		t.Errorf("more pending than there is: %+v", c)
	}
	if (Tariff{}).Cost(3) != 3 || tariff.Cost(-5) != 1 {
		t.Error("odd arguments")
	}
}

func TestReasonText(t *testing.T) {
	for _, r := range Reasons() {
		if back, err := ParseReason(r.String()); err != nil || back != r {
			t.Errorf("%v: %v, %v", r, back, err)
		}
	}
	if _, err := ParseReason("nonsense"); err == nil || Reason(200).String() != "reason_200" {
		t.Error("unknown reasons")
	}
}

func FuzzParseDecimal(f *testing.F) {
	f.Add("2785515.320334261838441")
	f.Add("-0.5")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDecimal(s)
		if err != nil {
			return
		}
		if back, err := ParseDecimal(d.Text(80)); err == nil && back.Cmp(d) != 0 {
			t.Fatalf("%s became %s", s, back)
		}
		if d.Ceil(4).Cmp(d) < 0 || BigInt(d.Floor()).Cmp(d) > 0 {
			t.Fatal("rounded to the wrong side")
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	s := newStage(&testing.T{}, 25)
	w := s.world()
	for b.Loop() {
		if _, err := Evaluate(s.beacon, s.witnesses, w); err != nil {
			b.Fatal(err)
		}
	}
}
