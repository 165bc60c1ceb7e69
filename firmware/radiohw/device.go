package radiohw

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"heliograph/hardware/bus"
	"heliograph/hardware/linuxbus"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Device says how a concentrator board is attached to the host. Pins are GPIO lines,
// by name (GPIO17) or by chip and offset (gpiochip0:17), "" where the board lacks them.
type Device struct {
	Path        string // of the spidev of an SPI board, or the tty of a USB board
	SX1261      string // spidev of the listen-before-talk radio; "" for none
	I2C         string // bus of temperature sensor and DAC; "" for none
	ResetPin    string
	PowerPin    string
	SX1261Reset string
	DACReset    string
	SPIHz       int64 // clock of the SPI buses, 100 kHz to 10 MHz; 0: DefaultSPIHz
}

// DefaultSPIHz is the clock of the SPI buses that Semtech's own software uses.
const DefaultSPIHz = 2_000_000

// Bounds of the SPI clock: below the lower one frames of received packets take too
// long; the chip takes no more than the upper one.
const (
	minSPIHz = 100_000
	maxSPIHz = 10_000_000
)

const usbBaud = 115_200 // which a USB device ignores

// USB says whether the path is that of a USB board: anything but a spidev, or a link
// to one.
func (d Device) USB() bool {
	path := d.Path
	if real, err := filepath.EvalSymlinks(path); err == nil { // opening says what is wrong
		path = real
	}
	return !strings.HasPrefix(filepath.Base(path), "spidev")
}

// Open opens the wires of an SPI board; those of a USB board are opened, and opened
// again, when the chip is started. close gives all of them back, after the radio has
// stopped.
func (d Device) Open(cfg sx1302.Config, fw sx1302.Firmware, log *slog.Logger) (o sx1302.Options, closeAll func() error, err error) {
	o = sx1302.Options{Config: cfg, Firmware: fw, Log: log}
	var open []func() error
	closeAll = func() error {
		var errs []error
		for _, c := range open {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	if d.Path == "" {
		return o, closeAll, errors.New("radiohw: no device: name the board's spidev or tty")
	}
	spiHz := cmp.Or(d.SPIHz, DefaultSPIHz)
	if spiHz < minSPIHz || spiHz > maxSPIHz {
		return o, closeAll, fmt.Errorf("radiohw: spi_hz is %d: set it to %d to %d", spiHz, minSPIHz, maxSPIHz)
	}
	if d.USB() {
		o.USB = func(context.Context) (bus.Serial, error) { return linuxbus.OpenSerial(d.Path, usbBaud) }
		return o, closeAll, nil
	}
	if d.SX1261 == d.Path {
		return o, closeAll, fmt.Errorf("radiohw: %s cannot be the concentrator and the SX1261: name the spidev of each", d.Path)
	}
	spi := func(path string) bus.SPI {
		if path == "" || err != nil {
			return nil
		}
		s, e := linuxbus.OpenSPI(path, spiHz)
		if e != nil {
			err = e
			return nil
		}
		open = append(open, s.Close)
		return s
	}
	pin := func(name string) bus.Pin {
		if name == "" || err != nil {
			return nil
		}
		p, e := linuxbus.OpenPin(name)
		if e != nil {
			err = e
			return nil
		}
		open = append(open, p.Close)
		return p
	}
	o.SPI, o.SX1261 = spi(d.Path), spi(d.SX1261)
	o.Pins = sx1302.Pins{PowerEnable: pin(d.PowerPin), Reset: pin(d.ResetPin), SX1261Reset: pin(d.SX1261Reset), DACReset: pin(d.DACReset)}
	if err == nil && d.I2C != "" {
		b, e := linuxbus.OpenI2C(d.I2C)
		if err = e; e == nil {
			open = append(open, b.Close)
			o.I2C = b
		}
	}
	if err != nil {
		return o, closeAll, errors.Join(err, closeAll())
	}
	return o, closeAll, nil
}

// LoadConf reads a packet forwarder's global_conf.json.
func LoadConf(path string) (sx1302.GlobalConf, error) {
	b, err := readLimited(path)
	if err != nil {
		return sx1302.GlobalConf{}, fmt.Errorf("radiohw: load configuration: %w", err)
	}
	c, err := sx1302.ParseGlobalConf(b)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Power is the range of conducted power that a configuration can transmit with.
func Power(cfg *sx1302.Config) (lo, hi radio.CentiDBm, ok bool) {
	for _, r := range cfg.Radios {
		if !r.Enable || !r.TxEnable || len(r.Gains) == 0 {
			continue
		}
		first, last := r.Gains[0].Power, r.Gains[len(r.Gains)-1].Power
		if !ok {
			lo, hi, ok = first, last, true
		}
		lo, hi = min(lo, first), max(hi, last)
	}
	return lo, hi, ok
}

// Blank are microcontroller images without a program: with them a chip without
// firmware can be identified as far as its radios, and cannot transmit.
func Blank() sx1302.Firmware {
	const erased = 0x3FFF
	image := make([]byte, 0, calc.ImageBytes)
	for len(image) < calc.ImageBytes {
		w := calc.ParityWord(erased)
		image = append(image, byte(w), byte(w>>8))
	}
	return sx1302.Firmware{AGC: image, ARB: image, Cal: image, SX1261: make([]byte, 1544)}
}
