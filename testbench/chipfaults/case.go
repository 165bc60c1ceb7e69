package chipfaults

import (
	"context"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

// Case is one fault and what has to come of it.
type Case struct {
	Name   string
	From   string        // which list names it: "issue", "ablation" (of the specification) or "more"
	Within time.Duration // detected, on the chip's clock
	Says   string        // part of the error's remedy

	Faults []chip.Fault
	Early  bool                // there before the start
	Settle time.Duration       // from the start to the fault
	Config func(*board.Config) // nil: an SX1302 with SX1250 on SPI

	// Counted is the fault's name in the radio's metrics. "" for a fault that the
	// radio has to bear: then Bear checks that it does, and Shown is the line of the
	// metrics that counts it, or Unseen says why there is none.
	Counted string
	Shown   string
	Unseen  string
	Final   bool                                // no restart can help: the radio must end, with the error
	Runs    bool                                // reception goes on, there is no restart
	Act     func(context.Context, *bench) error // brings the fault out
	Bear    func(context.Context, *bench) error

	// Alone is a fault that has no chip in it: the text of the error is its result.
	Alone func() (text string)
}

// Detection times, on the chip's clock. What a start reveals shows within the start
// (2.3 s) and the second that a microcontroller may take. At run time the driver
// looks every [sx1302.WatchEvery], 2 s, and at once when a reading cannot be, as one of
// the counter, each second; a stall is believed at the second look.
const (
	atOnce    = 1500 * time.Millisecond
	atStart   = 5 * time.Second
	atRunTime = 3 * time.Second
	atSecond  = 5 * time.Second
)

// Metric is the line of hotspotd's metrics, without its value, that counts the fault.
func (c Case) Metric() string {
	if c.Counted == "" {
		return c.Shown
	}
	return `hotspot_radio_faults_total{fault="` + c.Counted + `"}`
}

func counted(f sx1302.Fault) string { return f.String() }
