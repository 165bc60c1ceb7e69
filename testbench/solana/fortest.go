package solanavm

import (
	"context"
	"testing"
	"time"
)

// startLimit leaves room for a first installation of the packages.
const startLimit = 3 * time.Minute

// ForTest starts a VM that ends with the test. Without Node.js or, the first
// time, without an npm registry, the test fails and says what to do.
func ForTest(tb testing.TB, cfg Config) *VM {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	v, err := Start(ctx, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := v.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return v
}
