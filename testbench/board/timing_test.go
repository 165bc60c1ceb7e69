package board

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302"
	"heliograph/radio"
	"heliograph/testbench/chip"
)

// downlinks is 0 in ordinary runs: what is measured here is the machine as much as
// the program, and a test must not fail for its neighbours.
var downlinks = flag.Int("downlinks", 0, "downlinks of TestNoDownlinkMissed; 0 skips it (make downlink-timing)")

// lead is the time that a downlink is handed over before its start.
const lead = 50 * time.Millisecond

// armed watches a chip's wire for the write that arms the transmitter.
type armed struct {
	bus.SPI
	at atomic.Int64 // of the last one, unix nanoseconds
}

func (a *armed) Tx(ctx context.Context, w, r []byte) error {
	err := a.SPI.Tx(ctx, w, r)
	if arms(w) {
		a.at.Store(time.Now().UnixNano())
	}
	return err
}

// arms recognizes the write to TX_TOP A's trigger register, "at the counter's
// value" (e.1).
func arms(w []byte) bool {
	return len(w) == 4 && bytes.Equal(w[:3], []byte{0, 0x80 | 0x52, 0x00}) && w[3]&2 != 0
}

// ownCounter is a chip's counter, as it goes by itself.
type ownCounter struct {
	at    time.Time // an instant, and
	value uint32    // the chip's 32 MHz counter then
}

// counterOf reads the chip's counter past the driver, within calibration of an
// instant. It holds as long as the clock's speed and the chip stay as they are.
func counterOf(t *testing.T, b *Board, clock *SpeedClock) ownCounter {
	t.Helper()
	const calibration = 20 * time.Microsecond
	w, r := []byte{0, 0x61, 0x05, 0, 0, 0, 0, 0}, make([]byte, 8)
	for range 100_000 {
		at := clock.Now()
		if err := b.Chip.SPI().Tx(t.Context(), w, r); err != nil {
			t.Fatal(err)
		}
		if clock.Now().Sub(at) < calibration {
			return ownCounter{at, binary.BigEndian.Uint32(r[4:])}
		}
	}
	t.Fatal("no access to the chip takes less than", calibration)
	return ownCounter{}
}

// after is how long after a tick an instant is.
func (c ownCounter) after(tick radio.Tick, at time.Time) time.Duration {
	value := c.value + uint32(at.Sub(c.at).Nanoseconds()*4/125)
	return time.Duration(int32(value-uint32(tick*32))) * 125 / 4
}

// air takes down what a chip transmits.
type air struct {
	counter ownCounter
	sent    chan chip.Transmission
}

func listenTo(t *testing.T, b *Board, clock *SpeedClock) *air {
	t.Helper()
	a := &air{counter: counterOf(t, b, clock), sent: make(chan chip.Transmission, 4)}
	b.Chip.OnTransmit(func(s chip.Transmission) func() {
		a.sent <- s
		return nil
	})
	return a
}

// heard says whether the next packet on air is the one that was asked for, and
// started at its tick, by the chip's own counter.
func (a *air) heard(p radio.TxPacket) error {
	select {
	case s := <-a.sent:
		off := a.counter.after(p.Tick, s.Start)
		switch {
		case !bytes.Equal(s.Packet.Payload, p.Payload):
			return fmt.Errorf("packet % x is on air instead of % x", s.Packet.Payload, p.Payload)
		case off > 50*time.Microsecond || off < -50*time.Microsecond:
			return fmt.Errorf("on air %v after its tick", off)
		}
		return nil
	case <-time.After(2 * time.Second):
		return errors.New("said to be sent, and not on air")
	}
}

// TestNoDownlinkMissed sends downlinks with 50 ms of lead through the transmit queue
// and the driver, which polls the FIFO every 10 ms, while the garbage collector is
// kept busy. One that is not on air at its tick is missed, whoever is to blame.
// Several boards share the work, so that it ends.
func TestNoDownlinkMissed(t *testing.T) {
	if *downlinks == 0 {
		t.Skip("measures this machine in real time: run make downlink-timing; the same in virtual time is firmware/txqueue's test")
	}
	const boards = 16
	host := watchMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	var garbage sync.WaitGroup
	garbage.Go(func() { litter(ctx) })
	var wg sync.WaitGroup
	var sent, missed atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	for n := range boards {
		wire := &armed{}
		clock := NewSpeedClock(50)
		b := start(t, Config{Clock: clock, Chip: chip.Config{Clock: clock}, Poll: 10 * time.Millisecond, SPI: func(s bus.SPI) bus.SPI {
			wire.SPI = s
			return wire
		}})
		clock.SetFactor(1)
		onAir := listenTo(t, b, clock)
		wg.Go(func() {
			for i := sent.Add(1); i <= int64(*downlinks); i = sent.Add(1) {
				d, err := oneDownlink(t, b, wire, onAir, uint32(i))
				if err != nil {
					missed.Add(1)
					t.Logf("downlink %d, board %d: %v", i, n, err)
					time.Sleep(150 * time.Millisecond) // the air is free again
					continue
				}
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	cancel()
	garbage.Wait()
	slices.Sort(took)
	if n := missed.Load(); n != 0 || len(took) != *downlinks {
		t.Errorf("%d of %d downlinks missed", n, *downlinks)
	}
	t.Log(host)
	if len(took) > 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%d downlinks with %v of lead, %d collections: from the request to the register write median %v, 99.9%% %v, longest %v",
			len(took), lead, m.NumGC, took[len(took)/2], took[len(took)*999/1000], took[len(took)-1])
	}
}

// oneDownlink sends a packet; d is how long it took from the request to the write
// that arms the transmitter.
func oneDownlink(t *testing.T, b *Board, wire *armed, onAir *air, n uint32) (d time.Duration, err error) {
	asked := time.Now()
	now, up := b.Radio.Now()
	if !up {
		return 0, errors.New("the radio is down")
	}
	p := radio.TxPacket{
		Payload: binary.BigEndian.AppendUint32([]byte{0x60, 1, 2, 3, 4, 0, 7, 0}, n), Frequency: 868_300_000, DataRate: radio.LoRaRate(7, 125*radio.KHz),
		Coding: 1, Power: radio.DBm(14), InvertIQ: true, NoCRC: true, Preamble: 8, When: radio.AtTick, Tick: now.Add(radio.MicrosOf(lead)),
	}
	res, err := b.Radio.Send(t.Context(), p)
	if err != nil || res.Status != radio.TxOK {
		return 0, fmt.Errorf("ended with %s, %v, after %v", res.Status, err, time.Since(asked))
	}
	if err := onAir.heard(p); err != nil {
		return 0, err
	}
	d = time.Unix(0, wire.at.Load()).Sub(asked)
	// The air is taken until the packet's end; the queue wants 42.5 ms behind it.
	time.Sleep(60 * time.Millisecond)
	return d, nil
}

// litter keeps 64 MB alive and allocates some 100 MB a second, until ctx ends: far
// more than a hotspot does.
func litter(ctx context.Context) {
	var keep [1 << 12][]byte
	for i := 0; ctx.Err() == nil; i++ {
		keep[i%len(keep)] = make([]byte, 16<<10)
		if i%8 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestReceiveAllocates counts what a received packet costs: the packet, its payload
// and nothing else.
func TestReceiveAllocates(t *testing.T) {
	clock := chip.NewManualClock(time.Time{})
	b, err := New(Config{Clock: clock, Chip: chip.Config{Clock: clock}})
	if err != nil {
		t.Fatal(err)
	}
	c := driver(t, b)
	// The simulated chip allocates too: its share is measured with the same frames
	// on its bare wire.
	both := testing.AllocsPerRun(200, func() {
		hearOne(t, b, clock.Now())
		clock.Advance(60 * time.Millisecond)
		if ps, err := c.Receive(t.Context()); err != nil || len(ps) != 1 {
			t.Fatalf("%d packets, %v", len(ps), err)
		}
	})
	spi := b.Chip.SPI()
	count, fetch := []byte{0, 0x58, 0xC8, 0, 0, 0}, make([]byte, 4+37)
	fetch[1] = 0x40
	in := make([]byte, len(fetch))
	chipOnly := testing.AllocsPerRun(200, func() {
		hearOne(t, b, clock.Now())
		clock.Advance(60 * time.Millisecond)
		for _, w := range [][]byte{count, fetch} {
			if err := spi.Tx(t.Context(), w, in[:len(w)]); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got := both - chipOnly; got > 2 {
		t.Errorf("%v allocations for a packet, want 2: the slice of packets and the payload (with the chip %v, the chip alone %v)", got, both, chipOnly)
	}
}

// driver is the board's driver alone, started.
func driver(t testing.TB, b *Board) *sx1302.Concentrator {
	t.Helper()
	c, err := sx1302.New(b.Options())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func hearOne(t testing.TB, b *Board, now time.Time) {
	p := radio.RxPacket{
		Payload: []byte{0x40, 1, 2, 3, 4, 0, 1, 0, 1, 0xAA, 1, 2, 3, 1}, Frequency: 868_100_000,
		DataRate: radio.LoRaRate(7, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(7),
	}
	if loss := b.Chip.Receive(chip.Reception{Packet: p, Start: now.Add(-50 * time.Millisecond), End: now}); loss != "" {
		t.Fatalf("the chip lost a packet: %s", loss)
	}
}

// BenchmarkReceive is a fetch of one packet, driver and simulated chip together.
func BenchmarkReceive(b *testing.B) {
	clock := chip.NewManualClock(time.Time{})
	bd, err := New(Config{Clock: clock, Chip: chip.Config{Clock: clock}})
	if err != nil {
		b.Fatal(err)
	}
	c := driver(b, bd)
	b.ReportAllocs()
	for b.Loop() {
		clock.Advance(10 * time.Millisecond)
		hearOne(b, bd, clock.Now())
		if _, err := c.Receive(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSecond is a second of the receive loop with 100 packets, a look into the
// FIFO every 10 ms, and all that is due once in a while: its time over one second is
// the share of a processor.
func BenchmarkSecond(b *testing.B) {
	clock := chip.NewManualClock(time.Time{})
	bd, err := New(Config{Clock: clock, Chip: chip.Config{Clock: clock}})
	if err != nil {
		b.Fatal(err)
	}
	c := driver(b, bd)
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			clock.Advance(10 * time.Millisecond)
			hearOne(b, bd, clock.Now())
			if _, err := c.Receive(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1e6*100, "%cpu")
}
