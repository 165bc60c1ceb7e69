package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"heliograph/oracle/store"
)

func put(key, value string) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.Put([]byte(key), []byte(value)) }
}

// value is what the store holds under the key, "-" if nothing.
func value(t *testing.T, kv store.KV, key string) string {
	t.Helper()
	out := "-"
	err := kv.View(bg, func(tx store.Tx) error {
		v, err := tx.Get([]byte(key))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		out = string(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func kvLimits(t *testing.T, kv store.KV) {
	if err := kv.Update(bg, func(tx store.Tx) error {
		return tx.Put(make([]byte, store.MaxKey), make([]byte, store.MaxValue))
	}); err != nil {
		t.Errorf("largest key and value: %v", err)
	}
	large := map[string]func(store.Tx) error{
		"key":   func(tx store.Tx) error { return tx.Put(make([]byte, store.MaxKey+1), nil) },
		"value": func(tx store.Tx) error { return tx.Put([]byte("k"), make([]byte, store.MaxValue+1)) },
		"get":   func(tx store.Tx) error { _, err := tx.Get(make([]byte, store.MaxKey+1)); return err },
		"keys": func(tx store.Tx) error {
			for i := range store.MaxTxKeys + 1 {
				if err := tx.Put(fmt.Appendf(nil, "%d", i), nil); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, f := range large {
		if err := kv.Update(bg, f); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s over the limit: %v", name, err)
		}
	}
	if err := kv.Update(bg, func(tx store.Tx) error { return tx.Put(nil, nil) }); err == nil {
		t.Error("an empty key was taken")
	}
	if err := kv.Update(bg, func(tx store.Tx) error {
		for i := range store.MaxTxKeys {
			if err := tx.Put(fmt.Appendf(nil, "%d", i), nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Errorf("%d keys in a transaction: %v", store.MaxTxKeys, err)
	}
}

// kvSpoiled ignores the error of a write; the transaction must fail all the same.
func kvSpoiled(t *testing.T, kv store.KV) {
	all := func(k, v []byte) bool { return true }
	for name, f := range map[string]func(store.Tx){
		"too large": func(tx store.Tx) { _ = tx.Put([]byte("k"), make([]byte, store.MaxValue+1)) },
		"in scan": func(tx store.Tx) {
			_ = tx.Scan(nil, nil, func(k, v []byte) bool { _ = tx.Delete(k); return true })
		},
	} {
		if err := kv.Update(bg, put("k", "1")); err != nil {
			t.Fatal(err)
		}
		err := kv.Update(bg, func(tx store.Tx) error {
			if err := tx.Put([]byte("k"), []byte("2")); err != nil {
				return err
			}
			f(tx)
			return tx.Scan(nil, nil, all)
		})
		if err == nil || value(t, kv, "k") != "1" {
			t.Errorf("%s: error %v, value %q", name, err, value(t, kv, "k"))
		}
	}
	for name, f := range map[string]func(store.Tx){
		"put":    func(tx store.Tx) { _ = tx.Put([]byte("k"), nil) },
		"delete": func(tx store.Tx) { _ = tx.Delete([]byte("k")) },
	} {
		if err := kv.View(bg, func(tx store.Tx) error { f(tx); return nil }); err == nil {
			t.Errorf("View lets a %s pass", name)
		}
	}
	if value(t, kv, "k") != "1" {
		t.Error("View wrote")
	}
}

func kvRollback(t *testing.T, kv store.KV) {
	if err := kv.Update(bg, put("k", "1")); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	err := kv.Update(bg, func(tx store.Tx) error { return errors.Join(put("k", "2")(tx), put("l", "2")(tx), mine) })
	if !errors.Is(err, mine) || value(t, kv, "k") != "1" || value(t, kv, "l") != "-" {
		t.Errorf("error %v, k = %q, l = %q", err, value(t, kv, "k"), value(t, kv, "l"))
	}
}

func kvContext(t *testing.T, kv store.KV) {
	ended, cancel := context.WithCancel(bg)
	cancel()
	ran := func(store.Tx) error { t.Error("the closure ran"); return nil }
	if err := kv.Update(ended, ran); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v", err)
	}
	if err := kv.View(ended, ran); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v", err)
	}
	ctx, cancel := context.WithCancel(bg)
	err := kv.Update(ctx, func(tx store.Tx) error { cancel(); return put("k", "v")(tx) })
	if !errors.Is(err, context.Canceled) || value(t, kv, "k") != "-" {
		t.Errorf("committed after the context ended: %v", err)
	}
	// A second writer waits for its turn, and no longer than its context.
	err = kv.Update(bg, func(store.Tx) error {
		waiting, cancel := context.WithCancel(bg)
		got := make(chan error)
		go func() { got <- kv.Update(waiting, func(store.Tx) error { return nil }) }()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting Update: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func kvClosed(t *testing.T, kv store.KV) {
	for i := range 2 {
		if err := kv.Close(); err != nil {
			t.Fatalf("Close number %d: %v", i+1, err)
		}
	}
	if err := kv.Update(bg, put("k", "v")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update: %v", err)
	}
	if err := kv.View(bg, func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View: %v", err)
	}
}

// kvCopies changes key and value after Put, within the transaction.
func kvCopies(t *testing.T, kv store.KV) {
	err := kv.Update(bg, func(tx store.Tx) error {
		k, v := []byte("key"), []byte("value")
		if err := tx.Put(k, v); err != nil {
			return err
		}
		copy(k, "xxx")
		copy(v, "xxxxx")
		return nil
	})
	if err != nil || value(t, kv, "key") != "value" || value(t, kv, "xxx") != "-" {
		t.Errorf("error %v, key = %q, xxx = %q", err, value(t, kv, "key"), value(t, kv, "xxx"))
	}
}

// kvIsolation: a View does not see a commit that happens while it is open.
func kvIsolation(t *testing.T, kv store.KV) {
	if err := kv.Update(bg, put("k", "old")); err != nil {
		t.Fatal(err)
	}
	err := kv.View(bg, func(tx store.Tx) error {
		got := make(chan error)
		go func() { got <- kv.Update(bg, put("k", "new")) }()
		if err := <-got; err != nil {
			return err
		}
		v, err := tx.Get([]byte("k"))
		if string(v) != "old" {
			t.Errorf("the view changed to %q", v)
		}
		return err
	})
	if err != nil || value(t, kv, "k") != "new" {
		t.Errorf("error %v, value %q", err, value(t, kv, "k"))
	}
}

// kvCounter: read-modify-write from many goroutines loses no update.
func kvCounter(t *testing.T, kv store.KV) {
	const writers, each = 8, 10
	key := []byte("n")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := kv.Update(bg, func(tx store.Tx) error {
					var n uint64
					if v, err := tx.Get(key); err == nil {
						n = binary.BigEndian.Uint64(v)
					} else if !errors.Is(err, store.ErrNotFound) {
						return err
					}
					return tx.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := binary.BigEndian.Uint64([]byte(value(t, kv, "n"))); got != writers*each {
		t.Errorf("counted %d of %d", got, writers*each)
	}
}

func kvEmptyValue(t *testing.T, kv store.KV) {
	for _, v := range [][]byte{nil, {}} {
		err := kv.Update(bg, func(tx store.Tx) error {
			if err := tx.Put([]byte("e"), v); err != nil {
				return err
			}
			_, err := tx.Get([]byte("e"))
			return err
		})
		if err != nil || value(t, kv, "e") != "" {
			t.Errorf("an empty value is not the same as none: %v", err)
		}
	}
	if err := kv.Update(bg, func(tx store.Tx) error { return tx.Delete([]byte("never there")) }); err != nil {
		t.Errorf("Delete of a key that is not there: %v", err)
	}
}

// kvPanic: a closure that panics changes nothing and blocks nobody.
func kvPanic(t *testing.T, kv store.KV) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = kv.Update(bg, func(tx store.Tx) error { _ = put("k", "v")(tx); panic("closure") })
	}()
	if err := kv.Update(bg, put("l", "v")); err != nil || value(t, kv, "k") != "-" {
		t.Errorf("error %v, k = %q", err, value(t, kv, "k"))
	}
}
