package radiohw

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
)

func source(name, kind string, values []string) string {
	return "/* " + name + "[] = { 1, 2 } is not it */\nstatic const " + kind + " " + name + "[" + fmt.Sprint(len(values)) + "] = {\n" +
		strings.Join(values, ", ") + " // the end }\n};\n"
}

// TestImport makes a tree like the vendor's, with synthetic images, and finds them.
func TestImport(t *testing.T) {
	agc, arb, patch := synthetic(1, 8192), synthetic(2, 8192), synthetic(3, 1544)
	known := []sx1302.Image{
		{Name: "agc_sx1250", Size: len(agc), SHA256: sum(agc)},
		{Name: "arb", Size: len(arb), SHA256: sum(arb)},
		{Name: "sx1261", Size: len(patch), SHA256: sum(patch)},
		{Name: "cal_sx125x", Size: 8192, SHA256: sum([]byte("absent"))},
	}
	dir, store := t.TempDir(), filepath.Join(t.TempDir(), "firmware")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var bytesOf, wordsOf []string
	for _, b := range agc {
		bytesOf = append(bytesOf, fmt.Sprintf("0x%02X", b))
	}
	for i := 0; i < len(patch); i += 4 {
		wordsOf = append(wordsOf, fmt.Sprintf("0x%02x%02x%02x%02x", patch[i], patch[i+1], patch[i+2], patch[i+3]))
	}
	write("libloragw/src/agc.var", source("agc", "uint8_t", bytesOf))
	write("libloragw/src/pram.var", source("pram", "uint32_t", wordsOf))
	write("arb.bin", string(arb))
	write("README.md", "nothing to see")
	res, err := ImportFirmware(dir, store, known)
	got := res.Imported
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"agc_sx1250": agc, "arb": arb, "sx1261": patch}
	if len(got) != len(want) || !slices.Equal(res.Missing, []string{"cal_sx125x"}) || !res.Startable() {
		t.Fatalf("imported %+v", res)
	}
	for _, g := range got {
		b, err := os.ReadFile(g.To)
		if err != nil || !bytes.Equal(b, want[g.Name]) {
			t.Errorf("%s: %d bytes, %v", g.Name, len(b), err)
		}
	}
	cfg := sx1302.Config{Radios: [2]sx1302.Radio{{Enable: true, Kind: calc.SX1250}}, SX1261: sx1302.SX1261{Enable: true}}
	fw, unknown, err := LoadFirmware(store, &cfg)
	if err != nil || !bytes.Equal(fw.AGC, agc) || !bytes.Equal(fw.ARB, arb) || !bytes.Equal(fw.SX1261, patch) || fw.Cal != nil {
		t.Errorf("loaded %d, %d, %d, %d bytes, %v", len(fw.AGC), len(fw.ARB), len(fw.SX1261), len(fw.Cal), err)
	}
	if len(unknown) != 3 {
		t.Errorf("synthetic images taken for the vendor's: unknown are %v", unknown)
	}
}

func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	damaged := synthetic(1, 8192)
	known := []sx1302.Image{{Name: "arb", Size: 8192, SHA256: sum(damaged)}}
	damaged[17] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "arb.bin"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(t.TempDir(), "store")
	_, err := ImportFirmware(dir, store, known)
	if err == nil || !strings.Contains(err.Error(), "sx1302_hal") || !strings.Contains(err.Error(), "arb.bin: damaged") {
		t.Errorf("damaged image: %v", err)
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("a store was made for nothing")
	}
	if _, err := ImportFirmware(filepath.Join(dir, "absent"), t.TempDir(), known); err == nil {
		t.Error("a directory that is not there was searched")
	}
}

// TestImportSpoiltTree imports by a symbolic link out of a tree with a directory that
// may not be read, an arbiter with one byte changed and a shortened gain control.
func TestImportSpoiltTree(t *testing.T) {
	agc, arb, cal := synthetic(1, 8192), synthetic(2, 8192), synthetic(3, 8192)
	known := []sx1302.Image{
		{Name: "agc_sx1250", File: "agc_fw_sx1250.var", Size: 8192, SHA256: sum(agc)},
		{Name: "arb", File: "arb_fw.var", Size: 8192, SHA256: sum(arb)},
		{Name: "cal_sx125x", File: "cal_fw.var", Size: 8192, SHA256: sum(cal)},
	}
	changed := bytes.Clone(arb)
	changed[100] ^= 1
	top := t.TempDir()
	dir := filepath.Join(top, "hal")
	for name, b := range map[string][]byte{
		"src/agc_fw_sx1250.var": agc[:8000], "src/arb_fw.var": changed, "cal_sx125x.bin": cal, "old/cal_sx125x.bin": changed, "secret/x.c": nil,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link, secret := filepath.Join(top, "link"), filepath.Join(dir, "secret")
	if err := errors.Join(os.Symlink(dir, link), os.Chmod(secret, 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(secret, 0o755) })
	got, err := ImportFirmware(link, filepath.Join(top, "store"), known)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Imported) != 1 || got.Imported[0].Name != "cal_sx125x" || got.Startable() || !slices.Equal(got.Missing, []string{"agc_sx1250", "arb"}) {
		t.Errorf("found %+v", got)
	}
	want := []Damaged{{"agc_sx1250", filepath.Join(dir, "src/agc_fw_sx1250.var")}, {"arb", filepath.Join(dir, "src/arb_fw.var")}}
	if !slices.Equal(got.Damaged, want) {
		t.Errorf("damaged: %+v, want %+v", got.Damaged, want)
	}
	if os.Geteuid() != 0 && (len(got.Skipped) != 1 || !strings.Contains(got.Skipped[0], "secret")) { // root reads everything
		t.Errorf("skipped: %q", got.Skipped)
	}
}

// TestVisitUnreadable is what an unreadable directory does, also for root.
func TestVisitUnreadable(t *testing.T) {
	dir := t.TempDir()
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	denied := &fs.PathError{Op: "open", Path: "elsewhere/secret", Err: fs.ErrPermission}
	s := search{root: "elsewhere"}
	if err := s.visit("elsewhere/secret", entries[0], denied); !errors.Is(err, fs.SkipDir) || len(s.out.Skipped) != 1 {
		t.Errorf("%v, skipped %q", err, s.out.Skipped)
	}
	if err := s.visit("elsewhere", entries[0], denied); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the directory itself: %v", err)
	}
}

func FuzzArrays(f *testing.F) {
	f.Add([]byte("uint8_t a[3] = { 0x01, 2, 0xFF };"))
	f.Add([]byte("a[] = {99999999999}; b[]={4294967296} /* c[]={1} */"))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, a := range arrays(src) {
			if len(a) == 0 || 2*len(a) > len(src)+1 {
				t.Errorf("%d numbers in %d bytes", len(a), len(src))
			}
			if b := asBytes(a); b != nil && len(b) != len(a) {
				t.Error("bytes are lost")
			}
			if len(asWords(a)) != 4*len(a) {
				t.Error("words are lost")
			}
		}
	})
}
