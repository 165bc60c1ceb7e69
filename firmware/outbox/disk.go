package outbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const suffix = ".obx"

// Recovery is what [Open] found on disk.
type Recovery struct {
	Entries    int      // live entries
	Torn       int      // bytes of torn ends that were cut off
	Damaged    []string // files with a damaged middle, kept under these names
	WriteError error    // the disk cannot be written: entries live in memory
}

// disk is the files. It is not safe for concurrent use.
type disk struct {
	dir     string
	segment int // length at which a file is closed

	files   []uint64 // numbers of the files, oldest first
	highest uint64   // number given last, also to files that are gone
	cur     *os.File // newest file, open for appending; nil after a failed write
	curLen  int
	bytes   int    // in all files
	written uint64 // ever
}

func (d *disk) path(n uint64) string { return filepath.Join(d.dir, fmt.Sprintf("%010d%s", n, suffix)) }

// load reads all files. Unreadable ones are damage, not failure: only a
// directory that cannot be listed is an error.
func (d *disk) load() (*state, Recovery, error) {
	s := &state{live: map[uint64]*Entry{}, gone: map[uint64]bool{}}
	var rec Recovery
	names, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, rec, fmt.Errorf("outbox: open: %w", err)
	}
	for _, n := range names {
		name := strings.TrimSuffix(n.Name(), ".damaged")
		num, err := strconv.ParseUint(strings.TrimSuffix(name, suffix), 10, 63)
		if err != nil || !strings.HasSuffix(name, suffix) {
			continue
		}
		d.highest = max(d.highest, num)
		if name == n.Name() {
			d.files = append(d.files, num)
		}
	}
	slices.Sort(d.files)
	d.forgetDamaged(names)
	for i, num := range d.files {
		b, err := readFile(d.path(num))
		damage := s.readFile(b)
		rec.Torn += damage.torn
		d.bytes += len(b)
		last := i == len(d.files)-1
		if err == nil && !damage.middle && (damage.torn == 0 || last) {
			continue
		}
		aside := d.path(num) + ".damaged"
		rec.Damaged = append(rec.Damaged, aside)
		if err := copyFile(aside, b); err != nil {
			rec.WriteError = err
		}
	}
	return s, rec, nil
}

// keepDamaged is how many damaged files are kept for inspection.
const keepDamaged = 4

// forgetDamaged deletes all but the newest damaged files. ReadDir sorts by name,
// which is by age here.
func (d *disk) forgetDamaged(names []os.DirEntry) {
	var aside []string
	for _, n := range names {
		if strings.HasSuffix(n.Name(), suffix+".damaged") {
			aside = append(aside, n.Name())
		}
	}
	for _, name := range aside[:max(0, len(aside)-keepDamaged)] {
		_ = os.Remove(filepath.Join(d.dir, name)) // tried again at the next start
	}
}

// maxFile bounds what is read of one file; a segment is closed far earlier.
const maxFile = 64 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile)) // with an error, as far as it got
}

// copyFile keeps a damaged file for inspection. The original is deleted only
// after its readable entries have been written to a new file.
func copyFile(path string, b []byte) error {
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("outbox: keep damaged file: %w", err)
	}
	return nil
}

// restart writes entries to a new file, syncs it, and deletes all others.
func (d *disk) restart(entries []*Entry) error {
	if len(entries) == 0 && len(d.files) == 0 {
		return nil // a first start: no file before there is something to keep
	}
	var buf []byte
	for _, e := range entries {
		buf = appendPut(buf, e)
	}
	old, oldBytes := slices.Clone(d.files), d.bytes
	if err := d.newFile(); err != nil {
		return err
	}
	if err := d.append(buf); err != nil {
		return err
	}
	for i, n := range old {
		if err := os.Remove(d.path(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.files = append(slices.Clone(old[i:]), d.files...)
			return fmt.Errorf("outbox: compact: %w", err)
		}
	}
	d.files = d.files[len(old):]
	d.bytes -= oldBytes
	return nil
}

// newFile closes the current file and begins the next one.
func (d *disk) newFile() error {
	if err := d.close(); err != nil {
		return err
	}
	d.highest++
	f, err := os.OpenFile(d.path(d.highest), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("outbox: new file: %w", err)
	}
	if _, err := f.WriteString(magic); err != nil {
		return errors.Join(fmt.Errorf("outbox: new file: %w", err), f.Close())
	}
	if err := syncDir(d.dir); err != nil {
		return errors.Join(fmt.Errorf("outbox: new file: %w", err), f.Close())
	}
	d.cur, d.curLen = f, len(magic)
	d.files = append(d.files, d.highest)
	d.bytes += len(magic)
	d.written += uint64(len(magic))
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// append writes records and syncs. After a failure the file is abandoned: what
// follows a torn record must not share its file.
func (d *disk) append(b []byte) error {
	if d.cur == nil || d.curLen+len(b) > d.segment && d.curLen > len(magic) {
		if err := d.newFile(); err != nil {
			return err
		}
	}
	n, err := d.cur.Write(b)
	d.curLen += n
	d.bytes += n
	d.written += uint64(n)
	if err == nil {
		err = d.cur.Sync()
	}
	if err != nil {
		cerr := d.close()
		return errors.Join(fmt.Errorf("outbox: write: %w", err), cerr)
	}
	return nil
}

func (d *disk) close() error {
	if d.cur == nil {
		return nil
	}
	err := d.cur.Close()
	d.cur = nil
	return err
}
