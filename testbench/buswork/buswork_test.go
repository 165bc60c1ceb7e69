package buswork

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLessThanTheVendor is the promise: no row costs more than the vendor's, start
// and idling at most 70 %.
func TestLessThanTheVendor(t *testing.T) {
	var out strings.Builder
	r, err := In(os.Getenv("SX1302_TRACES")).Run(t.Context(), &out)
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

// TestReadsOfWrites derives from the writes of a start on USB which of them read
// first, and compares that with the recording, which says so of each.
func TestReadsOfWrites(t *testing.T) {
	full, ok, err := Own().recorded("usb_sx1250_eu868", "startup")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var want, got []string
	for _, r := range full {
		if r.Op == "rmw" {
			want = append(want, r.Addr+" "+r.Hex)
		}
	}
	for _, r := range withReads(onlyWrites(full), true) {
		if r.Op == "rmw" {
			got = append(got, r.Addr+" "+r.Hex)
		}
	}
	if len(want) != 233 || !slices.Equal(got, want) {
		t.Errorf("%d read-modify-writes derived, %d recorded", len(got), len(want))
	}
}

// TestDirectory runs on recordings in a directory: of another region and network,
// one of them without the reads of its start.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, content any) {
		t.Helper()
		var b []byte
		if rs, ok := content.([]record); ok {
			for _, r := range rs {
				line, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				b = append(append(b, line...), '\n')
			}
		} else {
			b = []byte(content.(string))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := In(dir).Run(t.Context(), io.Discard); err == nil {
		t.Error("an empty directory passes")
	}
	for _, set := range []string{"spi_sx1257_eu868", "usb_sx1250_eu868"} {
		var parts = map[string][]record{}
		for _, kind := range []string{"startup", "rx_fetch", "tx"} {
			rs, ok, err := Own().recorded(set, kind)
			if err != nil || !ok {
				t.Fatal(kind, ok, err)
			}
			parts[kind] = rs
		}
		conf, err := testdata.ReadFile("testdata/" + set + "_conf.json")
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`"lorawan_public": *true`).ReplaceAllString(string(conf), `"lorawan_public": false`)
		text = regexp.MustCompile(`("freq": *)868500000`).ReplaceAllString(text, `${1}868700000`)
		if !strings.Contains(text, "868700000") || !strings.Contains(text, `"lorawan_public": false`) {
			t.Fatal("the configuration has another form")
		}
		put("my_"+set+"_conf.json", text)
		put("my_"+set+"_startup_writes.jsonl", onlyWrites(parts["startup"]))
		put("my_"+set+"_rx_fetch.jsonl", parts["rx_fetch"])
		put("my_"+set+"_tx.jsonl", parts["tx"])
		full, err := Own().conf(set)
		if err != nil {
			t.Fatal(err)
		}
		got, source, err := In(dir).vendorStart("my_"+set, &full)
		want, _, _ := Own().vendorStart(set, &full)
		if err != nil || got != want || source == recordedHere {
			t.Errorf("%s: start-up %+v (%s), %v; the whole recording has %+v", set, got, source, err, want)
		}
	}
	var out strings.Builder
	r, err := In(dir).Run(t.Context(), &out)
	if err == nil {
		err = r.Check()
	}
	if err != nil || strings.Count(out.String(), Tx) != 2 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestTransmitIsOneMessage is what the bridge was given bulk messages for.
func TestTransmitIsOneMessage(t *testing.T) {
	rows, err := Own().Compare(t.Context(), "usb_sx1250_eu868")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range rows {
		if w.Name == Tx && (w.Ours.Transactions != 1 || w.Vendor.Transactions != 1 || w.Source != recordedHere) {
			t.Errorf("%+v", w)
		}
	}
	if rows[len(rows)-1].Name != Tx {
		t.Error("no transmit was measured")
	}
}
