package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
)

func importCommand() radioCommand {
	return radioCommand{
		words: "firmware import", args: " DIRECTORY", summary: "take the microcontroller images out of the vendor's sources",
		about: "The concentrator's microcontrollers run programs of Semtech's, which are not part of this software.\n" +
			"Get sx1302_hal V2.1.0 from github.com/Lora-net/sx1302_hal and name its directory here. Images are\nrecognised by their SHA-256 and stored; nothing else is taken.",
		examples: "  git clone --branch V2.1.0 https://github.com/Lora-net/sx1302_hal\n  hotspotctl radio firmware import sx1302_hal\n  hotspotctl radio firmware import sx1302_hal --to ./firmware --json",
		options:  func() any { return &importOptions{To: firmwareDir} },
		run: func(_ context.Context, o any, words []string, to streams) error {
			return importFirmware(*o.(*importOptions), words[0], to.out)
		},
	}
}

type importOptions struct {
	To   string `toml:"to" help:"directory to store the images in"`
	JSON bool   `toml:"json" help:"print JSON"`
}

func importFirmware(o importOptions, dir string, out io.Writer) error {
	got, err := radiohw.ImportFirmware(dir, o.To, sx1302.KnownImages())
	if err != nil {
		return err
	}
	if o.JSON {
		err = printJSON(out, got)
	} else {
		err = write(out, importText(got))
	}
	if err == nil && !got.Startable() {
		err = fmt.Errorf("no board can be started: %s missing; get sx1302_hal V2.1.0 anew from github.com/Lora-net/sx1302_hal and import it",
			strings.Join(got.Missing, ", "))
	}
	return err
}

// importText tells people what was found and what was not.
func importText(got radiohw.Import) string {
	var b strings.Builder
	for _, g := range got.Imported {
		fmt.Fprintf(&b, "%-11s from %s to %s\n", g.Name, g.From, g.To)
	}
	for _, d := range got.Damaged {
		fmt.Fprintf(&b, "%-11s is not what %s holds: that file is damaged or of another release than V2.1.0\n", d.Name, d.File)
	}
	for _, s := range got.Skipped {
		fmt.Fprintf(&b, "skipped: %s\n", s)
	}
	if len(got.Missing) > 0 {
		fmt.Fprintf(&b, "%d of %d images; missing: %s\n", len(got.Imported), len(got.Imported)+len(got.Missing), strings.Join(got.Missing, ", "))
		b.WriteString("boards with SX1250 radios need agc_sx1250 and arb; with SX1255 or SX1257 agc_sx125x, cal_sx125x and arb; listen-before-talk needs sx1261\n")
	}
	return b.String()
}
