package sx1302

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// fakeI2C is a board with an STTS751 and an AD5338R.
type fakeI2C struct {
	sensor uint16 // address of the sensor, 0 for none
	fail   bool
	refuse byte   // register that cannot be written, 0 for none
	asked  []byte // registers that were read
	writes [][]byte
}

func (f *fakeI2C) Tx(_ context.Context, addr uint16, w, r []byte) error {
	switch {
	case f.fail || addr != f.sensor && addr != dacAddr:
		return errors.New("no acknowledge")
	case f.refuse != 0 && len(r) == 0 && w[0] == f.refuse:
		return errors.New("no acknowledge of data")
	case len(r) == 0:
		f.writes = append(f.writes, append([]byte{byte(addr)}, w...))
	default:
		f.asked = append(f.asked, w[0])
		r[0] = map[byte]byte{0xFE: 0x53, 0: 0xF6, 2: 0x80}[w[0]] // -9.5 degrees
	}
	return nil
}

func TestBoardDevices(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		sensor uint16
		duplex bool
		want   float64
	}{{0x39, false, -9.5}, {0x38, true, -9.5}, {0, false, usualCelsius}} {
		c, chip := makeFake(t, setConf(t, "spi_sx1250_eu868"))
		board := &fakeI2C{sensor: tt.sensor}
		c.t.(*spiTransport).sensor = &sensor{bus: board}
		if tt.duplex {
			c.dac = board
		}
		if err := c.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if c.celsius != tt.want {
			t.Errorf("sensor at %#x: %v degrees", tt.sensor, c.celsius)
		}
		if tt.sensor != 0 && !slices.ContainsFunc(board.writes, func(w []byte) bool { return bytes.Equal(w, []byte{byte(tt.sensor), 3, 0x8C}) }) {
			t.Errorf("sensor is not set up: % x", board.writes)
		}
		if !tt.duplex {
			continue
		}
		chip.emit = true
		now, _ := c.Now()
		if res, err := c.Send(ctx, downlink(now.Add(50_000))); err != nil || res.Status != radio.TxOK {
			t.Fatal(res, err)
		}
		last := board.writes[len(board.writes)-1]
		if hi, lo, err := calc.AD5338R(dacSending); err != nil || !bytes.Equal(last, []byte{dacAddr, 0x39, hi, lo}) {
			t.Errorf("DAC before sending: % x", last)
		}
		// A sensor that fails later costs nothing but its readings.
		board.fail = true
		_ = chip.clock.Sleep(ctx, 2*celsiusEvery)
		chip.fifo = entry(numbered(1), 0, 0, 0)
		if ps, err := c.Receive(ctx); err != nil || len(ps) != 1 {
			t.Errorf("without its sensor: %v, %v", ps, err)
		}
	}
}

// TestSensorNotSetUp: a sensor that cannot be configured keeps no radio from working.
func TestSensorNotSetUp(t *testing.T) {
	for _, register := range []byte{0x03, 0x04} {
		c, _ := makeFake(t, setConf(t, "spi_sx1250_eu868"))
		var log bytes.Buffer
		wire := c.t.(*spiTransport)
		wire.sensor = &sensor{bus: &fakeI2C{sensor: 0x39, refuse: register}}
		wire.log = slog.New(slog.NewTextHandler(&log, nil))
		if err := c.Start(context.Background()); err != nil {
			t.Fatalf("register %#x: %v", register, err)
		}
		if c.celsius != usualCelsius {
			t.Errorf("register %#x: %v degrees from a sensor that was not set up", register, c.celsius)
		}
		if !strings.Contains(log.String(), "temperature sensor at 0x39") {
			t.Errorf("register %#x: logged %q", register, log.String())
		}
	}
}

// TestSensorOrder: the degrees are read before their fraction, always.
func TestSensorOrder(t *testing.T) {
	board := &fakeI2C{sensor: 0x39}
	s := &sensor{bus: board, addr: 0x39}
	for range 50 {
		board.asked = nil
		if got, ok, err := s.read(context.Background()); got != -9.5 || !ok || err != nil {
			t.Fatal(got, ok, err)
		}
		if !bytes.Equal(board.asked, []byte{0, 2}) {
			t.Fatalf("registers read: % x", board.asked)
		}
	}
}

// TestFullDuplexNeedsI2C: without its DAC the amplifier would be driven unbiased.
func TestFullDuplexNeedsI2C(t *testing.T) {
	g, err := ParseGlobalConf(setConf(t, "spi_sx1250_eu868"))
	if err != nil {
		t.Fatal(err)
	}
	g.Config.FullDuplex = true
	o := Options{SPI: newFakeChip(&fakeClock{}), Config: g.Config, Firmware: syntheticFirmware()}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "set i2c") {
		t.Errorf("without I2C: %v", err)
	} else if f, _ := FaultOf(err); f != FaultConfig {
		t.Errorf("without I2C: %v", f)
	}
	o.I2C = &fakeI2C{}
	if _, err := New(o); err != nil {
		t.Errorf("with I2C: %v", err)
	}
}

// TestTwoDemodulators: with fine timestamps a packet may come from two.
func TestTwoDemodulators(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1303_ftime_eu868"))
	stamp := chip.counter()
	bad := entry(numbered(1), 2, stamp, 0)
	bad[headBytes+len(numbered(1))] = 1 // CRC error
	bad[len(bad)-1] = calc.Checksum(bad[:len(bad)-1])
	for _, e := range [][]byte{
		entry(numbered(3), 2, stamp+64*1000, 0), bad, entry(numbered(1), 2, stamp+20*calc.CyclesPerMicro, 4),
		entry(numbered(1), 3, stamp, 0), // another channel: another packet
		entry(numbered(1), 2, stamp+30*calc.CyclesPerMicro*10, 0),
	} {
		chip.fifo = append(chip.fifo, e...)
	}
	ps, err := c.Receive(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(ps) != 4 || c.Stats().Duplicate != 1 {
		t.Fatalf("%d packets, %+v", len(ps), c.Stats())
	}
	if !slices.IsSortedFunc(ps, func(a, b radio.RxPacket) int { return int(a.Tick.Sub(b.Tick)) }) {
		t.Error("not in order of time")
	}
	for _, p := range ps {
		if p.CRC != radio.CRCOK {
			t.Error("the worse copy was kept")
		}
	}
}

func TestKnownImages(t *testing.T) {
	for _, k := range KnownImages() {
		if b, err := hex.DecodeString(k.SHA256); err != nil || len(b) != 32 || k.Size == 0 || k.Name == "" {
			t.Errorf("%+v", k)
		}
	}
	if k, ok := IdentifyImage(make([]byte, 8192)); ok {
		t.Errorf("zeros are %s", k.Name)
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for f := FaultNoChip; f <= FaultPPS; f++ {
		i := f.info()
		if i.name == "" || i.text == "" || i.remedy == "" || seen[f.String()] {
			t.Errorf("fault %d: %+v", f, i)
		}
		seen[f.String()] = true
	}
	if Fault(200).String() != "fault_200" || Fault(200).Restart() {
		t.Error("an unknown fault")
	}
	inner := errors.New("inner")
	if err := fault(FaultBus, inner, "detail"); !errors.Is(err, inner) {
		t.Errorf("%v hides its cause", err)
	}
}

// TestOneRemedy: what the wire says about itself is the remedy, and nothing is added
// to it that has nothing to do with it.
func TestOneRemedy(t *testing.T) {
	busy := errors.New("ttyACM0 is in use: stop hotspotd first")
	g, err := ParseGlobalConf(setConf(t, "usb_sx1250_eu868"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		cause error
		want  string
	}{
		{bus.WithRemedy(busy), "sx1302: transfer failed: open: ttyACM0 is in use: stop hotspotd first"},
		{errors.Join(bus.WithRemedy(busy), nil), "sx1302: transfer failed: open: ttyACM0 is in use: stop hotspotd first"},
		{errors.New("no luck"), "sx1302: transfer failed: open: no luck: " + FaultBus.info().remedy},
	} {
		c, err := New(Options{
			USB:    func(context.Context) (bus.Serial, error) { return nil, tt.cause },
			Config: g.Config, Firmware: syntheticFirmware(),
		})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Start(t.Context())
		if f, _ := FaultOf(err); f != FaultBus || !errors.Is(err, tt.cause) || err.Error() != tt.want {
			t.Errorf("%v\nwant %s", err, tt.want)
		}
	}
}
