package epoch_test

import (
	"testing"

	"heliograph/oracle/epoch"
	"heliograph/oracle/epoch/epochtest"
)

func BenchmarkCompute(b *testing.B) {
	w := epochtest.New(b, 4)
	ev := w.Bundle(w.Run(1)[0]).Evidence
	b.ReportMetric(float64(len(ev.Reports)), "reports")
	for b.Loop() {
		if _, err := epoch.Compute(b.Context(), ev); err != nil {
			b.Fatal(err)
		}
	}
}
