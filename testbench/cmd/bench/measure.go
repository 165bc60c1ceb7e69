package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"heliograph/testbench/buswork"
	"heliograph/testbench/chipfaults"
)

func runBusWork(ctx context.Context, args []string, stdout io.Writer) error {
	err := load(&struct{}{}, args, stdout,
		"bench bus-work\n\nCounts transactions and bytes on a concentrator's bus, the vendor's from its recordings (those\nin $SX1302_TRACES, or the repository's) and ours on the simulated chip, and ends with one line of JSON: ours over the vendor's. Exit code\n0 only when no row costs more, and start-up time and the idle second at most 70 %.",
		"  bench bus-work\n  bench bus-work | tail -1 | jq .idle_ratio")
	if err != nil {
		return err
	}
	r, err := buswork.In(os.Getenv("SX1302_TRACES")).Run(ctx, stdout)
	if err != nil {
		return err
	}
	return r.Check()
}

func runChipFaults(ctx context.Context, args []string, stdout io.Writer) error {
	err := load(&struct{}{}, args, stdout,
		"bench chip-faults\n\nBreaks a simulated concentrator in every known way under the hotspot's radio, and ends with\none line of JSON. Exit code 0 only when all faults were detected and nothing hung.",
		"  bench chip-faults\n  bench chip-faults | tail -1 | jq .hung")
	if err != nil {
		return err
	}
	s, err := chipfaults.Run(ctx, stdout)
	if err == nil && (s.Detected != s.Faults || s.Hung != 0) {
		err = fmt.Errorf("%d of %d faults detected, %d hung", s.Detected, s.Faults, s.Hung)
	}
	return err
}
