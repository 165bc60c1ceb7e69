package native

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"heliograph/poc"
	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

var (
	euSteps = []radio.EIRP{1600, 1400, 1200, 1000}
	usSteps = []radio.EIRP{3000, 2700, 2400, 2100}
)

// link makes n receptions whose level follows the power with a slope.
func link(r *rand.Rand, steps []radio.EIRP, n int, slope, fading float64) []Observation {
	out := make([]Observation, n)
	for i := range out {
		e := steps[r.IntN(len(steps))]
		level := -9500 + slope*float64(e) + fading*r.NormFloat64()
		out[i] = Observation{EIRP: e, RSSI: radio.CentiDBm(math.Round(level/100) * 100), SNR: 900}
	}
	return out
}

// TestHonestLinksAreNotRefused: with the fading that the parameters assume, no
// more than one link in 740 is refused, whatever the number of receptions.
func TestHonestLinksAreNotRefused(t *testing.T) {
	p := Default()
	r := rand.New(rand.NewPCG(1, 2))
	const links = 20_000
	for _, steps := range [][]radio.EIRP{euSteps, usSteps} {
		for _, n := range []int{6, 12, 24, 48} {
			refused := 0
			for range links {
				if !CheckLink(&p, link(r, steps, n, 1, 250)).Accepted() {
					refused++
				}
			}
			if refused > links/740+26 { // five standard deviations of the count
				t.Errorf("%d receptions, steps %v: %d of %d honest links refused", n, steps, refused, links)
			}
		}
	}
}

// TestInventedLevelsAreRefused: constant levels are found as soon as the doc says,
// and levels with honest noise on them in nine cases of ten not much later.
func TestInventedLevelsAreRefused(t *testing.T) {
	p := Default()
	even := func(steps []radio.EIRP, n int) []Observation {
		var out []Observation
		for i := range n {
			out = append(out, Observation{EIRP: steps[i%len(steps)], RSSI: -9000, SNR: 900})
		}
		return out
	}
	for _, tt := range []struct {
		steps []radio.EIRP
		n     int
		want  poc.Reason
	}{{usSteps, 5, poc.OK}, {usSteps, 6, poc.PowerNotFollowed}, {euSteps, 11, poc.OK}, {euSteps, 12, poc.PowerNotFollowed}} {
		f := CheckLink(&p, even(tt.steps, tt.n))
		if f.Reason != tt.want {
			t.Errorf("%d receptions, steps %v: %v", tt.n, tt.steps, f.Reason)
		}
		if !f.Accepted() && (f.Got != 0 || f.Limit != int64(tt.steps[0]-tt.steps[3])/2) {
			t.Errorf("numbers: %+v", f)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, tt := range []struct {
		steps []radio.EIRP
		n     int
	}{{usSteps, 20}, {euSteps, 45}} {
		found := 0
		for range 1000 {
			if CheckLink(&p, link(r, tt.steps, tt.n, 0, 250)).Reason == poc.PowerNotFollowed {
				found++
			}
		}
		if found < 900 {
			t.Errorf("%d receptions, steps %v: %d of 1000 liars found", tt.n, tt.steps, found)
		}
	}
}

func TestLinkRuleIsSilent(t *testing.T) {
	p := Default()
	flat := link(rand.New(rand.NewPCG(5, 6)), usSteps, 40, 0, 0)
	if CheckLink(&p, flat).Accepted() {
		t.Fatal("the premise does not hold")
	}
	weak := slices.Clone(flat)
	for i := range weak {
		weak[i].SNR = 599
	}
	same := slices.Clone(flat)
	for i := range same {
		same[i].EIRP = 2700
	}
	for name, obs := range map[string][]Observation{"nothing": nil, "few": flat[:5], "weak": weak, "one power": same} {
		if f := CheckLink(&p, obs); !f.Accepted() {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestLinkOrder: the verdict does not depend on the order, and no values make the
// arithmetic overflow into a panic.
func TestLinkOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Observation {
			return Observation{
				EIRP: radio.EIRP(rapid.Int32Range(-34_000, 35_000).Draw(t, "eirp")),
				RSSI: radio.CentiDBm(rapid.Int16().Draw(t, "rssi")), SNR: radio.CentiDB(rapid.Int16().Draw(t, "snr")),
			}
		}), 0, 60).Draw(t, "obs")
		p := Default()
		want := CheckLink(&p, obs)
		shuffled := rapid.Permutation(obs).Draw(t, "shuffled")
		if got := CheckLink(&p, shuffled); got != want {
			t.Fatalf("%+v, then %+v", want, got)
		}
	})
}

func TestArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := geo.LatLng{Lat: geo.E7(rapid.Int32Range(-900_000_000, 900_000_000).Draw(t, "lat")),
			Lng: geo.E7(rapid.Int32Range(-1_800_000_000, 1_800_000_000).Draw(t, "lng"))}
		if d := at.Lat; d < 850_000_000 && d > -850_000_000 && at.Lng < 1_700_000_000 {
			far := geo.LatLng{Lat: at.Lat, Lng: at.Lng + geo.E7(40_000*10/max(1, cosTenth(at.Lat)))}
			if geo.Distance(at, far) > 1800 && AreaOf(at) == AreaOf(far) {
				t.Fatalf("%v and %v are %d m apart in one area", at, far, geo.Distance(at, far))
			}
		}
		_ = AreaOf(at)
	})
	p := geo.LatLng{Lat: 488_566_000, Lng: 23_522_000}
	if AreaOf(p) != AreaOf(geo.LatLng{Lat: p.Lat + 10, Lng: p.Lng + 10}) {
		t.Error("a metre makes an area")
	}
	if AreaOf(p) == AreaOf(geo.LatLng{Lat: p.Lat + 75_000, Lng: p.Lng}) || AreaOf(p) == AreaOf(geo.LatLng{Lat: p.Lat, Lng: p.Lng + 150_000}) {
		t.Error("a kilometre makes none")
	}
	if AreaOf(geo.LatLng{Lng: geo.MaxLng}) != AreaOf(geo.LatLng{Lng: -geo.MaxLng}) {
		t.Error("the date line has two sides")
	}
}

// cosTenth is roughly ten times the cosine of a latitude.
func cosTenth(lat geo.E7) int64 { return int64(10 * math.Cos(lat.Degrees()*math.Pi/180)) }

func candidates(n, areas int) []Candidate {
	out := make([]Candidate, n)
	for i := range out {
		out[i] = Candidate{Witness: identity.HotspotID{1, byte(i), byte(i >> 8)}, Area: Area(i % areas)}
	}
	return out
}

func TestSelect(t *testing.T) {
	if got := Select(poc.Seed{}, poc.Payload{}, candidates(3, 1), 14); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("few: %v", got)
	}
	// 50 hotspots in one house and 5 elsewhere: all 5 are drawn.
	crowd := candidates(55, 1)
	for i := range 5 {
		crowd[50+i].Area = Area(100 + i)
	}
	got := Select(poc.Seed{1}, poc.Payload{2}, crowd, 14)
	if len(got) != 14 || !slices.IsSorted(got) || !slices.Equal(got[9:], []int{50, 51, 52, 53, 54}) {
		t.Errorf("crowd: %v", got)
	}
	// Everybody's chance is the same: 14 of 28, over 2000 beacons.
	counts := make([]int, 28)
	for i := range 2000 {
		for _, j := range Select(poc.Seed{1}, poc.Payload{byte(i), byte(i >> 8)}, candidates(28, 28), 14) {
			counts[j]++
		}
	}
	for i, c := range counts {
		if c < 880 || c > 1120 { // over five standard deviations
			t.Errorf("candidate %d was drawn %d times of 1000", i, c)
		}
	}
}

// TestSelectIgnoresOrder: who reports first has no advantage.
func TestSelectIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := candidates(rapid.IntRange(0, 40).Draw(t, "n"), rapid.IntRange(1, 9).Draw(t, "areas"))
		drawn := func(all []Candidate) (ids []string) {
			for _, i := range Select(poc.Seed{7}, poc.Payload{8}, all, 14) {
				ids = append(ids, string(all[i].Witness[:]))
			}
			slices.Sort(ids)
			return ids
		}
		want := drawn(all)
		if got := drawn(rapid.Permutation(all).Draw(t, "order")); !slices.Equal(got, want) {
			t.Fatalf("the order of arrival decides")
		}
	})
}
