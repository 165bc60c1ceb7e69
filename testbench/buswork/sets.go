package buswork

import (
	"bufio"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"heliograph/hardware/sx1302"
)

//go:embed testdata
var testdata embed.FS

// Sets are recordings of the vendor's packet forwarder: for each set its
// configuration, <set>_conf.json, and <set>_startup.jsonl or
// <set>_startup_writes.jsonl, _rx_fetch.jsonl and _tx.jsonl, each as it is or
// compressed (.gz).
type Sets struct {
	fs fs.FS
	in string
}

// Own are the recordings that this package carries.
func Own() Sets {
	sub, err := fs.Sub(testdata, "testdata")
	if err != nil {
		panic(err) // the name is constant
	}
	return Sets{sub, "testbench/buswork/testdata"}
}

// In are the recordings of a directory, or [Own] when it is empty.
func In(dir string) Sets {
	if dir == "" {
		return Own()
	}
	return Sets{os.DirFS(dir), dir}
}

// Names lists the sets.
func (s Sets) Names() ([]string, error) {
	files, err := fs.Glob(s.fs, "*_conf.json")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("buswork: no <set>_conf.json in %s (%v): name a directory of recordings", s.in, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, "_conf.json")
	}
	return files, nil
}

// conf is the configuration that a set was recorded with.
func (s Sets) conf(set string) (sx1302.GlobalConf, error) {
	text, err := fs.ReadFile(s.fs, set+"_conf.json")
	if err != nil {
		return sx1302.GlobalConf{}, err
	}
	return sx1302.ParseGlobalConf(text)
}

// recorded reads a recording; ok is false where there is none of that kind.
func (s Sets) recorded(set, kind string) (rs []record, ok bool, err error) {
	name := set + "_" + kind + ".jsonl"
	f, err := s.fs.Open(name)
	var r io.Reader = f
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = s.fs.Open(name + ".gz"); errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		if err == nil {
			r, err = gzip.NewReader(f)
		}
	}
	if f != nil {
		defer f.Close()
	}
	if err != nil {
		return nil, false, fmt.Errorf("buswork: %s: %w", name, err)
	}
	for dec := json.NewDecoder(bufio.NewReader(r)); ; {
		var one record
		if err := dec.Decode(&one); errors.Is(err, io.EOF) {
			return rs, true, nil
		} else if err != nil {
			return nil, false, fmt.Errorf("buswork: %s: %w", name, err)
		}
		rs = append(rs, one)
	}
}
