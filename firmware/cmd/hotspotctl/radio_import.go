package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func importCommand() radioCommand {
	return radioCommand{
		words: "firmware import", args: " DIRECTORY", summary: "take the microcontroller images out of the vendor's sources",
		about: "The concentrator's microcontrollers run programs of Semtech's, which are not part of this software.\n" +
			"Get sx1302_hal V2.1.0 from github.com/Lora-net/sx1302_hal and name its directory here. Images are\nrecognised by their SHA-256 and stored; nothing else is taken.",
		examples: "  git clone --branch V2.1.0 https://github.com/Lora-net/sx1302_hal\n  hotspotctl radio firmware import sx1302_hal\n  hotspotctl radio firmware import sx1302_hal --to ./firmware --json",
		options:  func() any { return &importOptions{To: firmwareDir} },
		run: func(_ context.Context, o any, words []string, out io.Writer) error {
			return importFirmware(*o.(*importOptions), words[0], out)
		},
	}
}

type importOptions struct {
	To   string `toml:"to" help:"directory to store the images in"`
	JSON bool   `toml:"json" help:"print JSON"`
}

func importFirmware(o importOptions, dir string, out io.Writer) error {
	known := sx1302.KnownImages()
	got, err := radiohw.Import(dir, o.To, known)
	if err != nil {
		return err
	}
	if o.JSON {
		return printJSON(out, got)
	}
	for _, g := range got {
		if _, err := fmt.Fprintf(out, "%-11s from %s to %s\n", g.Name, g.From, g.To); err != nil {
			return err
		}
	}
	if len(got) < len(known) {
		_, err = fmt.Fprintf(out, "%d of %d images; boards with SX1250 radios need agc_sx1250 and arb\n", len(got), len(known))
	}
	return err
}

func confCommand() radioCommand {
	return radioCommand{
		words: "import-conf", args: " FILE", summary: "check a global_conf.json and print hotspotd's settings for it",
		about: "Reads the configuration of Semtech's packet forwarder, says what the radio will do with it, and prints\n" +
			"the lines for hotspotd's configuration file. With --json the whole radio configuration is printed.",
		examples: "  hotspotctl radio import-conf global_conf.json\n  hotspotctl radio import-conf global_conf.json --json | jq '.Channels'",
		options:  func() any { return &confOptions{} },
		run: func(_ context.Context, o any, words []string, out io.Writer) error {
			return importConf(*o.(*confOptions), words[0], out)
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
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", file)
	for i := range sx1302.IFChains {
		f, ok := g.Frequency(i)
		if !ok {
			continue
		}
		what := "LoRa, 125 kHz, all spreading factors"
		switch i {
		case sx1302.ChanService:
			what = "LoRa, " + radio.LoRaRate(g.Service.SF, g.Service.Bandwidth).String()
		case sx1302.ChanFSK:
			what = "FSK, " + radio.FSKRate(g.FSK.BitRate).String()
		}
		fmt.Fprintf(&b, "# channel %d: %s, %s\n", i, f, what)
	}
	if lo, hi, ok := radiohw.Power(&g.Config); ok {
		fmt.Fprintf(&b, "# transmits with %s to %s at the connector\n", lo, hi)
	} else {
		b.WriteString("# transmits nothing\n")
	}
	if g.AntennaGain != 0 {
		fmt.Fprintf(&b, "# antenna_gain %s is not used: set antenna.gain_dbi of hotspotd\n", g.AntennaGain)
	}
	device := g.Path
	if device == "" {
		return errors.Join(errors.New("global_conf lacks com_path: the device of the board"), write(out, b.String()))
	}
	fmt.Fprintf(&b, "\n[radio]\ndevice = %q\nconf   = %q\n", device, file)
	if g.SX1261.Enable && g.SX1261Path != "" {
		fmt.Fprintf(&b, "sx1261_device = %q\n", g.SX1261Path)
	}
	if !(radiohw.Device{Path: device}).USB() {
		b.WriteString("reset_pin = \"GPIO17\" # as the board's manual says\n")
	}
	return write(out, b.String())
}

func write(out io.Writer, text string) error {
	_, err := io.WriteString(out, text)
	return err
}
