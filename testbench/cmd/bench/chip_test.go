package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
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
	ctx, cancel := context.WithCancel(t.Context())
	var out screen
	done := make(chan error, 1)
	go func() {
		done <- runChip(ctx, []string{"--pty", "--images", images, "--traffic", "300ms", "--eui", "258"}, &out)
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	var path []string
	for deadline := time.Now().Add(10 * time.Second); path == nil; time.Sleep(10 * time.Millisecond) {
		if path = regexp.MustCompile(`serving on (\S+)`).FindStringSubmatch(out.String()); path == nil && time.Now().After(deadline) {
			t.Fatalf("no device: %s", out.String())
		}
	}
	call := func(args ...string) string {
		t.Helper()
		args = append([]string{"radio"}, append(args, "--device", path[1], "--firmware", images)...)
		b, err := exec.CommandContext(ctx, ctl, args...).Output()
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
	if got := call("listen", "--conf", conf, "--count", "3"); strings.Count(got, "crc ok") != 3 {
		t.Errorf("listen: %s", got)
	}
	if got := call("spectrum", "--conf", conf, "--scans", "100"); strings.Count(got, "median -120.0 dBm") != 8 {
		t.Errorf("spectrum: %s", got)
	}
	if got := call("send", "cafe", "--conf", conf, "--region", "EU868", "--gain-dbi", "0"); !strings.HasPrefix(got, "ok, 14.00 dBm") {
		t.Errorf("send: %s", got)
	}
	if got := out.String(); !regexp.MustCompile(`transmits 868\.\d+ MHz SF9BW125 14 dBm cafe`).MatchString(got) {
		t.Errorf("the chip transmitted nothing like it: %s", got)
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
