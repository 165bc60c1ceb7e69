package device

import (
	"context"
	"errors"
	"sync"
	"time"

	"heliograph/testbench/ether"
)

// Device runs a Machine on a simulated radio. Its methods are safe for
// concurrent use; Run must run once.
type Device struct {
	ether   *ether.Ether
	radio   *ether.Radio
	observe func(Event)

	mu      sync.Mutex
	machine *Machine
}

// On puts a device on the air at a place. observe, if not nil, is told of each
// event from Run's goroutine and must not block.
func On(e *ether.Ether, at ether.Station, cfg Config, observe func(Event)) (*Device, error) {
	m, err := New(cfg)
	if err != nil {
		return nil, err
	}
	at.Device, at.Gain = true, cfg.Gain
	if observe == nil {
		observe = func(Event) {}
	}
	return &Device{ether: e, radio: e.Join(at), observe: observe, machine: m}, nil
}

// Stats is a copy of the counters.
func (d *Device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machine.Stats()
}

// Run lives until ctx ends, and returns its error.
func (d *Device) Run(ctx context.Context) error {
	start := time.Now()
	since := func(micros int64) time.Duration { return d.ether.Time(micros).Sub(start) }
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var fx Effects
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			fx = d.step(func(m *Machine) Effects { return m.Tick(time.Since(start)) })
		case rx := <-d.radio.Heard():
			h := Heard{
				PHY: rx.Packet.Payload, Frequency: rx.Packet.Frequency, DataRate: rx.Packet.DataRate,
				Start: since(rx.Start), End: since(rx.End),
			}
			fx = d.step(func(m *Machine) Effects { return m.Heard(time.Since(start), h) })
		}
		if tx := fx.Transmit; tx != nil {
			err := d.radio.Transmit(ctx, tx.Packet, start.Add(tx.At))
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, ether.ErrPast):
				fx = d.step(func(m *Machine) Effects { return m.Missed(time.Since(start)) })
			case err != nil:
				return err
			}
		}
		timer.Reset(fx.Wake - time.Since(start))
	}
}

func (d *Device) step(f func(*Machine) Effects) Effects {
	d.mu.Lock()
	fx := f(d.machine)
	d.mu.Unlock()
	for _, e := range fx.Events {
		d.observe(e)
	}
	return fx
}
