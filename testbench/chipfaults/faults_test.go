package chipfaults

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/testbench/chip"
)

// TestFaults runs the table. Each fault is detected, named, borne or cured, and
// nothing hangs.
func TestFaults(t *testing.T) {
	for _, r := range tryAll(t.Context(), Cases()) {
		t.Run(strings.ReplaceAll(r.Case.Name, " ", "_"), func(t *testing.T) {
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
		if !slices.Contains(have, f) {
			t.Errorf("no case breaks %s", f)
		}
	}
	for _, c := range Cases() {
		if c.Within == 0 && c.Alone == nil {
			t.Errorf("%s: no time is stated", c.Name)
		}
		if (c.Metric() == "") == (c.Unseen == "") {
			t.Errorf("%s: want either a metric or the reason for none", c.Name)
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
	late := later("too late", "more", chip.StatusStall, sx1302.FaultStall, "restart").within(time.Second)
	if r := Try(t.Context(), late); r.Detected() || r.Hung {
		t.Errorf("a stall that needs two looks passes as seen within a second: %v", r.After)
	}
	uncounted := Case{Name: "not counted", Within: atStart, Faults: []chip.Fault{chip.USBShort}, Early: true, Config: onUSB,
		Bear: hears, Shown: "hotspot_radio_not_sent_total"}
	if r := Try(t.Context(), uncounted); r.Detected() {
		t.Error("a counter that stays 0 passes")
	}
}

func TestSummaryForm(t *testing.T) {
	b, err := json.Marshal(Summary{3, 2, 1})
	if err != nil || string(b) != `{"faults":3,"detected":2,"hung":1}` {
		t.Errorf("%s, %v", b, err)
	}
}
