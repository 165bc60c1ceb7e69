package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func TestRadioCommands(t *testing.T) {
	conf := "testdata/global_conf.json"
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"list", []string{"radio", "--help"}, 0, "firmware import DIRECTORY"},
		{"no command", []string{"radio"}, 2, "no such command"},
		{"unknown command", []string{"radio", "prob"}, 2, "no such command"},
		{"help of one", []string{"radio", "probe", "--help"}, 0, "hotspotctl radio probe --device /dev/ttyACM0"},
		{"flag before", []string{"--json", "radio", "import-conf", conf}, 0, `"Frequency": 867500000`},
		{"unknown flag", []string{"radio", "probe", "--devise", "x"}, 2, `did you mean "device"?`},
		{"missing word", []string{"radio", "import-conf"}, 2, "wants FILE"},
		{"too many words", []string{"radio", "probe", "it"}, 2, "wants nothing"},
		{"import-conf", []string{"radio", "import-conf", conf}, 0, "device = \"/dev/ttyACM0\""},
		{"import-conf channel", []string{"radio", "import-conf", conf}, 0, "868.3 MHz, LoRa, SF7BW250"},
		{"import-conf of nothing", []string{"radio", "import-conf", "testdata/README"}, 1, "global_conf"},
		{"import-conf absent", []string{"radio", "import-conf", "absent.json"}, 1, "no such file"},
		{"import nothing", []string{"radio", "firmware", "import", "testdata", "--to", "unused"}, 1, "github.com/Lora-net/sx1302_hal"},
		{"probe nowhere", []string{"radio", "probe", "--device", "/dev/absent"}, 1, "/dev/absent"},
		{"listen without conf", []string{"radio", "listen"}, 1, "global_conf.json with --conf"},
		{"send nonsense", []string{"radio", "send", "xyz"}, 1, "hexadecimal"},
		{"send without region", []string{"radio", "send", "00"}, 1, "set --region"},
		{"send without gain", []string{"radio", "send", "00", "--region", "EU868"}, 1, "gain_dbi is not set"},
		{"send beyond the region", []string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "0", "--eirp-dbm", "20", "--conf", conf}, 1, "20 dBm"},
		{"send off the region", []string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "0", "--frequency-mhz", "915", "--conf", conf}, 1, "915 MHz"},
		{"spectrum of nothing", []string{"radio", "spectrum", "--step-khz", "0"}, 1, "no spectrum"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), tt.args, nil, &out, &errs)
			if all := out.String() + errs.String(); code != tt.code || !strings.Contains(all, tt.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, tt.code, tt.want, all)
			}
		})
	}
}

// TestImportConfJSON reads what import-conf prints back into a configuration.
func TestImportConfJSON(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"radio", "import-conf", "testdata/global_conf.json", "--json"}, nil, &out, &out); code != 0 {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	var g sx1302.GlobalConf
	if err := json.Unmarshal(out.Bytes(), &g); err != nil {
		t.Fatal(err)
	}
	if err := g.Validate(); err != nil {
		t.Error(err)
	}
	if f, ok := g.Frequency(0); !ok || f != 868_100_000 || !g.USB {
		t.Errorf("channel 0 at %v, USB %v", f, g.USB)
	}
}

func TestBarOf(t *testing.T) {
	b := barOf(868*radio.MHz, []sx1302.Level{{Level: radio.DBm(-70), Count: 1}, {Level: radio.DBm(-120), Count: 6}, {Level: radio.DBm(-100), Count: 3}, {Level: radio.DBm(-50)}})
	if b.Peak != -70 || b.Median != -120 {
		t.Errorf("peak %v, median %v; want -70, -120", b.Peak, b.Median)
	}
}
