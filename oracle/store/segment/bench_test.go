package segment

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"heliograph/oracle/store"
)

// BenchmarkAppend: ns/op is per frame of 200 bytes, all writers together.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l, _, err := Open(b.TempDir(), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			frame := make([]byte, 200)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range writers {
				n := b.N / writers
				if w < b.N%writers {
					n++
				}
				wg.Go(func() {
					for range n {
						if _, err := l.Append(bg, store.Shard(w), frame); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
			var bytes int64
			for _, g := range l.segs {
				bytes += g.size
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "diskB/frame")
		})
	}
}

// filledLog holds n frames of 200 bytes in all data shards.
func filledLog(b *testing.B, dir string, n int) *Log {
	l, _, err := Open(dir, Config{})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range store.ControlShard {
		wg.Go(func() {
			frame := make([]byte, 200)
			for range n / store.ControlShard {
				if _, err := l.Append(bg, store.Shard(w), frame); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return l
}

const benchFrames = 256 * 2000

// BenchmarkRead scans one of 256 interleaved shards; ns/op is per frame.
func BenchmarkRead(b *testing.B) {
	l := filledLog(b, b.TempDir(), benchFrames)
	defer l.Close()
	b.ReportAllocs()
	b.ResetTimer()
	s := store.Shard(0)
	for done := 0; done < b.N; s = (s + 1) % store.ControlShard {
		if err := l.Read(bg, s, 0, func(store.Offset, []byte) bool { done++; return done < b.N }); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(200)
}

// BenchmarkReadOwn scans a log of one shard only.
func BenchmarkReadOwn(b *testing.B) {
	l, _, err := Open(b.TempDir(), Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	frame := make([]byte, 20_000)
	for range 2000 {
		if _, err := l.Append(bg, 0, frame); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		if err := l.Read(bg, 0, 0, func(store.Offset, []byte) bool { done++; return done < b.N }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen recovers 512,000 frames; also reports the memory that the open
// log keeps for each.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	if err := filledLog(b, dir, benchFrames).Close(); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		l, rep, err := Open(dir, Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(rep.Bytes)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(rep.Frames), "heapB/frame")
		l.Close()
	}
}
