package verify_test

import (
	"crypto/ed25519"
	"runtime"
	"testing"
	"time"

	"heliograph/oracle/verify/verifytest"
	"heliograph/poc"
)

// plainVerify measures one ed25519.Verify of a report's size.
func plainVerify(b *testing.B) time.Duration {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := key.Public().(ed25519.PublicKey)
	msg := make([]byte, 107)
	sig := ed25519.Sign(key, msg)
	const n = 3000
	start := time.Now()
	for range n {
		if !ed25519.Verify(public, msg, sig) {
			b.Fatal("bad signature")
		}
	}
	return time.Since(start) / n
}

// BenchmarkEpoch judges 2,200 reports of 200 beacons on one core. "ratio" is the
// rate of reports over that of plain signature checks in the same run; each
// beacon takes two signatures.
func BenchmarkEpoch(b *testing.B) {
	n := network(b, verifytest.Config{Hotspots: 200, Witnesses: 10, Beacons: 1})
	in := n.Input()
	in.Workers = 1
	var before, after runtime.MemStats
	plain := plainVerify(b)
	runtime.ReadMemStats(&before)
	runs := 0
	for b.Loop() {
		judge(b, in)
		runs++
	}
	runtime.ReadMemStats(&after)
	plain = (plain + plainVerify(b)) / 2
	reports := float64(runs * len(n.Reports))
	each := float64(b.Elapsed().Nanoseconds()) / reports
	b.ReportMetric(1e9/each, "reports/s")
	b.ReportMetric(float64(plain.Nanoseconds())/each, "ratio")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/reports, "allocs/report")
}

// BenchmarkTenThousand judges 10,000 hotspots with one beacon each and ten
// witnesses each beacon, and reports the memory that the process took from the
// system, which includes the making of the epoch.
func BenchmarkTenThousand(b *testing.B) {
	if testing.Short() {
		b.Skip("takes half a minute")
	}
	n := network(b, verifytest.Config{Hotspots: 10_000, Witnesses: 10, Beacons: 1})
	b.ResetTimer()
	for b.Loop() {
		out := judge(b, n.Input())
		if out.Counts[poc.OK] != uint64(len(n.Reports)) {
			b.Fatal(out.Counts)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(len(n.Reports)), "reports")
	b.ReportMetric(float64(m.Sys)/1e6, "MB")
}
