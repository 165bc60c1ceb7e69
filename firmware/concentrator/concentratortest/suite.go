// Package concentratortest checks that a concentrator keeps the contract of
// [concentrator.Concentrator]. Every implementation runs it.
package concentratortest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"heliograph/firmware/concentrator"
	"heliograph/radio"
)

// hang is how long a call may take before it counts as stuck. No check depends
// on anything being faster.
const hang = 10 * time.Second

// Harness is one concentrator with the air around it, as an implementation
// supplies it. It cleans up through the t that its factory was given.
type Harness struct {
	Concentrator concentrator.Concentrator

	// Inject makes the radio hear p now. Tick, Time and Board of p are for the
	// implementation to fill in; levels and SNR too unless ExactLevels.
	Inject func(p radio.RxPacket) error

	// Transmitted waits for the next packet that the radio accepted for
	// sending, in the order of acceptance. A tick may have lost all but its low
	// 32 bits.
	Transmitted func(ctx context.Context) (radio.TxPacket, error)

	// ExactLevels says that RSSI and SNR arrive as injected (in whole dB);
	// false where a model of the air computes them.
	ExactLevels bool
}

// Run makes a new harness for each check.
func Run(t *testing.T, factory func(t *testing.T) Harness) {
	checks := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"ReceiveIntact", receiveIntact},
		{"ReceiveInOrder", receiveInOrder},
		{"ReceiveEndsOnContext", receiveEndsOnContext},
		{"NowAdvances", nowAdvances},
		{"SendImmediate", sendImmediate},
		{"SendAtTick", sendAtTick},
		{"SendTooLate", sendTooLate},
		{"SendTooEarly", sendTooEarly},
		{"SendEndsOnContext", sendEndsOnContext},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, factory(t)) })
	}
}

func uplink(n byte) radio.RxPacket {
	return radio.RxPacket{
		Payload:   []byte{0x40, 1, 2, 3, 4, 0, n, 0, 1, 0xaa, 1, 2, 3, n},
		Frequency: 868_100_000,
		DataRate:  radio.LoRaRate(7, 125*radio.KHz),
		Coding:    1,
		CRC:       radio.CRCOK,
		RSSI:      -6000,
		SNR:       700,
	}
}

func downlink() radio.TxPacket {
	return radio.TxPacket{
		Payload:   []byte{0x60, 1, 2, 3, 4, 0, 7, 0, 9, 9, 9, 9},
		Frequency: 868_300_000,
		DataRate:  radio.LoRaRate(9, 125*radio.KHz),
		Coding:    1,
		Power:     1400,
		InvertIQ:  true,
		NoCRC:     true,
		Preamble:  8,
		When:      radio.Immediate,
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

// hear injects one packet and receives it.
func hear(t *testing.T, h Harness, p radio.RxPacket) radio.RxPacket {
	t.Helper()
	if err := h.Inject(p); err != nil {
		t.Fatalf("inject: %v", err)
	}
	got, err := h.Concentrator.Receive(deadline(t))
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if len(got) != 1 {
		t.Fatalf("received %d packets, want 1", len(got))
	}
	return got[0]
}

// now hears a packet first: some concentrators know their counter only then.
func now(t *testing.T, h Harness) radio.Tick {
	t.Helper()
	hear(t, h, uplink(0))
	tick, ok := h.Concentrator.Now()
	if !ok {
		t.Fatal("the counter is not known after a packet was received")
	}
	return tick
}

func send(t *testing.T, h Harness, p radio.TxPacket) radio.TxResult {
	t.Helper()
	r, err := h.Concentrator.Send(deadline(t), p)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return r
}

func receiveIntact(t *testing.T, h Harness) {
	fsk := uplink(3)
	fsk.DataRate, fsk.Coding, fsk.SNR, fsk.Frequency = radio.FSKRate(50_000), 0, 0, 868_800_000
	slow := uplink(2)
	slow.DataRate, slow.Frequency = radio.LoRaRate(12, 125*radio.KHz), 868_500_000
	for _, want := range []radio.RxPacket{uplink(1), slow, fsk} {
		got := hear(t, h, want)
		if !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("%s: payload %x, want %x", want.DataRate, got.Payload, want.Payload)
		}
		if got.Frequency != want.Frequency || got.DataRate != want.DataRate || got.CRC != want.CRC {
			t.Errorf("got %s %s CRC %d, want %s %s CRC %d",
				got.Frequency, got.DataRate, got.CRC, want.Frequency, want.DataRate, want.CRC)
		}
		if got.Coding != want.Coding {
			t.Errorf("%s: coding rate %s, want %s", want.DataRate, got.Coding, want.Coding)
		}
		if h.ExactLevels && (got.RSSI != want.RSSI || got.SNR != want.SNR) {
			t.Errorf("%s: levels %s and %s, want %s and %s", want.DataRate, got.RSSI, got.SNR, want.RSSI, want.SNR)
		}
	}
}

func receiveInOrder(t *testing.T, h Harness) {
	const n = 5
	var last radio.Tick
	for i := range byte(n) {
		got := hear(t, h, uplink(i))
		if want := uplink(i).Payload; !bytes.Equal(got.Payload, want) {
			t.Fatalf("packet %d: payload %x, want %x", i, got.Payload, want)
		}
		if i > 0 && got.Tick.Sub(last) <= 0 {
			t.Errorf("packet %d: tick %d does not follow %d", i, got.Tick, last)
		}
		last = got.Tick
	}
}

func receiveEndsOnContext(t *testing.T, h Harness) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Concentrator.Receive(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("context had ended: error %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := h.Concentrator.Receive(ctx)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
	case <-time.After(hang):
		t.Fatal("receive does not end with its context")
	}
	hear(t, h, uplink(1)) // and goes on working
}

func nowAdvances(t *testing.T, h Harness) {
	rx := hear(t, h, uplink(0))
	before, ok := h.Concentrator.Now()
	if !ok {
		t.Fatal("the counter is not known after a packet was received")
	}
	if before.Sub(rx.Tick) < 0 {
		t.Errorf("now, %d, is before the end of a received packet, %d", before, rx.Tick)
	}
	time.Sleep(5 * time.Millisecond)
	after, _ := h.Concentrator.Now()
	if d := after.Sub(before); d < 2000 {
		t.Errorf("5 ms moved the counter by %d µs", d)
	}
}

func wantTransmitted(t *testing.T, h Harness, want radio.TxPacket) {
	t.Helper()
	got, err := h.Transmitted(deadline(t))
	if err != nil {
		t.Fatalf("wait for the transmission: %v", err)
	}
	if got.When != want.When || want.When == radio.AtTick && got.Tick.Low32() != want.Tick.Low32() {
		t.Errorf("sent at %d (tick %d), want %d (tick %d)", got.When, got.Tick, want.When, want.Tick)
	}
	if got.Preamble == 0 {
		got.Preamble = 8
	}
	if !bytes.Equal(got.Payload, want.Payload) || got.Frequency != want.Frequency || got.DataRate != want.DataRate ||
		got.Coding != want.Coding || got.Power != want.Power || got.Preamble != want.Preamble ||
		got.InvertIQ != want.InvertIQ || got.NoCRC != want.NoCRC {
		t.Errorf("sent %+v\nwant %+v", got, want)
	}
}

func sendImmediate(t *testing.T, h Harness) {
	now(t, h)
	p := downlink()
	if r := send(t, h, p); r.Status != radio.TxOK || r.Power != p.Power {
		t.Fatalf("result %s at %s, want ok at %s", r.Status, r.Power, p.Power)
	}
	wantTransmitted(t, h, p)
	beacon := downlink()
	beacon.InvertIQ, beacon.NoCRC, beacon.Power = false, false, 1000
	if r := send(t, h, beacon); r.Status != radio.TxOK {
		t.Fatalf("beacon: result %s, want ok", r.Status)
	}
	wantTransmitted(t, h, beacon)
}

func sendAtTick(t *testing.T, h Harness) {
	p := downlink()
	p.When, p.Tick = radio.AtTick, now(t, h).Add(1_000_000)
	r := send(t, h, p)
	if r.Status != radio.TxOK {
		t.Fatalf("result %s, want ok", r.Status)
	}
	// The start may be known to the radio's resolution only.
	if d := r.Tick.Sub(p.Tick); r.Tick != 0 && (d < -100 || d > 100) {
		t.Errorf("start reported at %d, want %d", r.Tick, p.Tick)
	}
	wantTransmitted(t, h, p)
}

func sendTooLate(t *testing.T, h Harness) {
	base := now(t, h)
	for _, late := range []radio.Micros{20_000, 900_000, 30_000_000, 45 * 60_000_000} {
		if radio.Micros(base) < late {
			continue // before the counter's epoch
		}
		p := downlink()
		p.When, p.Tick = radio.AtTick, base.Add(-late)
		if r := send(t, h, p); r.Status != radio.TxTooLate {
			t.Errorf("%d µs late: result %s, want too_late", late, r.Status)
		}
	}
	stillSends(t, h)
}

func sendTooEarly(t *testing.T, h Harness) {
	base := now(t, h)
	// The last two look late, and due, to whoever sees only 32 bits.
	for _, early := range []radio.Micros{600_000_000, 45 * 60_000_000, 1<<32 + 500_000} {
		p := downlink()
		p.When, p.Tick = radio.AtTick, base.Add(early)
		if r := send(t, h, p); r.Status != radio.TxTooEarly {
			t.Errorf("%d µs early: result %s, want too_early", early, r.Status)
		}
	}
	stillSends(t, h)
}

// stillSends checks that what was refused before was not sent either.
func stillSends(t *testing.T, h Harness) {
	t.Helper()
	p := downlink()
	p.Payload[6] = 0x55
	if r := send(t, h, p); r.Status != radio.TxOK {
		t.Fatalf("after refusals: result %s, want ok", r.Status)
	}
	wantTransmitted(t, h, p)
}

func sendEndsOnContext(t *testing.T, h Harness) {
	base := now(t, h)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Concentrator.Send(ended, downlink()); !errors.Is(err, context.Canceled) {
		t.Errorf("context had ended: error %v", err)
	}

	// A minute ahead: a radio that reports when it queues says ok, one that
	// reports when it has sent must give up with its context.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p := downlink()
	p.When, p.Tick = radio.AtTick, base.Add(60_000_000)
	done := make(chan error, 1)
	go func() {
		r, err := h.Concentrator.Send(ctx, p)
		if err == nil && r.Status != radio.TxOK {
			err = errors.New(r.Status.String())
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
	case <-time.After(hang):
		t.Fatal("send does not end with its context")
	}
}
