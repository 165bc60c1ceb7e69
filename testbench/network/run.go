package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	redrawEvery = time.Second
	statusEvery = 10 * time.Second
)

// Run shows the city until ctx ends, which is the good end, or until a part of
// it fails. On a terminal it redraws a screen unless headless; otherwise it
// prints a line for each event and a summary every ten seconds.
func Run(ctx context.Context, cfg Config, out io.Writer, headless bool) error {
	c, err := start(ctx, cfg, func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) })
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped while starting
		}
		return err
	}
	fmt.Fprintf(out, "the explorer is at %s\nCtrl-C stops; the next run goes on from %s\n", c.oracle.page, c.cfg.Dir)
	show := lines(out)
	if f, ok := out.(*os.File); ok && !headless && term.IsTerminal(int(f.Fd())) {
		show = redraw(f)
	}
	err = c.watch(ctx, show)
	fmt.Fprintln(out, "\nstopping: hotspots, devices, oracle, chain")
	err = errors.Join(err, c.stop())
	if err == nil {
		fmt.Fprintf(out, "stopped; everything is in %s\n", c.cfg.Dir)
	}
	return err
}

// watch shows the city until ctx ends or something fails.
func (c *city) watch(ctx context.Context, show func(Snapshot)) error {
	w := newWatcher(c)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		if err := c.failed(); err != nil {
			return err
		}
		s := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		show(s)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// redraw shows snapshots on a terminal.
func redraw(f *os.File) func(Snapshot) {
	return func(s Snapshot) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		// Cursor home; clear to the end of each line and of the screen: no flicker.
		text := strings.ReplaceAll(screen(s, width, height-1), "\n", "\x1b[K\r\n")
		fmt.Fprintf(f, "\x1b[H%s\x1b[K\x1b[J", text)
	}
}

// lines shows snapshots as lines: each event once, a summary now and then, each
// settled epoch in full.
func lines(out io.Writer) func(Snapshot) {
	var lastNote string
	var lastStatus time.Duration
	epochs := 0
	return func(s Snapshot) {
		fresh := s.Notes
		for i, n := range s.Notes {
			if n == lastNote {
				fresh = s.Notes[i+1:]
			}
		}
		for _, n := range fresh {
			fmt.Fprintln(out, n)
		}
		if len(s.Notes) > 0 {
			lastNote = s.Notes[len(s.Notes)-1]
		}
		for _, r := range s.Epochs[epochs:] {
			fmt.Fprintln(out, strings.Join(result(r, 0), "\n"))
		}
		epochs = len(s.Epochs)
		if lastStatus == 0 || s.Elapsed-lastStatus >= statusEvery {
			lastStatus = s.Elapsed
			fmt.Fprintln(out, status(s))
		}
	}
}
