package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Where what is missing comes from.
const (
	fromOracle = "the oracle serves bundles at /api/epochs/EPOCH/bundle, and such a URL can be named, too"
	fromShow   = "`oraclectl policy --help` says what is in one"
)

// openFile opens a file that was named on the command line. An error says what to do;
// the remedy is for one that is missing.
func openFile(path, remedy string) (*os.File, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist: check the name; %s", path, remedy)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s cannot be read by this user: change its mode, or copy it", path)
	case err != nil:
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, fmt.Errorf("%s is a directory: name a file in it (an oracle's data directory goes to --data)", path)
	}
	return f, nil
}
