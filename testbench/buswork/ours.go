package buswork

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
	"heliograph/testbench/board"
	"heliograph/testbench/chip"
)

// ours is the driver on a simulated chip, with a meter on the wire.
type ours struct {
	conf  sx1302.GlobalConf
	clock *lockstep
	chip  *chip.Chip
	c     *sx1302.Concentrator
	meter *meter
	wait  func() // for whoever serves the wire, after Close
}

// newOurs sets the driver up by the configuration of a recording.
func newOurs(conf sx1302.GlobalConf) (*ours, error) {
	o := &ours{conf: conf, clock: newLockstep(chip.NewManualClock(time.Time{})), meter: &meter{}}
	b, err := board.Of(conf, board.Config{Chip: chip.Config{Clock: o.clock}, Clock: o.clock})
	if err != nil {
		return nil, err
	}
	o.chip, o.wait = b.Chip, b.Wait
	opt := b.Options()
	if dial := opt.USB; dial != nil {
		opt.USB = func(ctx context.Context) (bus.Serial, error) {
			s, err := dial(ctx)
			return meteredSerial{s, o.meter}, err
		}
	} else {
		opt.SPI = meteredSPI{opt.SPI, o.meter, false}
		if opt.SX1261 != nil {
			opt.SX1261 = meteredSPI{opt.SX1261, o.meter, true}
		}
	}
	o.c, err = sx1302.New(opt)
	return o, err
}

// meter adds up what crosses the wire; programs apart.
type meter struct {
	mu           sync.Mutex
	all, program Cost
	fifo         int  // bytes read from the receive FIFO
	polls        int  // looks at how many there are
	asked        bool // USB: the message that waits for its answer loads a program
}

// rest is everything but programs, since the last call.
func (m *meter) rest() Cost {
	c, _, _ := m.take()
	return c
}

// take is rest with the bytes from the FIFO and the looks at their number.
func (m *meter) take() (c Cost, fifo, polls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, fifo, polls = m.all, m.fifo, m.polls
	m.all, m.program, m.fifo, m.polls = Cost{}, Cost{}, 0, 0
	return c, fifo, polls
}

// see takes note of a frame and says whether it loads a program. sx1261 frames are
// not for the concentrator and have no multiplexer byte.
func (m *meter) see(w []byte, sx1261 bool) (program bool) {
	const writeRegister = 0x0D
	switch {
	case len(w) <= spiReadHead:
	case sx1261:
		return w[0] == writeRegister && w[1] >= 0x80
	case w[0] != 0:
	case binary.BigEndian.Uint16(w[1:]) == fifoWindow:
		m.fifo += len(w) - spiReadHead
	case binary.BigEndian.Uint16(w[1:]) == fifoCount:
		m.polls++
	default:
		return binary.BigEndian.Uint16(w[1:])&0x7FFF < fifoWindow
	}
	return false
}

type meteredSPI struct {
	bus.SPI
	m      *meter
	sx1261 bool
}

// Tx counts a frame.
func (s meteredSPI) Tx(ctx context.Context, w, r []byte) error {
	s.m.mu.Lock()
	if c := (Cost{1, len(w)}); s.m.see(w, s.sx1261) {
		s.m.program.add(c)
	} else {
		s.m.all.add(c)
	}
	s.m.mu.Unlock()
	return s.SPI.Tx(ctx, w, r)
}

type meteredSerial struct {
	bus.Serial
	m *meter
}

// Write counts a message to the bridge. The driver writes each in one piece.
func (s meteredSerial) Write(b []byte) (int, error) {
	s.m.mu.Lock()
	s.m.asked = false
	for w := requests(b); len(w) >= usbRequest; {
		n := min(int(binary.BigEndian.Uint16(w[3:])), len(w)-usbRequest)
		if s.m.see(w[usbRequest:][:n], w[2] == 1) {
			s.m.asked = true // programs go in messages of their own
		}
		w = w[usbRequest+n:]
	}
	if c := (Cost{1, len(b)}); s.m.asked {
		s.m.program.add(c)
	} else {
		s.m.all.add(c)
	}
	s.m.mu.Unlock()
	return s.Serial.Write(b)
}

// requests are those of a message that carries SPI frames.
func requests(b []byte) []byte {
	const spi, spiOld = 0x05, 0x06
	if len(b) < usbHead || b[3] != spi && b[3] != spiOld {
		return nil
	}
	return b[usbHead:]
}

// Read counts the answer.
func (s meteredSerial) Read(b []byte) (int, error) {
	n, err := s.Serial.Read(b)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
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

// uplink is a packet for one of the channels of the configuration.
func (o *ours) uplink(payload int) (chip.Reception, error) {
	r := chip.Reception{Sync: 0x12, Packet: radio.RxPacket{
		Payload: make([]byte, payload), Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(7),
	}}
	if o.conf.Public {
		r.Sync = 0x34
	}
	for i, ch := range o.conf.Channels {
		if sf := bits.TrailingZeros8(o.conf.SF &^ 3); ch.Enable && sf < 8 { // SF7 or the next
			r.Packet.Frequency, _ = o.conf.Frequency(i)
			r.Packet.DataRate = radio.LoRaRate(radio.SpreadingFactor(5+sf), 125*radio.KHz)
			return r, nil
		}
	}
	if s := o.conf.Service; s.Enable {
		r.Packet.Frequency, _ = o.conf.Frequency(sx1302.ChanService)
		r.Packet.DataRate, r.Implicit = radio.LoRaRate(s.SF, s.Bandwidth), s.ImplicitHeader
		return r, nil
	}
	return r, errors.New("buswork: the configuration has no LoRa channel above SF6")
}

// fetch is what one look into a FIFO with n packets costs, and how many bytes the
// packets have there.
func (o *ours) fetch(ctx context.Context, n, payload int) (c Cost, inFIFO int, err error) {
	for i := range n {
		// One after the other, so that they do not take each other's demodulators.
		o.clock.Advance(time.Millisecond)
		r, err := o.uplink(payload)
		if err != nil {
			return c, 0, err
		}
		r.Packet.Payload[0] = byte(i)
		r.End = o.clock.Now()
		r.Start = r.End.Add(-time.Millisecond)
		if loss := o.chip.Receive(r); loss != "" {
			return c, 0, fmt.Errorf("buswork: packet %d of %d: lost, %s", i+1, n, loss)
		}
	}
	o.clock.Advance(20 * time.Millisecond) // until the last one is decoded
	o.meter.rest()
	ps, err := o.c.Receive(ctx)
	if err == nil && len(ps) != n {
		err = fmt.Errorf("buswork: %d packets in one fetch, want %d", len(ps), n)
	}
	c, inFIFO, _ = o.meter.take()
	return c, inFIFO, err
}

// send is what one downlink at a tick costs, from the request until it is known to
// be on air: everything on the bus less the looks into the FIFO, which go on as they
// do without a downlink.
func (o *ours) send(ctx context.Context, d downlink) (Cost, error) {
	now, _ := o.c.Now()
	front := o.conf.Radios[d.chain]
	f := radio.Hertz((int64(d.register)*32_000_000 + 1<<18 - 1) >> 18)
	if front.Kind == calc.SX1255 {
		f = (f + 1) / 2
	}
	p := radio.TxPacket{
		Payload: make([]byte, d.payload), Frequency: f, DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, RadioChain: d.chain,
		InvertIQ: true, NoCRC: true, Preamble: 8, When: radio.AtTick, Tick: now.Add(500_000),
	}
	if len(front.Gains) > 0 {
		p.Power = front.Gains[0].Power
	}
	o.meter.rest()
	stop := o.listenOn(ctx)
	res, err := o.c.Send(ctx, p)
	if e := stop(); err == nil {
		err = e
	}
	if err == nil && res.Status != radio.TxOK {
		err = fmt.Errorf("buswork: downlink ended with %s", res.Status)
	}
	c, _, polls := o.meter.take()
	poll := cost([]record{read(fifoCount, nbBytes, 1)}, o.conf.USB)
	return Cost{c.Transactions - polls*poll.Transactions, c.Bytes - polls*poll.Bytes}, err
}

// listenOn receives until the result is called, as a hotspot does all the time. Not
// so with the SX1261, for which a Send holds the bus and sleeps.
func (o *ours) listenOn(ctx context.Context) (stop func() error) {
	if o.conf.SX1261.Enable {
		return func() error { return nil }
	}
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	o.clock.begin()
	go func() {
		_, err := o.c.Receive(inner)
		o.clock.end()
		ended <- err
	}()
	return func() error {
		cancel()
		o.clock.end()
		err := <-ended
		o.clock.begin()
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("buswork: receive: %w", err)
		}
		return nil
	}
}
