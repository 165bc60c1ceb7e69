package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func spectrumCommand() radioCommand {
	return radioCommand{
		words: "spectrum", summary: "how loud the band is, measured by the SX1261",
		about:    "Measures the level on each frequency and prints its median and its loudest reading. Boards\nwithout an SX1261 cannot do that.",
		examples: "  hotspotctl radio spectrum --conf global_conf.json --sx1261-device /dev/spidev0.1 --reset-pin GPIO17\n  hotspotctl radio spectrum --device /dev/ttyACM0 --conf global_conf.json --from-mhz 863 --to-mhz 870 --json",
		options: func() any {
			return &spectrumOptions{board: defaultBoard(), From: 867.1, To: 868.5, Step: 200, Scans: 2000}
		},
		run: func(ctx context.Context, o any, _ []string, to streams) error {
			return spectrum(ctx, *o.(*spectrumOptions), to.out)
		},
	}
}

type spectrumOptions struct {
	board
	From  float64 `toml:"from_mhz" help:"first frequency"`
	To    float64 `toml:"to_mhz" help:"last frequency"`
	Step  float64 `toml:"step_khz" help:"from one frequency to the next"`
	Scans uint16  `toml:"scans" help:"readings at each frequency"`
}

// bar is one frequency of a spectrum.
type bar struct {
	Frequency int64   `json:"frequency_hz"`
	Median    float64 `json:"median_dbm"`
	Peak      float64 `json:"peak_dbm"`
}

// Bounds of a spectrum: how many frequencies, and what the SX1261 can be tuned to.
const (
	maxBars = 2000
	minMHz  = 150
	maxMHz  = 960
)

// check refuses what cannot be measured.
func (o spectrumOptions) check() error {
	switch {
	case !(o.Step > 0) || !(o.To >= o.From) || !((o.To-o.From)*1000/o.Step <= maxBars):
		return wrongUse("from %v to %v MHz in steps of %v kHz is no spectrum of up to %d frequencies", o.From, o.To, o.Step, maxBars)
	case !(o.From >= minMHz && o.To <= maxMHz):
		return wrongUse("from %v to %v MHz is outside %d to %d MHz, which the SX1261 can hear: choose --from-mhz and --to-mhz within", o.From, o.To, minMHz, maxMHz)
	case o.Scans == 0:
		return wrongUse("scans is 0: give how many readings to take at each frequency")
	}
	return nil
}

func spectrum(ctx context.Context, o spectrumOptions, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	cfg, err := o.conf()
	if err != nil {
		return err
	}
	cfg.SX1261.Enable = true
	return o.with(ctx, cfg, func(c *sx1302.Concentrator) error {
		var all []bar
		for f := o.From * 1e6; f <= o.To*1e6+0.5; f += o.Step * 1e3 {
			levels, err := c.Spectrum(ctx, radio.Hertz(f+0.5), o.Scans)
			if err != nil {
				return err
			}
			b := barOf(radio.Hertz(f+0.5), levels)
			all = append(all, b)
			if !o.JSON {
				fmt.Fprintf(out, "%9.3f MHz  median %6.1f dBm  peak %6.1f dBm  %s\n", float64(b.Frequency)/1e6, b.Median, b.Peak,
					strings.Repeat("#", max(0, min(60, int(b.Median)+130))))
			}
		}
		if o.JSON {
			return printJSON(out, all)
		}
		return nil
	})
}

// barOf finds median and peak of how often each level was read.
func barOf(f radio.Hertz, levels []sx1302.Level) bar {
	levels = slices.Clone(levels)
	slices.SortStableFunc(levels, func(a, b sx1302.Level) int { return int(b.Level) - int(a.Level) }) // loudest first
	b := bar{Frequency: int64(f)}
	total := 0
	for _, l := range levels {
		if l.Count > 0 && total == 0 {
			b.Peak = l.Level.Float()
		}
		total += int(l.Count)
	}
	seen := 0
	for _, l := range levels {
		if seen += int(l.Count); total > 0 && 2*seen >= total {
			b.Median = l.Level.Float()
			break
		}
	}
	return b
}
