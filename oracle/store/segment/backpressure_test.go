package segment

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"heliograph/oracle/store"
)

// TestBackPressure stops the disk: one commit is on its way, the next fills up,
// and who comes then blocks until the context ends, with nothing written of it.
func TestBackPressure(t *testing.T) {
	f := newMemFS()
	f.gate = make(chan struct{}, 1<<10)
	f.gate <- struct{}{} // for the header of the first segment
	cfg := testConfig()
	cfg.CommitBytes = 128 << 10
	l, _ := mustOpen(t, f, cfg)
	frame := make([]byte, store.MaxFrame)
	waiting := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.pending.entries)
	}
	var wg sync.WaitGroup
	appendOne := func() {
		wg.Go(func() {
			if _, err := l.Append(bg, 1, frame); err != nil {
				t.Error(err)
			}
		})
	}
	appendOne()
	for taken := false; !taken; runtime.Gosched() { // until the writer has it
		f.mu.Lock()
		taken = f.ops[len(f.ops)-1].kind == opWrite
		f.mu.Unlock()
	}
	appendOne()
	for waiting() == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(bg)
	refused := make(chan error)
	go func() {
		_, err := l.Append(ctx, 2, frame)
		refused <- err
	}()
	for range 100 {
		runtime.Gosched()
	}
	if n := waiting(); n != 1 {
		t.Errorf("%d frames wait in a batch that holds one", n)
	}
	cancel()
	if err := <-refused; !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v", err)
	}
	if l.End(1) != 0 {
		t.Error("a frame is shown before it is durable")
	}
	close(f.gate)
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l.End(1) != 2 || l.End(2) != 0 {
		t.Errorf("ends %d and %d, want 2 and 0", l.End(1), l.End(2))
	}
}
