package board

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"heliograph/firmware/hotspot"
	"heliograph/poc"
	"heliograph/provisioning/identity"
	"heliograph/radio"
	"heliograph/radio/lorawan"
	"heliograph/testbench/chip"
)

// hotspotOn runs a whole hotspot on a board until the test ends. It never reaches
// its oracle: what it knows of time comes from the receiver.
func hotspotOn(t *testing.T, b timed) *hotspot.Hotspot {
	t.Helper()
	key := identity.NewEd25519([32]byte{3})
	h, err := hotspot.New(hotspot.Config{
		Key: key, OracleAddr: "oracle:1", OracleKey: key.ID(), Region: "EU868", Gain: radio.DB(2), Owner: poc.Wallet{1},
		Position: poc.Position{LatE7: 488_500_000, LonE7: -23_500_000}, DataDir: t.TempDir(),
		Concentrator: b.Radio, GNSS: b.Radio, ClassB: true, TickBound: 2 * time.Millisecond, MaxPower: radio.DBm(27),
		Dial: func(context.Context, string) (net.Conn, error) { return nil, errors.New("no network") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("hotspot: %v", err)
		}
	})
	return h
}

// TestClassBBeacons has a hotspot send the network's beacon at every 128th second of
// GPS time, and none while it does not know that time.
func TestClassBBeacons(t *testing.T) {
	withReceiver(t, Config{}, ublox, func(t *testing.T, b timed) {
		h := hotspotOn(t, b)
		time.Sleep(70 * time.Second) // the crystal is known
		if s := h.Status(); s.TimeSource != "gnss" || s.TimeBoundS > 0.003 {
			t.Errorf("time by %s, bound %v s", s.TimeSource, s.TimeBoundS)
		}
		for range 3 {
			checkBeacon(t, <-b.sent)
		}
		b.Chip.Break(chip.NoPPS)
		time.Sleep(140 * time.Second) // a beacon or two by the crystal
		for len(b.sent) > 0 {
			checkBeacon(t, <-b.sent)
		}
		time.Sleep(300 * time.Second)
		if len(b.sent) > 0 {
			t.Error("a beacon without GNSS time")
		}
		b.Chip.Mend(chip.NoPPS)
		time.Sleep(140 * time.Second)
		checkBeacon(t, <-b.sent)
		if s := h.Status(); s.ClassB["ok"] < 5 || s.ClassB["gps_unlocked"] != 1 || len(s.ClassB) != 2 {
			t.Errorf("beacons by status: %v", s.ClassB)
		}
	})
}

func checkBeacon(t *testing.T, s chip.Transmission) {
	t.Helper()
	p := s.Packet
	if !s.Implicit || p.InvertIQ || !p.NoCRC || p.Preamble != 10 || p.Coding != 1 || p.DataRate != radio.LoRaRate(9, 125*radio.KHz) ||
		p.Frequency < 869_524_800 || p.Frequency > 869_525_200 || s.Sync != 0x34 {
		t.Errorf("beacon %+v", s)
	}
	got, err := lorawan.ParseBeacon(p.Payload, p.DataRate.SF)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(int64(got.GPSSeconds)+radio.GPSEpoch-leapSeconds, 0)
	// The tick is rounded to a microsecond.
	bound := time.Microsecond
	for range got.Precision {
		bound *= 10
	}
	if off := s.Start.Sub(at.Add(lorawan.BeaconDelay)); got.GPSSeconds%128 != 0 || off.Abs() > bound {
		t.Errorf("beacon of %d starts %v off, and says ±%v", got.GPSSeconds, off, bound)
	}
	if lat, lon, ok := got.Position(); !ok || lat < 488_499_800 || lat > 488_500_200 || lon > -23_499_700 || lon < -23_500_300 {
		t.Errorf("position %d, %d, %v", lat, lon, ok)
	}
}
