package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"heliograph/firmware/concentrator"
	"heliograph/firmware/forwarder"
	"heliograph/firmware/hotspot"
	"heliograph/firmware/radiohw"
	"heliograph/hardware/bus"
	"heliograph/hardware/linuxbus"
	"heliograph/hardware/sx1302"
	"heliograph/radio/region"
)

// chipTickBound is how well the driver knows its counter; SPI takes less than that.
const chipTickBound = 2 * time.Millisecond

// source is the radio that was configured: a concentrator of our own, or packet
// forwarders.
type source struct {
	name      string
	radio     concentrator.Concentrator
	chip      *radiohw.Radio            // nil with packet forwarders
	gnss      hotspot.GNSS              // nil without a receiver
	run       func(ctx context.Context) // nil when there is nothing to run
	close     func()
	listens   bool // senses the carrier by itself
	tickBound time.Duration
}

// openRadio opens the radio. With a concentrator of our own, the powers that it can
// produce are those of its table.
func openRadio(ctx context.Context, cfg config, st *station, log *slog.Logger) (source, error) {
	if cfg.Radio.Device == "" {
		fwd, err := forwarder.Listen(ctx, forwarder.Config{Addr: cfg.Radio.Listen, Log: log})
		if err != nil {
			return source{}, err
		}
		return source{name: "udp " + fwd.Addr().String(), radio: fwd, close: func() { _ = fwd.Close() }}, nil
	}
	rc := cfg.Radio
	conf, err := radiohw.LoadConf(rc.Conf)
	if err != nil {
		return source{}, err
	}
	lo, hi, ok := radiohw.Power(&conf.Config)
	if !ok {
		return source{}, fmt.Errorf("%s lets no radio transmit: set tx_enable and tx_gain_lut of radio_0", rc.Conf)
	}
	st.min, st.max = lo, hi
	if err := checkChannels(cfg, &conf.Config, log); err != nil {
		return source{}, err
	}
	store := rc.Firmware
	if store == "" {
		store = filepath.Join(cfg.DataDir, "firmware")
	}
	fw, unknown, err := radiohw.LoadFirmware(store, &conf.Config)
	if err != nil {
		return source{}, err
	}
	if len(unknown) > 0 {
		log.Warn("microcontroller images are none of sx1302_hal V2.1.0: they run on a simulated chip only", "images", unknown, "dir", store)
	}
	board, closeBus, err := radiohw.Device{
		Path: rc.Device, SX1261: rc.SX1261, I2C: rc.I2C, SPIHz: rc.SPIHz,
		ResetPin: rc.ResetPin, PowerPin: rc.PowerPin, SX1261Reset: rc.SX1261Pin, DACReset: rc.DACPin,
	}.Open(conf.Config, fw, log)
	if err != nil {
		return source{}, err
	}
	board.Silence = rc.Silence
	receiver, err := openGNSS(rc)
	if err == nil {
		if err = sx1302.CheckFirmware(&conf.Config, &fw); err != nil {
			err = fmt.Errorf("%w (--to %s)", err, store)
		}
	}
	if err != nil {
		return source{}, errors.Join(err, closeBus())
	}
	r, err := radiohw.New(radiohw.Config{Board: board, GNSS: receiver, PPS: rc.PPS, Survey: conf.Survey, Log: log})
	if err != nil {
		return source{}, errors.Join(err, closeBus())
	}
	var gnss hotspot.GNSS
	if rc.GNSS != "" {
		gnss = r
	}
	return source{
		name: rc.Device, radio: r, gnss: gnss, chip: r, listens: conf.SX1261.LBT, tickBound: chipTickBound,
		run: func(ctx context.Context) { _ = r.Run(ctx) }, // what ends it ends Receive too
		close: func() {
			if err := closeBus(); err != nil {
				log.Warn("the concentrator's bus did not close", "error", err.Error())
			}
		},
	}, nil
}

// checkChannels compares a concentrator's configuration with the region's beacon
// channels. One that has none of them is for another region, or for downlinks only.
func checkChannels(cfg config, conf *sx1302.Config, log *slog.Logger) error {
	plan, err := region.ByName(cfg.Region)
	if err != nil {
		return err
	}
	channels := plan.PoC.Channels
	deaf, mute := radiohw.Deaf(conf, channels), radiohw.Mute(conf, channels)
	if !cfg.Beacons {
		mute = nil
	}
	span := fmt.Sprintf("%v to %v", slices.Min(channels), slices.Max(channels))
	switch {
	case len(deaf) == len(channels):
		return fmt.Errorf("%s listens on no beacon channel of %s (%s): take the file of that region, or correct region", cfg.Radio.Conf, cfg.Region, span)
	case len(mute) == len(channels):
		return fmt.Errorf("%s lets no radio send on the beacon channels of %s (%s): widen tx_freq_min and tx_freq_max of radio_0, and the channels of lbt if it is on, or set beacons = false",
			cfg.Radio.Conf, cfg.Region, span)
	case len(deaf) > 0 || len(mute) > 0:
		log.Warn("the concentrator's configuration lacks beacon channels of the region", "conf", cfg.Radio.Conf, "not_heard", fmt.Sprint(deaf), "not_sent_on", fmt.Sprint(mute))
	}
	return nil
}

// openGNSS tries the receiver's tty once, so that a wrong name stops the start; one
// that is unplugged later is opened again when it is back.
func openGNSS(rc radioConfig) (radiohw.GNSS, error) {
	if rc.GNSS == "" {
		return radiohw.GNSS{}, nil
	}
	open := func(context.Context) (bus.Serial, error) { return linuxbus.OpenSerial(rc.GNSS, rc.GNSSBaud) }
	port, err := open(context.Background())
	if err == nil {
		err = port.Close()
	}
	if err != nil {
		return radiohw.GNSS{}, fmt.Errorf("GNSS receiver: %w; correct radio.gnss and radio.gnss_baud, or leave radio.gnss out", err)
	}
	return radiohw.GNSS{Name: rc.GNSS, Open: open}, nil
}
