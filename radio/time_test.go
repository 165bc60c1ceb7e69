package radio

import (
	"testing"
	"time"
)

func TestWiden(t *testing.T) {
	const wrap = Tick(1) << 32
	for _, tt := range []struct {
		tmst uint32
		near Tick
		want Tick
	}{
		{1000, 900, 1000},
		{900, 1000, 900},
		{5, wrap - 5, wrap + 5},               // wrapped after near
		{0xFFFF_FFFF, wrap + 3, wrap - 1},     // wrapped before near
		{7, 40*wrap + 1, 40*wrap + 7},         // long after boot
		{0xFFFF_FFFF, 3, 0xFFFF_FFFF},         // there is nothing before tick 0
		{0x7FFF_FFFF, wrap, wrap + 1<<31 - 1}, // the farthest ahead that is sure
	} {
		if got := Widen(tt.tmst, tt.near); got != tt.want {
			t.Errorf("Widen(%#x, %#x) = %#x, want %#x", tt.tmst, tt.near, got, tt.want)
		}
	}
}

func TestTickArithmetic(t *testing.T) {
	a := Tick(1 << 33)
	if b := a.Add(-1500); b.Sub(a) != -1500 || a.Sub(b) != 1500 {
		t.Errorf("Add and Sub disagree: %v", a.Sub(b))
	}
	if a.Add(7).Low32() != 7 {
		t.Errorf("Low32 = %d", a.Add(7).Low32())
	}
	if MicrosOf(time.Second+999).Duration() != time.Second {
		t.Error("MicrosOf does not round down")
	}
}

func TestWallTime(t *testing.T) {
	if (WallTime{}).Known() || (WallTime{}).String() != "unknown time" {
		t.Error("the zero time is known")
	}
	w := WallTime{UnixNano: 1_794_995_200_123_456_789, Bound: 20 * time.Millisecond}
	if got := w.String(); got != "2026-11-18T09:46:40.123456789Z ±20ms" {
		t.Errorf("String = %q", got)
	}
	if w.Time().Location() != time.UTC || w.Time().UnixNano() != w.UnixNano {
		t.Errorf("Time = %v", w.Time())
	}
}
