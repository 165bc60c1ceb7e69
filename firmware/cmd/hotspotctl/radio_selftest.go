package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func selftestCommand() radioCommand {
	return radioCommand{
		words: "selftest", summary: "start the concentrator and watch it for a while",
		about:    "Starts the concentrator as hotspotd would, and checks that its microcontrollers stay healthy,\nits counter keeps time, and the bus carries bytes faithfully. It transmits nothing.",
		examples: "  hotspotctl radio selftest --conf global_conf.json --reset-pin GPIO17\n  hotspotctl radio selftest --device /dev/ttyACM0 --conf global_conf.json --duration 1m --json",
		options:  func() any { return &selftestOptions{board: defaultBoard(), Duration: 10 * time.Second} },
		run: func(ctx context.Context, o any, _ []string, to streams) error {
			return selftest(ctx, *o.(*selftestOptions), to.out)
		},
	}
}

type selftestOptions struct {
	board
	Duration time.Duration `toml:"duration" help:"how long to watch"`
	PPS      bool          `toml:"pps" help:"a GNSS receiver is there: its pulses must come"`
}

// maxCrystalPPM is how far a concentrator's crystal may be off the host's clock.
const maxCrystalPPM = 100

func selftest(ctx context.Context, o selftestOptions, out io.Writer) error {
	if o.Duration <= 0 {
		return wrongUse("duration is %v: give how long to watch, as in --duration 10s", o.Duration)
	}
	cfg, err := o.conf()
	if err != nil {
		return err
	}
	var found []finding
	add := func(err error, format string, args ...any) {
		if err != nil {
			found = append(found, finding{false, err.Error()})
			return
		}
		found = append(found, finding{true, fmt.Sprintf(format, args...)})
	}
	begun := time.Now()
	err = o.with(ctx, cfg, func(c *sx1302.Concentrator) error {
		chip, err := c.Chip(ctx)
		if err != nil {
			return err
		}
		add(nil, "%s started in %.1f s: program memories read back, both microcontrollers answer", chip, time.Since(begun).Seconds())
		o.watch(ctx, c, add)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		add(err, "")
	}
	if o.JSON {
		err = printJSON(out, found)
	} else {
		_, err = io.WriteString(out, findings(found))
	}
	if err == nil && slices.ContainsFunc(found, func(f finding) bool { return !f.OK }) {
		err = errSick
	}
	return err
}

// watch receives for a while and looks at health and clock.
func (o selftestOptions) watch(ctx context.Context, c *sx1302.Concentrator, add func(error, string, ...any)) {
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	// The first look fixes where counter and clock stand.
	if err := c.Health(ctx); err != nil && ctx.Err() == nil {
		add(err, "")
		return
	}
	first, _ := c.Now()
	since := time.Now()
	packets := 0
	for ctx.Err() == nil {
		ps, err := c.Receive(ctx)
		if err != nil && ctx.Err() == nil {
			add(err, "")
			return
		}
		packets += len(ps)
	}
	after := context.WithoutCancel(ctx)
	err := c.Health(after)
	if f, ok := sx1302.FaultOf(err); ok && f == sx1302.FaultPPS && !o.PPS {
		err = nil
	}
	add(err, "microcontrollers healthy after %v, no parity error", time.Since(since).Round(time.Second))
	last, _ := c.Now()
	host := radio.MicrosOf(time.Since(since))
	if off := (int64(last.Sub(first)) - int64(host)) * 1_000_000 / max(int64(host), 1); off > maxCrystalPPM || off < -maxCrystalPPM {
		add(fmt.Errorf("the counter runs %d ppm off the host's clock: check the power supply and the crystal", off), "")
	} else {
		add(nil, "the counter keeps time with the host, %d ppm apart", off)
	}
	s := c.Stats()
	add(nil, "%d packets, %d with bad checksum, %d damaged on the bus", packets, s.BadCRC, s.BadPacket+s.BadPayload)
}
