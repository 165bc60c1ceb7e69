package sx1302

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"heliograph/hardware/bus"
	"heliograph/radio"
)

// watched is a wire that calls atFIFO before the first read of the FIFO, and notes
// in which order the FIFO is read and the transmitter armed.
type watched struct {
	bus.SPI
	atFIFO func()
	order  []byte // 'f' and 't'
}

func (s *watched) Tx(ctx context.Context, w, r []byte) error {
	switch {
	case bytes.HasPrefix(w, []byte{0, addrFIFO >> 8, 0}):
		if s.order = append(s.order, 'f'); len(s.order) == 1 {
			s.atFIFO()
		}
	case len(w) == 4 && w[1] == 0x80|0x52 && w[2] == 0 && w[3]&1 != 0:
		s.order = append(s.order, 't')
	}
	return s.SPI.Tx(ctx, w, r)
}

// A packet that waits to be programmed waits for one piece of a full FIFO, not for
// all of it, and nothing in the FIFO is lost by that.
func TestTransmitGoesFirst(t *testing.T) {
	c, chip := startFake(t, setConf(t, "spi_sx1250_eu868"))
	chip.emit = true
	sent := make(chan radio.TxResult, 1)
	wire := &watched{SPI: chip, atFIFO: func() {
		go func() {
			res, err := c.Send(context.Background(), radio.TxPacket{
				Payload: []byte{1, 2, 3}, Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
				Coding: 1, Power: radio.DBm(14), When: radio.Immediate,
			})
			if err != nil {
				t.Error(err)
			}
			sent <- res
		}()
		for c.wanted.Load() == 0 {
			runtime.Gosched()
		}
	}}
	c.t.(*spiTransport).chip = wire
	var want [][]byte
	for i := 0; len(chip.fifo)+100 < fifoSize; i++ {
		want = append(want, numbered(i))
		chip.fifo = append(chip.fifo, entry(numbered(i), 0, 0, 0)...)
	}
	first, err := c.fetch(context.Background())
	if err != nil || len(first) == 0 || len(first) == len(want) {
		t.Fatalf("%d packets of %d, %v", len(first), len(want), err)
	}
	if res := <-sent; res.Status != radio.TxOK {
		t.Errorf("sent %+v", res)
	}
	if string(wire.order) != "ft" {
		t.Errorf("order of the work is %q", wire.order)
	}
	got := len(first)
	for _, p := range receiveAll(t, c) {
		if !bytes.Equal(p, want[got]) {
			t.Fatalf("packet %d is %q", got, p)
		}
		got++
	}
	if got != len(want) || c.Stats().BadPacket != 0 {
		t.Errorf("%d packets of %d, %+v", got, len(want), c.Stats())
	}
}
