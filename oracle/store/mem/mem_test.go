package mem_test

import (
	"context"
	"errors"
	"testing"

	"heliograph/oracle/store"
	"heliograph/oracle/store/mem"
	"heliograph/oracle/store/storetest"
)

func TestLog(t *testing.T) {
	storetest.RunLog(t, func(testing.TB) storetest.OpenLog {
		l := mem.NewLog()
		return func() (store.Log, error) { l.Reopen(); return l, nil }
	})
}

func TestKV(t *testing.T) {
	for name, make := range map[string]func() *mem.KV{"once": mem.NewKV, "twice": mem.NewTwiceKV} {
		t.Run(name, func(t *testing.T) {
			storetest.RunKV(t, func(testing.TB) storetest.OpenKV {
				kv := make()
				return func() (store.KV, error) { kv.Reopen(); return kv, nil }
			})
		})
	}
}

// What the model does beyond the contract, so that tests of callers bite.
func TestStricter(t *testing.T) {
	ctx := context.Background()
	l := mem.NewLog()
	if _, err := l.Append(ctx, 0, []byte("frame")); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	if err := l.Read(ctx, 0, 0, func(_ store.Offset, b []byte) bool { kept = b; return true }); err != nil {
		t.Fatal(err)
	}
	if string(kept) == "frame" {
		t.Error("a frame that is kept after yield still reads well")
	}
	if err := l.DropBefore(0, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Read(ctx, 0, 0, func(store.Offset, []byte) bool { return true }); !errors.Is(err, store.ErrDropped) {
		t.Errorf("a dropped frame: %v", err)
	}
	runs := 0
	if err := mem.NewTwiceKV().Update(ctx, func(store.Tx) error { runs++; return nil }); err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestFull(t *testing.T) {
	ctx := context.Background()
	l, kv := mem.NewLog(), mem.NewKV()
	for _, full := range []bool{true, false} {
		l.SetFull(full)
		kv.SetFull(full)
		_, err := l.Append(ctx, 0, []byte("x"))
		kverr := kv.Update(ctx, func(store.Tx) error { return nil })
		if errors.Is(err, store.ErrFull) != full || errors.Is(kverr, store.ErrFull) != full {
			t.Errorf("full %v: %v, %v", full, err, kverr)
		}
	}
}
