package radiohw

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
)

// Limits of what is searched for images.
const (
	maxSource = 1 << 20 // bytes of a file
	maxFiles  = 20_000
)

// Imported is an image that was found.
type Imported struct {
	Name string `json:"name"`
	From string `json:"from"` // file it was taken out of
	To   string `json:"to"`   // file it was stored in
}

// imageFile is where an image is stored.
func imageFile(store, name string) string { return filepath.Join(store, name+".bin") }

// Import searches dir, which may hold the vendor's sources (sx1302_hal) or bare
// images, for the known images, recognizes them by their SHA-256 alone, and stores
// what it finds in store. It fails when it finds none.
func Import(dir, store string, known []sx1302.Image) ([]Imported, error) {
	found := map[string]Imported{}
	data := map[string][]byte{}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		}
		if files++; files > maxFiles {
			return fmt.Errorf("more than %d files: name the directory of sx1302_hal", maxFiles)
		}
		images, err := imagesIn(path, d, known)
		for name, b := range images {
			if _, again := data[name]; !again {
				found[name], data[name] = Imported{Name: name, From: path, To: imageFile(store, name)}, b
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("radiohw: import firmware: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("radiohw: import firmware: no image of sx1302_hal V2.1.0 in %s: clone github.com/Lora-net/sx1302_hal at V2.1.0 and name its directory", dir)
	}
	if err := os.MkdirAll(store, 0o755); err != nil {
		return nil, fmt.Errorf("radiohw: import firmware: %w", err)
	}
	var out []Imported
	for _, k := range known {
		if b, ok := data[k.Name]; ok {
			if err := replaceFile(imageFile(store, k.Name), b); err != nil {
				return out, fmt.Errorf("radiohw: import firmware: %w", err)
			}
			out = append(out, found[k.Name])
		}
	}
	return out, nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".import-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// imagesIn finds known images in one file: the file itself, or arrays in C source.
func imagesIn(path string, d fs.DirEntry, known []sx1302.Image) (map[string][]byte, error) {
	info, err := d.Info()
	if err != nil || info.Size() > maxSource {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	note := func(b []byte) {
		if k, ok := identify(b, known); ok {
			out[k.Name] = b
		}
	}
	note(b)
	switch filepath.Ext(path) {
	case ".var", ".c", ".h", ".inc":
		for _, values := range arrays(b) {
			note(asBytes(values))
			note(asWords(values))
		}
	}
	return out, nil
}

func identify(b []byte, known []sx1302.Image) (sx1302.Image, bool) {
	for _, k := range known {
		if len(b) == k.Size && sum(b) == k.SHA256 {
			return k, true
		}
	}
	return sx1302.Image{}, false
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// An array in C source, and a number in it.
var (
	arrayText  = regexp.MustCompile(`\]\s*=\s*\{([^{}]*)\}`)
	commentsOf = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	numberText = regexp.MustCompile(`0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}`)
)

// arrays are the number arrays that C source defines.
func arrays(src []byte) [][]uint32 {
	src = commentsOf.ReplaceAll(src, []byte(" "))
	var out [][]uint32
	for _, m := range arrayText.FindAllSubmatch(src, -1) {
		var values []uint32
		for _, n := range numberText.FindAll(m[1], -1) {
			v, err := strconv.ParseUint(string(n), 0, 32)
			if err != nil {
				values = nil
				break
			}
			values = append(values, uint32(v))
		}
		if len(values) > 0 {
			out = append(out, values)
		}
	}
	return out
}

// asBytes is an array of bytes, nil when it is none.
func asBytes(values []uint32) []byte {
	out := make([]byte, len(values))
	for i, v := range values {
		if v > 0xFF {
			return nil
		}
		out[i] = byte(v)
	}
	return out
}

// asWords are 32-bit words as they are sent to the SX1261: most significant byte
// first.
func asWords(values []uint32) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}

// LoadFirmware reads the images that a configuration needs from store. An image
// that is not there is left out: starting the chip then says what is missing and
// how to get it. Unknown names those that are none of the vendor's, which only a
// simulated chip runs.
func LoadFirmware(store string, cfg *sx1302.Config) (fw sx1302.Firmware, unknown []string, err error) {
	agc := "agc_sx125x"
	if cfg.Radios[cfg.ClockSource].Kind == calc.SX1250 {
		agc = "agc_sx1250"
	}
	for _, want := range []struct {
		name string
		to   *[]byte
		need bool
	}{
		{agc, &fw.AGC, true}, {"arb", &fw.ARB, true},
		{"cal_sx125x", &fw.Cal, agc == "agc_sx125x"}, {"sx1261", &fw.SX1261, cfg.SX1261.Enable},
	} {
		if !want.need || store == "" {
			continue
		}
		b, err := readLimited(imageFile(store, want.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fw, unknown, fmt.Errorf("radiohw: load firmware: %w", err)
		}
		if _, ok := sx1302.IdentifyImage(b); !ok {
			unknown = append(unknown, want.name)
		}
		*want.to = b
	}
	return fw, unknown, nil
}

// readLimited reads a file that may not be longer than maxSource.
func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSource {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxSource)
	}
	return os.ReadFile(path)
}

// StoreFirmware writes images where LoadFirmware finds them, such as the synthetic
// ones of a simulated chip.
func StoreFirmware(store string, cfg *sx1302.Config, fw sx1302.Firmware) error {
	if err := os.MkdirAll(store, 0o755); err != nil {
		return fmt.Errorf("radiohw: store firmware: %w", err)
	}
	agc := "agc_sx125x"
	if cfg.Radios[cfg.ClockSource].Kind == calc.SX1250 {
		agc = "agc_sx1250"
	}
	for name, b := range map[string][]byte{agc: fw.AGC, "arb": fw.ARB, "cal_sx125x": fw.Cal, "sx1261": fw.SX1261} {
		if len(b) == 0 {
			continue
		}
		if err := replaceFile(imageFile(store, name), b); err != nil {
			return fmt.Errorf("radiohw: store firmware: %w", err)
		}
	}
	return nil
}
