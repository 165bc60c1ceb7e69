package chip_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
	"heliograph/testbench/ether"
)

// TestLiveEther runs two drivers on two chips on the clock of package time, one
// transmitting to the other through a live ether.
func TestLiveEther(t *testing.T) {
	conf := confOf("spi_sx1250_eu868")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		e := ether.New(weather)
		stopped := make(chan error, 3)
		go func() { stopped <- e.Run(ctx) }()
		boards := [2]board{newLiveBoard(t, conf), newLiveBoard(t, conf)}
		for i, at := range []ether.Place{paris, suburb} {
			go func() { stopped <- boards[i].chip.Join(ctx, e, ether.Station{Place: at}) }()
		}
		for _, b := range boards {
			if err := b.driver.Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
		now, _ := boards[0].driver.Now()
		p := radio.TxPacket{
			Payload: []byte("live"), Frequency: boards[1].channelOf(t, 3), DataRate: radio.LoRaRate(9, 125*radio.KHz), Coding: 1,
			Power: radio.DBm(14), When: radio.AtTick, Tick: now.Add(300_000),
		}
		end := time.Now().Add(300*time.Millisecond + 123_904*time.Microsecond) // SF9, 4 bytes, CRC
		if res, err := boards[0].driver.Send(ctx, p); err != nil || res.Status != radio.TxOK {
			t.Fatalf("Send = %+v, %v", res, err)
		}
		look, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		got, err := boards[1].driver.Receive(look)
		if err != nil || len(got) != 1 || string(got[0].Payload) != "live" || got[0].IFChannel != 3 {
			t.Fatalf("Receive = %+v, %v", got, err)
		}
		tick, _ := boards[1].driver.Now()
		ago := tick.Sub(got[0].Tick)
		if late := time.Since(end) - ago.Duration(); late < -time.Millisecond || late > time.Millisecond {
			t.Errorf("the packet's tick is %v off its end", late)
		}
		for _, b := range boards {
			if err := b.driver.Close(ctx); err != nil {
				t.Error(err)
			}
		}
		cancel()
		for range 3 {
			if err := <-stopped; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

// newLiveBoard is a board on the clock of package time.
func newLiveBoard(t *testing.T, conf string) board {
	t.Helper()
	b := newBoard(t, conf, chip.NewManualClock(time.Time{}), nil)
	cfg := b.chip.Config()
	cfg.Clock, cfg.CommitLead = chip.RealClock{}, 5*time.Millisecond
	c := chip.New(cfg)
	d, err := sx1302.New(sx1302.Options{
		SPI: c.SPI(), I2C: c.I2C(), Pins: sx1302.Pins{Reset: c.ResetPin()}, Config: b.conf.Config,
		Firmware: sx1302.Firmware{AGC: chip.SyntheticFirmware(chip.ProgramAGC1250, 10), ARB: chip.SyntheticFirmware(chip.ProgramARB, 2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return board{c, d, b.conf}
}
