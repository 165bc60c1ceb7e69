package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

func probeCommand() radioCommand {
	return radioCommand{
		words: "probe", summary: "what is there, and how it is known",
		about: "Starts the concentrator and says what it found out, and by which evidence. Without\nmicrocontroller images it goes as far as the radios.",
		examples: "  hotspotctl radio probe --reset-pin GPIO17\n  hotspotctl radio probe --device /dev/ttyACM0\n" +
			"  hotspotctl radio probe --device /dev/ttyACM0 --json | jq -r .eui",
		options: func() any { b := defaultBoard(); return &b },
		run: func(ctx context.Context, o any, _ []string, to streams) error {
			return probe(ctx, *o.(*board), to.out)
		},
	}
}

// probed is what a probe found out.
type probed struct {
	Device   string    `json:"device"`
	Found    bool      `json:"found"`
	Chip     string    `json:"chip,omitempty"`
	Version  byte      `json:"version,omitempty"`
	EUI      string    `json:"eui,omitempty"`
	FrontEnd string    `json:"front_end,omitempty"`
	Works    bool      `json:"works"`
	Evidence []finding `json:"evidence"`
}

func (p *probed) add(ok bool, format string, args ...any) {
	if f := (finding{ok, fmt.Sprintf(format, args...)}); !slices.Contains(p.Evidence, f) {
		p.Evidence = append(p.Evidence, f)
	}
}

// probeConfig listens nowhere and sends nothing, with a kind of front end.
func probeConfig(kind calc.FrontEnd) sx1302.Config {
	r := sx1302.Radio{Enable: true, Kind: kind, Frequency: 868 * radio.MHz}
	return sx1302.Config{Radios: [sx1302.RFChains]sx1302.Radio{r, r}}
}

func probe(ctx context.Context, b board, out io.Writer) error {
	p := probed{Device: b.Device, Evidence: []finding{}}
	kinds := []calc.FrontEnd{calc.SX1250, calc.SX1257}
	if b.device().USB() {
		kinds = kinds[:1] // the bridge speaks to no others
	}
	var err error
	for _, kind := range kinds {
		if err = p.try(ctx, b, kind); err == nil || p.Works {
			break
		}
		if f, ok := sx1302.FaultOf(err); !ok || f != sx1302.FaultFrontEnd && f != sx1302.FaultCalibration {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err() // what was not looked at is not known to be absent
	}
	if err != nil {
		p.add(false, "%v", err)
	}
	if perr := p.print(b.JSON, out); perr != nil {
		return perr
	}
	if err != nil {
		return errSick
	}
	return nil
}

// try starts the chip with a kind of front end.
func (p *probed) try(ctx context.Context, b board, kind calc.FrontEnd) (err error) {
	cfg := probeConfig(kind)
	if b.Conf != "" {
		if cfg, err = b.conf(); err != nil {
			return err
		}
		kind = cfg.Radios[cfg.ClockSource].Kind
	}
	o, closeBus, err := b.open(cfg, b.log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBus()) }()
	blank := len(o.Firmware.AGC) == 0 || len(o.Firmware.ARB) == 0
	if blank {
		o.Firmware = radiohw.Blank()
	}
	c, err := sx1302.New(o)
	if err != nil {
		return err
	}
	defer rest(ctx, c)
	err = c.Start(ctx)
	return p.judge(ctx, c, kind, blank, err)
}

// judge turns the outcome of a start into findings.
func (p *probed) judge(ctx context.Context, c *sx1302.Concentrator, kind calc.FrontEnd, blank bool, err error) error {
	chip, cerr := c.Chip(ctx)
	if cerr != nil {
		return cerr
	}
	f, isFault := sx1302.FaultOf(err)
	if err != nil && (!isFault || f == sx1302.FaultNoChip || f == sx1302.FaultBadID || chip.Version == 0) {
		return err
	}
	p.Found, p.Version = true, chip.Version
	p.add(true, "version register 0x5606 reads %#02x", chip.Version)
	radios := err == nil || f == sx1302.FaultMCUSilent || f == sx1302.FaultMCUVersion || f == sx1302.FaultParity || f == sx1302.FaultReadBack
	if radios {
		p.FrontEnd = kind.String()
		p.add(true, "radios are %s: they reached their operating mode and calibrated", kind)
	}
	switch {
	case err == nil:
		p.Works, p.Chip, p.EUI = true, chip.String(), fmt.Sprintf("%016X", chip.EUI)
		p.add(true, "%s by model byte %#02x, EUI %s, both from its one-time programmable memory", chip, chip.Model, p.EUI)
		p.add(true, "both microcontrollers run and answer")
		return nil
	case blank && radios && f != sx1302.FaultReadBack:
		p.add(true, "program memory reads back as written")
		p.add(false, "%s", "microcontroller images are missing, so that model and EUI are not known: run \"hotspotctl radio firmware import\" with the vendor's sx1302_hal directory")
		return nil
	}
	return err
}

func (p *probed) print(asJSON bool, out io.Writer) error {
	if asJSON {
		return printJSON(out, p)
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, value)
		}
	}
	line("device", p.Device)
	line("chip", p.Chip)
	line("eui", p.EUI)
	line("radios", p.FrontEnd)
	_, err := io.WriteString(out, b.String()+findings(p.Evidence))
	return err
}

func findings(fs []finding) string {
	var b strings.Builder
	for _, f := range fs {
		mark := "ok "
		if !f.OK {
			mark = "BAD"
		}
		fmt.Fprintf(&b, "%s  %s\n", mark, f.Text)
	}
	return b.String()
}
