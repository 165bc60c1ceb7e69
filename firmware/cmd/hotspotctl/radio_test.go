package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
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
		{"no command", []string{"radio"}, 2, "no command given"},
		{"unknown command", []string{"radio", "prob"}, 2, "radio prob: no such command"},
		{"help of an unknown command", []string{"radio", "frmware", "--help"}, 2, "radio frmware: no such command"},
		{"help of a group", []string{"radio", "firmware", "--help"}, 0, "firmware import DIRECTORY"},
		{"flags between", []string{"radio", "--json", "--device", "/dev/absent", "probe"}, 1, `"device": "/dev/absent"`},
		{"flag with its value between", []string{"radio", "--json=true", "import-conf", conf}, 0, `"Frequency": 867500000`},
		{"flag without value before nothing", []string{"radio", "--device"}, 2, "no command given"},
		{"help of one", []string{"radio", "probe", "--help"}, 0, "hotspotctl radio probe --device /dev/ttyACM0"},
		{"flag before", []string{"--json", "radio", "import-conf", conf}, 0, `"Frequency": 867500000`},
		{"flag with a value before", []string{"--device", "/dev/absent", "radio", "probe"}, 1, "device     /dev/absent"},
		{"unknown flag", []string{"radio", "probe", "--devise", "x"}, 2, `did you mean "device"?`},
		{"missing word", []string{"radio", "import-conf"}, 2, "wants FILE"},
		{"too many words", []string{"radio", "probe", "it"}, 2, "wants nothing"},
		{"import-conf", []string{"radio", "import-conf", conf}, 0, "device = \"/dev/ttyACM0\""},
		{"import-conf channel", []string{"radio", "import-conf", conf}, 0, "868.3 MHz, LoRa, SF7BW250"},
		{"import-conf of nothing", []string{"radio", "import-conf", "testdata/README"}, 1, "global_conf"},
		{"import-conf absent", []string{"radio", "import-conf", "absent.json"}, 1, "no such file"},
		{"import-conf of a device", []string{"radio", "import-conf", "/dev/zero"}, 1, "no regular file"},
		{"import nothing", []string{"radio", "firmware", "import", "testdata", "--to", "unused"}, 1, "github.com/Lora-net/sx1302_hal"},
		{"probe nowhere", []string{"radio", "probe", "--device", "/dev/absent"}, 1, "/dev/absent"},
		{"listen without conf", []string{"radio", "listen"}, 2, "global_conf.json with --conf"},
		{"send nonsense", []string{"radio", "send", "xyz"}, 2, "hexadecimal"},
		{"send without region", []string{"radio", "send", "00"}, 2, "set --region"},
		{"send without gain", []string{"radio", "send", "00", "--region", "EU868"}, 2, "gain_dbi is not set"},
		{"send beyond the region", []string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "0", "--eirp-dbm", "20", "--conf", conf}, 1, "20 dBm"},
		{"send off the region", []string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "0", "--frequency-mhz", "915", "--conf", conf}, 1, "915 MHz"},
		{"spectrum of nothing", []string{"radio", "spectrum", "--step-khz", "0"}, 2, "no spectrum"},
		{"spectrum of another band", []string{"radio", "spectrum", "--from-mhz", "2400", "--to-mhz", "2401"}, 2, "150 to 960 MHz"},
		{"spectrum below", []string{"radio", "spectrum", "--from-mhz", "149.9", "--to-mhz", "151"}, 2, "150 to 960 MHz"},
		{"spectrum without readings", []string{"radio", "spectrum", "--scans", "0"}, 2, "scans is 0"},
		{"count", []string{"radio", "listen", "--count", "-1", "--conf", conf}, 2, "count is -1"},
		{"duration", []string{"radio", "listen", "--duration", "-1s", "--conf", conf}, 2, "duration is -1s"},
		{"selftest for no time", []string{"radio", "selftest", "--duration", "0", "--conf", conf}, 2, "duration is 0s"},
		{"too little power", []string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "3", "--conf", conf}, 1, "choose --eirp-dbm between 15 dBm"},
		{"SPI clock", []string{"radio", "probe", "--spi-hz", "50000000"}, 1, "set it to 100000 to 10000000"},
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

// TestExamples runs the examples of --help as far as the device, which is not there.
func TestExamples(t *testing.T) {
	us, store := usConf(t), blankImages(t)
	for _, c := range radioCommands() {
		for line := range strings.Lines(c.examples) {
			args := strings.Fields(strings.Split(line, "|")[0])
			if len(args) < 3 || args[0] != "hotspotctl" || c.words == "firmware import" || c.words == "import-conf" {
				continue
			}
			conf := "testdata/global_conf.json"
			if slices.Contains(args, "US915") {
				conf = us
			}
			for i, a := range args {
				if a == "global_conf.json" {
					args[i] = conf
				}
			}
			var out, errs bytes.Buffer
			code := run(t.Context(), append(args[1:], "--device", "/dev/absent", "--firmware", store), nil, &out, &errs)
			if all := out.String() + errs.String(); code != 1 || !strings.Contains(all, "/dev/absent") {
				t.Errorf("%s: exit code %d: %s", strings.TrimSpace(line), code, all)
			}
		}
	}
}

// blankImages are microcontroller images that are enough to open a device.
func blankImages(t *testing.T) string {
	t.Helper()
	store := t.TempDir()
	cfg := sx1302.Config{Radios: [2]sx1302.Radio{{Kind: calc.SX1250}}}
	if err := radiohw.StoreFirmware(store, &cfg, radiohw.Blank()); err != nil {
		t.Fatal(err)
	}
	return store
}

// usConf is the configuration of the tests moved to US915.
func usConf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("863000000", "902000000", "870000000", "928000000").Replace(string(b))
	path := filepath.Join(t.TempDir(), "us.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImportConfText changes the configuration and looks at what is said about it.
func TestImportConfText(t *testing.T) {
	b, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		from, to []string
		want     []string
	}{
		{"as it is", nil, nil, []string{"125 kHz, SF5 to SF12\n", "# half duplex", "# does not listen", "# no fine timestamps", "transmits from 863 MHz to 870 MHz with 12 dBm"}},
		{"spreading factors", []string{`"chan_multiSF_0"`}, []string{`"chan_multiSF_All": {"spreading_factor_enable": [5, 7, 8, 9, 12]}, "chan_multiSF_0"`},
			[]string{"125 kHz, SF5, SF7 to SF9, SF12\n"}},
		{"listens", []string{`"lbt": {
    "enable": false`}, []string{`"lbt": {"enable": true`}, []string{"# listens before it talks: a channel is busy above -70 dBm", "#   869.525 MHz, 0.125 MHz wide: 5000 us, then up to 4000 ms"}},
		{"full duplex on SPI", []string{`"full_duplex": false`, `"com_type": "USB"`, "/dev/ttyACM0"}, []string{`"full_duplex": true`, `"com_type": "SPI"`, "/dev/concentrator"},
			[]string{"# full duplex", "dac_reset_pin = ", "i2c = \"/dev/i2c-1\"", "reset_pin = ", "device = \"/dev/concentrator\""}},
		{"fine", []string{`"fine_timestamp": {
   "enable": false`}, []string{`"fine_timestamp": {"enable": true`}, []string{"# fine timestamps of all spreading factors"}},
		{"unknown keys", []string{`"clksrc"`}, []string{`"clk_source": 1, "two\nlines": 1, "clksrc"`}, []string{"# not used: SX130x_conf.clk_source\n", `# not used: "SX130x_conf.two\nlines"` + "\n"}},
		{"receiver", []string{`"SX130x_conf"`}, []string{`"gateway_conf": {"gps_tty_path": "/dev/ttyS0"}, "SX130x_conf"`}, []string{"gnss = \"/dev/ttyS0\""}},
		{"warning", []string{`"lbt": {
    "enable": false`, `"channels"`}, []string{`"lbt": {"enable": true`, `"chanels"`}, []string{"# lbt is enabled without channels", "# not used: SX130x_conf.sx1261_conf.lbt.chanels"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := string(b)
			for i, from := range tt.from {
				if !strings.Contains(text, from) {
					t.Fatalf("nothing like %s", from)
				}
				text = strings.Replace(text, from, tt.to[i], 1)
			}
			t.Chdir(t.TempDir())
			if err := os.WriteFile("g.json", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"radio", "import-conf", "g.json"}, nil, &out, &errs); code != 0 {
				t.Fatalf("exit code %d: %s", code, errs.String())
			}
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range append(tt.want, fmt.Sprintf("conf = %q\n", filepath.Join(here, "g.json"))) {
				if !strings.Contains(out.String(), w) {
					t.Errorf("lacks %q:\n%s", w, out.String())
				}
			}
			var toTOML map[string]map[string]string
			if _, err := toml.Decode(out.String(), &toTOML); err != nil || toTOML["radio"]["device"] == "" {
				t.Errorf("not hotspotd's configuration: %v:\n%s", err, out.String())
			}
		})
	}
}

// TestInterrupted calls commands whose context has ended.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conf := "testdata/global_conf.json"
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"radio", "probe", "--json", "--device", "/dev/absent"}, interrupted},
		{[]string{"radio", "selftest", "--conf", conf, "--device", "/dev/absent"}, interrupted},
		{[]string{"radio", "spectrum", "--conf", conf, "--device", "/dev/absent"}, interrupted},
		{[]string{"radio", "send", "00", "--region", "EU868", "--gain-dbi", "0", "--conf", conf, "--device", "/dev/absent"}, interrupted},
		{[]string{"radio", "listen", "--conf", conf, "--device", "/dev/absent"}, 0},
	} {
		var out, errs bytes.Buffer
		if code := run(ctx, tt.args, nil, &out, &errs); code != tt.code || out.Len() > 0 {
			t.Errorf("%v: exit code %d, want %d: %s%s", tt.args[1], code, tt.code, out.String(), errs.String())
		}
	}
}

func TestProbeFindings(t *testing.T) {
	var p struct {
		Found    bool      `json:"found"`
		Evidence []finding `json:"evidence"`
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"radio", "probe", "--conf", "/nonexistent", "--json"}, nil, &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &p); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v: %s", code, err, out.String())
	}
	if len(p.Evidence) != 1 || p.Evidence[0].OK || !strings.Contains(p.Evidence[0].Text, "/nonexistent") {
		t.Errorf("evidence: %+v", p.Evidence)
	}
	if strings.Contains(errs.String(), "/nonexistent") {
		t.Errorf("said twice: %s", errs.String())
	}
}

// TestListenAbsent needs no patience: nothing is there that could be waited for.
func TestListenAbsent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store := blankImages(t)
	for _, args := range [][]string{{"listen"}, {"send", "00", "--region", "EU868", "--gain-dbi", "0"}} {
		var out, errs bytes.Buffer
		args = append([]string{"radio"}, append(args, "--conf", "testdata/global_conf.json", "--firmware", store, "--device", "/dev/absent")...)
		if code := run(ctx, args, nil, &out, &errs); code != 1 || strings.Count(errs.String(), "transfer failed") != 1 {
			t.Errorf("%v: exit code %d: %s%s", args, code, out.String(), errs.String())
		}
	}
	if ctx.Err() != nil {
		t.Error("it waited")
	}
}

func TestFaultWatch(t *testing.T) {
	var w faultWatch
	for i, step := range []struct {
		s    radiohw.Status
		want string
		ends bool
	}{
		{radiohw.Status{}, "", false},
		{radiohw.Status{Faults: map[string]uint64{"mcu_silent": 1}, LastFault: "silent"}, "silent", false},
		{radiohw.Status{Faults: map[string]uint64{"mcu_silent": 2}, LastFault: "silent"}, "", false},
		{radiohw.Status{Faults: map[string]uint64{"mcu_silent": 2}, LastFault: "silent", Starts: 1}, "the concentrator runs again", false},
		{radiohw.Status{Faults: map[string]uint64{"mcu_silent": 2, "bus": 1}, LastFault: "unplugged", Starts: 1}, "unplugged", false},
		{radiohw.Status{Faults: map[string]uint64{"mcu_silent": 2, "bus": 3}, LastFault: "gone", Starts: 1}, "gone", false},
	} {
		if got, err := w.look(step.s); got != step.want || err != nil {
			t.Errorf("step %d: %q, %v, want %q", i, got, err, step.want)
		}
	}
	var first faultWatch
	if _, err := first.look(radiohw.Status{Faults: map[string]uint64{"bus": 1}, LastFault: "no such device"}); err == nil || err.Error() != "no such device" {
		t.Errorf("before the first start: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		endless bool
		err     error
		want    int
	}{
		{"done", t.Context(), false, nil, 0},
		{"done as Ctrl-C came", ended, false, nil, 0},
		{"failed", t.Context(), true, errSick, 1},
		{"wrong", t.Context(), false, wrongUse("no"), 2},
		{"interrupted", ended, false, context.Canceled, interrupted},
		{"interrupted in earnest", ended, true, context.Canceled, 0},
		{"reader went away", t.Context(), true, fmt.Errorf("write: %w", syscall.EPIPE), 0},
		{"reader of a result went away", t.Context(), false, syscall.EPIPE, 1},
	} {
		if got := (radioCommand{endless: tt.endless}).exit(tt.ctx, tt.err, io.Discard); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestRefusal(t *testing.T) {
	r, err := radiohw.New(radiohw.Config{Board: sx1302.Options{
		Config: probeConfig(calc.SX1250), Firmware: radiohw.Blank(), USB: func(context.Context) (bus.Serial, error) { return nil, errSick },
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := sendOptions{board: board{Conf: "testdata/global_conf.json"}}
	p := radio.TxPacket{Frequency: 915 * radio.MHz, Power: radio.DBm(5)}
	for status, want := range map[radio.TxStatus]string{
		radio.TxBadFrequency: "915 MHz is outside what testdata/global_conf.json allows (radio_0 from 863 MHz to 870 MHz)",
		radio.TxBadPower:     "5 dBm at the connector is not in tx_gain_lut",
		radio.TxBusy:         "occupied",
		radio.TxTooLate:      "too slow",
		radio.TxNoRadio:      "failed",
		radio.TxGPSUnlocked:  "gps_unlocked",
	} {
		if got := o.refusal(p, status, r).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", status, got, want)
		}
	}
	var out bytes.Buffer
	if err := (sent{Status: "busy"}).print(true, &out); err != nil || !strings.Contains(out.String(), `"on_air_ms": 0`) || strings.Contains(out.String(), "conducted") {
		t.Errorf("refused packet: %v, %s", err, out.String())
	}
}

func TestImportText(t *testing.T) {
	got := importText(radiohw.Import{
		Imported: []radiohw.Imported{{Name: "agc_sx1250", From: "a", To: "b"}}, Missing: []string{"arb", "sx1261"},
		Damaged: []radiohw.Damaged{{Name: "arb", File: "src/arb_fw.var"}}, Skipped: []string{"open secret: permission denied"},
	})
	for _, want := range []string{"1 of 3 images; missing: arb, sx1261", "src/arb_fw.var", "skipped: open secret"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
}
