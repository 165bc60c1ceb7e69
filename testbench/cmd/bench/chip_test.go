package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/provisioning/settings"
	"heliograph/testbench/chip"
)

// screen is output that is read while it is written.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestChipOnTerminal opens the served chip with hotspotctl, as a user would.
func TestChipOnTerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	ctl := filepath.Join(t.TempDir(), "hotspotctl")
	if out, err := exec.Command("go", "build", "-o", ctl, "heliograph/firmware/cmd/hotspotctl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	images := filepath.Join(t.TempDir(), "images")
	var out screen
	path := serveChip(t, &out, images)
	call := func(args ...string) string {
		t.Helper()
		args = append([]string{"radio"}, append(args, "--device", path, "--firmware", images)...)
		b, err := exec.CommandContext(t.Context(), ctl, args...).Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, b)
		}
		return string(b)
	}
	conf := "../../../firmware/cmd/hotspotctl/testdata/global_conf.json"
	var p struct {
		EUI   string `json:"eui"`
		Works bool   `json:"works"`
	}
	if err := json.Unmarshal([]byte(call("probe", "--json")), &p); err != nil || !p.Works || p.EUI != "0000000000000102" {
		t.Errorf("probe: %+v, %v", p, err)
	}
	got := call("listen", "--conf", conf, "--count", "3", "--json")
	if strings.Count(got, "\n") != 3 {
		t.Errorf("listen: %s", got)
	}
	for line := range strings.Lines(got) {
		// The device is at -97 dBm, the chip counts in steps of 1 dB.
		var p struct {
			RSSI float64 `json:"rssi_dbm"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.RSSI < -97.51 || p.RSSI > -96.49 {
			t.Errorf("listen: level %v, %v: %s", p.RSSI, err, line)
		}
	}
	if got := call("spectrum", "--conf", conf, "--scans", "100"); strings.Count(got, "median -120.0 dBm") != 8 {
		t.Errorf("spectrum: %s", got)
	}
	// A packet of more than a second: leaving earlier would cut it short.
	long := time.Now()
	if got := call("send", "cafe", "--conf", conf, "--region", "EU868", "--gain-dbi", "0", "--data-rate", "SF12BW125"); !strings.HasPrefix(got, "ok, 14.00 dBm") {
		t.Errorf("send: %s", got)
	}
	if d := time.Since(long); d < 800*time.Millisecond {
		t.Errorf("sending took %v, less than the packet", d)
	}
	if got := out.String(); !regexp.MustCompile(`transmits 868\.\d+ MHz SF12BW125 14 dBm cafe`).MatchString(got) || strings.Contains(got, "cut short") {
		t.Errorf("the chip transmitted nothing like it: %s", got)
	}
	if got := out.String(); strings.Contains(got, "no_chip") || strings.Count(got, "packets are lost until") == 0 {
		t.Errorf("while no host was there: %s", got)
	}
	refused(t, ctl, []string{"send", "cafe", "--conf", narrowConf(t, conf), "--region", "EU868", "--gain-dbi", "0", "--json", "--device", path, "--firmware", images})
	interrupted(t, ctl, &out, []string{"send", "cafe", "--conf", conf, "--region", "EU868", "--gain-dbi", "0", "--data-rate", "SF12BW125", "--device", path, "--firmware", images})
	closedPipe(t, ctl, []string{"listen", "--conf", conf, "--device", path, "--firmware", images})
}

// serveChip serves a chip until the test ends, and returns its device.
func serveChip(t *testing.T, out *screen, images string) (path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- runChip(ctx, []string{"--pty", "--images", images, "--traffic", "300ms", "--eui", "258"}, out)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if m := regexp.MustCompile(`serving on (\S+)`).FindStringSubmatch(out.String()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("no device: %s", out.String())
	return ""
}

// narrowConf is a configuration that lets the radio transmit elsewhere only.
func narrowConf(t *testing.T, conf string) string {
	t.Helper()
	b, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "narrow.json")
	text := strings.Replace(string(b), `"tx_freq_min": 863000000`, `"tx_freq_min": 869000000`, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refused sends what the radio refuses: no time on air is reported, and the reason is.
func refused(t *testing.T, ctl string, args []string) {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), ctl, append([]string{"radio"}, args...)...)
	cmd.Stderr = &errs
	b, err := cmd.Output()
	var s struct {
		Status string  `json:"status"`
		OnAir  float64 `json:"on_air_ms"`
	}
	if jerr := json.Unmarshal(b, &s); jerr != nil || cmd.ProcessState.ExitCode() != 1 || s.Status != "tx_freq" || s.OnAir != 0 {
		t.Errorf("refused packet: %v, %v: %s", err, jerr, b)
	}
	if !strings.Contains(errs.String(), "from 869 MHz to 870 MHz") {
		t.Errorf("refused packet: %s", errs.String())
	}
}

// interrupted ends a command while it transmits: the packet is stopped, and said to be.
func interrupted(t *testing.T, ctl string, chip *screen, args []string) {
	t.Helper()
	before := strings.Count(chip.String(), "transmits ")
	cmd := exec.CommandContext(t.Context(), ctl, append([]string{"radio"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); strings.Count(chip.String(), "transmits ") == before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("interrupted: exit code %d, %v", code, err)
	}
	if !strings.Contains(chip.String(), "cut short") {
		t.Error("an interrupted command left its packet on air")
	}
}

// closedPipe reads one line of a command and goes away.
func closedPipe(t *testing.T, ctl string, args []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), ctl, append([]string{"radio"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, "crc ok") {
		t.Errorf("listen: %q, %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after its reader went away: %v", err) // killed by SIGPIPE, the chip not at rest
	}
}

func TestChipHelpNamesFaults(t *testing.T) {
	var out screen
	if err := runChip(t.Context(), []string{"--help"}, &out); !errors.Is(err, settings.ErrHelp) {
		t.Fatal(err)
	}
	for _, f := range chip.Faults() {
		if !strings.Contains(out.String(), string(f)) {
			t.Errorf("%s is not in --help", f)
		}
	}
}

func TestChipRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"--pty", "--model", "SX1301"}, {"--pty", "--break", "everything"}} {
		var out screen
		if err := runChip(t.Context(), args, &out); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}
