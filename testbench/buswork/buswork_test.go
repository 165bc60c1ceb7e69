package buswork

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestLessThanTheVendor is the promise: no row costs more than the vendor's, start
// and idling at most 70 %.
func TestLessThanTheVendor(t *testing.T) {
	var out strings.Builder
	r, err := Run(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var back Result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &back); err != nil || back != r {
		t.Errorf("last line is %q: %v", lines[len(lines)-1], err)
	}
}

// TestVendorCosts checks the adding up against numbers that were counted by hand.
func TestVendorCosts(t *testing.T) {
	rs := []record{
		{Msg: 1, Op: "r", Addr: "0x58C8", Len: 2},
		{Msg: 2, Op: "w", Addr: "0x5300", Len: 12},
		{Msg: 2, Op: "rmw", Addr: "0x5200", Len: 1},
		{Msg: 3, Op: "cmd", Mux: 1, Hex: "0001"},
		{Msg: 4, Op: "gpio", Addr: "0x0002", Mux: -1},
	}
	// Frames of 6, 15, 4 (not on SPI: rmw) and 4 bytes.
	if got, want := cost([]record{rs[0], rs[1], rs[3]}, false), (Cost{3, 6 + 15 + 4}); got != want {
		t.Errorf("SPI: %+v, want %+v", got, want)
	}
	want := Cost{4, 8 + 2*(5+6) + 8 + 2*(5+15) + 11 + 8 + 2*(5+4) + 8 + 4}
	if got := cost(rs, true); got != want {
		t.Errorf("USB: %+v, want %+v", got, want)
	}
	if got, want := vendorIdle(false), (Cost{400, 100 * (6 + 6 + 12 + 12)}); got != want {
		t.Errorf("idle: %+v, want %+v", got, want)
	}
	if got, want := (Cost{2, 100}).Time(false), 420*time.Microsecond; got != want {
		t.Errorf("time %v, want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	good := Result{0.9, 0.5, 0.5, 1, 1, 1}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for i, bad := range []Result{{1.1, 0.5, 0.5, 1, 1, 1}, {0.9, 0.71, 0.5, 1, 1, 1}, {0.9, 0.5, 0.71, 1, 1, 1}, {0.9, 0.5, 0.5, 1.01, 1, 1}, {}} {
		if bad.Check() == nil {
			t.Errorf("result %d passes", i)
		}
	}
}
