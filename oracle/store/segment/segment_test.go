package segment_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/oracle/store"
	"heliograph/oracle/store/segment"
	"heliograph/oracle/store/storetest"
)

func TestLog(t *testing.T) {
	storetest.RunLog(t, func(t testing.TB) storetest.OpenLog {
		dir := filepath.Join(t.TempDir(), "state", "log")
		return func() (store.Log, error) {
			l, _, err := segment.Open(dir, segment.Config{SegmentBytes: 8 << 10})
			return l, err
		}
	})
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	l, _, err := segment.Open(dir, segment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = segment.Open(dir, segment.Config{})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "stop that process") {
		t.Errorf("second Open: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, _, err = segment.Open(dir, segment.Config{}); err != nil {
		t.Fatalf("after Close: %v", err)
	}
	l.Close()
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	l, _, err := segment.Open(dir, segment.Config{MinFree: math.MaxInt64})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := size(t, dir)
	for range 2 { // the log goes on: room may come
		if _, err := l.Append(context.Background(), 0, []byte("x")); !errors.Is(err, store.ErrFull) {
			t.Errorf("Append: %v", err)
		}
	}
	if l.End(0) != 0 || size(t, dir) != before {
		t.Error("something was written")
	}
}

func size(t *testing.T, dir string) (sum int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		st, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		sum += st.Size()
	}
	return sum
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]segment.Config{
		"small segments": {SegmentBytes: 1}, "large segments": {SegmentBytes: 5 << 30},
		"small commits": {CommitBytes: 1}, "large commits": {CommitBytes: 1 << 30},
	} {
		if l, _, err := segment.Open(t.TempDir(), c); err == nil {
			l.Close()
			t.Errorf("%s: opened", name)
		}
	}
}
