package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mr-tron/base58"

	"heliograph/firmware/hotspot"
	"heliograph/firmware/internal/oracletest"
	"heliograph/provisioning/identity"
)

// good is a command line that leaves nothing out.
func good(dir string) []string {
	wallet := make([]byte, 32)
	wallet[0] = 1
	return []string{
		"--region", "EU868", "--oracle", "127.0.0.1:1", "--oracle-key", identity.NewEd25519([32]byte{1}).ID().String(),
		"--owner", base58.Encode(wallet), "--data-dir", dir, "--position.latitude", "52.5", "--position.longitude", "-13.4",
		"--antenna.gain-dbi", "3", "--radio.udp-listen", "127.0.0.1:0", "--web.listen", "127.0.0.1:0", "--web.metrics", "127.0.0.1:0",
	}
}

func TestConfigurationErrors(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no region", []string{"--region", ""}, "region is not set: set region to one of"},
		{"bad region", []string{"--region", "XX"}, `region "XX" is not known`},
		{"no oracle", []string{"--oracle", ""}, "oracle is not set"},
		{"no oracle key", []string{"--oracle-key", ""}, "oracle_key is not set"},
		{"bad oracle key", []string{"--oracle-key", "abc"}, "--oracle-key: \"abc\""},
		{"no owner", []string{"--owner", ""}, "owner is not set"},
		{"bad owner", []string{"--owner", "abc"}, "is not a Solana address"},
		{"no position", []string{"--position.latitude", "-1000"}, "position is not set"},
		{"not on Earth", []string{"--position.latitude", "91"}, "not on Earth"},
		{"no gain", []string{"--antenna.gain-dbi", "-1000"}, "antenna.gain_dbi is not set"},
		{"huge gain", []string{"--antenna.gain-dbi", "30"}, "want -10 to 20"},
		{"negative loss", []string{"--antenna.cable-loss-db", "-1"}, "is negative"},
		{"power range", []string{"--radio.max-power-dbm", "-3"}, "are not a range"},
		{"device without conf", []string{"--radio.device", "/dev/ttyACM0"}, "radio.conf is not set"},
		{"conf without device", []string{"--radio.conf", "global_conf.json"}, "radio.device is not set"},
		{"GNSS without device", []string{"--radio.gnss", "/dev/ttyAMA0"}, "leave radio.gnss out"},
		{"GNSS at a mad rate", []string{"--radio.device", "/dev/ttyACM0", "--radio.conf", "x", "--radio.gnss", "/dev/ttyAMA0", "--radio.gnss-baud", "96"}, "want 4800 to 921600"},
		{"class B without GNSS", []string{"--radio.class-b"}, "name the receiver's tty"},
		{"no directory", []string{"--data-dir", "/absent"}, "is not a directory"},
		{"typo", []string{"--reigon", "EU868"}, `did you mean "region"?`},
		{"command", []string{"start"}, "the only command is config print"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), append(good(t.TempDir()), tt.args...), nil, &out, &errs)
			if code != 2 || !strings.Contains(errs.String(), tt.want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("exit code %d: %s", code, &errs)
			}
		})
	}
}

func TestHelpAndPrint(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, nil, &out, &errs); code != 0 || !strings.Contains(out.String(), "--antenna.gain-dbi") {
		t.Errorf("help: %d\n%s%s", code, &out, &errs)
	}
	out.Reset()
	if code := run(t.Context(), append(good("/x"), "config", "print"), nil, &out, &errs); code != 0 ||
		!strings.Contains(out.String(), `region = "EU868" # --region`) {
		t.Errorf("print: %d\n%s%s", code, &out, &errs)
	}
	file := filepath.Join(t.TempDir(), "hotspotd.toml") // what it prints can be used
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"--config", file, "config", "print"}, nil, io.Discard, &errs); code != 0 {
		t.Errorf("printed file is refused: %s", &errs)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestDaemon runs all of it against an oracle and looks at its pages.
func TestDaemon(t *testing.T) {
	o := oracletest.Start(t, nil)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log lockedBuffer
	code := make(chan int, 1)
	go func() {
		args := append(good(dir), "--oracle", o.Addr, "--oracle-key", o.Key.ID().String())
		code <- run(ctx, args, nil, io.Discard, &log)
	}()
	if rep := o.Next(); rep.Assertion == nil || rep.Assertion.Position.LonE7 != -134_000_000 || rep.Assertion.Owner[0] != 1 {
		t.Errorf("assertion %+v", rep)
	}
	page := regexp.MustCompile(`key=web.listen addr=(\S+)`).FindStringSubmatch(log.String())
	metrics := regexp.MustCompile(`key=web.metrics addr=(\S+)`).FindStringSubmatch(log.String())
	if page == nil || metrics == nil {
		t.Fatalf("no addresses in the log:\n%s", &log)
	}
	var st hotspot.Status
	oracletest.Eventually(t, "connected", func() bool {
		if err := json.Unmarshal([]byte(get(t, "http://"+page[1]+"/status.json")), &st); err != nil {
			t.Fatal(err)
		}
		return st.Session.Connected && st.Asserted
	})
	if text := get(t, "http://"+page[1]+"/"); !strings.Contains(text, st.Name) || !strings.Contains(text, "connected") {
		t.Errorf("page:\n%s", text)
	}
	for _, want := range []string{"hotspot_session_connected 1", `hotspot_airtime_remaining_seconds{band="EU868 P"} 360`, `hotspot_info{`} {
		if text := get(t, "http://"+metrics[1]+"/metrics"); !strings.Contains(text, want) {
			t.Errorf("no %q in metrics:\n%s", want, text)
		}
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d:\n%s", c, &log)
	}
	if key, err := identity.LoadFile(filepath.Join(dir, "hotspot.key")); err != nil || key.ID().String() != st.Hotspot {
		t.Errorf("key file: %v, %v", key, err)
	}
}

// What keeps the daemon from starting is one line that names cause and remedy.
func TestCannotStart(t *testing.T) {
	o := oracletest.Start(t, nil)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for name, tt := range map[string]struct {
		args func(dir string) []string
		want string
	}{
		"port of the page":     {func(string) []string { return []string{"--web.listen", o.Addr} }, "choose another port with --web.listen"},
		"port of the metrics":  {func(string) []string { return []string{"--web.metrics", o.Addr} }, "choose another port with --web.metrics"},
		"port for forwarders":  {func(string) []string { return []string{"--radio.udp-listen", udp.LocalAddr().String()} }, "another program has the port"},
		"key is no key":        {func(dir string) []string { return keyFile(t, dir, "hello", 0o600) }, "restore it from a copy"},
		"key for everybody":    {func(dir string) []string { return keyFile(t, dir, "hello", 0o644) }, "chmod 600"},
		"key is a directory":   {func(dir string) []string { return []string{"--key-file", dir} }, "name the key file itself"},
		"configuration absent": {func(dir string) []string { return []string{"--config", dir + "/absent"} }, "correct --config"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := identity.CreateFile(filepath.Join(dir, "key"), identity.Ed25519, rand.Reader); err != nil {
				t.Fatal(err) // so that making one is not logged
			}
			var errs bytes.Buffer
			args := append(append(good(dir), "--key-file", filepath.Join(dir, "key"), "--log.level", "ERROR"), tt.args(t.TempDir())...)
			code := run(t.Context(), args, nil, io.Discard, &errs)
			if code != 2 || !strings.Contains(errs.String(), tt.want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("exit code %d: %s", code, &errs)
			}
		})
	}
}

func keyFile(t *testing.T, dir, text string, mode os.FileMode) []string {
	t.Helper()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return []string{"--key-file", path}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(b)
}

// TestConcentratorIsMissing: a board that is configured and cannot be opened stops
// the start with one line that says what to do.
func TestConcentratorIsMissing(t *testing.T) {
	o := oracletest.Start(t, nil)
	for _, tt := range []struct {
		name string
		code int // 2 where the start already shows it
		args []string
		want string
	}{
		{"no conf", 2, []string{"--radio.device", "/dev/spidev99.9", "--radio.conf", "absent.json"}, "absent.json"},
		{"no device", 2, []string{"--radio.device", "/dev/spidev99.9", "--radio.conf", "../hotspotctl/testdata/global_conf.json"}, "enable SPI"},
		{"no GNSS receiver", 2, []string{"--radio.device", "/dev/ttyNONE", "--radio.conf", "../hotspotctl/testdata/global_conf.json",
			"--radio.gnss", "/dev/ttyGONE"}, "correct radio.gnss"},
		{"conf of another region", 2, []string{"--radio.device", "/dev/ttyNONE", "--radio.conf", "../hotspotctl/testdata/global_conf.json", "--region", "US915"},
			"listens on no beacon channel of US915 (903.9 MHz to 905.3 MHz)"},
		{"conf for downlinks only", 2, []string{"--radio.device", "/dev/ttyNONE", "--radio.conf", downlinkConf(t)}, "set beacons = false"},
		{"downlinks only and no beacons", 2, []string{"--radio.device", "/dev/ttyNONE", "--radio.conf", downlinkConf(t), "--beacons=false"}, "hotspotctl radio firmware import"},
		{"no firmware", 2, []string{"--radio.device", "/dev/ttyNONE", "--radio.conf", "../hotspotctl/testdata/global_conf.json"}, "hotspotctl radio firmware import"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log lockedBuffer
			args := append(good(t.TempDir()), "--oracle", o.Addr, "--oracle-key", o.Key.ID().String())
			if code := run(t.Context(), append(args, tt.args...), nil, io.Discard, &log); code != tt.code || !strings.Contains(log.String(), tt.want) {
				t.Errorf("exit code %d:\n%s", code, &log)
			}
		})
	}
}

// downlinkConf is a configuration that lets no radio send on beacon channels.
func downlinkConf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../hotspotctl/testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "global_conf.json")
	b = bytes.Replace(b, []byte(`"tx_freq_min": 863000000`), []byte(`"tx_freq_min": 869400000`), 1)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
