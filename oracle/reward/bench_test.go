package reward

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"heliograph/oracle/ledger"
)

// million are the rows of an epoch of a million hotspots.
func million() []Row {
	out := make([]Row, 1_000_000)
	for i := range out {
		out[i] = Row{Epoch: 9, Hotspot: ids[0], Beacon: ledger.Amount(i + 1), Witness: 2, Data: 3}
		binary.BigEndian.PutUint32(out[i].Owner[:], uint32(i))
	}
	return out
}

// nanoseconds is what f takes in the mean.
func nanoseconds(f func()) float64 {
	const n = 200_000
	start := time.Now()
	for range n {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / n
}

// BenchmarkTreeOfAMillion also states the memory that the tree keeps, and how
// long the work takes as a multiple of its bare hashing.
func BenchmarkTreeOfAMillion(b *testing.B) {
	rows := million()
	leaf, node := make([]byte, 1+rowSize), make([]byte, 65)
	bare := nanoseconds(func() {
		sha256.Sum256(leaf)
		sha256.Sum256(node)
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var t *Tree
	b.ResetTimer()
	for range b.N {
		var err error
		if t, err = NewTree(rows); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(bare*1e-9*1e6), "x-sha256")
	runtime.KeepAlive(t)
}

func BenchmarkCheckProof(b *testing.B) {
	t, err := NewTree(million())
	if err != nil {
		b.Fatal(err)
	}
	p, err := t.Prove(777_777)
	if err != nil {
		b.Fatal(err)
	}
	root := t.Root()
	node := make([]byte, 65)
	bare := nanoseconds(func() { sha256.Sum256(node) })
	for b.Loop() {
		if err := CheckProof(root, p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(bare*1e-9*float64(len(p.Hashes)+2)), "x-sha256")
}

// TestTreeIsFrugal keeps the work in bounds that do not depend on the machine:
// the number of hashes kept, and no allocation per row.
func TestTreeIsFrugal(t *testing.T) {
	rs := rows(4096)
	var tree *Tree
	allocs := testing.AllocsPerRun(3, func() { tree, _ = NewTree(rs) })
	kept := 0
	for _, l := range tree.levels {
		kept += len(l)
	}
	if kept != 2*len(rs)-1 || allocs > 40 {
		t.Errorf("%d hashes kept for %d rows, %v allocations", kept, len(rs), allocs)
	}
}
