package chip

import (
	"bytes"
	"context"
	"math"
	"testing"
	"time"

	"heliograph/radio"
	"heliograph/testbench/ether"
)

// host drives a chip register by register, as a driver would.
type host struct {
	t *testing.T
	c *Chip
}

func (h host) tx(w ...byte) []byte {
	h.t.Helper()
	r := make([]byte, len(w))
	if err := h.c.SPI().Tx(context.Background(), w, r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h host) read(addr uint16, n int) []byte {
	h.t.Helper()
	return h.tx(append([]byte{0, byte(addr >> 8), byte(addr), 0}, make([]byte, n)...)...)[4:]
}

func (h host) write(addr uint16, data ...byte) {
	h.t.Helper()
	h.tx(append([]byte{0, 0x80 | byte(addr>>8), byte(addr)}, data...)...)
}

func (h host) counter() uint32 {
	b := h.read(regCounter, 4)
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// fetch empties the FIFO.
func (h host) fetch() []byte {
	h.t.Helper()
	b := h.read(regBytes, 2)
	return h.read(fifoWindow, int(b[0])<<8|int(b[1]))
}

// started brings a chip up by replaying a recorded start-up.
func started(t *testing.T, set string, clock *ManualClock, change func(*Config)) host {
	t.Helper()
	base, images := boardOf(set, clock)
	cfg := base.Config()
	if change != nil {
		change(&cfg)
	}
	c := New(cfg)
	p := &replay{t: t, set: set, clock: clock, wire: spiWire{t, c}, images: images, open: map[string]int{}, touched: map[uint32]bool{}}
	p.run(readTrace(t, "testdata/traces/"+set+"_startup.jsonl.gz"))
	return host{t, c}
}

// program sets up a downlink on chain A; the caller triggers it.
func (h host) program(f radio.Hertz, dr radio.DataRate, payload []byte) {
	h.t.Helper()
	word := uint32(f * (1 << 18) / 32_000_000)
	h.write(regTxSource, 0x0D)
	h.write(regTxPower, 0x40|2) // 19 dBm
	h.write(regTxFrequency, byte(word>>16), byte(word>>8), byte(word))
	bw := map[radio.Hertz]byte{125_000: 4, 250_000: 5, 500_000: 6}[dr.Bandwidth]
	h.write(regTxModem, bw<<4|byte(dr.SF))
	h.write(regTxCoding, 1)
	h.write(regTxOptions, 0x61)
	h.write(regTxChirp, 0x60)
	h.write(regTxSync, 6, 8)
	h.write(regTxLength, byte(len(payload)))
	h.write(regTxControl, 1)
	h.write(txBuffer, payload...)
	h.write(regTxControl, 0)
}

func (h host) timer(v uint32) {
	h.write(regTxTimer, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	h.write(regTxTrigger, 0)
	h.write(regTxTrigger, trigDelayed)
}

var (
	sf7  = radio.LoRaRate(7, 125*radio.KHz)
	sf9  = radio.LoRaRate(9, 125*radio.KHz)
	sf12 = radio.LoRaRate(12, 125*radio.KHz)
	here = ether.Place{Lat: 48.85, Lon: 2.35}
	near = ether.Place{Lat: 48.86, Lon: 2.35}
)

const spi1250 = "spi_sx1250_eu868"

// TestPacketBetweenChips sends a packet at a tick of one chip's counter and
// finds it in the other's FIFO.
func TestPacketBetweenChips(t *testing.T) {
	clock := NewManualClock(time.Time{})
	sky := NewSky(clock, ether.Config{Shadowing: 1e-9, Fading: 1e-9})
	a := started(t, spi1250, clock, func(c *Config) { c.CrystalPPB, c.CounterAt = 2000, 0xFFFF0000 })
	b := started(t, "spi_sx1257_eu868", clock, func(c *Config) { c.CrystalPPB = -1500 })
	sky.Join(a.c, ether.Station{Place: here})
	sky.Join(b.c, ether.Station{Place: near})
	var sent []Transmission
	a.c.lock()
	out := a.c.output
	a.c.unlock()
	a.c.OnTransmit(func(s Transmission) func() { sent = append(sent, s); return out(s) })

	payload := []byte("from one chip to another")
	a.program(868_300_000, sf9, payload)
	trigger := a.counter() + 3*secondTicks
	a.timer(trigger)
	if s := a.read(regTxStatus, 1)[0]; s != txTimed {
		t.Fatalf("status %#x, want %#x", s, txTimed)
	}
	clock.Advance(2999 * time.Millisecond)
	if len(sent) != 0 {
		t.Fatal("sent before its time")
	}
	clock.Advance(3 * time.Millisecond)
	if s := a.read(regTxStatus, 1)[0]; s != txPreamble || len(sent) != 1 {
		t.Fatalf("status %#x, %d sent, want %#x and 1", s, len(sent), txPreamble)
	}
	if got := a.c.count(sent[0].Start); got != trigger+48000 {
		t.Errorf("RF starts at %d, want trigger + start delay = %d", got, trigger+48000)
	}
	clock.Advance(300 * time.Millisecond)
	if s := a.read(regTxStatus, 1)[0]; s != txFree {
		t.Errorf("status %#x after the packet", s)
	}
	got := b.fetch()
	if len(got) != 23+len(payload) || string(got[9:9+len(payload)]) != string(payload) {
		t.Fatalf("FIFO holds % x", got)
	}
	if got[3] != 1 || got[4] != 0x93 || got[5] != 0 {
		t.Errorf("channel, rate, modem = %d, %#x, %d", got[3], got[4], got[5])
	}
	n := len(payload)
	stamp := uint32(got[15+n]) | uint32(got[16+n])<<8 | uint32(got[17+n])<<16 | uint32(got[18+n])<<24
	delay := loraRate{sf: 9, bwKHz: 125, coding: 1, length: n, crc: true}.endDelay()
	end := b.c.count(sent[0].Start.Add(sent[0].Air))
	if d := int32(stamp - end - uint32(delay*32)); d < -32 || d > 32 { // the ether counts in microseconds
		t.Errorf("timestamp is %d ticks off the end of the packet", d)
	}
	if a.c.Stats().Sent != 1 || b.c.Stats().Received != 1 || len(a.fetch()) != 0 {
		t.Error("counters are wrong, or the sender heard itself")
	}
}

func TestTriggerIsEquality(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, nil)
	var sent int
	h.c.OnTransmit(func(Transmission) func() { sent++; return nil })
	h.program(868_100_000, sf7, []byte("late"))
	h.timer(h.counter() - 32)
	clock.Advance(134 * time.Second)
	if s := h.read(regTxStatus, 1)[0]; s != txTimed || sent != 0 {
		t.Fatalf("a trigger in the past: status %#x, %d sent", s, sent)
	}
	clock.Advance(time.Second)
	if sent != 1 {
		t.Error("the trigger did not come round with the counter")
	}
}

func TestAbort(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, nil)
	var recalled, sent int
	h.c.OnTransmit(func(Transmission) func() { sent++; return func() { recalled++ } })
	h.program(868_100_000, sf12, []byte("never sent"))
	h.timer(h.counter() + secondTicks)
	clock.Advance(time.Millisecond)
	h.write(regTxTrigger, 0)
	if s := h.read(regTxStatus, 1)[0]; s != txFree {
		t.Errorf("status %#x after abort", s)
	}
	clock.Advance(5 * time.Second)
	if sent != 0 {
		t.Error("an aborted packet went out")
	}
	h.timer(h.counter() + secondTicks)
	clock.Advance(1100 * time.Millisecond)
	h.write(regTxTrigger, 0)
	if sent != 1 || recalled != 1 {
		t.Errorf("abort on the air: %d sent, %d recalled", sent, recalled)
	}
}

func TestGPSAndImmediateTriggers(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, func(c *Config) { c.PPSLate = 100 * time.Millisecond })
	var at []time.Time
	h.c.OnTransmit(func(s Transmission) func() { at = append(at, s.Start); return nil })
	h.program(869_525_000, sf9, make([]byte, 17))
	h.write(regTxTrigger, trigGPS)
	if s := h.read(regTxStatus, 1)[0]; s != txPulse {
		t.Errorf("status %#x, want %#x", s, txPulse)
	}
	clock.Advance(2 * time.Second)
	want := 100*time.Millisecond + 1500*time.Microsecond
	if len(at) != 1 || at[0].Sub(at[0].Truncate(time.Second)) != want {
		t.Fatalf("sent at %v, want %v after a second", at, want)
	}
	h.write(regTxTrigger, 0)
	before := clock.Now()
	h.write(regTxTrigger, trigImmediate)
	clock.Advance(0)
	if len(at) != 2 || at[1].Sub(before) != 1500*time.Microsecond {
		t.Errorf("sent at %v, want at once", at[1:])
	}
}

// TestWhatIsReceived goes through the conditions of reception, which all come
// from registers.
func TestWhatIsReceived(t *testing.T) {
	base := Reception{Packet: radio.RxPacket{
		Payload: []byte("packet"), Frequency: 868_100_000, DataRate: sf7, Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90), SNR: radio.DB(7),
	}}
	for _, tt := range []struct {
		name    string
		change  func(*Reception)
		prepare func(host)
		want    Loss
		channel byte
	}{
		{name: "channel 0", channel: 0},
		{name: "radio 0", change: func(r *Reception) { r.Packet.Frequency = 867_900_000 }, channel: 7},
		{name: "20 kHz off", change: func(r *Reception) { r.Packet.Offset = 20_000 }, channel: 0},
		{name: "off channel", change: func(r *Reception) { r.Packet.Frequency += 50_000 }, want: LossNoChannel},
		{name: "service", change: func(r *Reception) {
			r.Packet.Frequency, r.Packet.DataRate = 868_300_000, radio.LoRaRate(7, 250*radio.KHz)
		}, channel: 8},
		{name: "service, other SF", change: func(r *Reception) {
			r.Packet.Frequency, r.Packet.DataRate = 868_300_000, radio.LoRaRate(8, 250*radio.KHz)
		}, want: LossNoChannel},
		{name: "FSK", change: func(r *Reception) {
			r.Packet.Frequency, r.Packet.DataRate = 868_800_000, radio.FSKRate(50_000)
		}, channel: 9},
		{name: "private network", change: func(r *Reception) { r.Sync = 0x12 }, want: LossSync},
		{name: "downlink", change: func(r *Reception) { r.Invert = true }, want: LossPolarity},
		{name: "beacon", change: func(r *Reception) { r.Implicit = true }, want: LossHeader},
		{name: "SF off", prepare: func(h host) { h.write(regSFOn, 0xFB) }, want: LossNoChannel},
		{name: "channel off", prepare: func(h host) { h.write(regChannelOn, 0xFE) }, want: LossNoChannel},
		{name: "modems off", prepare: func(h host) { h.write(regEnable, 0) }, want: LossNoChip},
		{name: "radio off", prepare: func(h host) { h.write(regRFEnableB, 0) }, want: LossRadioOff},
		{name: "microcontroller off", prepare: func(h host) { h.write(regAGCControl, 0x14) }, want: LossNoChip},
		{name: "stalled", prepare: func(h host) { h.c.Break(ReceiveStall) }, want: LossNoChip},
		{name: "moved IF", prepare: func(h host) { h.write(regIFFrequency, 0, 0) }, want: LossNoChannel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewManualClock(time.Time{})
			h := started(t, spi1250, clock, nil)
			r := base
			r.End = clock.Now()
			r.Start = r.End.Add(-50 * time.Millisecond)
			if tt.change != nil {
				tt.change(&r)
			}
			if tt.prepare != nil {
				tt.prepare(h)
			}
			if got := h.c.Receive(r); got != tt.want {
				t.Fatalf("Receive = %q, want %q", got, tt.want)
			}
			clock.Advance(20 * time.Millisecond) // until it is decoded
			if got := h.fetch(); tt.want == "" && (len(got) < 23 || got[3] != tt.channel) {
				t.Errorf("FIFO holds % x, want channel %d", got, tt.channel)
			} else if tt.want != "" && len(got) != 0 {
				t.Errorf("FIFO holds % x", got)
			}
		})
	}
}

// TestTimestampHasPassed reads a packet as soon as the FIFO has it: the counter must
// have reached its timestamp, which a host takes for one before the counter's last
// wrap otherwise, and is then 134 s off.
func TestTimestampHasPassed(t *testing.T) {
	for sf := radio.SpreadingFactor(7); sf <= 12; sf++ {
		clock := NewManualClock(time.Time{})
		h := started(t, spi1250, clock, nil)
		clock.Advance(time.Second)
		const n = 15
		if loss := h.c.Receive(Reception{
			Packet: radio.RxPacket{Payload: make([]byte, n), Frequency: 868_500_000, DataRate: radio.LoRaRate(sf, 125*radio.KHz), Coding: 1, CRC: radio.CRCOK, RSSI: -9000},
			Start:  clock.Now().Add(-800 * time.Millisecond), End: clock.Now(),
		}); loss != "" {
			t.Fatal(loss)
		}
		waited := 0
		for ; h.read(regBytes, 2)[1] == 0 && waited < 1000; waited++ {
			clock.Advance(100 * time.Microsecond)
		}
		now := h.counter()
		p := h.fetch()
		if len(p) != 23+n {
			t.Fatalf("SF%d: % x after %d steps", sf, p, waited)
		}
		stamp := uint32(p[15+n]) | uint32(p[16+n])<<8 | uint32(p[17+n])<<16 | uint32(p[18+n])<<24
		if behind := int32(now - stamp); behind < 0 || behind > 3300 {
			t.Errorf("SF%d: the counter is %d ticks beyond the timestamp", sf, behind)
		}
	}
}

// TestFineTime does the host's arithmetic of section d.6 on what an SX1303 says.
func TestFineTime(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, "spi_sx1303_ftime_eu868", clock, func(c *Config) { c.PPSLate = 13 * time.Microsecond })
	for i, dr := range []radio.DataRate{sf7, sf9, sf12, radio.LoRaRate(5, 125*radio.KHz)} {
		clock.Advance(3*time.Second + time.Duration(i)*100_000_007)
		n := 12
		rate := loraRate{sf: int(dr.SF), bwKHz: 125, coding: 1, length: n, crc: true}
		air := time.Duration(4*rate.symbols()+49) * time.Duration(2000<<rate.sf) // quarter symbols of 2^SF * 2 us
		if dr.SF < 7 {
			air += 8 * time.Duration(2000<<rate.sf)
		}
		preambleEnd := clock.Now()
		clock.Advance(air)
		loss := h.c.Receive(Reception{Packet: radio.RxPacket{
			Payload: make([]byte, n), Frequency: 868_500_000, DataRate: dr, Coding: 1, CRC: radio.CRCOK, RSSI: radio.DBm(-90),
		}, Start: preambleEnd.Add(-8 * air / 20), End: clock.Now()})
		if loss != "" {
			t.Fatal(loss)
		}
		p := h.fetch()
		m := int(p[21+n])
		stamp := uint32(p[15+n]) | uint32(p[16+n])<<8 | uint32(p[17+n])<<16 | uint32(p[18+n])<<24
		if p[9+n]&0x10 == 0 || m == 0 {
			t.Fatalf("SF%d: no timing, %d metrics", dr.SF, m)
		}
		mean, sum := 0.0, 0.0
		for _, v := range p[22+n : 22+n+2*m] {
			sum += float64(int8(v))
			mean += sum / float64(2*m)
		}
		pps := h.read(regPPS, 4)
		last := uint32(pps[0])<<24 | uint32(pps[1])<<16 | uint32(pps[2])<<8 | uint32(pps[3])
		since := float64(int32(stamp-uint32(rate.preambleTicks())+2138-last)) + mean + notchDelay(0)
		got := math.Mod(since*31.25+1e9, 1e9)
		want := float64(preambleEnd.Add(-h.c.cfg.PPSLate).Nanosecond()) + FineLag*31.25
		if math.Abs(got-want) > 5 {
			t.Errorf("SF%d: fine time %.1f ns, want %.1f", dr.SF, got, want)
		}
	}
}

// lateClock calls what is due when its test says so, the last first, as a busy
// machine may.
type lateClock struct {
	*ManualClock
	late  bool
	calls []func()
}

func (c *lateClock) AfterFunc(d time.Duration, f func()) Timer {
	if !c.late {
		return c.ManualClock.AfterFunc(d, f)
	}
	return c.ManualClock.AfterFunc(d, func() { c.calls = append(c.calls, f) })
}

func (c *lateClock) catchUp() {
	for len(c.calls) > 0 {
		last := len(c.calls) - 1
		f := c.calls[last]
		c.calls = c.calls[:last]
		f()
	}
}

// TestPacketsKeepTheirOrder: packets are in the FIFO in the order in which they were
// decoded, also when the simulation's timers are late.
func TestPacketsKeepTheirOrder(t *testing.T) {
	clock := &lateClock{ManualClock: NewManualClock(time.Time{})}
	h := started(t, spi1250, clock.ManualClock, func(c *Config) { c.Clock = clock })
	clock.Advance(time.Second)
	clock.late = true
	put := func(sf radio.SpreadingFactor, n byte) {
		t.Helper()
		if loss := h.c.Receive(Reception{
			Packet: radio.RxPacket{Payload: []byte{n, n, n}, Frequency: 868_100_000, DataRate: radio.LoRaRate(sf, 125*radio.KHz), CRC: radio.CRCOK, RSSI: -9000},
			Start:  clock.Now().Add(-900 * time.Millisecond), End: clock.Now(),
		}); loss != "" {
			t.Fatal(loss)
		}
		clock.Advance(time.Microsecond)
	}
	put(12, 4) // takes longest to decode
	put(7, 1)
	put(7, 2)
	put(7, 3)
	clock.Advance(100 * time.Millisecond)
	clock.catchUp()
	var got []byte
	for b := h.fetch(); len(b) > 9; b = b[26:] {
		got = append(got, b[9])
	}
	if !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("packets % x", got)
	}
}
