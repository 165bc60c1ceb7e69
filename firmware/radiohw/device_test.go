package radiohw

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/hardware/sx1302"
)

// TestDeviceKind: udev rules and users give devices other names, by links.
func TestDeviceKind(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"spidev0.0", "ttyACM0"} {
		if err := os.WriteFile(at(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"concentrator": "spidev0.0", "radio": "concentrator", "usb": "ttyACM0", "spidev9.9": "ttyACM0", "lost": "spidev7.7",
	} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, usb := range map[string]bool{
		"spidev0.0": false, "concentrator": false, "radio": false, "spidev1.0": false, // is not there
		"ttyACM0": true, "usb": true, "spidev9.9": true, "lost": true, "ttyUSB3": true,
	} {
		if got := (Device{Path: at(name)}).USB(); got != usb {
			t.Errorf("%s: USB %v", name, got)
		}
	}
}

// TestOpenRefuses: what is wrong is said before anything is driven.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	spidev := filepath.Join(dir, "spidev0.0")
	link := filepath.Join(dir, "concentrator")
	if err := os.WriteFile(spidev, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(spidev, link); err != nil {
		t.Fatal(err)
	}
	for want, d := range map[string]Device{
		"no device":        {},
		"is no SPI device": {Path: link},
		"spidev of each":   {Path: spidev, SX1261: spidev},
	} {
		_, closeAll, err := d.Open(sx1302.Config{}, sx1302.Firmware{}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", d, err, want)
		}
		if err := closeAll(); err != nil {
			t.Error(err)
		}
	}
}
