package chip_test

import (
	"fmt"
	"testing"
	"time"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// TestOffset sends on and beside the frequency of channels whose IF the register
// holds exactly and of others, on both sides of both radios. The reported offset is
// the transmitter's, whatever the register rounded off.
func TestOffset(t *testing.T) {
	for _, conf := range []string{"spi_sx1250_eu868", "usb_sx1250_eu868", "spi_sx1257_eu868"} {
		for radioOf := range uint8(2) {
			for _, f := range []radio.Hertz{0, 62_500, 187_500, 500_000, 100_000, 200_000, 300_000, 400_000, 12_345, 488} {
				for _, at := range []radio.Hertz{f, -f} {
					t.Run(fmt.Sprintf("%s/radio%d/%d", conf, radioOf, at), func(t *testing.T) { offsetAt(t, conf, radioOf, at) })
				}
			}
		}
	}
}

// offsetAt puts a multi-SF channel, the service channel at each bandwidth and the
// FSK channel at one IF.
func offsetAt(t *testing.T, conf string, radioOf uint8, at radio.Hertz) {
	for bw := 125 * radio.KHz; bw <= 500*radio.KHz; bw *= 2 {
		clock := chip.NewManualClock(time.Time{})
		b := boardWith(t, confOf(conf), clock, nil, func(c *sx1302.Config) {
			c.Channels = [sx1302.MultiSF]sx1302.Channel{3: {Enable: true, Radio: radioOf, IF: at}}
			c.Service = sx1302.Service{Enable: true, Radio: radioOf, IF: at, Bandwidth: bw, SF: 9}
			c.FSK.Enable, c.FSK.Radio, c.FSK.IF = true, radioOf, at
			// What the synthesizers hold exactly, so that only the IF is rounded.
			c.Radios[0].Frequency, c.Radios[1].Frequency = 867_500_000, 868_500_000
		})
		b.start(t)
		centre := b.conf.Radios[radioOf].Frequency + at
		for _, off := range []radio.Hertz{0, 900, -900, 12_000, -12_000} {
			if bw == 125*radio.KHz {
				got := b.hear(t, clock, radio.RxPacket{Frequency: centre, Offset: off, DataRate: radio.LoRaRate(7, bw), Coding: 1})
				checkOffset(t, got, 3, centre, off)
			}
			got := b.hear(t, clock, radio.RxPacket{Frequency: centre, Offset: off, DataRate: radio.LoRaRate(9, bw), Coding: 1})
			if bw != 125*radio.KHz { // else the multi-SF channel may take it
				checkOffset(t, got, sx1302.ChanService, centre, off)
			}
		}
		if got := b.hear(t, clock, radio.RxPacket{Frequency: centre, Offset: 900, DataRate: radio.FSKRate(b.conf.FSK.BitRate)}); got.HasOffset || got.Offset != 0 || got.IFChannel != sx1302.ChanFSK {
			t.Errorf("FSK at IF %d: %+v, want no offset: its modem measures none", at, got)
		}
	}
}

// hear is the driver's view of one packet at the antenna.
func (b board) hear(t *testing.T, clock *chip.ManualClock, p radio.RxPacket) radio.RxPacket {
	t.Helper()
	p.Payload, p.CRC, p.RSSI, p.SNR = []byte{1, 2, 3}, radio.CRCOK, radio.DBm(-90), radio.DB(5)
	now := clock.Now()
	if loss := b.chip.Receive(chip.Reception{Packet: p, Start: now.Add(-time.Millisecond), End: now, Sync: b.sync()}); loss != "" {
		t.Fatalf("%v at %d%+d: lost, %s", p.DataRate, p.Frequency, p.Offset, loss)
	}
	got := b.receive(t, clock, 15*time.Millisecond)
	if len(got) != 1 {
		t.Fatalf("%v at %d%+d: %d packets", p.DataRate, p.Frequency, p.Offset, len(got))
	}
	return got[0]
}

func checkOffset(t *testing.T, got radio.RxPacket, ch uint8, centre, off radio.Hertz) {
	t.Helper()
	if d := got.Offset - off; got.IFChannel != ch || got.Frequency != centre || !got.HasOffset || d < -2 || d > 2 {
		t.Errorf("%v on channel %d: %d%+d, want channel %d, %d%+d", got.DataRate, got.IFChannel, got.Frequency, got.Offset, ch, centre, off)
	}
}
