package chipfaults

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"heliograph/testbench/chip"
)

// TestFaults runs the table. Each fault is detected, named, borne or cured, and
// nothing hangs.
func TestFaults(t *testing.T) {
	for _, c := range Cases() {
		t.Run(strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			r := Try(t.Context(), c)
			if r.Hung {
				t.Error("hung")
			}
			if r.Err != nil {
				t.Errorf("after %v: %v", r.After, r.Err)
			}
		})
	}
}

// TestTableIsComplete holds the table against the simulator's list of faults.
func TestTableIsComplete(t *testing.T) {
	var have []chip.Fault
	for _, c := range Cases() {
		have = append(have, c.Faults...)
	}
	for _, f := range chip.Faults() {
		if f == chip.ScanStuck {
			continue // of the spectral scan, which no hotspot runs: see hotspotctl
		}
		if !slices.Contains(have, f) {
			t.Errorf("no case breaks %s", f)
		}
	}
}

// TestCaseCanFail makes sure that the checks see something.
func TestCaseCanFail(t *testing.T) {
	wrong := later("wrong name", "more", chip.RunParity, 1, "restart") // looks for no_chip
	wrong.Says = "nothing that it says"
	wrong.Counted = "parity"
	if r := Try(t.Context(), wrong); r.Detected() {
		t.Error("an error without its remedy passes")
	}
}

func TestSummaryForm(t *testing.T) {
	b, err := json.Marshal(Summary{3, 2, 1})
	if err != nil || string(b) != `{"faults":3,"detected":2,"hung":1}` {
		t.Errorf("%s, %v", b, err)
	}
}
