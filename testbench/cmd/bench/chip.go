package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

type chipOptions struct {
	PTY     bool          `toml:"pty" help:"serve the chip as a USB concentrator on a new terminal device; there is no other way yet"`
	Model   string        `toml:"model" help:"SX1302 or SX1303"`
	EUI     uint64        `toml:"eui" help:"unique identifier of the chip"`
	Bridge  string        `toml:"bridge" help:"version of the USB bridge's firmware; before V01.00.00 the SPI command was another"`
	Images  string        `toml:"images" help:"folder to write microcontroller images to that this chip runs; empty: none"`
	Traffic time.Duration `toml:"traffic" help:"let a device send a packet so often; 0: never"`
	Break   []string      `toml:"break" help:"faults to switch on, by name, as in run_parity"`
	After   time.Duration `toml:"after" help:"when to switch them on"`
}

func runChip(ctx context.Context, args []string, stdout io.Writer) error {
	opt := chipOptions{Model: "SX1302", EUI: 0x0016C001F1500000, Bridge: "V01.00.00"}
	err := load(&opt, args, stdout,
		"bench chip --pty [flags]\n\nServes a simulated SX1302 board as a USB concentrator that any program for one can open:\nhotspotd, Semtech's packet forwarder, ChirpStack's concentratord. Prints the device's path\nand what the chip transmits, until Ctrl-C.\n\nFaults for --break: "+faultList(),
		"  bench chip --pty\n  bench chip --pty --images /tmp/images --traffic 5s\n"+
			"  hotspotctl radio listen --device /dev/pts/3 --firmware /tmp/images --conf global_conf.json\n"+
			"  bench chip --pty --traffic 1s --break receive_stall --after 1m")
	if err != nil {
		return err
	}
	model, ok := map[string]chip.Model{"SX1302": chip.SX1302, "SX1303": chip.SX1303}[opt.Model]
	switch {
	case !opt.PTY:
		return usageError{errors.New("a chip needs a way out: give --pty")}
	case !ok:
		return usageError{fmt.Errorf("model %q is neither SX1302 nor SX1303", opt.Model)}
	}
	faults, err := faultsNamed(opt.Break)
	if err != nil {
		return usageError{err}
	}
	if opt.Images != "" {
		cfg := board.EU868()
		if err := radiohw.StoreFirmware(opt.Images, &cfg, board.Firmware(&cfg)); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "images that this chip runs are in %s\n", opt.Images)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(stdout, format+"\n", args...)
	}
	warm := calc.CoreCell() // what most configurations compensate for
	c := chip.New(chip.Config{
		Model: model, EUI: opt.EUI, Bridge: opt.Bridge, TempCoeffs: [5]float64{warm.A, warm.B, warm.C, warm.D, warm.E},
		Log: func(s string) { say("chip: %s", s) },
	})
	c.OnTransmit(func(s chip.Transmission) func() {
		say("transmits %s %s %s %x", s.Packet.Frequency, s.Packet.DataRate, s.Packet.Power, s.Packet.Payload)
		return func() { say("the packet was cut short by the host") }
	})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if opt.Traffic > 0 {
		wg.Go(func() { traffic(ctx, c, opt.Traffic, say) })
	}
	if len(faults) > 0 {
		wg.Go(func() {
			if (sx1302.SystemClock{}).Sleep(ctx, opt.After) == nil {
				say("breaks: %v", faults)
				c.Break(faults...)
			}
		})
	}
	err = c.ServePTY(ctx, func(path string) { say("serving on %s", path) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func faultsNamed(names []string) ([]chip.Fault, error) {
	var out []chip.Fault
next:
	for _, n := range names {
		for _, f := range chip.Faults() {
			if string(f) == n {
				out = append(out, f)
				continue next
			}
		}
		return nil, fmt.Errorf("fault %q is not known: want some of %v", n, chip.Faults())
	}
	return out, nil
}

// faultList names every fault, in lines of a terminal's width.
func faultList() string {
	const width = 88
	var b strings.Builder
	column := len("Faults for --break: ")
	for i, f := range chip.Faults() {
		if i > 0 {
			b.WriteString(", ")
			column += 2
		}
		if column+len(f) > width {
			b.WriteString("\n  ")
			column = 2
		}
		b.WriteString(string(f))
		column += len(f)
	}
	return b.String()
}

// traffic is a device that sends on the channels of EU868 in turn.
func traffic(ctx context.Context, c *chip.Chip, every time.Duration, say func(string, ...any)) {
	cfg := board.EU868()
	waiting := false // for a host, since the last packet
	for n := uint32(0); (sx1302.SystemClock{}).Sleep(ctx, every) == nil; n++ {
		f, _ := cfg.Frequency(int(n % 8))
		p := radio.RxPacket{
			Payload:   append(binary.LittleEndian.AppendUint32([]byte{0x40}, 0x26000001), 0, byte(n), byte(n>>8), 1, 'h', 'i', 1, 2, 3, 4),
			Frequency: f, DataRate: radio.LoRaRate(radio.SpreadingFactor(7+n%6), 125*radio.KHz), Coding: 1, CRC: radio.CRCOK,
			RSSI: radio.DBm(-97), SNR: radio.DB(6),
		}
		air, err := airtime.OnAir(airtime.Params{DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(p.Payload)})
		if err != nil {
			say("traffic: %v", err)
			return
		}
		now := time.Now()
		loss := c.Receive(chip.Reception{Packet: p, Start: now.Add(-air.Duration()), End: now})
		switch {
		case loss == chip.LossNoChip && !waiting:
			say("packets are lost until a host starts the chip")
		case loss != chip.LossNoChip && loss != "":
			say("lost a packet: %s", loss)
		}
		waiting = loss == chip.LossNoChip
	}
}
