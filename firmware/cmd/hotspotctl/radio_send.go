package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/firmware/txlimit"
	"heliograph/radio"
	"heliograph/radio/region"
)

func sendCommand() radioCommand {
	return radioCommand{
		words: "send", args: " HEX", summary: "transmit one packet, within what the region allows",
		about: "Transmits the payload once and says whether it went on air. What the region's rules forbid\nis not transmitted.",
		examples: "  hotspotctl radio send 48656c6c6f --region EU868 --gain-dbi 3 --conf global_conf.json --reset-pin GPIO17\n" +
			"  hotspotctl radio send 00 --region US915 --gain-dbi 2 --frequency-mhz 904.3 --data-rate SF8BW125 --device /dev/ttyACM0 --conf global_conf.json --json",
		options: func() any {
			return &sendOptions{board: defaultBoard(), Gain: unsetGain, Frequency: 868.1, DataRate: "SF9BW125", EIRP: 14, Wait: 30 * time.Second}
		},
		run: func(ctx context.Context, o any, words []string, out io.Writer) error {
			return send(ctx, *o.(*sendOptions), words[0], out)
		},
	}
}

const unsetGain = -1000

type sendOptions struct {
	board
	Region    string        `toml:"region" help:"region plan whose rules apply; must be set"`
	Gain      float64       `toml:"gain_dbi" help:"gain of the antenna less cable loss; must be set"`
	Frequency float64       `toml:"frequency_mhz" help:"carrier"`
	DataRate  string        `toml:"data_rate" help:"as in SF9BW125"`
	EIRP      float64       `toml:"eirp_dbm" help:"radiated power"`
	Invert    bool          `toml:"invert" help:"inverted polarity, as downlinks to devices have"`
	Wait      time.Duration `toml:"wait" help:"how long to wait for the concentrator to start"`
}

// sent is the outcome as it is printed.
type sent struct {
	Status string  `json:"status"`
	Power  float64 `json:"conducted_dbm"`
	OnAir  float64 `json:"on_air_ms"`
}

var errNotSent = errors.New("nothing was transmitted")

func send(ctx context.Context, o sendOptions, payload string, out io.Writer) error {
	p, grant, err := o.packet(payload)
	if err != nil {
		return err
	}
	return o.withRadio(ctx, func(ctx context.Context, r *radiohw.Radio) error {
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		if err := awaitStart(ctx, r); err != nil {
			return err
		}
		res, err := r.Send(ctx, p)
		if err != nil {
			return err
		}
		s := sent{Status: res.Status.String(), Power: res.Power.Float(), OnAir: float64(grant.OnAir) / 1000}
		if o.JSON {
			err = printJSON(out, s)
		} else {
			_, err = fmt.Fprintf(out, "%s, %.2f dBm at the connector, %.1f ms on air\n", s.Status, s.Power, s.OnAir)
		}
		if err == nil && res.Status != radio.TxOK {
			err = errNotSent
		}
		return err
	})
}

// packet makes the packet that was asked for, as far as the region allows it.
func (o sendOptions) packet(payload string) (p radio.TxPacket, grant txlimit.Grant, err error) {
	b, err := hex.DecodeString(payload)
	if err != nil || len(b) == 0 || len(b) > radio.MaxPayload {
		return p, grant, fmt.Errorf("payload %q is not hexadecimal of 1 to %d bytes", payload, radio.MaxPayload)
	}
	plan, err := region.ByName(o.Region)
	if err != nil {
		return p, grant, fmt.Errorf("%w: set --region to one of %v", err, region.Names())
	}
	if o.Gain == unsetGain {
		return p, grant, errors.New("gain_dbi is not set: give the antenna's gain less the cable's loss; too small a value breaks the law")
	}
	gain, err := radio.CentiDBFrom(o.Gain)
	if err != nil {
		return p, grant, err
	}
	eirp, err := radio.CentiDBmFrom(o.EIRP)
	if err != nil {
		return p, grant, err
	}
	rate, err := radio.ParseDataRate(o.DataRate)
	if err != nil {
		return p, grant, err
	}
	cfg, err := o.conf()
	if err != nil {
		return p, grant, err
	}
	lo, hi, ok := radiohw.Power(&cfg)
	if !ok {
		return p, grant, errors.New("the configuration lets no radio transmit: set tx_enable and tx_gain_lut of radio_0")
	}
	limits, err := txlimit.New(txlimit.Config{Plan: plan, Gain: gain, MinPower: lo, MaxPower: hi, Listens: cfg.SX1261.LBT}, nil, 0)
	if err != nil {
		return p, grant, err
	}
	p = radio.TxPacket{
		Payload: b, Frequency: radio.Hertz(o.Frequency*1e6 + 0.5), DataRate: rate, Coding: 1,
		InvertIQ: o.Invert, NoCRC: o.Invert, Preamble: 8, When: radio.Immediate,
	}
	if grant, err = limits.Reserve(txlimit.Request{Packet: p, EIRP: radio.EIRP(eirp)}, 0); err != nil {
		return p, grant, err
	}
	p.Power = grant.Power
	return p, grant, nil
}

// awaitStart waits until the chip runs.
func awaitStart(ctx context.Context, r *radiohw.Radio) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !r.Status().Up {
		select {
		case <-ctx.Done():
			if err := problem(r); err != nil {
				return err
			}
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
