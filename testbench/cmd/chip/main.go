// Chip serves a simulated USB concentrator on a terminal device that any program
// for such a concentrator can open:
//
//	chip --model sx1303 --frontend sx1250 --link /tmp/concentrator --traffic 2s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heliograph/testbench/chip"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	config  chip.Config
	link    string
	traffic time.Duration
	faults  []chip.Fault
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("chip", flag.ContinueOnError)
	fs.SetOutput(usage)
	model := fs.String("model", "sx1302", "sx1302 or sx1303")
	front := fs.String("frontend", "sx1250", "sx1250, sx1255 or sx1257")
	eui := fs.String("eui", "0016C001FF10A235", "identity in the chip, 16 hexadecimal digits")
	fs.StringVar(&o.config.Bridge, "bridge", "V01.00.00", "firmware of the USB bridge; V00.02.06 is the old generation")
	fs.Int64Var(&o.config.CrystalPPB, "crystal-ppb", 0, "how fast the crystal runs, in parts per billion")
	fs.StringVar(&o.link, "link", "", "symbolic link to keep at the terminal's path")
	fs.DurationVar(&o.traffic, "traffic", 0, "interval of made-up packets; 0 = none")
	faults := fs.String("fault", "", "faults to switch on, with commas between them; \"list\" prints them")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch strings.ToLower(*model) {
	case "sx1302":
		o.config.Model = chip.SX1302
	case "sx1303":
		o.config.Model = chip.SX1303
	default:
		return o, fmt.Errorf("chip: model %q: want sx1302 or sx1303", *model)
	}
	switch o.config.FrontEnd = chip.FrontEnd(strings.ToUpper(*front)); o.config.FrontEnd {
	case chip.SX1250, chip.SX1255, chip.SX1257:
	default:
		return o, fmt.Errorf("chip: front end %q: want sx1250, sx1255 or sx1257", *front)
	}
	v, err := strconv.ParseUint(*eui, 16, 64)
	if err != nil || len(*eui) != 16 {
		return o, fmt.Errorf("chip: eui %q: want 16 hexadecimal digits", *eui)
	}
	o.config.EUI = v
	o.faults, err = parseFaults(*faults, usage)
	return o, err
}

func parseFaults(s string, usage io.Writer) ([]chip.Fault, error) {
	if s == "" {
		return nil, nil
	}
	known := map[chip.Fault]bool{}
	for _, f := range chip.Faults() {
		known[f] = true
		if s == "list" {
			fmt.Fprintln(usage, f)
		}
	}
	if s == "list" {
		return nil, flag.ErrHelp
	}
	var out []chip.Fault
	for _, name := range strings.Split(s, ",") {
		f := chip.Fault(strings.TrimSpace(name))
		if !known[f] {
			return nil, fmt.Errorf("chip: no fault is called %q: --fault list prints them", f)
		}
		out = append(out, f)
	}
	return out, nil
}

func run(ctx context.Context, args []string, out, usage io.Writer) error {
	o, err := parse(args, usage)
	if err != nil {
		return err
	}
	c := chip.New(o.config)
	c.Break(o.faults...)
	if o.link != "" {
		defer os.Remove(o.link)
	}
	trouble := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.traffic > 0 {
		go func() { trouble <- c.Traffic(ctx, o.traffic, rand.New(rand.NewPCG(o.config.EUI, 0))) }()
		defer func() { cancel(nil); <-trouble }()
	}
	err = c.ServePTY(ctx, func(path string) {
		fmt.Fprintln(out, path)
		if err := relink(path, o.link); err != nil {
			cancel(err)
		}
	})
	if errors.Is(err, context.Canceled) {
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) {
			return nil
		}
	}
	return err
}

// relink points the symbolic link at the terminal.
func relink(path, link string) error {
	if link == "" {
		return nil
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("chip: link %s: a file is in the way", link)
	}
	_ = os.Remove(link) // it may be one of an earlier run, or not there
	if err := os.Symlink(path, link); err != nil {
		return fmt.Errorf("chip: link: %w", err)
	}
	return nil
}
