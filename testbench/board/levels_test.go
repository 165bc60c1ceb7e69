package board

import (
	"testing"
	"time"

	"heliograph/radio"
	"heliograph/testbench/chip"
)

// TestLevelsAtTemperatures: what the radios' warmth does to levels, the driver takes
// off again by the board's sensor, on both transports.
func TestLevelsAtTemperatures(t *testing.T) {
	for _, usb := range []bool{false, true} {
		for _, celsius := range []float64{-20, 25, 70} {
			clock := chip.NewManualClock(time.Unix(1_800_000_000, 0))
			b, err := New(Config{USB: usb, Clock: clock, Chip: chip.Config{Clock: clock, Temperature: celsius}})
			if err != nil {
				t.Fatal(err)
			}
			c := driver(t, b)
			clock.Advance(100 * time.Millisecond)
			hearOne(t, b, clock.Now()) // at -90 dBm
			got, err := c.Receive(t.Context())
			if err != nil || len(got) != 1 {
				t.Fatalf("USB %v, %v °C: %d packets, %v", usb, celsius, len(got), err)
			}
			if off := got[0].RSSI - radio.DBm(-90); off < -60 || off > 60 { // steps of 1 dB
				t.Errorf("USB %v, %v °C: RSSI %v, want -90 dBm", usb, celsius, got[0].RSSI)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			b.Wait()
		}
	}
}
