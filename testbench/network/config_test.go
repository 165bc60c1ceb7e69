package network

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDirectoryIsKeptAndGuarded(t *testing.T) {
	cfg, err := Config{Dir: filepath.Join(t.TempDir(), "city")}.fill()
	if err != nil {
		t.Fatal(err)
	}
	for run := uint16(1); run <= 3; run++ {
		m, lock, err := cfg.open()
		if err != nil || m.Runs != run {
			t.Fatalf("run %d: %+v, %v", run, m, err)
		}
		if _, _, err := cfg.open(); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second run at the same time: %v", err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := cfg
	other.EpochLength = time.Minute
	if _, _, err := other.open(); err == nil || !strings.Contains(err.Error(), "--fresh") {
		t.Errorf("other epochs in the same directory: %v", err)
	}
	other.Fresh = true
	m, lock, err := other.open()
	if err != nil || m.Runs != 1 || m.EpochSeconds != 60 {
		t.Fatalf("fresh: %+v, %v", m, err)
	}
	lock.Close()
}

func TestFreshDeletesNothingOfOthers(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Config{Dir: dir, Fresh: true}.fill()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cfg.open(); err == nil {
		t.Error("took over somebody's folder")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestKeysAreMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "a.json")
	a, err := solanaKey(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := solanaKey(path)
	if err != nil || !a.PublicKey().Equals(b.PublicKey()) {
		t.Fatalf("second time: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := solanaKey(path); err == nil {
		t.Error("a key that others can read was taken")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no directory":  {},
		"crowd":         {Dir: "x", Hotspots: 25},
		"many devices":  {Dir: "x", Devices: 7},
		"short epochs":  {Dir: "x", EpochLength: time.Second},
		"broken second": {Dir: "x", EpochLength: 30*time.Second + 1},
		"beacons":       {Dir: "x", Beacons: 61},
	} {
		if _, err := cfg.fill(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cfg, err := Config{Dir: "x", Devices: NoDevices}.fill()
	if err != nil || cfg.Devices != 0 || cfg.Hotspots != 24 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestPageAddress(t *testing.T) {
	got, err := Config{Page: "127.0.0.1:0"}.pageAddr()
	if err != nil || !strings.HasPrefix(got, "127.0.0.1:") || strings.HasSuffix(got, ":0") {
		t.Errorf("port 0 becomes %q, %v", got, err)
	}
	l, err := net.Listen("tcp", got)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if other, err := (Config{Page: got}).pageAddr(); err != nil || other == got {
		t.Errorf("%s is in use, and %s is taken: %v", got, other, err)
	}
}
