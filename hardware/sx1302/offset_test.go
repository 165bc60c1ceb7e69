package sx1302

import (
	"context"
	"testing"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// TestOffset holds the offset of received packets against numbers worked out by
// hand. The channels' IFs are those of the European recordings: 0, ±200 kHz (the
// register is 293 Hz short of it) and ±400 kHz (98 Hz). The modem counts its centre
// less the carrier in steps of 125000/2^20 Hz.
func TestOffset(t *testing.T) {
	for _, c := range []struct {
		channel uint8
		reg     int32
		foff    radio.Hertz // the vendor's: channel less carrier
	}{
		{2, 0, 0},
		{2, 1000, 119}, // as recorded
		{2, -1000, -119},
		{1, 2456, -1}, // IF -200 kHz, transmitter on the channel's frequency: the modem is 293 Hz above it
		{6, -2456, 1}, // IF 200 kHz: and below
		{0, 824, 0},   // -400 kHz
		{7, -824, 0},
		{6, -2456 + 8389, 1000},
		{7, -824 - 8389, -1000},
	} {
		conc, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
		b := entry([]byte{1, 2, 3}, c.channel, 0, 0)
		b[offError], b[offError+1], b[offError+2] = byte(c.reg), byte(c.reg>>8), byte(c.reg>>16)&0x0F
		b[len(b)-1] = calc.Checksum(b[:len(b)-1])
		chip.fifo = b
		ps, err := conc.fetch(context.Background())
		if err != nil || len(ps) != 1 {
			t.Fatalf("%+v: %d packets, %v", c, len(ps), err)
		}
		p := ps[0]
		if p.Offset != -c.foff || !p.HasOffset {
			t.Errorf("channel %d, register %d: offset %d, want %d", c.channel, c.reg, p.Offset, -c.foff)
		}
	}
}
