package settings

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/provisioning/identity"
)

type antenna struct {
	Gain  float64 `toml:"gain_db" help:"antenna gain in dBi"`
	Cable int8    `toml:"cable"`
}

type config struct {
	Region  string             `toml:"region" help:"region plan"`
	Port    uint16             `toml:"port"`
	Beacons bool               `toml:"beacons"`
	Wait    time.Duration      `toml:"wait"`
	Peers   []string           `toml:"peers"`
	Key     identity.HotspotID `toml:"key"`
	Antenna antenna            `toml:"antenna"`
	Skipped func()             `toml:"-"`
}

func defaults() config {
	return config{Region: "none", Port: 1, Beacons: true, Wait: time.Second}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hotspotd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	path := write(t, "region = \"EU868\"\nport = 2\nwait = \"2s\"\npeers = [\"a\", \"b\"]\n[antenna]\ngain_db = 3\ncable = -1\n")
	cfg, origins := defaults(), Origins{}
	err := Load(&cfg, Source{
		Prefix: "HOTSPOTD", Origins: origins,
		Args: []string{"--config", path, "--wait=4s", "--antenna.gain-db", "-2.5", "--beacons=false"},
		Env:  []string{"HOTSPOTD_PORT=3", "HOTSPOTD_WAIT=3s", "HOTSPOTDX=1", "HOME=/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config{Region: "EU868", Port: 3, Wait: 4 * time.Second, Peers: []string{"a", "b"}, Antenna: antenna{-2.5, -1}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
	for key, from := range map[string]string{"region": "hotspotd.toml", "port": "HOTSPOTD_PORT", "wait": "--wait", "antenna.cable": "hotspotd.toml"} {
		if origins[key] != from {
			t.Errorf("origin of %s is %q, want %q", key, origins[key], from)
		}
	}
}

func TestDumpIsReadBack(t *testing.T) {
	cfg := defaults()
	cfg.Peers = []string{`quo"te\`, "tab\t"}
	cfg.Antenna.Gain = 7
	cfg.Key = identity.NewEd25519([32]byte{1}).ID()
	text, err := Dump(&cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	var back config
	if err := Load(&back, Source{DefaultFile: write(t, text)}); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !reflect.DeepEqual(cfg, back) {
		t.Errorf("got %+v, want %+v from\n%s", back, cfg, text)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, file string
		args, env  []string
		want       string
	}{
		{"swapped letters", "port = 1\n\nreigon = \"EU868\"\n", nil, nil, `unknown key "reigon" in hotspotd.toml line 3: did you mean "region"?`},
		{"key in a table", "[antenna]\ngain = 1\n", nil, nil, `unknown key "antenna.gain" in hotspotd.toml line 2: did you mean "antenna.gain_db"?`},
		{"table left out", "gain_db = 1\n", nil, nil, `unknown key "gain_db" in hotspotd.toml line 1: did you mean "antenna.gain_db"?`},
		{"unknown table", "[zzzzzzzzzz]\n", nil, nil, `unknown key "zzzzzzzzzz" in hotspotd.toml line 1: no known key resembles it, see --help for the list`},
		{"leaf used as table", "[region]\n", nil, nil, `hotspotd.toml line 1: key "region": map[] is not text in quotes`},
		{"table used as leaf", "antenna = 3\n", nil, nil, `unknown key "antenna" in hotspotd.toml line 1`},
		{"number in quotes", "port = \"1\"\n", nil, nil, `hotspotd.toml line 1: key "port": "1" is text, want a whole number: take the quotes off`},
		{"text without quotes", "region = 868\n", nil, nil, `hotspotd.toml line 1: key "region": 868 is not text in quotes`},
		{"float for integer", "port = 1.5\n", nil, nil, `is not a whole number`},
		{"out of range", "[antenna]\ncable = 128\n", nil, nil, `hotspotd.toml line 2: key "antenna.cable": "128" is not a whole number in the range`},
		{"duration", "wait = \"5\"\n", nil, nil, `hotspotd.toml line 1: key "wait": "5" is not a duration: write it like 90s`},
		{"list", "peers = [1]\n", nil, nil, `element 1 is not text`},
		{"key text", "key = \"x\"\n", nil, nil, `key "key": "x": identity: parse key text`},
		{"syntax", "port = 1\nregion =\n", nil, nil, `hotspotd.toml line 2: `},
		{"twice", "port = 1\nport = 2\n", nil, nil, `hotspotd.toml line 2: `},
		{"environment", "", nil, []string{"HOTSPOTD_REGOIN=x"}, `unknown environment variable HOTSPOTD_REGOIN: did you mean "HOTSPOTD_REGION"? (or unset it)`},
		{"environment value", "", nil, []string{"HOTSPOTD_PORT=-1"}, `HOTSPOTD_PORT: "-1" is not a whole number from 0`},
		{"flag", "", []string{"--regio", "x"}, nil, `unknown flag --regio: did you mean "region"?`},
		{"flag without value", "", []string{"--region"}, nil, `flag --region wants a value`},
		{"flag not a number", "", []string{"--antenna.gain-db", "NaN"}, nil, `--antenna.gain-db: "NaN" is not a number`},
		{"bool", "", []string{"--beacons=maybe"}, nil, `"maybe" is neither true nor false`},
		{"positional", "", []string{"run"}, nil, `argument "run" is not a flag`},
		{"no file", "", []string{"--config", "/nonexistent.toml"}, nil, `cannot read the configuration file`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := defaults()
			err := Load(&cfg, Source{Prefix: "HOTSPOTD", Args: tt.args, Env: tt.env, DefaultFile: write(t, tt.file)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want it to contain %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	cfg := defaults()
	var out bytes.Buffer
	src := Source{Prefix: "HOTSPOTD", Args: []string{"-h"}, Usage: "Usage: hotspotd", Examples: "  hotspotd --region EU868", Out: &out}
	if err := Load(&cfg, src); !errors.Is(err, ErrHelp) {
		t.Fatalf("got %v, want ErrHelp", err)
	}
	for _, want := range []string{"Usage: hotspotd", "--antenna.gain-db NUMBER (default 0.0)", "antenna gain in dBi", `--wait DURATION (default "1s")`, "HOTSPOTD_REGION", "hotspotd --region EU868"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help has no %q:\n%s", want, &out)
		}
	}
}

func TestHelpNamesWhatMustBeSet(t *testing.T) {
	cfg := struct {
		Gain float64 `toml:"gain" help:"of the antenna" must:"set"`
		Loss float64 `toml:"loss"`
	}{Gain: -1000}
	var out strings.Builder
	if err := Load(&cfg, Source{Args: []string{"--help"}, Out: &out}); !errors.Is(err, ErrHelp) {
		t.Fatal(err)
	}
	if h := out.String(); !strings.Contains(h, "--gain NUMBER (must be set)\n") || strings.Contains(h, "-1000") || !strings.Contains(h, "--loss NUMBER (default 0.0)\n") {
		t.Error(h)
	}
}

func TestPositionalArguments(t *testing.T) {
	cfg := defaults()
	var words []string
	if err := Load(&cfg, Source{Args: []string{"key", "--port", "9", "show", "--", "--x"}, Positional: &words}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"key", "show", "--x"}; !reflect.DeepEqual(words, want) || cfg.Port != 9 {
		t.Errorf("got %q and port %d, want %q and 9", words, cfg.Port, want)
	}
}

func TestProgrammersMistakes(t *testing.T) {
	for _, cfg := range []any{nil, config{}, (*config)(nil), new(int), &struct{ X int }{}, &struct {
		X map[string]int `toml:"x"`
	}{}} {
		if err := Load(cfg, Source{}); err == nil {
			t.Errorf("%T was taken", cfg)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("region = \"EU868\"\n[antenna]\ngain_db = 3\n")
	f.Add("a.b.c = [{x=1}]\n")
	f.Add("[[peers]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg := defaults()
		fields, err := fieldsOf(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := parseFile(fields, nil, "f", text); err != nil {
			return
		}
		dump, err := Dump(&cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		back := config{}
		again, _ := fieldsOf(&back)
		if err := parseFile(again, nil, "f", dump); err != nil {
			t.Fatalf("%v in dump\n%s", err, dump)
		}
	})
}

// Wire is shared by commands; its keys stand beside theirs.
type Wire struct {
	Device string `toml:"device" help:"path"`
}

func TestEmbeddedStruct(t *testing.T) {
	var cfg struct {
		Wire
		Count int `toml:"count"`
	}
	err := Load(&cfg, Source{Prefix: "X", Args: []string{"--device", "/dev/tty0"}, Env: []string{"X_COUNT=3"}})
	if err != nil || cfg.Device != "/dev/tty0" || cfg.Count != 3 {
		t.Errorf("%+v, %v", cfg, err)
	}
}
