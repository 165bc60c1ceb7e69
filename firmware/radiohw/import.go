package radiohw

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"heliograph/hardware/sx1302"
)

// maxFiles bounds how many files are searched for images.
const maxFiles = 20_000

// Imported is an image that was found.
type Imported struct {
	Name string `json:"name"`
	From string `json:"from"` // file it was taken out of
	To   string `json:"to"`   // file it was stored in
}

// Damaged is a file that is called like an image, and does not hold it.
type Damaged struct {
	Name string `json:"name"` // of the image
	File string `json:"file"`
}

// Import is what came of a search for images. Every known image is in Imported or in
// Missing.
type Import struct {
	Imported []Imported `json:"imported"`
	Missing  []string   `json:"missing"`
	Damaged  []Damaged  `json:"damaged"` // where the image was not found elsewhere
	Skipped  []string   `json:"skipped"` // what could not be read, and why
}

// Startable says whether some board can be started with what was found: the arbiter
// and one gain control.
func (i Import) Startable() bool {
	has := func(name string) bool { return !slices.Contains(i.Missing, name) }
	return has("arb") && (has("agc_sx1250") || has("agc_sx125x") && has("cal_sx125x"))
}

// search is a search under way.
type search struct {
	known  []sx1302.Image
	root   string
	files  int
	data   map[string][]byte // by name of the image
	from   map[string]string
	called []Damaged // files that are called like an image that is not in them
	out    Import
}

// ImportFirmware searches dir, which may hold the vendor's sources (sx1302_hal) or
// bare images, for the known images, recognizes them by their SHA-256 alone, and
// stores what it finds in store. What cannot be read is skipped and listed. It fails
// when it finds none.
func ImportFirmware(dir, store string, known []sx1302.Image) (Import, error) {
	s := search{known: known, data: map[string][]byte{}, from: map[string]string{}}
	s.out = Import{Imported: []Imported{}, Missing: []string{}, Damaged: []Damaged{}, Skipped: []string{}} // not null in JSON
	err := s.walk(dir)
	if err == nil {
		s.conclude(store)
		err = s.store(store)
	}
	if err != nil {
		return s.out, fmt.Errorf("radiohw: import firmware: %w", err)
	}
	if len(s.data) == 0 {
		return s.out, fmt.Errorf("radiohw: import firmware: no image of sx1302_hal V2.1.0 in %s%s: clone github.com/Lora-net/sx1302_hal at V2.1.0 and name its directory",
			dir, s.suspects())
	}
	return s.out, nil
}

func (s *search) walk(dir string) error {
	// A directory that is a symbolic link would not be entered.
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	s.root = root
	return filepath.WalkDir(root, s.visit)
}

func (s *search) visit(path string, d fs.DirEntry, err error) error {
	switch {
	case err != nil && path == s.root:
		return err
	case err != nil:
		s.out.Skipped = append(s.out.Skipped, err.Error())
		if d != nil && d.IsDir() {
			return fs.SkipDir
		}
		return nil
	case !d.Type().IsRegular():
		return nil
	}
	if s.files++; s.files > maxFiles {
		return fmt.Errorf("more than %d files: name the directory of sx1302_hal", maxFiles)
	}
	name := s.calledLike(path)
	images, err := imagesIn(path, d, s.known)
	if err != nil {
		s.out.Skipped = append(s.out.Skipped, err.Error())
	}
	for name, b := range images {
		if _, again := s.data[name]; !again {
			s.data[name], s.from[name] = b, path
		}
	}
	if _, ok := images[name]; name != "" && !ok && err == nil {
		s.called = append(s.called, Damaged{Name: name, File: path})
	}
	return nil
}

// calledLike is the image that a file should hold by its name, or "".
func (s *search) calledLike(path string) string {
	base := filepath.Base(path)
	i := slices.IndexFunc(s.known, func(k sx1302.Image) bool { return base == k.Name+".bin" || k.File != "" && base == k.File })
	if i < 0 {
		return ""
	}
	return s.known[i].Name
}

// conclude lists what was found and what was not.
func (s *search) conclude(store string) {
	for _, k := range s.known {
		if _, ok := s.data[k.Name]; ok {
			s.out.Imported = append(s.out.Imported, Imported{Name: k.Name, From: s.from[k.Name], To: imageFile(store, k.Name)})
		} else {
			s.out.Missing = append(s.out.Missing, k.Name)
		}
	}
	for _, c := range s.called {
		if _, ok := s.data[c.Name]; !ok {
			s.out.Damaged = append(s.out.Damaged, c)
		}
	}
}

// suspects names the damaged files in an error.
func (s *search) suspects() string {
	if len(s.out.Damaged) == 0 {
		return ""
	}
	var files []string
	for _, d := range s.out.Damaged {
		files = append(files, d.File)
	}
	return fmt.Sprintf(" (%s: damaged, or of another release)", strings.Join(files, ", "))
}

func (s *search) store(store string) error {
	if len(s.data) == 0 {
		return nil
	}
	if err := os.MkdirAll(store, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.data)) {
		if err := replaceFile(imageFile(store, name), s.data[name]); err != nil {
			return err
		}
	}
	return nil
}

// imagesIn finds known images in one file: the file itself, or arrays in C source.
func imagesIn(path string, d fs.DirEntry, known []sx1302.Image) (map[string][]byte, error) {
	info, err := d.Info()
	if err != nil || info.Size() > maxSource {
		return nil, err
	}
	b, err := readLimited(path)
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
