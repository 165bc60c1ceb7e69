package chipfaults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/radio"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

// Result is how a case went.
type Result struct {
	Case  Case
	After time.Duration // until it was detected, on the chip's clock
	Text  string        // the error
	Hung  bool          // something did not end
	Err   error         // what is not as it has to be; nil when all is
}

// Detected says that everything about the case was right.
func (r Result) Detected() bool { return r.Err == nil && !r.Hung }

// Speeds of the clock: while nothing but waiting happens, and while packets have
// to be sent in time.
const (
	fast   = 10
	slow   = 4 // for the many short pauses of the SX1261, which the machine cannot shorten
	steady = 1
)

// Bounds in the machine's time. They only end what hangs.
const (
	caseTime = 60 * time.Second
	stopTime = 10 * time.Second

	// And this one what is never detected; no case takes half of it.
	detectTime = 25 * time.Second
)

// recovery is how long the radio may take to be back once a fault has gone: the
// longest pause and a start. On the chip's clock.
const recovery = 90 * time.Second

// bench is a radio under test.
type bench struct {
	clock *fairClock
	board *board.Board
	sent  atomic.Int64
	ended chan error // of Run
}

// Try runs one case.
func Try(ctx context.Context, c Case) Result {
	r := Result{Case: c}
	if c.Alone != nil {
		if r.Text = c.Alone(); r.Text == "" {
			r.Err = errors.New("there was no error")
		} else {
			r.Err = says(c, r.Text)
		}
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	b, err := newBench(c)
	if err != nil {
		r.Err = err
		return r
	}
	go b.clock.run(ctx)
	running, stop := context.WithCancel(ctx)
	go func() { b.ended <- b.board.Radio.Run(running) }()
	r.Err = b.try(ctx, c, &r)
	r.Hung = ctx.Err() != nil
	stop()
	select {
	case <-b.ended:
		b.board.Wait()
	case <-time.After(stopTime):
		r.Hung = true
	}
	return r
}

func newBench(c Case) (*bench, error) {
	b := &bench{clock: newFairClock(fast), ended: make(chan error, 1)}
	cfg := board.Config{Clock: b.clock, Chip: chip.Config{Clock: b.clock}}
	if c.Config != nil {
		c.Config(&cfg)
	}
	if cfg.USB { // whose answers have deadlines in the machine's time
		b.clock.SetFactor(2)
	}
	if cfg.Radio != nil && cfg.Radio.SX1261.Enable {
		b.clock.SetFactor(slow)
	}
	var err error
	if b.board, err = board.New(cfg); err != nil {
		return nil, err
	}
	b.board.Chip.OnTransmit(func(chip.Transmission) func() {
		b.sent.Add(1)
		return nil
	})
	if c.Early {
		b.board.Chip.Break(c.Faults...)
	}
	return b, nil
}

// until waits for a state of the radio.
func (b *bench) until(ctx context.Context, ok func(radiohw.Status) bool) error {
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for {
		if ok(b.board.Radio.Status()) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; the radio's state is %+v", ctx.Err(), b.board.Radio.Status())
		}
	}
}

func (b *bench) try(ctx context.Context, c Case, r *Result) error {
	begun := b.clock.Now()
	if !c.Early && c.Config == nil || !c.Early && !c.Final {
		if err := b.until(ctx, func(s radiohw.Status) bool { return s.Up }); err != nil {
			return fmt.Errorf("no start: %w", err)
		}
		if err := b.clock.Sleep(ctx, c.Settle); err != nil {
			return err
		}
		if c.Act != nil || c.Bear != nil {
			b.clock.SetFactor(steady)
		}
		b.board.Chip.Break(c.Faults...)
		begun = b.clock.Now()
	}
	if c.Counted == "" {
		if err := b.bear(ctx, c); err != nil {
			return err
		}
		if r.After = b.clock.Now().Sub(begun); r.After > c.Within {
			return fmt.Errorf("borne after %v, want within %v", r.After, c.Within)
		}
		return nil
	}
	if err := b.detect(ctx, c, r, begun); err != nil {
		return err
	}
	return b.recover(ctx, c)
}

// bear checks that the radio works in spite of a fault.
func (b *bench) bear(ctx context.Context, c Case) error {
	if err := b.until(ctx, func(s radiohw.Status) bool { return s.Up }); err != nil {
		return fmt.Errorf("no start: %w", err)
	}
	if err := c.Bear(ctx, b); err != nil {
		return err
	}
	if c.Unseen != "" {
		return nil
	}
	return b.metrics(c.Metric())
}

// detect waits until the fault is counted, and looks at time, text and air.
func (b *bench) detect(ctx context.Context, c Case, r *Result, begun time.Time) error {
	if c.Act != nil {
		if err := c.Act(ctx, b); err != nil {
			return fmt.Errorf("act: %w", err)
		}
	}
	var s radiohw.Status
	patient, done := context.WithTimeout(ctx, detectTime)
	defer done()
	if err := b.until(patient, func(now radiohw.Status) bool { s = now; return now.Faults[c.Counted] > 0 }); err != nil {
		return fmt.Errorf("not detected as %s: %w", c.Counted, err)
	}
	r.After, r.Text = b.clock.Now().Sub(begun), s.LastFault
	if err := says(c, r.Text); err != nil {
		return err
	}
	if r.After > c.Within {
		return fmt.Errorf("detected after %v, want within %v", r.After, c.Within)
	}
	if err := b.metrics(c.Metric()); err != nil {
		return err
	}
	if c.Runs {
		return nil
	}
	return b.silent(ctx)
}

// silent checks that a radio which is down refuses to send, at once.
func (b *bench) silent(ctx context.Context) error {
	if err := b.until(ctx, func(s radiohw.Status) bool { return !s.Up }); err != nil {
		return err
	}
	before := b.sent.Load()
	p := b.downlink()
	p.When = radio.Immediate
	res, err := b.board.Radio.Send(ctx, p)
	if err != nil {
		return err
	}
	if res.Status != radio.TxNoRadio || b.sent.Load() != before {
		return fmt.Errorf("sending on a radio that is down ended with %s, %d packets went out", res.Status, b.sent.Load()-before)
	}
	return nil
}

// recover mends the chip and waits until packets are received again.
func (b *bench) recover(ctx context.Context, c Case) error {
	if c.Final {
		select {
		case err := <-b.ended:
			b.ended <- err
			return says(c, err.Error())
		case <-ctx.Done():
			return fmt.Errorf("the radio does not end: %w", ctx.Err())
		}
	}
	if c.Runs {
		if c.Bear == nil {
			return nil
		}
		return b.bear(ctx, c)
	}
	b.board.Chip.Mend(c.Faults...)
	if b.board.Options().USB == nil {
		b.clock.SetFactor(fast)
	}
	begun := b.clock.Now()
	if err := b.until(ctx, func(s radiohw.Status) bool { return s.Up }); err != nil {
		return fmt.Errorf("no recovery: %w", err)
	}
	if d := b.clock.Now().Sub(begun); d > recovery {
		return fmt.Errorf("recovered after %v, want within %v", d, recovery)
	}
	if err := b.hear(ctx, 200); err != nil {
		return err
	}
	return b.sendsAgain(ctx)
}

// says checks that an error names its remedy.
func says(c Case, text string) error {
	if !strings.Contains(text, c.Says) {
		return fmt.Errorf("the error does not say %q: %s", c.Says, text)
	}
	return nil
}

// Summary is the end of a run.
type Summary struct {
	Faults   int `json:"faults"`
	Detected int `json:"detected"`
	Hung     int `json:"hung"`
}

// Run tries all cases, prints a line for each, and ends with one line of JSON.
func Run(ctx context.Context, out io.Writer) (Summary, error) {
	var sum Summary
	var errs []error
	fmt.Fprintf(out, "%-36s %-9s %9s %9s  %-46s  %s\n", "fault", "from", "within", "after", "counted as", "what it says")
	for _, r := range tryAll(ctx, Cases()) {
		sum.Faults++
		text := r.Text
		if text == "" {
			text = "borne: no packet lost that could be kept, nothing sent that must not be"
		}
		switch {
		case r.Hung:
			sum.Hung++
			text = "HUNG"
		case r.Detected():
			sum.Detected++
		}
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Case.Name, r.Err))
			text = "WRONG: " + r.Err.Error()
		}
		counted := r.Case.Metric()
		if r.Case.Unseen != "" {
			counted = "- (" + r.Case.Unseen + ")"
		}
		fmt.Fprintf(out, "%-36s %-9s %9s %9s  %-46s  %s\n", r.Case.Name, r.Case.From, short(r.Case.Within), short(r.After),
			strings.TrimPrefix(counted, "hotspot_"), text)
	}
	line, err := json.Marshal(sum)
	if err != nil {
		return sum, err
	}
	fmt.Fprintf(out, "\n%s\n", line)
	return sum, errors.Join(errs...)
}

func short(d time.Duration) string {
	if d == 0 {
		return "at once"
	}
	return d.Round(10 * time.Millisecond).String()
}

// parallel is how many cases run at once: they mostly wait.
const parallel = 6

// tryAll runs the cases and keeps their order.
func tryAll(ctx context.Context, cases []Case) []Result {
	out := make([]Result, len(cases))
	slots := make(chan struct{}, parallel)
	done := make(chan struct{})
	for i, c := range cases {
		go func() {
			slots <- struct{}{}
			out[i] = Try(ctx, c)
			<-slots
			done <- struct{}{}
		}()
	}
	for range cases {
		<-done
	}
	return out
}
