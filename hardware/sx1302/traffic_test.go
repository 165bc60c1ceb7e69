package sx1302

import (
	"context"
	"testing"
	"time"

	"heliograph/radio"
)

// TestLessWork compares the work on the bus with the vendor's, as its polling
// rules (d.1, d.4) and recordings have it: bytes are those clocked in a frame.
func TestLessWork(t *testing.T) {
	const (
		vendorNB     = 2 + readStart
		vendorStamp  = 8 + readStart
		vendorIdle   = 100 * (2*vendorNB + 2*vendorStamp) // 10 ms: both are read twice
		vendorFetch  = 2*vendorNB + 3*vendorStamp + readStart
		vendorTxByte = 296 // recorded, without a look at the outcome
	)
	ctx := context.Background()
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	work := func(do func()) (frames, bytes int) {
		t.Helper()
		f, b := chip.frames, chip.bytes
		do()
		return chip.frames - f, chip.bytes - b
	}
	check := func(name string, frames, bytes, vendor int, limit float64) {
		t.Helper()
		t.Logf("%s: %d frames, %d bytes; vendor %d bytes: %.2f", name, frames, bytes, vendor, float64(bytes)/float64(vendor))
		if float64(bytes) > limit*float64(vendor) {
			t.Errorf("%s: too much", name)
		}
	}
	frames, bytes := work(func() {
		idle, cancel := context.WithCancel(ctx)
		defer cancel()
		end := chip.clock.Now().Add(time.Second)
		chip.clock.after = func(now time.Time) {
			if !now.Before(end) {
				cancel()
			}
		}
		_, _ = c.Receive(idle)
		chip.clock.after = nil
	})
	check("idle second", frames, bytes, vendorIdle, 0.7)
	for _, n := range []int{1, 16} {
		size := 0
		for i := range n {
			e := entry(numbered(i), 0, 0, 0)
			size += len(e)
			chip.fifo = append(chip.fifo, e...)
		}
		frames, bytes = work(func() {
			if ps, err := c.fetch(ctx); err != nil || len(ps) != n {
				t.Fatalf("%d packets, %v", len(ps), err)
			}
		})
		check("fetch", frames, bytes, vendorFetch+size, 1)
	}
	chip.emit = true
	now, _ := c.Now()
	p := downlink(now.Add(50_000))
	p.Payload = []byte("hello-downln")
	frames, bytes = work(func() {
		if res, err := c.Send(ctx, p); err != nil || res.Status != radio.TxOK {
			t.Fatalf("%+v, %v", res, err)
		}
	})
	check("send", frames, bytes, vendorTxByte, 1)
}
