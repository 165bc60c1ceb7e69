package chip_test

import (
	"math"
	"testing"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// TestDriverFineTime compares fine timestamps with the instants of arrival.
func TestDriverFineTime(t *testing.T) {
	clock := chip.NewManualClock(time.Time{})
	b := newBoard(t, confOf("spi_sx1303_ftime_eu868"), clock, func(c *chip.Config) { c.CrystalPPB = 4321 })
	b.start(t)
	b.receive(t, clock, 25*time.Second)
	for i, sf := range []radio.SpreadingFactor{7, 8, 9, 10, 11, 12} {
		b.receive(t, clock, time.Duration(i)*123_456_789)
		dr := radio.LoRaRate(sf, 125*radio.KHz)
		air := time.Duration(1<<sf) * 8 * time.Microsecond * (8 + 20) // of any length: the truth is kept below
		payload := make([]byte, 13)
		start := clock.Now()
		end := start.Add(air)
		clock.Advance(air)
		if loss := b.chip.Receive(chip.Reception{Packet: radio.RxPacket{
			Payload: payload, Frequency: b.channelOf(t, 2), DataRate: dr, Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-95),
		}, Start: start, End: end}); loss != "" {
			t.Fatal(loss)
		}
		got := b.receive(t, clock, 30*time.Millisecond)
		if len(got) != 1 || !got[0].HasFine {
			t.Fatalf("SF%d: %+v", sf, got)
		}
		// Payload symbols after the header block, and 8 + 4.25 before them.
		symbols := map[radio.SpreadingFactor]int{7: 25, 8: 20, 9: 20, 10: 15, 11: 15, 12: 15}[sf]
		before := time.Duration(4*symbols+49) * time.Duration(1<<sf) * 2 * time.Microsecond
		want := float64(end.Add(-before).Nanosecond()) + chip.FineLag*31.25
		if off := math.Mod(float64(got[0].FineNanos)-want+1.5e9, 1e9) - 5e8; math.Abs(off) > 70 { // two ticks and the crystal's last second
			t.Errorf("SF%d: fine time is %.0f ns off", sf, off)
		}
	}
}

// TestDriverLosesPulse waits for the loss of the pulse to be noticed, and for its
// return.
func TestDriverLosesPulse(t *testing.T) {
	clock := chip.NewManualClock(time.Time{})
	b := newBoard(t, confOf("spi_sx1250_eu868"), clock, nil)
	b.start(t)
	b.receive(t, clock, 5*time.Second)
	if err := b.driver.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.chip.Break(chip.NoPPS)
	b.receive(t, clock, 130*time.Second)
	if err := b.driver.Health(t.Context()); err != nil {
		t.Errorf("after 130 s: %v", err)
	}
	b.receive(t, clock, 10*time.Second)
	err := b.driver.Health(t.Context())
	if f, _ := sx1302.FaultOf(err); f != sx1302.FaultPPS {
		t.Errorf("after 140 s: %v", err)
	}
	res, err := b.driver.Send(t.Context(), radio.TxPacket{
		Payload: []byte("beacon"), Frequency: 869_525_000, DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1,
		Power: radio.DBm(14), When: radio.AtGPS,
	})
	if err != nil || res.Status != radio.TxGPSUnlocked {
		t.Errorf("Send at a pulse that does not come = %+v, %v", res, err)
	}
	b.chip.Mend(chip.NoPPS)
	b.receive(t, clock, 3*time.Second)
	if err := b.driver.Health(t.Context()); err != nil {
		t.Errorf("after the pulse came back: %v", err)
	}
}

// TestDriverListensBeforeTalk sends with listen-before-talk on a free and on an
// occupied channel, and with an SX1261 that is broken.
func TestDriverListensBeforeTalk(t *testing.T) {
	tune := func(c *sx1302.Config) {
		c.SX1261 = sx1302.SX1261{Enable: true, LBT: true, Threshold: radio.DBm(-80), Channels: []sx1302.LBTChannel{
			{Frequency: 868_100_000, Bandwidth: 125 * radio.KHz, Scan: 128, Transmit: 400_000},
		}}
	}
	noise := -120.0
	clock := chip.NewManualClock(time.Time{})
	b := boardWith(t, confOf("spi_sx1250_eu868"), clock, func(c *chip.Config) {
		c.Occupied = func(radio.Hertz, time.Time) float64 { return noise }
	}, tune)
	sent := 0
	b.chip.OnTransmit(func(chip.Transmission) func() { sent++; return nil })
	b.start(t)
	for _, tt := range []struct {
		noise float64
		want  radio.TxStatus
		sent  int
	}{{-120, radio.TxOK, 1}, {-60, radio.TxBusy, 1}, {-81, radio.TxOK, 2}} {
		noise = tt.noise
		b.receive(t, clock, time.Second)
		now, _ := b.driver.Now()
		res, err := b.driver.Send(t.Context(), radio.TxPacket{
			Payload: []byte("may I"), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
			Power: radio.DBm(14), When: radio.AtTick, Tick: now.Add(500_000),
		})
		if err != nil || res.Status != tt.want || sent != tt.sent {
			t.Errorf("noise %v dBm: Send = %v, %v, %d sent in all; want %v, %d", tt.noise, res.Status, err, sent, tt.want, tt.sent)
		}
	}
	noise = -92
	levels, err := b.driver.Spectrum(t.Context(), 868_300_000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range levels {
		if l.Count != 0 && math.Abs(l.Level.Float()+92) > 4 {
			t.Errorf("spectrum: %d samples at %v", l.Count, l.Level)
		}
	}
	b.chip.Break(chip.ScanStuck)
	if _, err := b.driver.Spectrum(t.Context(), 868_300_000, 1000); err == nil {
		t.Error("a scan that never ends is no error")
	}
	for _, f := range []chip.Fault{chip.ListenDead, chip.OldPatch} {
		clock := chip.NewManualClock(time.Time{})
		b := boardWith(t, confOf("spi_sx1250_eu868"), clock, nil, tune)
		b.chip.Break(f)
		if fault, _ := sx1302.FaultOf(b.driver.Start(t.Context())); fault != sx1302.FaultLBT {
			t.Errorf("%s: fault %v", f, fault)
		}
	}
}
