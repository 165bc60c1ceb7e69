package chipfaults

import (
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

// Cases is the table of faults.
func Cases() []Case {
	var out []Case
	for _, part := range [][]Case{wires(), usb(), microcontrollers(), radios(), reception(), timekeeping(), transmission()} {
		out = append(out, part...)
	}
	return out
}

func onUSB(c *board.Config) { c.USB = true }

func with1257(c *board.Config) {
	cfg := board.EU868()
	for i := range cfg.Radios {
		cfg.Radios[i].Kind, cfg.Radios[i].RSSIOffset = calc.SX1257, -20700
	}
	var gains []calc.Gain
	for _, g := range []struct {
		dbm     int
		pa, mix uint8
	}{{0, 0, 12}, {10, 1, 12}, {14, 2, 10}, {20, 3, 9}, {27, 3, 14}} {
		gains = append(gains, calc.Gain{Power: radio.DBm(g.dbm), PA: g.pa, DAC: 3, Mixer: g.mix})
	}
	cfg.Radios[0].Gains = gains
	c.Radio, c.Chip.FrontEnd = &cfg, chip.SX1257
}

func withListen(c *board.Config) {
	cfg := board.EU868()
	cfg.SX1261 = sx1302.SX1261{Enable: true, LBT: true, Threshold: radio.DBm(-80)}
	for _, f := range []radio.Hertz{868_100_000, 868_300_000, 868_500_000} {
		cfg.SX1261.Channels = append(cfg.SX1261.Channels, sx1302.LBTChannel{
			Frequency: f, Bandwidth: 125 * radio.KHz, Scan: 128, Transmit: 4_000_000,
		})
	}
	c.Radio = &cfg
}

// A survey of the band, one channel a second.
const surveyPace = time.Second

func withSurvey(c *board.Config) {
	cfg := board.EU868()
	cfg.SX1261 = sx1302.SX1261{Enable: true}
	c.Radio, c.Survey = &cfg, sx1302.Survey{First: 867_100_000, Channels: 8, Scans: 200, Pace: surveyPace}
}

// silence is a short radio.silent_after.
const silence = time.Minute

func withSilence(c *board.Config) { c.Silence = silence }

func withPulse(c *board.Config) { c.PPS = true }

func start(name, from string, f chip.Fault, want sx1302.Fault, says string) Case {
	return Case{Name: name, From: from, Within: atStart, Says: says, Faults: []chip.Fault{f}, Early: true, Counted: counted(want)}
}

func later(name, from string, f chip.Fault, want sx1302.Fault, says string) Case {
	return Case{Name: name, From: from, Within: atRunTime, Says: says, Faults: []chip.Fault{f}, Counted: counted(want)}
}

func (c Case) on(config func(*board.Config)) Case { c.Config = config; return c }
func (c Case) final() Case                        { c.Final = true; return c }
func (c Case) within(d time.Duration) Case        { c.Within = d; return c }

func wires() []Case {
	return []Case{
		start("chip absent, line low", "issue", chip.AbsentLow, sx1302.FaultNoChip, "check the SPI device"),
		start("chip absent, line high", "issue", chip.AbsentHigh, sx1302.FaultNoChip, "check the SPI device"),
		start("version register reads 0x00", "ablation", chip.AbsentLow, sx1302.FaultNoChip, "reset is active high"),
		start("held in reset", "issue", chip.HeldInReset, sx1302.FaultNoChip, "reset pins"),
		start("another device on the bus", "issue", chip.WrongBus, sx1302.FaultBadID, "SPI device"),
		{Name: "wrong SPI path", From: "issue", Says: "enable SPI", Alone: wrongPath, Unseen: "the start is refused"},
		start("bus fails at the start", "issue", chip.BusError, sx1302.FaultBus, "permissions"),
		later("bus fails at run time", "issue", chip.BusError, sx1302.FaultBus, "cabling"),
		later("held in reset at run time", "more", chip.HeldInReset, sx1302.FaultNoChip, "reset").within(atOnce),
		later("chip vanishes at run time", "more", chip.AbsentHigh, sx1302.FaultNoChip, "check the SPI device").within(atOnce),
		{Name: "temperature sensor absent", From: "issue", Within: atStart, Says: "25 °C", Faults: []chip.Fault{chip.NoSensor},
			Early: true, Counted: "no_sensor", Runs: true, Bear: hears},
		{Name: "firmware missing", From: "more", Within: atOnce, Says: "hotspotctl radio firmware import",
			Config: func(c *board.Config) { c.NoFirmware = true }, Counted: counted(sx1302.FaultNoImage), Final: true},
	}
}

func usb() []Case {
	return []Case{
		later("USB unplugged mid-read", "issue", chip.USBUnplugged, sx1302.FaultBridge, "plug it in again").on(onUSB),
		later("USB bridge silent", "more", chip.USBSilent, sx1302.FaultBridge, "plug it in again").on(onUSB),
		later("USB answers out of step", "more", chip.USBWrongID, sx1302.FaultBridge, "firmware").on(onUSB),
		{Name: "short reads", From: "issue", Within: atStart, Faults: []chip.Fault{chip.USBShort}, Early: true, Config: onUSB, Bear: hears, Unseen: "how a byte stream is"},
	}
}

func microcontrollers() []Case {
	return []Case{
		start("program reads back differently", "ablation", chip.ReadBackFlip, sx1302.FaultReadBack, "power supply"),
		start("parity error after loading", "ablation", chip.LoadParity, sx1302.FaultParity, "power supply"),
		later("parity error at run time", "issue", chip.RunParity, sx1302.FaultParity, "a restart loads the program again"),
		start("wrong AGC version", "issue", chip.WrongAGC, sx1302.FaultMCUVersion, "sx1302_hal V2.1.0").final(),
		start("wrong ARB version", "issue", chip.WrongARB, sx1302.FaultMCUVersion, "sx1302_hal V2.1.0").final(),
		start("AGC never ready", "issue", chip.AGCDead, sx1302.FaultMCUSilent, "clock source"),
		start("ARB never ready", "issue", chip.ARBDead, sx1302.FaultMCUSilent, "clock source"),
		start("AGC stops in its set-up", "ablation", chip.AGCStops, sx1302.FaultMCUSilent, "clock source"),
		start("AGC echoes wrongly", "ablation", chip.AGCWrongEcho, sx1302.FaultMCUEcho, "SPI wiring"),
		start("ARB never enters its loop", "ablation", chip.ARBStops, sx1302.FaultMCUSilent, "clock source"),
		later("status stuck at 0x14", "issue", chip.ReceiveStall, sx1302.FaultParity, "restart"),
		later("status stuck at 0x14, no parity error", "issue", chip.StatusStall, sx1302.FaultStall, "restarted").within(atSecond),
		{Name: "starts once per reset only", From: "more", Within: 3 * atStart, Faults: []chip.Fault{chip.NeedsReset}, Early: true, Bear: restarts,
			Shown: `hotspot_radio_faults_total{fault="bus"}`},
	}
}

func radios() []Case {
	return []Case{
		start("SX1250 not in standby", "ablation", chip.NoStandby, sx1302.FaultFrontEnd, "radio type"),
		start("SX1250 without crystal", "ablation", chip.NoCrystal, sx1302.FaultFrontEnd, "crystal"),
		start("image calibration fails", "ablation", chip.ImageError, sx1302.FaultCalibration, "frequency"),
		start("SX1257 never locks", "more", chip.NoLock, sx1302.FaultCalibration, "frequency").on(with1257).slow(),
		start("SX1257 cannot be calibrated", "more", chip.BadCalibration, sx1302.FaultCalibration, "antenna connector").on(with1257).slow(),
		start("calibration program stops", "more", chip.DeadCalibrator, sx1302.FaultMCUSilent, "clock source").on(with1257).slow(),
		start("SX1261 silent", "more", chip.ListenDead, sx1302.FaultLBT, "SX1261").on(withListen),
		start("SX1261 patch does not run", "more", chip.OldPatch, sx1302.FaultLBT, "SX1261").on(withListen).within(atStart + 3*time.Second), // 386 words of patch, each with a pause
		{Name: "channel always busy", From: "more", Within: atOnce, Faults: []chip.Fault{chip.ListenBusy}, Config: withListen,
			Bear: sendEnds(radio.TxBusy), Shown: "hotspot_radio_not_sent_total"},
		later("spectral scan never ends", "ablation", chip.ScanStuck, sx1302.FaultScan, "do without scans").on(withSurvey).within(surveyPace + 6*time.Second),
	}
}

// slow gives a start with calibrations its time.
func (c Case) slow() Case { c.Within = 10 * time.Second; return c }

func reception() []Case {
	return []Case{
		{Name: "FIFO overflow", From: "issue", Within: 12 * time.Second, Says: "polls too slowly", Faults: []chip.Fault{chip.FIFOOverflow},
			Counted: "fifo_overflow", Runs: true, Act: inject},
		{Name: "FIFO count impossible", From: "more", Within: atRunTime, Says: "restarted", Faults: []chip.Fault{chip.FIFOAbsurd},
			Counted: counted(sx1302.FaultFIFO)},
		{Name: "FIFO count torn", From: "more", Within: atOnce, Faults: []chip.Fault{chip.FIFOTorn}, Bear: hears, Unseen: "costs nothing"},
		{Name: "garbage between packets", From: "more", Within: atOnce, Faults: []chip.Fault{chip.FIFOGarbage}, Bear: skips, Shown: "hotspot_radio_garbage_bytes_total"},
		{Name: "byte corrupted in the FIFO", From: "more", Within: atOnce, Faults: []chip.Fault{chip.FIFOCorrupt}, Bear: losesOne,
			Shown: `hotspot_radio_bad_total{reason="damaged"}`},
		{Name: "nothing received for long", From: "ablation", Within: silence + atRunTime, Says: "antenna", Config: withSilence,
			Counted: counted(sx1302.FaultSilent), Act: hearsOnce},
	}
}

func timekeeping() []Case {
	return []Case{
		later("counter runs backwards", "issue", chip.CounterBackwards, sx1302.FaultCounter, "power supply"),
		later("counter stands still", "more", chip.CounterStopped, sx1302.FaultCounter, "power supply"),
		{Name: "counter torn", From: "more", Within: atOnce, Faults: []chip.Fault{chip.CounterTorn}, Bear: hears, Unseen: "costs nothing"},
		{Name: "pulse per second lost", From: "issue", Within: sx1302.PPSLost + 12*time.Second, Says: "GNSS antenna", Faults: []chip.Fault{chip.NoPPS},
			Config: withPulse, Settle: 5 * time.Second, Counted: counted(sx1302.FaultPPS), Runs: true},
	}
}

func transmission() []Case {
	return []Case{
		{Name: "transmit stuck on air", From: "issue", Within: 5 * time.Second, Says: "restarted", Faults: []chip.Fault{chip.TransmitEmitting},
			Counted: counted(sx1302.FaultTxStuck), Act: sendsTwice},
		{Name: "transmit stuck scheduled", From: "issue", Within: atOnce, Faults: []chip.Fault{chip.TransmitScheduled}, Bear: sendEnds(radio.TxTooLate),
			Shown: "hotspot_radio_not_sent_total"},
		{Name: "transmit status reads 0", From: "ablation", Within: 5 * time.Second, Says: "restarted", Faults: []chip.Fault{chip.TransmitZero},
			Counted: counted(sx1302.FaultTxStuck), Act: sends},
		{Name: "power refused by region", From: "issue", Says: "lower the power", Alone: refusedPower, Shown: `hotspot_downlinks_total{status=...}`},
	}
}
