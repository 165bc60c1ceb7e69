package radiohw

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
)

// synthetic is an image of valid parity with nothing of the vendor's in it.
func synthetic(seed uint16, bytes int) []byte {
	out := make([]byte, 0, bytes)
	for i := range uint16(bytes / 2) {
		w := calc.ParityWord(i*31 + seed)
		out = append(out, byte(w), byte(w>>8))
	}
	return out
}

func TestLoadFirmwareLeavesOut(t *testing.T) {
	cfg := sx1302.Config{Radios: [2]sx1302.Radio{{Enable: true, Kind: calc.SX1250}}}
	fw, _, err := LoadFirmware(t.TempDir(), &cfg)
	if err != nil || fw.AGC != nil || fw.ARB != nil {
		t.Errorf("empty store: %v, %d, %d", err, len(fw.AGC), len(fw.ARB))
	}
}

// TestReadLimited names files that a user may name by mistake: none of them may
// block the program or fill its memory.
func TestReadLimited(t *testing.T) {
	dir := t.TempDir()
	pipe, long, exact := filepath.Join(dir, "pipe"), filepath.Join(dir, "long"), filepath.Join(dir, "exact")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int{long: maxSource + 1, exact: maxSource} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/dev/zero": "no regular file", pipe: "no regular file", dir: "no regular file", long: "more than 1048576 bytes",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if b, err := readLimited(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d bytes, %v, want %q", path, len(b), err, want)
		}
		if _, err := LoadConf(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s as a configuration: %v, want %q", path, err, want)
		}
	}
	if b, err := readLimited(exact); err != nil || len(b) != maxSource {
		t.Errorf("longest file: %d bytes, %v", len(b), err)
	}
}

func TestBlank(t *testing.T) {
	if err := calc.CheckImage(Blank().AGC); err != nil {
		t.Error(err)
	}
}
