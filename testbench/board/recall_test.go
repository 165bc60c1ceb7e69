package board

import (
	"context"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/firmware/txqueue"
	"heliograph/hardware/bus"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// trigger counts how often chain A is set up for a tick: that bit of its trigger
// register rises.
type trigger struct {
	bus.SPI
	mu    sync.Mutex
	high  bool
	armed int
}

func (g *trigger) Tx(ctx context.Context, w, r []byte) error {
	if len(w) == 4 && w[1] == 0x80|0x52 && w[2] == 0 {
		g.mu.Lock()
		if arms(w) && !g.high {
			g.armed++
		}
		g.high = arms(w)
		g.mu.Unlock()
	}
	return g.SPI.Tx(ctx, w, r)
}

func (g *trigger) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.armed
}

// TestRecall takes a packet out of the chip for one that goes first, and for a
// beacon that takes its place.
func TestRecall(t *testing.T) {
	packet := func(name byte, at radio.Tick) radio.TxPacket {
		return radio.TxPacket{
			Payload: []byte{0x60, 1, 2, 3, 4, 0, 7, 0, name}, Frequency: 868_300_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
			Coding: 1, Power: radio.DBm(14), InvertIQ: true, NoCRC: true, When: radio.AtTick, Tick: at,
		}
	}
	const later = 900_000 // µs
	for _, tt := range []struct {
		name   string
		second radio.Micros // start of the other packet
		beacon bool
		want   radio.TxStatus // of the first
		onAir  string
		armed  int
	}{
		{"earlier", 400_000, false, radio.TxOK, "ba", 3},
		{"beacon", 880_000, true, radio.TxCollisionBeacon, "b", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock, wire := NewSpeedClock(50), &trigger{}
			b, err := New(Config{Clock: clock, Chip: chip.Config{Clock: clock}, SPI: func(s bus.SPI) bus.SPI {
				wire.SPI = s
				return wire
			}})
			if err != nil {
				t.Fatal(err)
			}
			b.Radio, err = radiohw.New(radiohw.Config{Board: b.Options(), Queue: txqueue.Config{Ahead: 1_000_000}})
			if err != nil {
				t.Fatal(err)
			}
			run(t, b)
			clock.SetFactor(1)
			onAir := make(chan chip.Transmission, 8)
			b.Chip.OnTransmit(func(s chip.Transmission) func() {
				onAir <- s
				return nil
			})
			now, _ := b.Radio.Now()
			first, result := packet('a', now.Add(later)), make(chan radio.TxResult, 1)
			go func() {
				res, _ := b.Radio.Send(t.Context(), first)
				result <- res
			}()
			for wire.count() == 0 {
				time.Sleep(time.Millisecond)
			}
			second := packet('b', now.Add(tt.second))
			second.Implicit = tt.beacon
			if res, err := b.Radio.Send(t.Context(), second); err != nil || res.Status != radio.TxOK || res.Tick != second.Tick {
				t.Errorf("the second: %+v, %v", res, err)
			}
			if res := <-result; res.Status != tt.want {
				t.Errorf("the first: %+v, want %v", res, tt.want)
			}
			var heard []byte
			for len(onAir) > 0 {
				s := <-onAir
				heard = append(heard, s.Packet.Payload[8])
			}
			if string(heard) != tt.onAir || wire.count() != tt.armed {
				t.Errorf("on air %q, want %q; armed %d times, want %d", heard, tt.onAir, wire.count(), tt.armed)
			}
		})
	}
}
