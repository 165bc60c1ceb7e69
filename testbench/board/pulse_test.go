package board

import (
	"testing"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/testbench/chip"
)

// TestPulse compares what the driver says of the last pulse with the simulated
// chip's truth, over wraps of the counter, and counts what asking costs.
func TestPulse(t *testing.T) {
	clock := chip.NewManualClock(time.Date(2026, 1, 1, 0, 0, 0, 3e8, time.UTC))
	b, err := New(Config{Clock: clock, Chip: chip.Config{Clock: clock, CrystalPPB: -4000, CounterAt: 0xFFFF0000, PPSLate: 250 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	c := driver(t, b)
	ask := func() sx1302.Pulse {
		t.Helper()
		before, err := c.Traffic(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Pulse(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		after, err := c.Traffic(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := after.Frames - before.Frames; n != 1 {
			t.Errorf("asking took %d transactions", n)
		}
		return p
	}
	var last sx1302.Pulse
	for i := range 300 {
		clock.Advance(time.Second)
		p := ask()
		since := clock.Now().Sub(clock.Now().Add(-250 * time.Millisecond).Truncate(time.Second).Add(250 * time.Millisecond))
		if off := time.Duration((p.Now-p.At)*125/4) - since; !p.Seen || off.Abs() > 5*time.Microsecond || (p.Since-since).Abs() > 5*time.Microsecond {
			t.Fatalf("second %d: %+v, want %v ago", i, p, since)
		}
		if i > 0 && p.At-last.At != calc.Cycles(32_000_000-128) && p.At-last.At != calc.Cycles(32_000_000-127) {
			t.Fatalf("second %d: %d cycles after the pulse before", i, p.At-last.At)
		}
		last = p
	}
	b.Chip.Break(chip.NoPPS)
	for range 134 {
		clock.Advance(time.Second)
		if p := ask(); p.At != last.At || p.Lost() != nil {
			t.Fatalf("%v without pulses: %+v, %v", p.Since, p, p.Lost())
		}
	}
	clock.Advance(2 * time.Second)
	if f, _ := sx1302.FaultOf(ask().Lost()); f != sx1302.FaultPPS {
		t.Error("the loss is not seen")
	}
	b.Chip.Mend(chip.NoPPS)
	clock.Advance(time.Second)
	if p := ask(); p.At == last.At || p.Since > time.Second || p.Lost() != nil {
		t.Errorf("after the return: %+v", p)
	}
}
