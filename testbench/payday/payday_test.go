package payday

import (
	"strings"
	"testing"
	"time"

	"github.com/gagliardetto/solana-go"

	solanavm "heliograph/testbench/solana"
)

// TestSweep is the short form of `make payout-faults`; the long one is a thousand
// runs.
func TestSweep(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 40
	}
	b, err := New(t.Context(), Config{VM: solanavm.ForTest(t, solanavm.Config{}), Recipients: 10})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	began := time.Now()
	s, err := b.Sweep(t.Context(), runs, 1, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := s.Check(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if 10*s.HiddenOrForked < 3*runs {
		t.Errorf("only %d of %d runs hid signatures or forked", s.HiddenOrForked, runs)
	}
	t.Logf("%+v, %v a run", s, time.Since(began)/time.Duration(runs))
}

// TestSweepToken2022 pays with a plain mint of Token-2022.
func TestSweepToken2022(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 20
	}
	b, err := New(t.Context(), Config{VM: solanavm.ForTest(t, solanavm.Config{}), Recipients: 10, Program: solana.Token2022ProgramID})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s, err := b.Sweep(t.Context(), runs, 2022, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := s.Check(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
