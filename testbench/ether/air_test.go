package ether

import (
	"math"
	"slices"
	"testing"

	"heliograph/radio"
)

var (
	paris = Place{48.8566, 2.3522}
	sf7   = radio.LoRaRate(7, 125*radio.KHz)
	sf9   = radio.LoRaRate(9, 125*radio.KHz)
	sf12  = radio.LoRaRate(12, 125*radio.KHz)
)

// east is a place that many metres east of p.
func east(p Place, metres float64) Place {
	p.Lon += metres / (earthRadius * math.Pi / 180 * math.Cos(p.Lat*math.Pi/180))
	return p
}

func packet(dr radio.DataRate) radio.TxPacket {
	return radio.TxPacket{Payload: make([]byte, 21), Frequency: 868_100_000, DataRate: dr, Coding: 1, Power: radio.DBm(14)}
}

// quiet is an ether without anything random in it.
func quiet() Config { return Config{Shadowing: 1e-9, Fading: 1e-9} }

func heardBy(rx []Reception) (ids []StationID) {
	for _, r := range rx {
		ids = append(ids, r.To)
	}
	return ids
}

func TestRangeGrowsWithSpreadingFactor(t *testing.T) {
	reach := func(dr radio.DataRate) (far float64) {
		for d := 500.0; d < 100_000; d *= 1.05 {
			a := NewAir(quiet())
			from := a.Join(Station{Place: paris})
			a.Join(Station{Place: east(paris, d)})
			id, _, err := a.Begin(from, packet(dr), 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.End(id)) == 1 {
				far = d
			}
		}
		return far
	}
	r7, r9, r12 := reach(sf7), reach(sf9), reach(sf12)
	if !(r7 > 5_000 && r7 < r9 && r9 < r12 && r12 < 60_000) {
		t.Errorf("reach at SF7, SF9, SF12 = %.0f, %.0f, %.0f m", r7, r9, r12)
	}
	// 5 dB between SF7 and SF9 are a factor of 10^(5/29) in distance.
	if want := math.Pow(10, 5.0/29); math.Abs(r9/r7-want) > 0.1 {
		t.Errorf("SF9 reaches %.2f times as far as SF7, want %.2f", r9/r7, want)
	}
}

func TestNeverStrongerThanFreeSpace(t *testing.T) {
	cfg := Config{Seed: 7, Shadowing: 12, Fading: 3}
	a := NewAir(cfg)
	from := a.Join(Station{Place: paris, Gain: radio.DB(3)})
	for d := 20.0; d < 20_000; d *= 1.1 {
		a.Join(Station{Place: east(paris, d), Gain: radio.DB(2)})
	}
	p := packet(sf12)
	id, _, _ := a.Begin(from, p, 0)
	heard := a.End(id)
	if len(heard) < 20 {
		t.Fatalf("only %d stations heard", len(heard))
	}
	for _, rx := range heard {
		d := paris.Metres(a.stations[rx.To].Place)
		limit := 14 + 3 + 2 - freeSpace(d, p.Frequency)
		if got := rx.Packet.SignalRSSI.Float(); got > limit+0.01 {
			t.Errorf("at %.0f m: %.2f dBm, free space allows %.2f", d, got, limit)
		}
		if rx.Packet.RSSI < rx.Packet.SignalRSSI {
			t.Errorf("channel RSSI %v is below signal RSSI %v", rx.Packet.RSSI, rx.Packet.SignalRSSI)
		}
	}
}

func TestCollisions(t *testing.T) {
	near, far := east(paris, 1000), east(paris, 4000)
	tests := []struct {
		name    string
		second  radio.TxPacket
		start   int64
		heard   []StationID // who of {2: gateway} hears the first packet
		wantWhy Cause
	}{
		{"equal packets at once", packet(sf9), 0, nil, Collided},
		{"one after the other", packet(sf9), 300_000, []StationID{2}, Heard},
		{"other spreading factor", packet(sf7), 0, []StationID{2}, Heard},
		{"other channel", func() radio.TxPacket { p := packet(sf9); p.Frequency += 200_000; return p }(), 0, []StationID{2}, Heard},
		{"other polarity", func() radio.TxPacket { p := packet(sf9); p.InvertIQ = true; return p }(), 0, []StationID{2}, Heard},
		{"much weaker", func() radio.TxPacket { p := packet(sf9); p.Power = radio.DBm(0); return p }(), 0, []StationID{2}, Heard},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAir(quiet())
			one := a.Join(Station{Place: near, Deaf: true})
			two := a.Join(Station{Place: near, Deaf: true})
			a.Join(Station{Place: paris})
			first, _, _ := a.Begin(one, packet(sf9), 0)
			if _, _, err := a.Begin(two, tt.second, tt.start); err != nil {
				t.Fatal(err)
			}
			if got := heardBy(a.End(first)); !slices.Equal(got, tt.heard) {
				t.Errorf("heard by %v, want %v", got, tt.heard)
			}
			if a.Counts()[tt.wantWhy] != 1 {
				t.Errorf("counts = %v, want one %s", a.Counts(), tt.wantWhy)
			}
		})
	}
	t.Run("capture", func(t *testing.T) {
		a := NewAir(quiet())
		strong := a.Join(Station{Place: near, Deaf: true})
		weak := a.Join(Station{Place: far, Deaf: true})
		a.Join(Station{Place: paris})
		s, _, _ := a.Begin(strong, packet(sf9), 0)
		w, _, _ := a.Begin(weak, packet(sf9), 1000)
		if len(a.End(s)) != 1 || len(a.End(w)) != 0 {
			t.Errorf("counts = %v, want the stronger alone heard", a.Counts())
		}
	})
	t.Run("half duplex", func(t *testing.T) {
		a := NewAir(quiet())
		one := a.Join(Station{Place: near})
		two := a.Join(Station{Place: paris})
		x, _, _ := a.Begin(one, packet(sf9), 0)
		y, _, _ := a.Begin(two, packet(sf7), 1000)
		if len(a.End(y))+len(a.End(x)) != 0 || a.Counts()[HalfDuplex] != 2 {
			t.Errorf("counts = %v, want both deaf while sending", a.Counts())
		}
	})
}

func TestPolarity(t *testing.T) {
	a := NewAir(quiet())
	gw := a.Join(Station{Place: paris})
	dev := a.Join(Station{Place: east(paris, 500), Device: true})
	a.Join(Station{Place: east(paris, 900)})
	down := packet(sf7)
	down.InvertIQ, down.NoCRC = true, true
	id, _, _ := a.Begin(gw, down, 0)
	rx := a.End(id)
	if len(rx) != 1 || rx[0].To != dev || rx[0].Packet.CRC != radio.CRCNone {
		t.Errorf("downlink heard as %+v, want by the device alone, without CRC", rx)
	}
	id, _, _ = a.Begin(dev, packet(sf7), 1_000_000)
	if got := heardBy(a.End(id)); !slices.Equal(got, []StationID{0, 2}) {
		t.Errorf("uplink heard by %v, want the gateways", got)
	}
}

func TestSameSeedSameAir(t *testing.T) {
	run := func(seed uint64) (out []radio.CentiDBm) {
		a := NewAir(Config{Seed: seed})
		from := a.Join(Station{Place: paris})
		for i := range 30 {
			a.Join(Station{Place: east(paris, 500+300*float64(i))})
		}
		for i := range 5 {
			id, _, _ := a.Begin(from, packet(sf9), int64(i)*1_000_000)
			for _, rx := range a.End(id) {
				out = append(out, rx.Packet.RSSI)
			}
		}
		return out
	}
	if a, b := run(1), run(1); !slices.Equal(a, b) {
		t.Error("one seed gave two airs")
	}
	if a, b := run(1), run(2); slices.Equal(a, b) {
		t.Error("two seeds gave one air")
	}
}

func TestOldPacketsAreForgotten(t *testing.T) {
	a := NewAir(quiet())
	from := a.Join(Station{Place: paris})
	a.Join(Station{Place: east(paris, 500)})
	for i := range 1000 {
		id, _, _ := a.Begin(from, packet(sf7), int64(i)*1_000_000)
		a.End(id)
	}
	if len(a.recent) > 1 {
		t.Errorf("%d packets are remembered", len(a.recent))
	}
}
