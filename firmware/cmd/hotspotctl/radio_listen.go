package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func listenCommand() radioCommand {
	return radioCommand{
		words: "listen", summary: "packets as they are received",
		about:    "Prints every packet, whatever its checksum, until Ctrl-C. It transmits nothing.",
		examples: "  hotspotctl radio listen --conf global_conf.json --reset-pin GPIO17\n  hotspotctl radio listen --device /dev/ttyACM0 --conf global_conf.json --json --count 10",
		endless:  true,
		options:  func() any { return &listenOptions{board: defaultBoard()} },
		run: func(ctx context.Context, o any, _ []string, to streams) error {
			return listen(ctx, *o.(*listenOptions), to)
		},
	}
}

type listenOptions struct {
	board
	Count    int           `toml:"count" help:"stop after so many packets; 0: never"`
	Duration time.Duration `toml:"duration" help:"stop after this time; 0: never"`
}

// heardLine is a packet as it is printed.
type heardLine struct {
	Tick      radio.Tick `json:"tick"`
	Frequency int64      `json:"frequency_hz"`
	Offset    int64      `json:"offset_hz"`
	DataRate  string     `json:"data_rate"`
	CRC       string     `json:"crc"`
	RSSI      float64    `json:"rssi_dbm"`
	SNR       float64    `json:"snr_db"`
	Payload   string     `json:"payload_hex"`
}

func lineOf(p radio.RxPacket) heardLine {
	crc := map[radio.CRCStatus]string{radio.CRCOK: "ok", radio.CRCBad: "bad", radio.CRCNone: "none"}[p.CRC]
	return heardLine{
		Tick: p.Tick, Frequency: int64(p.Frequency), Offset: int64(p.Offset), DataRate: p.DataRate.String(), CRC: crc,
		RSSI: p.Level().Float(), SNR: p.SNR.Float(), Payload: fmt.Sprintf("%x", p.Payload),
	}
}

func (l heardLine) print(asJSON bool, out io.Writer) error {
	if asJSON {
		return json.NewEncoder(out).Encode(l)
	}
	_, err := fmt.Fprintf(out, "%12d  %9.4f MHz  %-10s crc %-4s  %6.1f dBm  %5.1f dB  %s\n",
		l.Tick, float64(l.Frequency)/1e6, l.DataRate, l.CRC, l.RSSI, l.SNR, l.Payload)
	return err
}

// withRadio runs do with the hotspot's own radio: the driver and its transmit queue.
// When there is nothing to start it ends at once with the reason; later faults are
// told on stderr while the radio is started again.
func (b board) withRadio(ctx context.Context, stderr io.Writer, do func(context.Context, *radiohw.Radio) error) (err error) {
	cfg, err := b.conf()
	if err != nil {
		return err
	}
	o, closeBus, err := b.open(cfg, b.log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBus()) }()
	r, err := radiohw.New(radiohw.Config{Board: o, Log: b.log()})
	if err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(running); err != nil {
			stop(err)
		}
	})
	wg.Go(func() {
		if err := tellFaults(running, r, stderr); err != nil {
			stop(err)
		}
	})
	err = do(running, r)
	if cause := context.Cause(running); cause != nil && ctx.Err() == nil {
		err = cause // why the radio ended
	}
	stop(nil)
	wg.Wait()
	return err
}

func listen(ctx context.Context, o listenOptions, to streams) error {
	switch {
	case o.Count < 0:
		return wrongUse("count is %d: give a number of packets, or 0 for no end", o.Count)
	case o.Duration < 0:
		return wrongUse("duration is %v: give a time, or 0 for no end", o.Duration)
	}
	return o.withRadio(ctx, to.err, func(ctx context.Context, r *radiohw.Radio) error {
		until := ctx
		if o.Duration > 0 {
			var cancel context.CancelFunc
			until, cancel = context.WithTimeout(ctx, o.Duration)
			defer cancel()
		}
		for n := 0; ; {
			packets, err := r.Receive(until)
			if err != nil {
				if until.Err() != nil && ctx.Err() == nil {
					return problem(r)
				}
				return err
			}
			for _, p := range packets {
				if err := lineOf(p).print(o.JSON, to.out); err != nil {
					return err
				}
				if n++; o.Count > 0 && n >= o.Count {
					return nil
				}
			}
		}
	})
}

// problem is what is wrong with a radio now, or nil.
func problem(r *radiohw.Radio) error {
	if p := r.Status().Problem(); p != "" {
		return errors.New(p)
	}
	return nil
}

// hopeless are the faults that mean that there is no board to wait for, when it has
// never answered.
var hopeless = []sx1302.Fault{sx1302.FaultNoChip, sx1302.FaultBadID, sx1302.FaultPins, sx1302.FaultBus, sx1302.FaultBridge}

// tellFaults says what goes wrong with a radio, each thing once until it has run
// again. It ends with ctx, or with an error when there is no board at all.
func tellFaults(ctx context.Context, r *radiohw.Radio, stderr io.Writer) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var w faultWatch
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text, err := w.look(r.Status())
		if err != nil {
			return err
		}
		if text != "" {
			fmt.Fprintf(stderr, "hotspotctl: %s\n", text)
		}
	}
}

// faultWatch remembers what was told.
type faultWatch struct {
	starts, faults uint64
	told           string
}

// look is what has changed since the last look, or "".
func (w *faultWatch) look(s radiohw.Status) (string, error) {
	var faults uint64
	for _, n := range s.Faults {
		faults += n
	}
	if s.Starts == 0 && faults > 0 && slices.ContainsFunc(hopeless, func(f sx1302.Fault) bool { return s.Faults[f.String()] > 0 }) {
		return "", errors.New(s.LastFault)
	}
	text := ""
	switch {
	case faults != w.faults && s.LastFault != w.told:
		text, w.told = s.LastFault, s.LastFault
	case s.Starts != w.starts && w.told != "":
		text, w.told = "the concentrator runs again", ""
	}
	w.faults, w.starts = faults, s.Starts
	return text, nil
}
