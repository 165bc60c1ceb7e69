package board

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/concentrator/concentratortest"
	"heliograph/firmware/radiohw"
	"heliograph/radio"
	"heliograph/radio/airtime"
	"heliograph/testbench/chip"
)

// TestContract runs the firmware's contract over the driver and a simulated chip,
// on both transports.
func TestContract(t *testing.T) {
	for _, usb := range []bool{false, true} {
		t.Run(map[bool]string{false: "SPI", true: "USB"}[usb], func(t *testing.T) {
			concentratortest.Run(t, func(t *testing.T) concentratortest.Harness { return harness(t, usb) })
		})
	}
}

func harness(t *testing.T, usb bool) concentratortest.Harness {
	clock := NewSpeedClock(50) // no need to wait for the settling times of real radios
	b := start(t, Config{USB: usb, Clock: clock, Chip: chip.Config{Clock: clock}})
	clock.SetFactor(1)
	w := &witness{Radio: b.Radio, counter: counterOf(t, b, clock)}
	sent := make(chan chip.Transmission, 64)
	b.Chip.OnTransmit(func(s chip.Transmission) func() {
		sent <- s
		return nil
	})
	return concentratortest.Harness{
		Concentrator: w,
		Inject: func(p radio.RxPacket) error {
			air, err := airtime.OnAir(airtime.Params{DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(p.Payload)})
			if err != nil {
				return err
			}
			now := clock.Now()
			if loss := b.Chip.Receive(chip.Reception{Packet: p, Start: now.Add(-air.Duration()), End: now}); loss != "" {
				return fmt.Errorf("the chip lost it: %s", loss)
			}
			return nil
		},
		Transmitted: func(ctx context.Context) (radio.TxPacket, error) {
			select {
			case s := <-sent:
				return w.seen(s), nil
			case <-ctx.Done():
				return radio.TxPacket{}, ctx.Err()
			}
		},
	}
}

// witness is the concentrator under test, and an observer of its transmissions who
// knows what was asked for.
type witness struct {
	*radiohw.Radio
	counter ownCounter
	mu      sync.Mutex
	asked   []radio.Tick
}

func (w *witness) Send(ctx context.Context, p radio.TxPacket) (radio.TxResult, error) {
	if p.When == radio.AtTick {
		w.mu.Lock()
		w.asked = append(w.asked, p.Tick)
		w.mu.Unlock()
	}
	return w.Radio.Send(ctx, p)
}

// Observation is this good: the chip's own counter, since the driver's idea of it is
// late by what a reading took, and the synthesizer's step of 122 Hz.
const (
	tickBound = 100 * time.Microsecond
	synthStep = radio.Hertz(123)
)

// seen is what was asked for, as far as a transmission shows it: the tick that its
// start is near to, and the whole kHz that its carrier is near to.
func (w *witness) seen(s chip.Transmission) radio.TxPacket {
	p := s.Packet
	if near := (p.Frequency + radio.KHz/2) / radio.KHz * radio.KHz; near-p.Frequency < synthStep && p.Frequency-near < synthStep {
		p.Frequency = near
	}
	p.When = radio.Immediate
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked {
		if d := w.counter.after(a, s.Start); d < tickBound && -d < tickBound {
			p.When, p.Tick = radio.AtTick, a
		}
	}
	return p
}

// start runs a board until the test ends, once its chip has started.
func start(t *testing.T, cfg Config) *Board {
	t.Helper()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, b)
	return b
}

func run(t *testing.T, b *Board) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- b.Radio.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ran
		b.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); !b.Radio.Status().Up; time.Sleep(time.Millisecond) {
		select {
		case err := <-ran:
			ran <- err
			t.Fatalf("start: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the chip does not start: %+v", b.Radio.Status())
		}
	}
}
