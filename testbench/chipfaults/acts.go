package chipfaults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"heliograph/firmware/radiohw"
	"heliograph/firmware/txlimit"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/radio/region"
	"heliograph/testbench/chip"
)

// put makes the chip hear a packet.
func (b *bench) put(n byte) error {
	now := b.clock.Now()
	p := radio.RxPacket{
		Payload: []byte{0x40, 1, 2, 3, 4, 0, n, 0, 1, 0xAA, 1, 2, 3, n}, Frequency: 868_100_000,
		DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(7),
	}
	if loss := b.board.Chip.Receive(chip.Reception{Packet: p, Start: now.Add(-50 * time.Millisecond), End: now}); loss != "" {
		return fmt.Errorf("the chip lost a packet: %s", loss)
	}
	return nil
}

// hear puts a packet into the air and waits until the radio has received it.
func (b *bench) hear(ctx context.Context, n byte) error {
	if err := b.put(n); err != nil {
		return err
	}
	for {
		ps, err := b.board.Radio.Receive(ctx)
		if err != nil {
			return fmt.Errorf("packet %d not received: %w", n, err)
		}
		for _, p := range ps {
			if len(p.Payload) == 14 && p.Payload[6] == n {
				return nil
			}
		}
	}
}

// hears receives some packets.
func hears(ctx context.Context, b *bench) error {
	for n := range byte(5) {
		if err := b.hear(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// sendsAgain sends a packet on a radio that has come back.
func (b *bench) sendsAgain(ctx context.Context) error {
	b.clock.SetFactor(steady)
	before := b.sent.Load()
	res, err := b.board.Radio.Send(ctx, b.downlink())
	if err != nil {
		return fmt.Errorf("send after the recovery: %w", err)
	}
	if res.Status != radio.TxOK || b.sent.Load() != before+1 {
		return fmt.Errorf("send after the recovery ended with %s", res.Status)
	}
	return nil
}

// hearsOnce receives one packet, and then nothing.
func hearsOnce(ctx context.Context, b *bench) error {
	err := b.hear(ctx, 1)
	b.clock.SetFactor(fast)
	return err
}

// inject fills the FIFO.
func inject(_ context.Context, b *bench) error { return b.put(1) }

// skips receives a packet that garbage leads.
func skips(ctx context.Context, b *bench) error {
	if err := hears(ctx, b); err != nil {
		return err
	}
	if b.board.Radio.Status().Driver.Garbage == 0 {
		return errors.New("garbage was not counted")
	}
	return nil
}

// losesOne loses the packet with the corrupt byte and no other.
func losesOne(ctx context.Context, b *bench) error {
	if err := b.put(100); err != nil {
		return err
	}
	if err := hears(ctx, b); err != nil {
		return err
	}
	s := b.board.Radio.Status().Driver
	if lost := s.BadPacket + s.BadPayload; lost != 1 || s.Packets != 5 {
		return fmt.Errorf("%d packets lost and %d received, want 1 and 5", lost, s.Packets)
	}
	return nil
}

// restarts makes the radio start a second time.
func restarts(ctx context.Context, b *bench) error {
	b.board.Chip.Break(chip.BusError)
	if err := b.until(ctx, func(s radiohw.Status) bool { return !s.Up }); err != nil {
		return err
	}
	b.board.Chip.Mend(chip.BusError)
	if err := b.until(ctx, func(s radiohw.Status) bool { return s.Up && s.Starts == 2 }); err != nil {
		return err
	}
	return hears(ctx, b)
}

func (b *bench) downlink() radio.TxPacket {
	now, _ := b.board.Radio.Now()
	return radio.TxPacket{
		Payload: []byte{0x60, 1, 2, 3, 4, 0, 7, 0, 9, 9, 9, 9}, Frequency: 868_300_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
		Coding: 1, Power: radio.DBm(14), InvertIQ: true, NoCRC: true, Preamble: 8, When: radio.AtTick, Tick: now.Add(200_000),
	}
}

// sendEnds sends a packet, which must end as given, with nothing on air.
func sendEnds(want radio.TxStatus) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		res, err := b.board.Radio.Send(ctx, b.downlink())
		if err != nil {
			return err
		}
		if res.Status != want {
			return fmt.Errorf("send ended with %s, want %s", res.Status, want)
		}
		if n := b.sent.Load(); n != 0 {
			return fmt.Errorf("%d packets went out", n)
		}
		if s := b.board.Radio.Status(); s.NotSent == 0 {
			return errors.New("the failure was not counted")
		}
		return nil
	}
}

// sends tries to send, whatever comes of it.
func sends(ctx context.Context, b *bench) error {
	_, err := b.board.Radio.Send(ctx, b.downlink())
	return err
}

// sendsTwice sends a packet that never ends, and another one behind it.
func sendsTwice(ctx context.Context, b *bench) error {
	if err := sends(ctx, b); err != nil {
		return err
	}
	p := b.downlink()
	p.Tick = p.Tick.Add(200_000)
	_, err := b.board.Radio.Send(ctx, p)
	return err
}

// wrongPath opens a device that does not exist.
func wrongPath() string {
	_, _, err := radiohw.Device{Path: "/dev/spidev99.9"}.Open(sx1302.Config{}, sx1302.Firmware{}, slog.New(slog.DiscardHandler))
	if err == nil {
		return ""
	}
	return err.Error()
}

// refusedPower asks for more than the region allows with a strong antenna.
func refusedPower() string {
	plan, err := region.ByName("EU868")
	if err != nil {
		return ""
	}
	limits, err := txlimit.New(txlimit.Config{Plan: plan, Gain: radio.DB(9), MaxPower: radio.DBm(27)}, nil, 0)
	if err != nil {
		return ""
	}
	_, err = limits.Reserve(txlimit.Request{
		Packet: radio.TxPacket{
			Payload: []byte{1}, Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, When: radio.Immediate,
		},
		EIRP: radio.EIRP(2700),
	}, 0)
	if err == nil {
		return ""
	}
	return err.Error()
}
