package chip_test

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
	"heliograph/testbench/ether"
)

// board is a simulated concentrator with our driver on it.
type board struct {
	chip   *chip.Chip
	driver *sx1302.Concentrator
	conf   sx1302.GlobalConf
}

// confFiles are the configurations that the vendor traces were made with, from
// SX1302_TRACES or testdata.
func confFiles(t *testing.T) map[string]string {
	t.Helper()
	dir := os.Getenv("SX1302_TRACES")
	if dir == "" {
		dir = "testdata/traces"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_conf.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no configurations in %s (%v)", dir, err)
	}
	out := map[string]string{}
	for _, f := range files {
		out[strings.TrimSuffix(filepath.Base(f), "_conf.json")] = f
	}
	return out
}

// confOf is one of the configurations in testdata.
func confOf(set string) string { return "testdata/traces/" + set + "_conf.json" }

// newBoard makes the board that a configuration is for. Nothing is started.
func newBoard(t *testing.T, conf string, clock *chip.ManualClock, change func(*chip.Config)) board {
	t.Helper()
	return boardWith(t, conf, clock, change, func(*sx1302.Config) {})
}

// boardWith is newBoard with a change to the driver's configuration.
func boardWith(t *testing.T, conf string, clock *chip.ManualClock, change func(*chip.Config), tune func(*sx1302.Config)) board {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	g, err := sx1302.ParseGlobalConf(text)
	if err != nil {
		t.Fatal(err)
	}
	tune(&g.Config)
	r := g.Radios[g.ClockSource]
	cfg := chip.Config{
		Model: chip.SX1302, FrontEnd: chip.FrontEnd(r.Kind.String()), EUI: 0x0016C001FF10A235, Clock: clock,
		RSSIOffset: r.RSSIOffset.Float(), Temperature: 20,
	}
	fw := sx1302.Firmware{
		AGC: chip.SyntheticFirmware(chip.ProgramAGC1250, 10), ARB: chip.SyntheticFirmware(chip.ProgramARB, 2),
		SX1261: chip.SyntheticPatch(),
	}
	if cfg.FrontEnd != chip.SX1250 {
		fw.AGC, fw.Cal = chip.SyntheticFirmware(chip.ProgramAGC125x, 6), chip.SyntheticFirmware(chip.ProgramCalibrate, 1)
	}
	if g.Fine != sx1302.FineOff {
		cfg.Model = chip.SX1303
	}
	if change != nil {
		change(&cfg)
	}
	c := chip.New(cfg)
	o := sx1302.Options{Config: g.Config, Firmware: fw, Clock: clock}
	if g.USB {
		o.USB = plug(t, c)
	} else {
		o.SPI, o.SX1261, o.I2C = c.SPI(), c.ListenSPI(), c.I2C()
		o.Pins = sx1302.Pins{PowerEnable: c.PowerPin(), Reset: c.ResetPin(), SX1261Reset: c.ListenResetPin()}
	}
	d, err := sx1302.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return board{c, d, g}
}

// plug makes what opens the board's tty: a new pipe to the bridge each time.
func plug(t *testing.T, c *chip.Chip) func(context.Context) (bus.Serial, error) {
	return func(context.Context) (bus.Serial, error) {
		host, device := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); _ = c.ServeUSB(context.Background(), device) }()
		t.Cleanup(func() { _ = host.Close(); <-done })
		return host, nil
	}
}

func (b board) start(t *testing.T) {
	t.Helper()
	if err := b.driver.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.driver.Close(context.Background()); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

// receive lets the driver look for packets during d.
func (b board) receive(t *testing.T, clock *chip.ManualClock, d time.Duration) (out []radio.RxPacket) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock.AfterFunc(d, cancel)
	for {
		ps, err := b.driver.Receive(ctx)
		out = append(out, ps...)
		if ctx.Err() != nil {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var (
	paris   = ether.Place{Lat: 48.8566, Lon: 2.3522}
	suburb  = ether.Place{Lat: 48.87, Lon: 2.36}
	weather = ether.Config{Shadowing: 1e-9, Fading: 1e-9}
)

// channelOf is a multi-SF channel of a configuration.
func (b board) channelOf(t *testing.T, i int) radio.Hertz {
	t.Helper()
	f, ok := b.conf.Frequency(i)
	if !ok {
		t.Fatalf("no channel %d", i)
	}
	return f
}

// sync is the network's sync word.
func (b board) sync() byte {
	if b.conf.Public {
		return 0x34
	}
	return 0x12
}

// firstChannel is the first multi-SF channel that is on.
func (b board) firstChannel(t *testing.T) int {
	t.Helper()
	for i, ch := range b.conf.Channels {
		if ch.Enable {
			return i
		}
	}
	t.Skip("no multi-SF channel is on")
	return 0
}

// transmitter is the first radio that may send on f, with its strongest power.
func (b board) transmitter(t *testing.T, f radio.Hertz) (chain uint8, power radio.CentiDBm) {
	t.Helper()
	for i, r := range b.conf.Radios {
		if r.Enable && r.TxEnable && (r.TxMin == 0 || f >= r.TxMin) && (r.TxMax == 0 || f <= r.TxMax) {
			return uint8(i), r.Gains[len(r.Gains)-1].Power
		}
	}
	t.Skipf("no radio may send on %v", f)
	return 0, 0
}

// TestDriverReceives starts the driver on each configuration and lets devices
// send on every channel and spreading factor.
func TestDriverReceives(t *testing.T) {
	for name, conf := range confFiles(t) {
		t.Run(name, func(t *testing.T) {
			clock := chip.NewManualClock(time.Time{})
			sky := chip.NewSky(clock, weather)
			b := newBoard(t, conf, clock, func(c *chip.Config) { c.CrystalPPB = 3000 })
			sky.Join(b.chip, ether.Station{Place: paris})
			device := sky.Station(ether.Station{Place: suburb, Device: true}, nil)
			b.start(t)
			what, err := b.driver.Chip(t.Context())
			if err != nil || what.EUI != 0x0016C001FF10A235 {
				t.Errorf("Chip = %+v, %v", what, err)
			}
			for i := range sx1302.MultiSF {
				for sf := radio.SpreadingFactor(7); sf <= 12 && b.conf.Channels[i].Enable; sf++ {
					if b.conf.SF>>(sf-5)&1 == 0 {
						continue
					}
					oneUplink(t, clock, sky, device, b, i, radio.LoRaRate(sf, 125*radio.KHz))
				}
			}
			if b.conf.Service.Enable && !b.conf.Service.ImplicitHeader {
				oneUplink(t, clock, sky, device, b, sx1302.ChanService, radio.LoRaRate(b.conf.Service.SF, b.conf.Service.Bandwidth))
			}
			if b.conf.FSK.Enable {
				oneUplink(t, clock, sky, device, b, sx1302.ChanFSK, radio.FSKRate(b.conf.FSK.BitRate))
			}
			if s := b.driver.Stats(); s.BadPacket+s.BadPayload+s.Garbage != 0 {
				t.Errorf("driver's counts: %+v", s)
			}
		})
	}
}

// oneUplink sends a packet on an IF channel and compares what the driver says of
// it with the truth.
func oneUplink(t *testing.T, clock *chip.ManualClock, sky *chip.Sky, device ether.StationID, b board, ch int, dr radio.DataRate) {
	t.Helper()
	f := b.channelOf(t, ch)
	payload := []byte{0x40, byte(ch), byte(dr.SF), 3, 4, 5, 6, 7, 8, 9, 10, 11}
	up := chip.Uplink(payload, f+700, dr, radio.DBm(14))
	up.Sync = b.sync()
	up.Start = clock.Now().Add(5 * time.Millisecond)
	sky.Send(device, up)
	got := b.receive(t, clock, 3*time.Second)
	if len(got) != 1 {
		t.Fatalf("channel %d %v: %d packets, want 1 (ether: %v)", ch, dr, len(got), sky.Counts())
	}
	p := got[0]
	if string(p.Payload) != string(payload) || p.DataRate != dr || p.Frequency != f || b.channelOf(t, int(p.IFChannel)) != f || p.CRC != radio.CRCOK {
		t.Errorf("channel %d %v: received %+v", ch, dr, p)
	}
	if dr.Modulation == radio.LoRa {
		if off := math.Abs(float64(p.Offset) - 700); off > 62 { // an SX125x tunes in steps of 31 or 61 Hz
			t.Errorf("channel %d %v: offset %d Hz, want 700", ch, dr, p.Offset)
		}
		if p.SNR < 1150 || p.Coding != 1 {
			t.Errorf("channel %d %v: SNR %v, coding %v", ch, dr, p.SNR, p.Coding)
		}
	}
	// The end of the packet on the chip's counter.
	now, ok := b.driver.Now()
	if age := now.Sub(p.Tick); !ok || age < 0 || age > 3_010_000 {
		t.Errorf("channel %d %v: tick %d, now %d", ch, dr, p.Tick, now)
	}
}

// TestTickIsTheEndOfThePacket compares ticks with the instants at which packets
// truly ended, across a wrap of the hardware counter.
func TestTickIsTheEndOfThePacket(t *testing.T) {
	for name, conf := range confFiles(t) {
		t.Run(name, func(t *testing.T) {
			clock := chip.NewManualClock(time.Time{})
			b := newBoard(t, conf, clock, func(c *chip.Config) { c.CounterAt = 0xE0000000 })
			b.start(t)
			f := b.channelOf(t, b.firstChannel(t))
			var first time.Time
			var base radio.Tick
			for i := range 20 {
				b.receive(t, clock, 2*time.Second)
				end := clock.Now()
				loss := b.chip.Receive(chip.Reception{
					Packet: radio.RxPacket{
						Payload: make([]byte, i), Frequency: f, DataRate: radio.LoRaRate(radio.SpreadingFactor(7+i%4), 125*radio.KHz),
						Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-100), SNR: radio.DB(3),
					}, Start: end.Add(-100 * time.Millisecond), End: end, Sync: b.sync(),
				})
				got := b.receive(t, clock, 50*time.Millisecond)
				if loss != "" || len(got) != 1 {
					t.Fatalf("packet %d: lost %q, %d received", i, loss, len(got))
				}
				if math.Abs(got[0].RSSI.Float()+100) > 2.6 { // 1 dB steps, and the driver's temperature correction
					t.Errorf("packet %d: RSSI %v, want -100 dBm", i, got[0].RSSI)
				}
				if i == 0 {
					first, base = end, got[0].Tick
					continue
				}
				if d := got[0].Tick.Sub(base) - radio.MicrosOf(end.Sub(first)); d < -2 || d > 2 {
					t.Errorf("packet %d (%v): tick is %d us off", i, got[0].DataRate, d)
				}
			}
		})
	}
}

// TestDriverToDriver lets one driver send to the other through chips and ether.
func TestDriverToDriver(t *testing.T) {
	confs := confFiles(t)
	for name, conf := range confs {
		t.Run(name, func(t *testing.T) {
			clock := chip.NewManualClock(time.Time{})
			sky := chip.NewSky(clock, weather)
			tx := newBoard(t, conf, clock, func(c *chip.Config) { c.CrystalPPB, c.CounterAt = -2500, 0xFFF00000 })
			rx := newBoard(t, conf, clock, nil)
			sky.Join(tx.chip, ether.Station{Place: paris})
			sky.Join(rx.chip, ether.Station{Place: suburb})
			var heard []chip.Reception
			sky.Station(ether.Station{Place: suburb, Device: true}, func(r chip.Reception) { heard = append(heard, r) })
			tx.start(t)
			rx.start(t)
			f := rx.channelOf(t, rx.firstChannel(t))
			chain, power := tx.transmitter(t, f)
			for i, p := range []radio.TxPacket{
				{Payload: []byte("beacon of proof"), DataRate: radio.LoRaRate(9, 125*radio.KHz)},
				{Payload: make([]byte, 255), DataRate: radio.LoRaRate(7, 125*radio.KHz), Preamble: 10},
				{Payload: []byte{1}, DataRate: radio.LoRaRate(10, 125*radio.KHz), Coding: 4},
				{Payload: []byte("downlink"), DataRate: radio.LoRaRate(7, 500*radio.KHz), InvertIQ: true, NoCRC: true},
			} {
				p.Frequency, p.RadioChain, p.Power, p.When, p.Coding = f, chain, power, radio.AtTick, max(p.Coding, 1)
				now, ok := tx.driver.Now()
				if !ok {
					t.Fatal("no counter")
				}
				p.Tick = now.Add(500_000 + 17)
				want := clock.Now().Add(p.Tick.Sub(now).Duration())
				heard = nil
				res, err := tx.driver.Send(t.Context(), p)
				if err != nil || res.Status != radio.TxOK || res.Tick != p.Tick || res.Power != power {
					t.Fatalf("packet %d: Send = %+v, %v", i, res, err)
				}
				got := rx.receive(t, clock, 3*time.Second)
				if p.InvertIQ {
					if len(got) != 0 || len(heard) != 1 || string(heard[0].Packet.Payload) != "downlink" {
						t.Fatalf("packet %d: a downlink was heard by %d gateways, %d devices", i, len(got), len(heard))
					}
					if late := heard[0].Start.Sub(want); late < -20*time.Microsecond || late > 20*time.Microsecond {
						t.Errorf("packet %d: %v late", i, late)
					}
					continue
				}
				if len(got) != 1 || string(got[0].Payload) != string(p.Payload) || got[0].Coding != p.Coding || got[0].Frequency != f {
					t.Fatalf("packet %d: received %+v", i, got)
				}
				tx.receive(t, clock, 100*time.Millisecond) // keeps its counter current
			}
		})
	}
}
