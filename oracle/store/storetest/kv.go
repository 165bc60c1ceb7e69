package storetest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heliograph/oracle/store"
)

// An OpenKV opens the store over the same stored bytes each time; the one opened
// before has been closed.
type OpenKV func() (store.KV, error)

// RunKV checks a KV implementation. fresh returns the opener of a new, empty
// store.
func RunKV(t *testing.T, fresh func(t testing.TB) OpenKV) {
	t.Run("model", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			m := &kvMachine{open: fresh(t), model: map[string]string{}}
			m.reopen(rt)
			defer func() { m.kv.Close() }()
			rt.Repeat(map[string]func(*rapid.T){"update": m.update, "view": m.view, "reopen": m.reopen})
			m.reopen(rt)
			m.view(rt)
		})
	})
	for name, f := range map[string]func(*testing.T, store.KV){
		"limits": kvLimits, "spoiled": kvSpoiled, "rollback": kvRollback, "context": kvContext, "closed": kvClosed,
		"copies": kvCopies, "isolation": kvIsolation, "counter": kvCounter, "empty": kvEmptyValue, "panic": kvPanic,
	} {
		t.Run(name, func(t *testing.T) {
			kv, err := fresh(t)()
			if err != nil {
				t.Fatal(err)
			}
			defer kv.Close()
			f(t, kv)
		})
	}
}

type kvMachine struct {
	open  OpenKV
	kv    store.KV
	model map[string]string
}

// Few short keys with common prefixes, bytes at both ends of the range.
var genKey = rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0x7f}), 1, 4, -1)
var genValue = rapid.OneOf(rapid.StringN(0, 20, 20), rapid.Map(rapid.IntRange(0, 10_000),
	func(n int) string { return strings.Repeat("v", n) }))
var errUndo = errors.New("undo")

type kvOp struct {
	delete     bool
	key, value string
}

var genOps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) kvOp {
	return kvOp{rapid.IntRange(0, 3).Draw(t, "kind") == 0, genKey.Draw(t, "key"), genValue.Draw(t, "value")}
}), 0, 12)

func (m *kvMachine) update(t *rapid.T) {
	ops, undo := genOps.Draw(t, "ops"), rapid.IntRange(0, 4).Draw(t, "undo") == 0
	next := map[string]string{}
	err := m.kv.Update(bg, func(tx store.Tx) error {
		clear(next) // the closure may run again
		maps.Copy(next, m.model)
		for _, op := range ops {
			var err error
			if op.delete {
				err = tx.Delete([]byte(op.key))
				delete(next, op.key)
			} else {
				err = tx.Put([]byte(op.key), []byte(op.value))
				next[op.key] = op.value
			}
			if err != nil {
				return err
			}
			compareGet(t, tx, next, op.key)
		}
		compareScan(t, tx, next, "", "", 1<<30)
		if undo {
			return errUndo
		}
		return nil
	})
	switch {
	case undo && err != errUndo, !undo && err != nil:
		t.Fatalf("Update: %v", err)
	case !undo:
		m.model = next
	}
}

func (m *kvMachine) view(t *rapid.T) {
	prefix, from := "", ""
	if rapid.Bool().Draw(t, "prefixed") {
		prefix = genKey.Draw(t, "prefix")
	}
	if rapid.Bool().Draw(t, "started") {
		from = genKey.Draw(t, "from")
	}
	key, most := genKey.Draw(t, "key"), rapid.IntRange(1, 8).Draw(t, "most")
	err := m.kv.View(bg, func(tx store.Tx) error {
		compareGet(t, tx, m.model, key)
		compareScan(t, tx, m.model, "", "", 1<<30)
		compareScan(t, tx, m.model, prefix, from, most)
		return nil
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
}

func compareGet(t *rapid.T, tx store.Tx, model map[string]string, key string) {
	v, err := tx.Get([]byte(key))
	want, ok := model[key]
	if ok && (err != nil || string(v) != want) || !ok && !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Get(%q) = %d bytes, %v; want present %v, %d bytes", key, len(v), err, ok, len(want))
	}
}

func compareScan(t *rapid.T, tx store.Tx, model map[string]string, prefix, from string, most int) {
	var want, got []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, prefix) && k >= from && len(want) < most {
			want = append(want, k)
		}
	}
	err := tx.Scan([]byte(prefix), []byte(from), func(k, v []byte) bool {
		if !bytes.Equal(v, []byte(model[string(k)])) {
			t.Fatalf("Scan yields a wrong value for %q", k)
		}
		got = append(got, string(k))
		return len(got) < most
	})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Scan(%q, %q) = %q, %v; want %q", prefix, from, got, err, want)
	}
}

func (m *kvMachine) reopen(t *rapid.T) {
	if m.kv != nil {
		if err := m.kv.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	kv, err := m.open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.kv = kv
}
