package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenFileNamesRemedies: no bare "no such file or directory".
func TestOpenFileNamesRemedies(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{filepath.Join(dir, "missing"): fromOracle, dir: "--data"} {
		if f, err := openFile(path, fromOracle); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", path, f, err)
		}
	}
}
