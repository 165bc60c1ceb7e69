package radiohw

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	got, err := Import(dir, store, known)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{"agc_sx1250": agc, "arb": arb, "sx1261": patch}
	if len(got) != len(want) {
		t.Fatalf("imported %+v", got)
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
	if _, err := Import(dir, t.TempDir(), known); err == nil || !strings.Contains(err.Error(), "sx1302_hal") {
		t.Errorf("damaged image: %v", err)
	}
	if _, err := Import(filepath.Join(dir, "absent"), t.TempDir(), known); err == nil {
		t.Error("a directory that is not there was searched")
	}
}

func TestLoadFirmwareLeavesOut(t *testing.T) {
	cfg := sx1302.Config{Radios: [2]sx1302.Radio{{Enable: true, Kind: calc.SX1250}}}
	fw, _, err := LoadFirmware(t.TempDir(), &cfg)
	if err != nil || fw.AGC != nil || fw.ARB != nil {
		t.Errorf("empty store: %v, %d, %d", err, len(fw.AGC), len(fw.ARB))
	}
}

func TestBlank(t *testing.T) {
	if err := calc.CheckImage(Blank().AGC); err != nil {
		t.Error(err)
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
