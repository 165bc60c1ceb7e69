package sx1302

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// fakeI2C is a board with an STTS751 and an AD5338R.
type fakeI2C struct {
	sensor uint16 // address of the sensor, 0 for none
	fail   bool
	writes [][]byte
}

func (f *fakeI2C) Tx(_ context.Context, addr uint16, w, r []byte) error {
	switch {
	case f.fail || addr != f.sensor && addr != dacAddr:
		return errors.New("no acknowledge")
	case len(r) == 0:
		f.writes = append(f.writes, append([]byte{byte(addr)}, w...))
	default:
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
