package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func confCommand() radioCommand {
	return radioCommand{
		words: "import-conf", args: " FILE", summary: "check a global_conf.json and print hotspotd's settings for it",
		about: "Reads the configuration of Semtech's packet forwarder, says what the radio will do with it, and prints\n" +
			"the lines for hotspotd's configuration file. With --json the whole radio configuration is printed.",
		examples: "  hotspotctl radio import-conf global_conf.json\n  hotspotctl radio import-conf global_conf.json --json | jq '.Channels'",
		options:  func() any { return &confOptions{} },
		run: func(_ context.Context, o any, words []string, to streams) error {
			return importConf(*o.(*confOptions), words[0], to.out)
		},
	}
}

type confOptions struct {
	JSON bool `toml:"json" help:"print JSON"`
}

func importConf(o confOptions, file string, out io.Writer) error {
	g, err := radiohw.LoadConf(file)
	if err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, g)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("# %s\n", file) + channelText(&g.Config) + radioText(&g.Config) + doubts(&g)
	if g.Path == "" {
		return errors.Join(errors.New("global_conf lacks com_path: add the device of the board"), write(out, text))
	}
	return write(out, text+settingsText(g, path))
}

// channelText says what is received.
func channelText(cfg *sx1302.Config) string {
	var b strings.Builder
	for i := range sx1302.IFChains {
		f, ok := cfg.Frequency(i)
		if !ok {
			continue
		}
		what := "LoRa, 125 kHz, " + spreadingFactors(cfg.SF)
		switch i {
		case sx1302.ChanService:
			what = "LoRa, " + radio.LoRaRate(cfg.Service.SF, cfg.Service.Bandwidth).String()
		case sx1302.ChanFSK:
			what = "FSK, " + radio.FSKRate(cfg.FSK.BitRate).String()
		}
		fmt.Fprintf(&b, "# channel %d: %s, %s\n", i, f, what)
	}
	return b.String()
}

// spreadingFactors lists a mask of [sx1302.Config.SF], as in "SF5, SF7 to SF12".
func spreadingFactors(mask uint8) string {
	var runs []string
	for sf := 5; sf <= 12; sf++ {
		first := sf
		for sf <= 12 && mask>>(sf-5)&1 == 1 {
			sf++
		}
		switch sf - first {
		case 0:
		case 1:
			runs = append(runs, fmt.Sprintf("SF%d", first))
		default:
			runs = append(runs, fmt.Sprintf("SF%d to SF%d", first, sf-1))
		}
	}
	if runs == nil {
		return "no spreading factor"
	}
	return strings.Join(runs, ", ")
}

// radioText says what else the radio does.
func radioText(cfg *sx1302.Config) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "# "+format+"\n", args...) }
	if cfg.Public {
		line("sync word of public networks (LoRaWAN)")
	} else {
		line("sync word of private networks: LoRaWAN devices and beacons are not heard; set lorawan_public")
	}
	lo, hi, ok := radiohw.Power(cfg)
	if !ok {
		line("transmits nothing")
	}
	for i, r := range cfg.Radios {
		if ok && r.Enable && r.TxEnable {
			line("radio_%d transmits %s with %s to %s at the connector", i, between(r.TxMin, r.TxMax), lo, hi)
		}
	}
	if cfg.SX1261.LBT {
		line("listens before it talks: a channel is busy above %s", cfg.SX1261.Threshold)
		for _, c := range cfg.SX1261.Channels {
			line("  %s, %s wide: %d us, then up to %d ms", c.Frequency, c.Bandwidth, c.Scan, c.Transmit/1000)
		}
	} else {
		line("does not listen before it talks")
	}
	switch cfg.Fine {
	case sx1302.FineHighCapacity:
		line("fine timestamps of SF5 to SF10: needs an SX1303 and a GNSS receiver's pulse")
	case sx1302.FineAllSF:
		line("fine timestamps of all spreading factors, with half of the demodulators: needs an SX1303 and a GNSS receiver's pulse")
	default:
		line("no fine timestamps")
	}
	if cfg.FullDuplex {
		line("full duplex: sends and receives at once, on boards that are made for it")
	} else {
		line("half duplex")
	}
	if cfg.AntennaGain != 0 {
		line("antenna_gain %s is not used: set antenna.gain_dbi of hotspotd", cfg.AntennaGain)
	}
	return b.String()
}

// between is a range of frequencies in which 0 is no limit.
func between(lo, hi radio.Hertz) string {
	switch {
	case lo == 0 && hi == 0:
		return "on any frequency"
	case lo == 0:
		return fmt.Sprintf("up to %s", hi)
	case hi == 0:
		return fmt.Sprintf("from %s", lo)
	}
	return fmt.Sprintf("from %s to %s", lo, hi)
}

// doubts lists what may not be as the file's author meant it, and the keys that
// nothing comes of.
func doubts(g *sx1302.GlobalConf) string {
	var b strings.Builder
	for _, w := range g.Warnings {
		fmt.Fprintf(&b, "# %s\n", w)
	}
	for _, k := range g.Unread {
		if !strconv.CanBackquote(k) { // it could break the line
			k = strconv.Quote(k)
		}
		fmt.Fprintf(&b, "# not used: %s\n", k)
	}
	return b.String()
}

// settingsText are the lines for hotspotd.
func settingsText(g sx1302.GlobalConf, path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[radio]\ndevice = %q\nconf = %q\n", g.Path, path)
	if g.GNSSPath != "" {
		fmt.Fprintf(&b, "gnss = %q # at 9600 baud unless gnss_baud says otherwise\n", g.GNSSPath)
	}
	if g.USB {
		return b.String()
	}
	if g.SX1261.Enable && g.SX1261Path != "" {
		fmt.Fprintf(&b, "sx1261_device = %q\nsx1261_reset_pin = \"GPIO5\" # as the board's manual says\n", g.SX1261Path)
	}
	b.WriteString("reset_pin = \"GPIO17\" # as the board's manual says\n")
	if g.FullDuplex {
		b.WriteString("i2c = \"/dev/i2c-1\" # of the temperature sensor and the DAC, as the board's manual says\n" +
			"dac_reset_pin = \"GPIO13\" # as the board's manual says\n")
	} else {
		b.WriteString("i2c = \"/dev/i2c-1\" # of the temperature sensor; leave it out where there is none\n")
	}
	return b.String()
}

func write(out io.Writer, text string) error {
	_, err := io.WriteString(out, text)
	return err
}
