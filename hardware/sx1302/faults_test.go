package sx1302

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/radio"
)

// TestStartFaults breaks one thing at a time. Each start ends with its fault,
// names a remedy, and takes a bounded time by the chip's clock.
func TestStartFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		set  string
		do   func(*Concentrator, *fakeChip)
		want Fault
	}{
		"no chip":        {"", func(_ *Concentrator, f *fakeChip) { f.version = 0x00 }, FaultNoChip},
		"in reset":       {"", func(_ *Concentrator, f *fakeChip) { f.version = 0xFF }, FaultNoChip},
		"wrong bus":      {"", func(_ *Concentrator, f *fakeChip) { f.version = 0x05 }, FaultBadID},
		"no AGC image":   {"", func(c *Concentrator, _ *fakeChip) { c.fw.AGC = nil }, FaultNoImage},
		"no ARB image":   {"", func(c *Concentrator, _ *fakeChip) { c.fw.ARB = nil }, FaultNoImage},
		"no cal image":   {"spi_sx1257_eu868", func(c *Concentrator, _ *fakeChip) { c.fw.Cal = nil }, FaultNoImage},
		"damaged image":  {"", func(c *Concentrator, _ *fakeChip) { c.fw.ARB[5] ^= 1 }, FaultImage},
		"short image":    {"", func(c *Concentrator, _ *fakeChip) { c.fw.ARB = c.fw.ARB[:100] }, FaultImage},
		"read back":      {"", func(_ *Concentrator, f *fakeChip) { f.deaf = map[uint16]bool{0x123: true, 0x122: true} }, FaultReadBack},
		"parity":         {"", func(_ *Concentrator, f *fakeChip) { f.parity = true }, FaultParity},
		"AGC version":    {"", func(_ *Concentrator, f *fakeChip) { f.agcVersion = 9 }, FaultMCUVersion},
		"AGC silent":     {"", func(_ *Concentrator, f *fakeChip) { f.freeze = true }, FaultMCUSilent},
		"AGC echo":       {"", func(_ *Concentrator, f *fakeChip) { f.deaf = map[uint16]bool{0x578F: true} }, FaultMCUEcho},
		"ARB silent":     {"", func(_ *Concentrator, f *fakeChip) { f.deaf = map[uint16]bool{0x6081: true} }, FaultMCUSilent},
		"no fine stamps": {"spi_sx1303_ftime_eu868", func(_ *Concentrator, f *fakeChip) { f.model = 2 }, FaultModel},
		"SX1250 mode":    {"", func(_ *Concentrator, f *fakeChip) { f.stuckMode = 2 }, FaultFrontEnd},
		"SX1250 image":   {"", func(_ *Concentrator, f *fakeChip) { f.imageError = true }, FaultCalibration},
		"no lock":        {"spi_sx1257_eu868", func(_ *Concentrator, f *fakeChip) { f.noLock = true }, FaultCalibration},
	} {
		t.Run(name, func(t *testing.T) {
			set := tt.set
			if set == "" {
				set = "spi_sx1250_eu868"
			}
			c, chip := makeFake(t, setConf(t, set))
			tt.do(c, chip)
			began := chip.clock.Now()
			err := c.Start(context.Background())
			if f, ok := FaultOf(err); !ok || f != tt.want {
				t.Fatalf("fault %v: %v", f, err)
			}
			if i := tt.want.info(); !strings.HasSuffix(err.Error(), i.remedy) || !strings.Contains(err.Error(), i.text) {
				t.Errorf("text: %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			if d := chip.clock.Now().Sub(began); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if _, err := c.Receive(context.Background()); err == nil {
				t.Error("receives all the same")
			}
		})
	}
}

// TestRunFaults breaks a running chip: Receive notices by itself.
func TestRunFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*fakeChip)
		want Fault
	}{
		"parity":      {func(f *fakeChip) { f.parity = true }, FaultParity},
		"stall":       {func(f *fakeChip) { f.mem[0x5781] = stalledStatus }, FaultStall},
		"gone":        {func(f *fakeChip) { f.version = 0xFF }, FaultNoChip},
		"reset":       {func(f *fakeChip) { f.mem[0x5605] = 0 }, FaultStall},
		"counter":     {func(f *fakeChip) { f.start = f.start.Add(2 * time.Second) }, FaultCounter},
		"FIFO length": {func(f *fakeChip) { f.fifo = make([]byte, 0x1801) }, FaultFIFO},
	} {
		t.Run(name, func(t *testing.T) {
			c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
			if err := c.Health(context.Background()); err != nil {
				t.Fatalf("healthy: %v", err)
			}
			tt.do(chip)
			began := chip.clock.Now()
			_, err := c.Receive(context.Background())
			if f, ok := FaultOf(err); !ok || f != tt.want || !f.Restart() {
				t.Fatalf("fault %v: %v", f, err)
			}
			if d := chip.clock.Now().Sub(began); d > 3*WatchEvery {
				t.Errorf("noticed after %v", d)
			}
		})
	}
}

func TestPPSLost(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	pulse := func() { chip.mem[0x6104]++ }
	for range 5 {
		pulse()
		if err := c.Health(context.Background()); err != nil {
			t.Fatal(err)
		}
		_ = chip.clock.Sleep(context.Background(), time.Second)
	}
	_ = chip.clock.Sleep(context.Background(), PPSLost)
	if f, _ := FaultOf(c.Health(context.Background())); f != FaultPPS || f.Restart() {
		t.Errorf("lost pulse: %v", f)
	}
	pulse()
	if err := c.Health(context.Background()); err != nil {
		t.Errorf("it came back: %v", err)
	}
}

func downlink(at radio.Tick) radio.TxPacket {
	return radio.TxPacket{
		Payload: []byte("downlink"), Frequency: 869_525_000, DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1,
		Power: radio.DBm(14), InvertIQ: true, NoCRC: true, When: radio.AtTick, Tick: at,
	}
}

func TestSend(t *testing.T) {
	ctx := context.Background()
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	now, ok := c.Now()
	if !ok {
		t.Fatal("no tick")
	}
	chip.emit = true
	res, err := c.Send(ctx, downlink(now.Add(500_000)))
	if err != nil || res.Status != radio.TxOK || res.Tick != now.Add(500_000) || res.Power != radio.DBm(14) {
		t.Fatalf("%+v, %v", res, err)
	}
	// The first packet is still on air.
	now, _ = c.Now()
	if res, err = c.Send(ctx, downlink(now.Add(20_000))); err != nil || res.Status != radio.TxCollisionPacket {
		t.Errorf("over another: %+v, %v", res, err)
	}
	_ = chip.clock.Sleep(ctx, time.Second)
	now, _ = c.Now()
	for name, tt := range map[string]struct {
		change func(*radio.TxPacket)
		want   radio.TxStatus
	}{
		"late":      {func(p *radio.TxPacket) { p.Tick = now.Add(1000) }, radio.TxTooLate},
		"past":      {func(p *radio.TxPacket) { p.Tick = now.Add(-1_000_000) }, radio.TxTooLate},
		"early":     {func(p *radio.TxPacket) { p.Tick = now.Add(TxAdvance + 10_000_000) }, radio.TxTooEarly},
		"frequency": {func(p *radio.TxPacket) { p.Frequency = 915 * radio.MHz }, radio.TxBadFrequency},
		"power":     {func(p *radio.TxPacket) { p.Power = radio.DBm(5) }, radio.TxBadPower},
		"chain":     {func(p *radio.TxPacket) { p.RadioChain = 1 }, radio.TxNoRadio},
		"no chain":  {func(p *radio.TxPacket) { p.RadioChain = 7 }, radio.TxNoRadio},
		"empty":     {func(p *radio.TxPacket) { p.Payload = nil }, radio.TxFailed},
		"no pulse":  {func(p *radio.TxPacket) { p.When = radio.AtGPS }, radio.TxGPSUnlocked},
	} {
		p := downlink(now.Add(30_000))
		tt.change(&p)
		if res, err := c.Send(ctx, p); err != nil || res.Status != tt.want {
			t.Errorf("%s: %v, %v; want %v", name, res.Status, err, tt.want)
		}
	}
	p := downlink(0)
	p.When = radio.Immediate
	if res, err := c.Send(ctx, p); err != nil || res.Status != radio.TxOK {
		t.Errorf("immediate: %+v, %v", res, err)
	}
	// Another one waits for its end.
	began := chip.clock.Now()
	if res, err := c.Send(ctx, p); err != nil || res.Status != radio.TxOK {
		t.Errorf("immediate, again: %+v, %v", res, err)
	}
	if d := chip.clock.Now().Sub(began); d < 100*time.Millisecond || d > 250*time.Millisecond {
		t.Errorf("waited %v for a packet of 144 ms", d)
	}
	if s := c.Stats(); s.Sent != 3 {
		t.Errorf("%+v", s)
	}
}

// TestSendNeverStarts: a packet that the chip does not start is aborted, and the
// outcome says so.
func TestSendNeverStarts(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	now, _ := c.Now()
	res, err := c.Send(context.Background(), downlink(now.Add(100_000)))
	if err != nil || res.Status != radio.TxTooLate {
		t.Fatalf("%+v, %v", res, err)
	}
	if chip.tx[0] != txFree || chip.mem[0x5200] != 0 {
		t.Errorf("state %#02x, trigger %#02x", chip.tx[0], chip.mem[0x5200])
	}
	chip.stuckTx = true
	now, _ = c.Now()
	_, err = c.Send(context.Background(), downlink(now.Add(100_000)))
	if f, _ := FaultOf(err); f != FaultTxStuck {
		t.Errorf("stuck: %v", err)
	}
}

// TestSendCancelled: when ctx ends, the packet is taken back.
func TestSendCancelled(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	ctx, cancel := context.WithCancel(context.Background())
	chip.onTrigger = cancel
	now, _ := c.Now()
	if _, err := c.Send(ctx, downlink(now.Add(100_000))); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if chip.tx[0] != txFree {
		t.Errorf("state %#02x", chip.tx[0])
	}
}

// TestSilence: a receiver that has heard something must go on hearing, one that never
// has need not, and restarts in vain become rarer.
func TestSilence(t *testing.T) {
	c, chip := makeFake(t, setConf(t, "spi_sx1250_eu868"))
	const limit = 10 * time.Minute
	c.silent.limit = limit
	silentAfter := func(d time.Duration) bool {
		t.Helper()
		for end := chip.clock.Now().Add(d); ; {
			err := c.Health(t.Context())
			if f, _ := FaultOf(err); err != nil && f != FaultSilent {
				t.Fatal(err)
			}
			if err != nil || !chip.clock.Now().Before(end) {
				return err != nil
			}
			_ = chip.clock.Sleep(t.Context(), min(time.Second, end.Sub(chip.clock.Now())))
		}
	}
	restart := func() {
		t.Helper()
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	if silentAfter(2 * limit) {
		t.Error("a place without devices counts as a fault")
	}
	chip.fifo = entry(numbered(1), 0, 0, 0)
	if ps, err := c.Receive(t.Context()); err != nil || len(ps) != 1 {
		t.Fatalf("%v, %v", ps, err)
	}
	if silentAfter(0) || silentAfter(limit-time.Second) {
		t.Error("silent too soon")
	}
	if !silentAfter(2 * time.Second) {
		t.Error("not silent in time")
	}
	restart()
	if silentAfter(2*limit - 10*time.Second) {
		t.Error("no more patience after a restart in vain")
	}
	if !silentAfter(10 * time.Second) {
		t.Error("only one restart")
	}
}

// TestKeeper follows a chip through three failed starts, reception, a fault that
// was met elsewhere, and one that no restart can cure.
func TestKeeper(t *testing.T) {
	c, chip := makeFake(t, setConf(t, "spi_sx1250_eu868"))
	var trail []string
	down := 3
	chip.version = 0
	began := chip.clock.Now()
	var k *Keeper
	k = NewKeeper(c, Hooks{
		Up: func(found Chip) {
			trail = append(trail, "up "+found.String())
			chip.mu.Lock()
			chip.fifo = entry(numbered(1), 0, 0, 0)
			chip.mu.Unlock()
		},
		Down: func() { trail = append(trail, "down") },
		Fault: func(err error) {
			f, _ := FaultOf(err)
			trail = append(trail, f.String())
			if down--; down == 0 {
				chip.mu.Lock()
				chip.version = 0x10
				chip.mu.Unlock()
			}
		},
		Heard: func(ps []radio.RxPacket) {
			trail = append(trail, fmt.Sprint("heard ", len(ps)))
			if d := chip.clock.Now().Sub(began); down == 0 && (d < 7*time.Second || d > 20*time.Second) {
				t.Errorf("three restarts took %v", d)
			}
			if !k.Report(errors.New("nothing to do with the chip")) || !k.Report(fault(FaultPPS, nil, "")) {
				t.Error("reception does not go on")
			}
			if down == -1 {
				c.fw.ARB = nil // the next start fails for good
			}
			if k.Report(fault(FaultTxStuck, nil, "chain 0")) {
				t.Error("reception goes on with a chip that is stuck")
			}
		},
	})
	err := k.Run(t.Context())
	if f, _ := FaultOf(err); f != FaultNoImage {
		t.Errorf("run: %v", err)
	}
	want := "down no_chip down no_chip down no_chip up SX1302 heard 1 down tx_stuck up SX1302 heard 1 down tx_stuck down no_image"
	if got := strings.Join(trail, " "); got != want {
		t.Errorf("went\n%s, want\n%s", got, want)
	}
	if k.Report(fault(FaultStall, nil, "")) { // and does not panic
		t.Error("a keeper that has ended goes on")
	}
}

func TestKeeperEndsWithContext(t *testing.T) {
	c, chip := makeFake(t, setConf(t, "spi_sx1250_eu868"))
	chip.version = 0
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := NewKeeper(c, Hooks{Fault: func(error) {
		if n++; n == 9 {
			cancel()
		}
	}}).Run(ctx)
	if !errors.Is(err, context.Canceled) || n != 9 {
		t.Errorf("after %d faults: %v", n, err)
	}
}
