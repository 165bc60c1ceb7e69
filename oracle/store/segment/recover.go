package segment

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"heliograph/oracle/store"
)

const (
	suffix  = ".seg"
	tmpName = "next.tmp"
)

func segmentName(seq uint64) string { return fmt.Sprintf("%016d%s", seq, suffix) }

// segmentSeq is the inverse of segmentName. Other names are not ours.
func segmentSeq(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) < 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0 && segmentName(seq) == name
}

// OpenReport says what Open found.
type OpenReport struct {
	Segments int
	Frames   int   // in all segments
	Bytes    int64 // of all segments, after truncation

	// A torn tail that was cut off: how much, in which file, at which byte, and
	// what stood there. TruncatedBytes is 0 after a clean stop and after a crash
	// that hit no write.
	TruncatedBytes int64
	File           string
	At             int64
	Problem        string

	// Clean says that the log had been closed in order (or is new).
	Clean bool
}

// damage is the error for bytes that were durable once.
func damage(dir, name string, at int64, cause string) error {
	file := filepath.Join(dir, name)
	return fmt.Errorf("%w: %s: at byte %d: %s: nothing was changed; restore %s from a backup, "+
		"or run `oraclectl doctor` to see which frames can still be read", store.ErrDamaged, file, at, cause, name)
}

// scanError turns what scan returned into an error with a remedy.
func scanError(dir, name string, err error) error {
	var b *breach
	if errors.As(err, &b) {
		return damage(dir, name, b.at, b.cause)
	}
	return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
}

// list returns the numbers of the segments in order, without gaps, and removes
// what a crash left of a segment that was being made.
func list(f fsys) ([]uint64, error) {
	names, err := f.List()
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.Dir(), err)
	}
	var seqs []uint64
	for _, name := range names {
		if name == tmpName {
			if err := f.Remove(name); err != nil {
				return nil, fmt.Errorf("remove: %w", err)
			}
		}
		if seq, ok := segmentSeq(name); ok {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	for i := 1; i < len(seqs); i++ {
		if want := seqs[i-1] + 1; seqs[i] != want {
			return nil, damage(f.Dir(), segmentName(want), 0, "the file is missing, later ones are there")
		}
	}
	return seqs, nil
}

// recoverAll reads all segments and mends the tail of the last one.
func recoverAll(f fsys, logger *slog.Logger) ([]*segment, OpenReport, error) {
	rep := OpenReport{Clean: true}
	seqs, err := list(f)
	if err != nil {
		return nil, rep, err
	}
	var segs []*segment
	for i, seq := range seqs {
		var before *segment
		if i > 0 {
			before = segs[i-1]
		}
		s, err := recoverSegment(f, seq, i == len(seqs)-1, &rep)
		if err != nil {
			return nil, rep, err
		}
		if before != nil && s.base != before.next() {
			return nil, rep, damage(f.Dir(), segmentName(seq), 24, "offsets in the file header do not follow from the segment before")
		}
		segs = append(segs, s)
		rep.Segments++
		rep.Bytes += s.size
	}
	if rep.TruncatedBytes > 0 {
		logger.Warn("segment log: cut off the torn tail of an interrupted write; no acknowledged frame is affected",
			"file", rep.File, "at_byte", rep.At, "truncated_bytes", rep.TruncatedBytes, "problem", rep.Problem)
	}
	return segs, rep, nil
}

// recoverSegment reads one segment. Only the last one may end anywhere.
func recoverSegment(f fsys, seq uint64, last bool, rep *OpenReport) (*segment, error) {
	name := segmentName(seq)
	open := f.OpenRead
	if last {
		open = f.OpenWrite
	}
	fl, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	s, err := recoverFile(f.Dir(), fl, seq, last, rep)
	return s, errors.Join(err, fl.Close())
}

func recoverFile(dir string, fl file, seq uint64, last bool, rep *OpenReport) (*segment, error) {
	name := segmentName(seq)
	size, err := fl.Size()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sc, err := scan(fl, size)
	if err != nil {
		return nil, scanError(dir, name, err)
	}
	if sc.header.seq != seq {
		return nil, damage(dir, name, 8, fmt.Sprintf("the file header says segment %d", sc.header.seq))
	}
	if !last {
		if sc.problem != "" {
			return nil, damage(dir, name, sc.good, sc.problem)
		}
		if sc.last != kindSealed {
			return nil, damage(dir, name, size, "the file ends without the mark of a sealed segment, a later one is there")
		}
	} else if err := mendTail(dir, fl, sc, size, rep); err != nil {
		return nil, err
	}
	rep.Frames += sc.frames
	return &segment{seq: seq, seed: sc.header.seed(), base: sc.header.base, pos: sc.pos,
		size: sc.good, frames: sc.frames, sealed: sc.last == kindSealed}, nil
}

// mendTail cuts a torn tail off, unless it is damage, and makes the last commit
// durable for certain.
func mendTail(dir string, fl file, sc *scanned, size int64, rep *OpenReport) error {
	name := segmentName(sc.header.seq)
	rep.Clean = sc.last == kindClosed && sc.good == size
	if sc.problem != "" {
		at, found, err := laterCommit(fl, size, sc.good, sc.header.seed())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if found {
			return damage(dir, name, sc.good, fmt.Sprintf("%s, but the item at byte %d was written after these bytes were durable", sc.problem, at))
		}
		rep.TruncatedBytes, rep.File, rep.At, rep.Problem = size-sc.good, filepath.Join(dir, name), sc.good, sc.problem
		if err := fl.Truncate(sc.good); err != nil {
			return fmt.Errorf("cut the torn tail off %s: %w", name, err)
		}
	}
	if sc.last != 0 {
		b := make([]byte, sc.good-sc.group)
		if _, err := fl.ReadAt(b, sc.group); err != nil {
			return fmt.Errorf("%s: read the last commit again: %w", name, err)
		}
		if _, err := fl.WriteAt(b, sc.group); err != nil {
			return fmt.Errorf("%s: write the last commit again: %w", name, err)
		}
	}
	if err := fl.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return nil
}
