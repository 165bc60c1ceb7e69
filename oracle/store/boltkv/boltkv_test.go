package boltkv_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/oracle/store"
	"heliograph/oracle/store/boltkv"
	"heliograph/oracle/store/storetest"
)

var bg = context.Background()

func TestKV(t *testing.T) {
	storetest.RunKV(t, func(t testing.TB) storetest.OpenKV {
		path := filepath.Join(t.TempDir(), "state", "kv.db")
		return func() (store.KV, error) { return boltkv.Open(path, boltkv.Config{Verify: true}) }
	})
}

// filled returns the path of a closed store with some pages.
func filled(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kv.db")
	kv, err := boltkv.Open(path, boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		err := kv.Update(bg, func(tx store.Tx) error {
			for i := range 500 {
				if err := tx.Put(fmt.Appendf(nil, "key %d %d", round, i), make([]byte, 100)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLock(t *testing.T) {
	path := filled(t)
	kv, err := boltkv.Open(path, boltkv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = boltkv.Open(path, boltkv.Config{LockTimeout: time.Millisecond})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("second Open: %v", err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := boltkv.Open(path, boltkv.Config{LockTimeout: time.Millisecond})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	again.Close()
}

// A file that is not what bbolt left must give an error with path and remedy,
// and must give the lock back, so that the operator can put a backup in place.
func TestDamage(t *testing.T) {
	good, err := os.ReadFile(filled(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]func([]byte) []byte{
		"not bbolt":        func([]byte) []byte { return []byte("SQLite format 3\x00 and more") },
		"both metas":       func(b []byte) []byte { copy(b[16:], make([]byte, 64)); copy(b[4096+16:], make([]byte, 64)); return b },
		"cut to the metas": func(b []byte) []byte { return b[:8192] },
		"cut to a page":    func(b []byte) []byte { return b[:4096*3] },
		"pages zeroed":     func(b []byte) []byte { clear(b[8192:]); return b },
		"pages garbled": func(b []byte) []byte {
			for i := 8192; i < len(b); i++ {
				b[i] ^= 0x5a
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kv.db")
			if err := os.WriteFile(path, bad(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			kv, err := boltkv.Open(path, boltkv.Config{Verify: true, LockTimeout: time.Millisecond})
			if err == nil {
				kv.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "oraclectl") {
				t.Errorf("error without cause, path or remedy: %v", err)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			if kv, err = boltkv.Open(path, boltkv.Config{Verify: true, LockTimeout: time.Millisecond}); err != nil {
				t.Fatalf("with the good file back: %v", err)
			}
			kv.Close()
		})
	}
}

func TestFull(t *testing.T) {
	path := filled(t)
	kv, err := boltkv.Open(path, boltkv.Config{MinFree: math.MaxUint64})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	err = kv.Update(bg, func(store.Tx) error { t.Error("the closure ran"); return nil })
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("Update: %v", err)
	}
	if err := kv.View(bg, func(tx store.Tx) error { _, err := tx.Get([]byte("key 0 0")); return err }); err != nil {
		t.Errorf("View: %v", err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, keys := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			kv, err := boltkv.Open(filepath.Join(b.TempDir(), "kv.db"), boltkv.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer kv.Close()
			n, value := 0, make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				start := n
				if err := kv.Update(bg, func(tx store.Tx) error {
					n = start
					for range keys {
						n++
						if err := tx.Put(fmt.Appendf(nil, "%016d", n), value); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*keys)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	kv, err := boltkv.Open(filled(b), boltkv.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer kv.Close()
	key := []byte("key 1 250")
	b.ReportAllocs()
	for b.Loop() {
		if err := kv.View(bg, func(tx store.Tx) error { _, err := tx.Get(key); return err }); err != nil {
			b.Fatal(err)
		}
	}
}
