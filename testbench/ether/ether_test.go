package ether

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/radio"
)

// world runs f inside virtual time with a running ether.
func world(t *testing.T, f func(ctx context.Context, e *Ether)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := New(quiet())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		f(ctx, e)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestConcentratorSendsAtTick(t *testing.T) {
	world(t, func(ctx context.Context, e *Ether) {
		a := NewConcentrator(e.Join(Station{Place: paris}), Clock{Offset: 1 << 32, PPB: 5000})
		b := NewConcentrator(e.Join(Station{Place: east(paris, 800)}), Clock{Offset: 77, PPB: -9000})
		time.Sleep(time.Hour) // let the clocks drift apart

		now, _ := a.Now()
		p := packet(sf9)
		p.Payload = []byte("hello, other side")
		p.When, p.Tick = radio.AtTick, now.Add(1_000_000)
		result, err := a.Send(ctx, p)
		if err != nil || result.Status != radio.TxOK {
			t.Fatalf("Send = %+v, %v", result, err)
		}
		if d := result.Tick.Sub(p.Tick); d < -2 || d > 2 {
			t.Errorf("sent %d µs beside the tick", d)
		}
		got, err := b.Receive(ctx)
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].Payload, p.Payload) {
			t.Fatalf("Receive = %+v, %v", got, err)
		}
		nowB, _ := b.Now()
		if d := nowB.Sub(got[0].Tick); d < 0 || d > 1000 {
			t.Errorf("packet ended %d µs ago by the receiver's counter", d)
		}
	})
}

func TestConcentratorRefuses(t *testing.T) {
	world(t, func(ctx context.Context, e *Ether) {
		c := NewConcentrator(e.Join(Station{Place: paris}), Clock{})
		time.Sleep(time.Minute)
		now, _ := c.Now()
		for _, tt := range []struct {
			name string
			when radio.When
			at   radio.Tick
			want radio.TxStatus
		}{
			{"in the past", radio.AtTick, now.Add(-5), radio.TxTooLate},
			{"too soon", radio.AtTick, now.Add(1000), radio.TxTooLate},
			{"too far ahead", radio.AtTick, now.Add(600_000_000), radio.TxTooEarly},
			{"at GPS time", radio.AtGPS, 0, radio.TxGPSUnlocked},
		} {
			p := packet(sf9)
			p.When, p.Tick = tt.when, tt.at
			if got, err := c.Send(ctx, p); err != nil || got.Status != tt.want {
				t.Errorf("%s: %v, %v; want %v", tt.name, got.Status, err, tt.want)
			}
		}
		first := make(chan radio.TxResult)
		p := packet(sf12)
		p.When = radio.Immediate
		go func() { r, _ := c.Send(ctx, p); first <- r }()
		synctest.Wait()
		if got, _ := c.Send(ctx, p); got.Status != radio.TxCollisionPacket {
			t.Errorf("second packet at once: %v, want %v", got.Status, radio.TxCollisionPacket)
		}
		if r := <-first; r.Status != radio.TxOK {
			t.Errorf("first packet: %v", r.Status)
		}
	})
}

func TestStoppedEther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := New(quiet())
		r := e.Join(Station{Place: paris})
		ran := make(chan error)
		go func() { ran <- e.Run(ctx) }()
		sent := make(chan error)
		go func() { sent <- r.Transmit(t.Context(), packet(sf12), time.Now().Add(time.Second)) }()
		synctest.Wait()
		cancel()
		<-ran
		if err := <-sent; !errors.Is(err, ErrClosed) {
			t.Errorf("Transmit on a stopped ether = %v", err)
		}
		if err := r.Transmit(t.Context(), packet(sf7), time.Now().Add(time.Second)); !errors.Is(err, ErrClosed) {
			t.Errorf("Transmit afterwards = %v", err)
		}
	})
}

func TestFullQueueDropsOldest(t *testing.T) {
	e := New(quiet())
	r := e.Join(Station{Place: paris})
	for i := range queueSize + 10 {
		r.deliver(Reception{Start: int64(i)})
	}
	if first := <-r.Heard(); first.Start != 10 {
		t.Errorf("oldest kept is %d, want 10", first.Start)
	}
}
