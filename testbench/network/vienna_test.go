package network

import (
	"testing"

	"heliograph/radio"
	"heliograph/testbench/ether"
)

func TestDistancesAreThoseOfACity(t *testing.T) {
	for i, a := range vienna {
		nearest := 1e9
		for j, b := range vienna {
			if i == j {
				continue
			}
			d := a.place.Metres(b.place)
			nearest = min(nearest, d)
			if d < 500 || d > 20_000 {
				t.Errorf("%s and %s are %.0f m apart", a.name, b.name, d)
			}
		}
		if nearest > 8_000 {
			t.Errorf("%s is %.0f m from its neighbours", a.name, nearest)
		}
	}
}

// TestEveryRoofIsSeen sends one beacon from each roof: all must be witnessed,
// and the city must not be so small that everybody hears everything.
func TestEveryRoofIsSeen(t *testing.T) {
	air := ether.NewAir(ether.Config{Seed: 1, Exponent: exponent})
	for _, s := range vienna {
		air.Join(ether.Station{Name: s.name, Place: s.place, Gain: s.gain})
	}
	full := 0
	for i, s := range vienna {
		id, _, err := air.Begin(ether.StationID(i), radio.TxPacket{
			Payload: make([]byte, 21), Frequency: 868_100 * radio.KHz, DataRate: radio.LoRaRate(8, 125*radio.KHz), Coding: 1,
			Power: radio.DBm(14) - radio.CentiDBm(s.gain),
		}, int64(i)*1e9)
		if err != nil {
			t.Fatal(err)
		}
		n := len(air.End(id))
		t.Logf("%s: heard by %d", s.name, n)
		if n < 2 {
			t.Errorf("%s is heard by %d", s.name, n)
		}
		if n == len(vienna)-1 {
			full++
		}
	}
	if full > len(vienna)/4 {
		t.Errorf("%d roofs are heard by everybody", full)
	}
}
