package board

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// Config of a [Board]. The zero value is an SX1302 with two SX1250 on SPI, set up
// for EU868. A chip without levels of its own has those that its driver assumes.
type Config struct {
	Chip  chip.Config
	Radio *sx1302.Config // nil: [EU868]
	USB   bool           // behind the USB bridge

	Clock sx1302.Clock  // of the host; nil: the machine's
	Poll  time.Duration // of the FIFO; 0: the driver's
	PPS   bool          // the loss of pulses is a fault

	Silence time.Duration // after which a receiver that has heard packets is deaf; 0: never
	Survey  sx1302.Survey // measured all the time

	GNSS radiohw.GNSS // the receiver's serial line; the zero value: none
	SPI  func(bus.SPI) bus.SPI
	Log  *slog.Logger

	NoFirmware bool // the images are missing
}

// Board is a chip with a hotspot's radio on it.
type Board struct {
	Chip  *chip.Chip
	Radio *radiohw.Radio

	options sx1302.Options
	bridges sync.WaitGroup
}

// New makes a board. Nothing runs before [radiohw.Radio.Run] and Receive.
func New(cfg Config) (*Board, error) {
	if cfg.Radio == nil {
		c := EU868()
		cfg.Radio = &c
	}
	if cfg.Chip.TxLevels == nil && cfg.Radio.Radios[0].Kind == calc.SX1250 {
		cfg.Chip.TxLevels = levels(cfg.Radio.Radios[0].Gains)
	}
	if front := cfg.Radio.Radios[cfg.Radio.ClockSource%sx1302.RFChains]; cfg.Chip.RSSIOffset == 0 && cfg.Chip.TempCoeffs == [5]float64{} {
		k := front.TempComp
		cfg.Chip.RSSIOffset, cfg.Chip.TempCoeffs = front.RSSIOffset.Float(), [5]float64{k.A, k.B, k.C, k.D, k.E}
	}
	b := &Board{Chip: chip.New(cfg.Chip)}
	b.options = sx1302.Options{Config: *cfg.Radio, Clock: cfg.Clock, Poll: cfg.Poll, Silence: cfg.Silence, Log: cfg.Log}
	if !cfg.NoFirmware {
		b.options.Firmware = Firmware(cfg.Radio)
	}
	if cfg.USB {
		b.options.USB = b.dial
	} else {
		b.options.SPI, b.options.SX1261, b.options.I2C = b.Chip.SPI(), b.Chip.ListenSPI(), b.Chip.I2C()
		b.options.Pins = sx1302.Pins{PowerEnable: b.Chip.PowerPin(), Reset: b.Chip.ResetPin(), SX1261Reset: b.Chip.ListenResetPin()}
		if cfg.SPI != nil {
			b.options.SPI = cfg.SPI(b.options.SPI)
		}
	}
	var err error
	b.Radio, err = radiohw.New(radiohw.Config{Board: b.options, PPS: cfg.PPS, Survey: cfg.Survey, GNSS: cfg.GNSS, Log: cfg.Log})
	return b, err
}

// Options are the wires and the configuration, for a driver without a hotspot.
func (b *Board) Options() sx1302.Options { return b.options }

// dial plugs the USB cable in.
func (b *Board) dial(context.Context) (bus.Serial, error) {
	host, device := net.Pipe()
	b.bridges.Go(func() {
		_ = b.Chip.ServeUSB(context.Background(), device) // ends when the host closes its end
	})
	return host, nil
}

// Wait waits until nobody serves the USB cable any more, which is after the radio
// has stopped.
func (b *Board) Wait() { b.bridges.Wait() }

// Firmware are synthetic microcontroller images for a configuration. They run on
// the simulated chip only.
func Firmware(cfg *sx1302.Config) sx1302.Firmware {
	agc := chip.ProgramAGC1250
	if cfg.Radios[cfg.ClockSource].Kind != calc.SX1250 {
		agc = chip.ProgramAGC125x
	}
	image := func(p chip.Program) []byte { return chip.SyntheticFirmware(p, p.Version()) }
	return sx1302.Firmware{
		AGC: image(agc), ARB: image(chip.ProgramARB), Cal: image(chip.ProgramCalibrate), SX1261: chip.SyntheticPatch(),
	}
}

// EU868 listens on the eight channels of the European plan, to the 250 kHz channel
// at 868.3 MHz and to FSK at 868.8 MHz, and transmits from 0 to 27 dBm.
func EU868() sx1302.Config {
	front := sx1302.Radio{Enable: true, Kind: calc.SX1250, Frequency: 867_500_000, RSSIOffset: -21540, TempComp: calc.CoreCell()}
	cfg := sx1302.Config{
		Public: true, SF: 0xFF,
		Radios:  [sx1302.RFChains]sx1302.Radio{front, front},
		Service: sx1302.Service{Enable: true, Radio: 1, IF: -200_000, Bandwidth: 250 * radio.KHz, SF: 7},
		FSK:     sx1302.FSK{Enable: true, Radio: 1, IF: 300_000, Bandwidth: 125 * radio.KHz, BitRate: 50_000},
	}
	cfg.Radios[1].Frequency = 868_500_000
	for i, c := range []struct {
		rf     uint8
		offset radio.Hertz
	}{
		{1, -400_000}, {1, -200_000}, {1, 0}, {0, -400_000}, {0, -200_000}, {0, 0}, {0, 200_000}, {0, 400_000},
	} {
		cfg.Channels[i] = sx1302.Channel{Enable: true, Radio: c.rf, IF: c.offset}
	}
	tx := &cfg.Radios[0]
	tx.TxEnable, tx.TxMin, tx.TxMax = true, 863*radio.MHz, 870*radio.MHz
	// Power indices of the vendor's board, and weaker ones that it leaves out.
	for _, g := range []struct {
		dbm       int
		pa, index uint8
	}{
		{0, 0, 2}, {2, 0, 4}, {4, 0, 6}, {6, 0, 8}, {8, 0, 10}, {10, 0, 13}, {11, 0, 14}, {12, 0, 15}, {13, 0, 16},
		{14, 0, 17}, {15, 0, 19}, {16, 0, 20}, {17, 0, 22}, {20, 1, 3}, {23, 1, 6}, {27, 1, 14},
	} {
		tx.Gains = append(tx.Gains, calc.Gain{Power: radio.DBm(g.dbm), PA: g.pa, PowerIndex: g.index, DAC: 3, Mixer: 5})
	}
	return cfg
}

// levels makes the simulated amplifier give what the table says.
func levels(gains []calc.Gain) []chip.TxLevel {
	var out []chip.TxLevel
	for _, g := range gains {
		out = append(out, chip.TxLevel{PA: min(g.PA, 1), Index: g.PowerIndex, Power: g.Power})
	}
	return out
}

// Of makes the board that a packet forwarder's configuration is for.
func Of(g sx1302.GlobalConf, cfg Config) (*Board, error) {
	cfg.Radio, cfg.USB = &g.Config, g.USB
	switch g.Radios[g.ClockSource].Kind {
	case calc.SX1255:
		cfg.Chip.FrontEnd = chip.SX1255
	case calc.SX1257:
		cfg.Chip.FrontEnd = chip.SX1257
	}
	if g.Fine != sx1302.FineOff {
		cfg.Chip.Model = chip.SX1303
	}
	return New(cfg)
}
