//go:build h3oracle

package geo

import (
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/uber/h3-go/v4"
)

// The reference is the H3 library itself, through cgo:
//
//	CGO_ENABLED=1 go test -tags h3oracle ./poc/geo

func randomPlace(r *rand.Rand) LatLng {
	lat := math.Asin(2*r.Float64()-1) * 180 / math.Pi
	p, err := FromDegrees(lat, 360*r.Float64()-180)
	if err != nil {
		panic(err)
	}
	return p
}

// TestOracleCells: cell of a place, parents, centre.
func TestOracleCells(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for n := range 120_000 {
		p, res := randomPlace(r), n%16
		want, err := h3.LatLngToCell(h3.LatLng{Lat: p.Lat.Degrees(), Lng: p.Lng.Degrees()}, res)
		if err != nil {
			t.Fatal(err)
		}
		got := CellOf(p, res)
		if got != Cell(want) {
			t.Fatalf("%v res %d: %s, want %s", p, res, got, want)
		}
		if !got.Valid() || got.Resolution() != res || got.Pentagon() != want.IsPentagon() {
			t.Fatalf("%s: valid %v, resolution %d", got, got.Valid(), got.Resolution())
		}
		up := r.Intn(res + 1)
		if parent, _ := want.Parent(up); got.Parent(up) != Cell(parent) {
			t.Fatalf("%s: parent %d is %s, want %s", got, up, got.Parent(up), parent)
		}
		c, _ := want.LatLng()
		lat, lng := got.centerDegrees()
		if math.Abs(lat-c.Lat) > 1e-9 || math.Abs(math.Remainder(lng-c.Lng, 360))*math.Cos(lat*math.Pi/180) > 1e-9 {
			t.Fatalf("%s: centre %v,%v want %v", got, lat, lng, c)
		}
	}
}

// TestOracleValid flips bits of good indexes.
func TestOracleValid(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for n := range 200_000 {
		c := CellOf(randomPlace(r), n%16)
		if n%3 == 0 { // a pentagon's descendants
			c = pentagonChild(r, n%16)
		}
		for range r.Intn(3) {
			c ^= 1 << r.Intn(64)
		}
		if got, want := c.Valid(), h3.Cell(c).IsValid(); got != want {
			t.Fatalf("%x: valid %v, want %v", uint64(c), got, want)
		}
	}
}

// pentagonChild is a random valid cell on a pentagonal base cell.
func pentagonChild(r *rand.Rand, res int) Cell {
	bases := []int{4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117}
	c := Cell(modeCell)<<59 | Cell(res)<<52 | (1<<45 - 1)
	c = c.withBase(bases[r.Intn(len(bases))])
	for d := 1; d <= res; d++ {
		c = c.withDigit(d, 0)
	}
	for d := 1 + r.Intn(res+1); d <= res; d++ {
		for c = c.withDigit(d, r.Intn(7)); c.leading() == dirK; c = c.withDigit(d, r.Intn(7)) {
		}
	}
	return c
}

func compareDistance(t *testing.T, a, b Cell) (failed bool) {
	t.Helper()
	want, wantErr := h3.GridDistance(h3.Cell(a), h3.Cell(b))
	got, err := GridDistance(a, b)
	if (err != nil) != (wantErr != nil) || err == nil && got != int64(want) {
		t.Fatalf("distance of %s and %s: %d, %v; want %d, %v", a, b, got, err, want, wantErr)
	}
	return err != nil
}

// TestOracleGridDistance: near and far pairs everywhere, then around pentagons,
// both orders; each pair's failure must be the reference's failure.
func TestOracleGridDistance(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	var failed, compared int
	compare := func(a, b Cell) {
		for _, p := range [][2]Cell{{a, b}, {b, a}} {
			compared++
			if compareDistance(t, p[0], p[1]) {
				failed++
			}
		}
	}
	for n := range 100_000 {
		res := n % 16
		p := randomPlace(r)
		q := randomPlace(r)
		if n%4 != 0 { // within some cells of each other
			reach := 60 * math.Pow(7, -float64(res)/2) * r.Float64()
			q.Lat = max(-MaxLat, min(MaxLat, p.Lat+E7(reach*degree*(r.Float64()-.5))))
			q.Lng = max(-MaxLng+1, min(MaxLng-1, p.Lng/2+E7(reach*degree*(r.Float64()-.5))+p.Lng/2))
		}
		compare(CellOf(p, res), CellOf(q, res))
	}
	for n := range 100_000 {
		res := n % 16
		a := pentagonChild(r, res)
		b := pentagonChild(r, res).withBase(a.base())
		if n%2 == 0 { // across the edge of the pentagon's base cell
			p := a.Center()
			reach := 60 * math.Pow(7, -float64(r.Intn(res+1))/2)
			p.Lat = max(-MaxLat, min(MaxLat, p.Lat+E7(reach*degree*(r.Float64()-.5))))
			p.Lng = max(-MaxLng+1, min(MaxLng-1, p.Lng+E7(reach*degree*(r.Float64()-.5))))
			b = CellOf(p, res)
		}
		compare(a, b)
	}
	t.Logf("%d pairs compared, %d of them without a distance", compared, failed)
	if failed == 0 || failed > compared*9/10 {
		t.Errorf("the mix of pairs is useless: %d of %d failed", failed, compared)
	}
	if compareDistance(t, CellOf(LatLng{}, 5), CellOf(LatLng{}, 6)) == false {
		t.Error("two resolutions have a distance")
	}
}

func TestOracleDisk(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	check := func(c Cell, k int) {
		want, err := h3.GridDisk(h3.Cell(c), k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Disk(c, k)
		if err != nil {
			t.Fatal(err)
		}
		a, b := slices.Clone(got), make([]Cell, 0, len(want))
		for _, w := range want {
			b = append(b, Cell(w))
		}
		slices.Sort(a)
		slices.Sort(b)
		if got[0] != c || !slices.Equal(a, b) {
			t.Fatalf("disk %d of %s: %v, want %v", k, c, a, b)
		}
	}
	for n := range 60_000 {
		res := n % 16
		check(CellOf(randomPlace(r), res), 1)
		check(pentagonChild(r, res), 1)
		if n%50 == 0 {
			check(pentagonChild(r, res), 1+n%5)
			check(CellOf(randomPlace(r), res), 1+n%5)
		}
	}
	for res := range 16 { // every pentagon and everything two steps around it
		pents, err := h3.Pentagons(res)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pents {
			around, _ := Disk(Cell(p), 2)
			for _, c := range around {
				check(c, 1)
				check(c, 3)
			}
		}
	}
	for base := range numBaseCells { // every base cell and its children
		c := Cell(modeCell)<<59 | Cell(base)<<45 | (1<<45 - 1)
		check(c, 1)
		for _, child := range must(h3.Cell(c).Children(2)) {
			check(Cell(child), 1)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOracleHaversine(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	for n := range 100_000 {
		a, b := CellOf(randomPlace(r), n%16), CellOf(randomPlace(r), n%16)
		want := h3.GreatCircleDistanceM(must(h3.Cell(a).LatLng()), must(h3.Cell(b).LatLng()))
		tolerance := 1e-3
		if want > 20_000_000 { // near antipodes the formula magnifies the last bit
			tolerance = 1
		}
		if got := Haversine(a, b); math.Abs(got-want) > tolerance {
			t.Fatalf("%s %s: %v m, want %v", a, b, got, want)
		}
	}
}
