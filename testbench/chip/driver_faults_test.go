package chip_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// faultCase is what the driver must make of a fault.
type faultCase struct {
	fault  chip.Fault
	set    string        // configuration; "" = spi_sx1250_eu868
	when   string        // "start", "run" or "send"
	want   sx1302.Fault  // 0: the driver carries on and loses nothing but what is broken
	within time.Duration // of simulated time after the fault struck
	lost   int           // packets that the fault may cost while the driver carries on
}

func faultCases() []faultCase {
	const set1257, setUSB, fine = "spi_sx1257_eu868", "usb_sx1250_eu868", "spi_sx1303_ftime_eu868"
	const start = 6 * time.Second
	return []faultCase{
		{chip.AbsentLow, "", "start", sx1302.FaultNoChip, start, 0},
		{chip.AbsentHigh, "", "start", sx1302.FaultNoChip, start, 0},
		{chip.HeldInReset, "", "start", sx1302.FaultNoChip, start, 0},
		{chip.WrongBus, "", "start", sx1302.FaultBadID, start, 0},
		{chip.BusError, "", "start", sx1302.FaultBus, start, 0},
		{chip.ReadBackFlip, "", "start", sx1302.FaultReadBack, start, 0},
		{chip.LoadParity, "", "start", sx1302.FaultParity, start, 0},
		{chip.WrongAGC, "", "start", sx1302.FaultMCUVersion, start, 0},
		{chip.WrongARB, "", "start", sx1302.FaultMCUVersion, start, 0},
		{chip.AGCDead, "", "start", sx1302.FaultMCUSilent, start, 0},
		{chip.ARBDead, "", "start", sx1302.FaultMCUSilent, start, 0},
		{chip.AGCStops, "", "start", sx1302.FaultMCUSilent, start, 0},
		{chip.AGCWrongEcho, "", "start", sx1302.FaultMCUEcho, start, 0},
		{chip.ARBStops, "", "start", sx1302.FaultMCUSilent, start, 0},
		{chip.BadCalibration, set1257, "start", sx1302.FaultCalibration, 30 * time.Second, 0},
		{chip.DeadCalibrator, set1257, "start", sx1302.FaultMCUSilent, 30 * time.Second, 0},
		{chip.NoLock, set1257, "start", sx1302.FaultCalibration, 30 * time.Second, 0},
		{chip.NoStandby, "", "start", sx1302.FaultFrontEnd, start, 0},
		{chip.NoCrystal, "", "start", sx1302.FaultFrontEnd, start, 0},
		{chip.ImageError, "", "start", sx1302.FaultCalibration, start, 0},
		{chip.NoSensor, "", "start", 0, start, 0},
		{chip.NeedsReset, "", "start", 0, start, 0},
		{chip.AbsentLow, setUSB, "start", sx1302.FaultNoChip, start, 0},
		{chip.USBUnplugged, setUSB, "start", sx1302.FaultBridge, start, 0},
		{chip.USBWrongID, setUSB, "start", sx1302.FaultBridge, start, 0},
		{chip.USBShort, setUSB, "start", 0, start, 0},

		{chip.AbsentLow, "", "run", sx1302.FaultNoChip, 3 * time.Second, 0},
		{chip.AbsentHigh, "", "run", sx1302.FaultNoChip, 3 * time.Second, 0},
		{chip.HeldInReset, "", "run", sx1302.FaultNoChip, 3 * time.Second, 0},
		{chip.BusError, "", "run", sx1302.FaultBus, 3 * time.Second, 0},
		{chip.RunParity, "", "run", sx1302.FaultParity, 3 * time.Second, 0},
		{chip.ReceiveStall, "", "run", sx1302.FaultParity, 5 * time.Second, 0},
		{chip.StatusStall, "", "run", sx1302.FaultStall, 5 * time.Second, 0},
		{chip.CounterBackwards, "", "run", sx1302.FaultCounter, 3 * time.Second, 0},
		{chip.CounterStopped, "", "run", sx1302.FaultCounter, 3 * time.Second, 0},
		{chip.CounterTorn, "", "run", 0, 5 * time.Second, 0},
		{chip.FIFOAbsurd, "", "run", sx1302.FaultFIFO, time.Second, 0},
		{chip.FIFOTorn, "", "run", 0, 5 * time.Second, 0},
		{chip.FIFOGarbage, "", "run", 0, 5 * time.Second, 0},
		{chip.FIFOCorrupt, "", "run", 0, 5 * time.Second, 1},
		{chip.NoSensor, "", "run", 0, 40 * time.Second, 0},
		{chip.NoPPS, fine, "run", 0, 5 * time.Second, 0},
		{chip.USBUnplugged, setUSB, "run", sx1302.FaultBridge, 3 * time.Second, 0},
		{chip.USBWrongID, setUSB, "run", sx1302.FaultBridge, 3 * time.Second, 0},
		{chip.USBShort, setUSB, "run", 0, 3 * time.Second, 0},

		{chip.TransmitScheduled, "", "send", 0, 3 * time.Second, 0},
		{chip.TransmitEmitting, "", "send", sx1302.FaultTxStuck, 6 * time.Second, 0},
		{chip.TransmitZero, "", "send", sx1302.FaultTxStuck, 6 * time.Second, 0},
	}
}

// TestDriverMeetsFaults breaks the chip under the driver, and checks that it
// notices what and in time, never hangs, and works again after a new start.
func TestDriverMeetsFaults(t *testing.T) {
	for _, tt := range faultCases() {
		if tt.set == "" {
			tt.set = "spi_sx1250_eu868"
		}
		t.Run(string(tt.fault)+"/"+tt.set+"/"+tt.when, func(t *testing.T) {
			meetFault(t, confOf(tt.set), tt)
		})
	}
}

var errSentForEver = errors.New("the packet never ends, and the driver does not see it")

// deafFor ends the simulated time that a driver's call may take.
const deafFor = time.Hour

func meetFault(t *testing.T, conf string, tt faultCase) {
	clock := chip.NewManualClock(time.Time{})
	// Frames take their time: a driver that polls without sleeping gets on.
	b := newBoard(t, conf, clock, func(c *chip.Config) { c.SPIRate = 2 * radio.MHz })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock.AfterFunc(deafFor, cancel)
	if tt.when == "start" {
		b.chip.Break(tt.fault)
	} else if err := b.driver.Start(ctx); err != nil {
		t.Fatal(err)
	} else {
		b.chip.Break(tt.fault)
	}
	struck := clock.Now()
	err := suffer(ctx, b, clock, tt)
	took := clock.Now().Sub(struck)
	checkFault(t, err, tt, took)
	b.chip.Mend(tt.fault)
	if err := b.driver.Start(ctx); err != nil {
		t.Fatalf("start after mending: %v", err)
	}
	if got := exchange(t, b, clock); got != "" {
		t.Error("after mending: " + got)
	}
	if err := b.driver.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func checkFault(t *testing.T, err error, tt faultCase, took time.Duration) {
	t.Helper()
	f, known := sx1302.FaultOf(err)
	switch {
	case errors.Is(err, context.Canceled):
		t.Fatalf("not noticed within %v", deafFor)
	case tt.want == 0 && err != nil:
		t.Errorf("the driver gives up: %v", err)
	case tt.want != 0 && (!known || f != tt.want):
		t.Errorf("the driver says %q, want fault %v", err, tt.want)
	case tt.want != 0 && took > tt.within:
		t.Errorf("noticed after %v, want %v", took, tt.within)
	case err != nil:
		t.Logf("after %v: %v", took.Round(time.Millisecond), err)
	}
}

// suffer lets the driver run into the fault.
func suffer(ctx context.Context, b board, clock *chip.ManualClock, tt faultCase) error {
	switch tt.when {
	case "start":
		return b.driver.Start(ctx)
	case "send":
		now, _ := b.driver.Now()
		res, err := b.driver.Send(ctx, radio.TxPacket{
			Payload: []byte("into the fault"), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
			Power: radio.DBm(14), When: radio.AtTick, Tick: now.Add(300_000),
		})
		if err == nil && res.Status != radio.TxOK {
			return nil // reported as not sent: that is all it can do
		}
		if err != nil {
			return err
		}
		// Sent, as far as anybody can see; its end has to show the fault.
		// The driver looks after it within its watch interval.
		var got []radio.RxPacket
		for end := clock.Now().Add(2 * sx1302.WatchEvery); clock.Now().Before(end); {
			if err := oneLook(ctx, b, clock, &got); err != nil {
				return err
			}
		}
		return errSentForEver
	}
	// A packet every half second, so that the driver has something to lose.
	var got []radio.RxPacket
	want := -tt.lost
	for end := clock.Now().Add(tt.within); clock.Now().Before(end); want++ {
		if err := oneLook(ctx, b, clock, &got); err != nil {
			return err
		}
	}
	if len(got) != want {
		return fmt.Errorf("%d packets received, want %d", len(got), want)
	}
	return nil
}

// oneLook delivers a packet and lets the driver look for half a second.
func oneLook(ctx context.Context, b board, clock *chip.ManualClock, got *[]radio.RxPacket) error {
	f, _ := b.conf.Frequency(0)
	end := clock.Now()
	b.chip.Receive(chip.Reception{
		Packet: radio.RxPacket{
			Payload: []byte("packet"), Frequency: f, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK,
			RSSI: radio.DBm(-90), SNR: radio.DB(5),
		}, Start: end.Add(-40 * time.Millisecond), End: end,
	})
	look, stop := context.WithCancel(ctx)
	defer stop()
	timer := clock.AfterFunc(500*time.Millisecond, stop)
	defer timer.Stop()
	for {
		ps, err := b.driver.Receive(look)
		if got != nil {
			*got = append(*got, ps...)
		}
		if look.Err() != nil && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// exchange receives and sends one packet, and says what went wrong.
func exchange(t *testing.T, b board, clock *chip.ManualClock) string {
	t.Helper()
	var got []radio.RxPacket
	if err := oneLook(t.Context(), b, clock, &got); err != nil {
		return err.Error()
	}
	if len(got) != 1 || string(got[0].Payload) != "packet" {
		return "no packet received"
	}
	var sent []chip.Transmission
	b.chip.OnTransmit(func(s chip.Transmission) func() { sent = append(sent, s); return nil })
	now, _ := b.driver.Now()
	res, err := b.driver.Send(t.Context(), radio.TxPacket{
		Payload: []byte("reply"), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
		Power: radio.DBm(14), When: radio.AtTick, Tick: now.Add(200_000),
	})
	if err != nil || res.Status != radio.TxOK || len(sent) != 1 {
		return "no packet sent: " + res.Status.String()
	}
	return ""
}
