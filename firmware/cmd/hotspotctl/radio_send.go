package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/firmware/txlimit"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/radio/region"
)

func sendCommand() radioCommand {
	return radioCommand{
		words: "send", args: " HEX", summary: "transmit one packet, within what the region allows",
		about: "Transmits the payload once and says whether it went on air. What the region's rules forbid\nis not transmitted.",
		examples: "  hotspotctl radio send 48656c6c6f --region EU868 --gain-dbi 2 --eirp-dbm 16 --conf global_conf.json --reset-pin GPIO17\n" +
			"  hotspotctl radio send 00 --region US915 --gain-dbi 2 --frequency-mhz 904.3 --data-rate SF8BW125 --device /dev/ttyACM0 --conf global_conf.json --json",
		options: func() any {
			return &sendOptions{board: defaultBoard(), Gain: unsetGain, Frequency: 868.1, DataRate: "SF9BW125", EIRP: 14, Wait: 30 * time.Second}
		},
		run: func(ctx context.Context, o any, words []string, to streams) error {
			return send(ctx, *o.(*sendOptions), words[0], to)
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

// sent is the outcome as it is printed. Power and time on air are those of a packet
// that was transmitted.
type sent struct {
	Status string  `json:"status"`
	Power  float64 `json:"conducted_dbm,omitempty"`
	OnAir  float64 `json:"on_air_ms"`
}

func send(ctx context.Context, o sendOptions, payload string, to streams) error {
	if o.Wait <= 0 {
		return wrongUse("wait is %v: give how long the concentrator may take to start, as in --wait 30s", o.Wait)
	}
	p, grant, err := o.packet(payload)
	if err != nil {
		return err
	}
	return o.withRadio(ctx, to.err, func(ctx context.Context, r *radiohw.Radio) error {
		if err := awaitStart(ctx, r, o.Wait); err != nil {
			return err
		}
		res, err := r.Send(ctx, p)
		if err != nil {
			return err
		}
		s := sent{Status: res.Status.String()}
		if res.Status != radio.TxOK {
			return errors.Join(s.print(o.JSON, to.out), o.refusal(p, res.Status, r))
		}
		if err := awaitEnd(ctx, r, res.Tick.Add(grant.OnAir)); err != nil {
			return err
		}
		s.Power, s.OnAir = res.Power.Float(), float64(grant.OnAir)/1000
		return s.print(o.JSON, to.out)
	})
}

func (s sent) print(asJSON bool, out io.Writer) error {
	switch {
	case asJSON:
		return printJSON(out, s)
	case s.OnAir == 0:
		_, err := fmt.Fprintln(out, s.Status)
		return err
	}
	_, err := fmt.Fprintf(out, "%s, %.2f dBm at the connector, %.1f ms on air\n", s.Status, s.Power, s.OnAir)
	return err
}

// refusal says why a packet was not transmitted, and what to do.
func (o sendOptions) refusal(p radio.TxPacket, status radio.TxStatus, r *radiohw.Radio) error {
	why := "the concentrator reports " + status.String() + ": try again with --verbose"
	switch status {
	case radio.TxBadFrequency:
		why = fmt.Sprintf("%s is outside what %s allows (%s): choose --frequency-mhz within it, or correct tx_freq_min and tx_freq_max",
			p.Frequency, o.Conf, o.ranges())
	case radio.TxBadPower:
		why = fmt.Sprintf("%s at the connector is not in tx_gain_lut of %s: raise --eirp-dbm", p.Power, o.Conf)
	case radio.TxBusy:
		why = fmt.Sprintf("the channel is occupied, or sx1261_conf.lbt of %s has none at %s: try again, or choose one of its channels", o.Conf, p.Frequency)
	case radio.TxTooLate:
		why = "the host was too slow to hand the packet over: end what else keeps it busy and try again"
	case radio.TxNoRadio, radio.TxFailed:
		why = "the concentrator failed: try again with --verbose"
		if err := problem(r); err != nil {
			why = err.Error()
		}
	}
	return errors.New("nothing was transmitted: " + why)
}

// ranges are the frequencies that the radios may transmit on.
func (o sendOptions) ranges() string {
	cfg, err := o.conf()
	if err != nil {
		return err.Error()
	}
	var out []string
	for i, r := range cfg.Radios {
		if r.Enable && r.TxEnable {
			out = append(out, fmt.Sprintf("radio_%d %s", i, between(r.TxMin, r.TxMax)))
		}
	}
	return strings.Join(out, ", ")
}

// packet makes the packet that was asked for, as far as the region allows it.
func (o sendOptions) packet(payload string) (p radio.TxPacket, grant txlimit.Grant, err error) {
	b, err := hex.DecodeString(payload)
	if err != nil || len(b) == 0 || len(b) > radio.MaxPayload {
		return p, grant, wrongUse("payload %q is not hexadecimal of 1 to %d bytes", payload, radio.MaxPayload)
	}
	plan, err := region.ByName(o.Region)
	if err != nil {
		return p, grant, wrongUse("%w: set --region to one of %v", err, region.Names())
	}
	if o.Gain == unsetGain {
		return p, grant, wrongUse("gain_dbi is not set: give the antenna's gain less the cable's loss; too small a value breaks the law")
	}
	gain, err1 := radio.CentiDBFrom(o.Gain)
	eirp, err2 := radio.CentiDBmFrom(o.EIRP)
	rate, err3 := radio.ParseDataRate(o.DataRate)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return p, grant, usageError{err}
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
	grant, err = limits.Reserve(txlimit.Request{Packet: p, EIRP: radio.EIRP(eirp)}, 0)
	if errors.Is(err, txlimit.ErrPower) {
		return p, grant, fmt.Errorf("%w: choose --eirp-dbm between %s and %s, or an antenna of less gain", err,
			radio.EIRP(lo.Add(gain)), radio.EIRP(hi.Add(gain)))
	}
	if err != nil {
		return p, grant, err
	}
	p.Power = grant.Power
	return p, grant, nil
}

// awaitStart waits until the chip runs.
func awaitStart(ctx context.Context, r *radiohw.Radio, patience time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !r.Status().Up {
		if (sx1302.SystemClock{}).Sleep(waiting, 10*time.Millisecond) == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := problem(r); err != nil {
			return err
		}
		return fmt.Errorf("the concentrator has not started within %v: allow it more with --wait", patience)
	}
	return nil
}

// tail is waited for after a packet's end, since leaving would stop the chip's
// transmitter.
const tail = radio.Micros(5_000)

// awaitEnd waits until a packet is no longer on air.
func awaitEnd(ctx context.Context, r *radiohw.Radio, end radio.Tick) error {
	for {
		now, ok := r.Now()
		if !ok {
			return fmt.Errorf("the packet was cut short: %w", cmp.Or(problem(r), errors.New("the concentrator went down")))
		}
		left := end.Sub(now)
		if left <= -tail {
			return nil
		}
		// In pieces, since the chip may fail meanwhile.
		if (sx1302.SystemClock{}).Sleep(ctx, min((left+tail+1).Duration(), 100*time.Millisecond)) != nil {
			return context.Cause(ctx)
		}
	}
}
