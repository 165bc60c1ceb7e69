package buswork

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

// ours is the driver on a simulated chip, with a meter on the wire.
type ours struct {
	clock *chip.ManualClock
	chip  *chip.Chip
	c     *sx1302.Concentrator
	meter *meter
}

// newOurs sets the driver up by the configuration of a recording.
func newOurs(set string) (*ours, error) {
	text, err := testdata.ReadFile("testdata/" + set + "_conf.json")
	if err != nil {
		return nil, err
	}
	conf, err := sx1302.ParseGlobalConf(text)
	if err != nil {
		return nil, err
	}
	o := &ours{clock: chip.NewManualClock(time.Time{}), meter: &meter{}}
	b, err := board.Of(conf, board.Config{Chip: chip.Config{Clock: o.clock}, Clock: o.clock})
	if err != nil {
		return nil, err
	}
	o.chip = b.Chip
	opt := b.Options()
	if dial := opt.USB; dial != nil {
		opt.USB = func(ctx context.Context) (bus.Serial, error) {
			s, err := dial(ctx)
			return meteredSerial{s, o.meter}, err
		}
	} else {
		opt.SPI = meteredSPI{opt.SPI, o.meter}
	}
	o.c, err = sx1302.New(opt)
	return o, err
}

// meter adds up what crosses the wire; programs apart.
type meter struct {
	all, program Cost
	fifo         int  // bytes read from the receive FIFO
	asked        bool // USB: the message that waits for its answer loads a program
}

// rest is everything but programs, since the last call.
func (m *meter) rest() Cost {
	c := m.all
	m.all, m.program, m.fifo = Cost{}, Cost{}, 0
	return c
}

// ofProgram says whether a frame goes to program memory.
func ofProgram(w []byte) bool {
	return len(w) > spiReadHead && w[0] == 0 && binary.BigEndian.Uint16(w[1:])&0x7FFF < fifoWindow
}

// fifoBytes is how much a frame reads from the FIFO.
func fifoBytes(w []byte) int {
	if len(w) > spiReadHead && w[0] == 0 && binary.BigEndian.Uint16(w[1:]) == fifoWindow {
		return len(w) - spiReadHead
	}
	return 0
}

type meteredSPI struct {
	bus.SPI
	m *meter
}

// Tx counts a frame.
func (s meteredSPI) Tx(ctx context.Context, w, r []byte) error {
	s.m.fifo += fifoBytes(w)
	if c := (Cost{1, len(w)}); ofProgram(w) {
		s.m.program.add(c)
	} else {
		s.m.all.add(c)
	}
	return s.SPI.Tx(ctx, w, r)
}

type meteredSerial struct {
	bus.Serial
	m *meter
}

// Write counts a message to the bridge. The driver writes each in one piece.
func (s meteredSerial) Write(b []byte) (int, error) {
	const frame = usbHead + usbRequest
	if len(b) > frame {
		s.m.fifo += fifoBytes(b[frame:]) // the driver empties the FIFO in a message of its own
	}
	if s.m.asked = len(b) > frame && ofProgram(b[frame:]); s.m.asked {
		s.m.program.add(Cost{1, len(b)})
	} else {
		s.m.all.add(Cost{1, len(b)})
	}
	return s.Serial.Write(b)
}

// Read counts the answer.
func (s meteredSerial) Read(b []byte) (int, error) {
	n, err := s.Serial.Read(b)
	if s.m.asked {
		s.m.program.Bytes += n
	} else {
		s.m.all.Bytes += n
	}
	return n, err
}

// idleSeconds is how long idling is measured, so that what happens every 30 s has
// its share.
const idleSeconds = 60

// idle is what a second without packets costs.
func (o *ours) idle(ctx context.Context) (Cost, error) {
	o.meter.rest()
	if err := o.quiet(ctx, idleSeconds*time.Second); err != nil {
		return Cost{}, err
	}
	return o.meter.rest().per(idleSeconds), nil
}

// quiet receives nothing for a time.
func (o *ours) quiet(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.clock.AfterFunc(d, cancel)
	if _, err := o.c.Receive(ctx); ctx.Err() == nil {
		return fmt.Errorf("buswork: idle: %w", err)
	}
	return nil
}

// settle lets what is due at the whole second be done, so that it does not fall into
// what is measured next: it is part of the idle second.
func (o *ours) settle(ctx context.Context) error { return o.quiet(ctx, 1100*time.Millisecond) }

// fetch is what one look into a FIFO with n packets costs, and how many bytes the
// packets have there.
func (o *ours) fetch(ctx context.Context, n, payload int) (c Cost, inFIFO int, err error) {
	for i := range n {
		// One after the other, so that they do not take each other's demodulators.
		o.clock.Advance(time.Millisecond)
		p := radio.RxPacket{
			Payload: make([]byte, payload), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
			CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(7),
		}
		p.Payload[0] = byte(i)
		now := o.clock.Now()
		if loss := o.chip.Receive(chip.Reception{Packet: p, Start: now.Add(-time.Millisecond), End: now}); loss != "" {
			return c, 0, fmt.Errorf("buswork: packet %d of %d: lost, %s", i+1, n, loss)
		}
	}
	o.meter.rest()
	ps, err := o.c.Receive(ctx)
	if err == nil && len(ps) != n {
		err = fmt.Errorf("buswork: %d packets in one fetch, want %d", len(ps), n)
	}
	inFIFO = o.meter.fifo
	return o.meter.rest(), inFIFO, err
}

// send is what one downlink at a tick costs, from the request until it is known to
// be on air.
func (o *ours) send(ctx context.Context, payload int) (Cost, error) {
	now, _ := o.c.Now()
	p := radio.TxPacket{
		Payload: make([]byte, payload), Frequency: 868_100_000, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1,
		Power: radio.DBm(14), InvertIQ: true, NoCRC: true, Preamble: 8, When: radio.AtTick, Tick: now.Add(500_000),
	}
	o.meter.rest()
	res, err := o.c.Send(ctx, p)
	if err == nil && res.Status != radio.TxOK {
		err = fmt.Errorf("buswork: downlink ended with %s", res.Status)
	}
	return o.meter.rest(), err
}
