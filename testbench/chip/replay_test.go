package chip

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/radio"
)

// record is one transaction of a vendor trace.
type record struct {
	N      int     `json:"n"`
	Msg    int     `json:"msg"`
	DT     float64 `json:"dt_ms"`
	Op     string  `json:"op"`
	Mux    int     `json:"mux"`
	Addr   string  `json:"addr"`
	Opcode string  `json:"opcode"`
	Len    int     `json:"len"`
	Hex    string  `json:"hex"`
	Resp   string  `json:"rsp"`
	SHA    string  `json:"sha256"`
	Mask   string  `json:"mask"`
	Set    string  `json:"set"`
	Read   string  `json:"read"`
}

func (r record) addr() uint16 {
	v, err := strconv.ParseUint(r.Addr+r.Opcode, 0, 16)
	if err != nil {
		panic(err)
	}
	return uint16(v)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// traceFiles finds <set>_<kind>.jsonl in SX1302_TRACES, or those of testdata.
func traceFiles(t *testing.T, kind string) map[string][]record {
	t.Helper()
	dir, ext := "testdata/traces", ".jsonl.gz"
	if d := os.Getenv("SX1302_TRACES"); d != "" {
		dir, ext = d, ".jsonl"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_"+kind+ext))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s traces in %s (%v)", kind, dir, err)
	}
	out := map[string][]record{}
	for _, name := range files {
		set := strings.TrimSuffix(filepath.Base(name), "_"+kind+ext)
		out[set] = readTrace(t, name)
	}
	return out
}

func readTrace(t *testing.T, name string) []record {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var out []record
	for dec := json.NewDecoder(in); ; {
		var r record
		if err := dec.Decode(&r); err == io.EOF {
			return out
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, r)
	}
}

// wire is what a replay needs of a board: frames on the main chip select,
// changes of bits, and pins.
type wire interface {
	frame(w []byte) []byte
	listen(w []byte) []byte // on the SX1261's chip select
	modify(addr uint16, mask, value byte) (read, written byte)
	pin(number uint16, high bool)
}

type spiWire struct {
	t *testing.T
	c *Chip
}

func (s spiWire) frame(w []byte) []byte {
	r := make([]byte, len(w))
	if err := s.c.SPI().Tx(context.Background(), w, r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s spiWire) listen(w []byte) []byte {
	r := make([]byte, len(w))
	if err := s.c.ListenSPI().Tx(context.Background(), w, r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s spiWire) modify(uint16, byte, byte) (byte, byte) { panic("no such request on SPI") }
func (s spiWire) pin(uint16, bool)                       { panic("no pins on SPI") }

// replay plays a trace against a board.
type replay struct {
	t       *testing.T
	set     string
	wire    wire
	clock   *ManualClock
	images  [][]byte // program images for the AGC memory, in the order of loading
	image   []byte   // the one in the memory now
	load    int
	touched map[uint32]bool // radio registers written since the radios' last reset
	open    map[string]int  // undetermined reads that differed, by reason
	compare int             // reads that had to be equal
}

// undetermined says why a read need not have the recorded value: it depends on
// the emulator that the trace was made with.
func undetermined(r record, got []byte) string {
	want := unhex(r.Hex)
	switch a := r.addr(); {
	case r.Mux == 0 && a >= regPPS && a < regCounter+4:
		return "counter and PPS"
	case r.Mux != 0 && r.Op == "r" && a == sx125xStatus && got[0]&^want[0] == 0 && got[0] != 0:
		return "SX125x lock bits: the emulator set both always"
	case r.Mux == 0 && a == regMailboxOut && got[0] == 0x40 && want[0] == 0x08:
		return "calibration threshold: the emulator returned 8 always"
	}
	return ""
}

func (p *replay) run(records []record) {
	for _, r := range records {
		p.clock.Advance(time.Duration(r.DT * float64(time.Millisecond)))
		p.one(r)
		if p.t.Failed() {
			p.t.Fatalf("stopped after %+v", r)
		}
	}
}

func (p *replay) one(r record) {
	switch {
	case r.Op == "gpio":
		p.wire.pin(r.addr(), r.Hex == "01")
	case r.Op == "rmw":
		read, written := p.wire.modify(r.addr(), unhex(r.Mask)[0], unhex(r.Set)[0])
		p.expect(r, []byte{read}, unhex(r.Read))
		p.expect(r, []byte{written}, unhex(r.Hex))
	case r.Op == "cmd1261":
		p.listen(r)
	case r.Op == "cmd":
		got := p.wire.frame(append([]byte{byte(r.Mux), byte(r.addr())}, unhex(r.Hex)...))
		p.expect(r, got[2:], unhex(r.Resp))
	case r.Mux != 0 && r.Op == "w":
		p.touched[uint32(r.Mux)<<16|uint32(r.addr())] = true
		p.wire.frame(append([]byte{byte(r.Mux), 0x80 | byte(r.addr())}, unhex(r.Hex)...))
	case r.Mux != 0:
		p.check(r, p.wire.frame([]byte{byte(r.Mux), byte(r.addr()), 0})[2:])
	case r.Op == "w":
		a := r.addr()
		if a == regRFEnableA || a == regRFEnableB {
			clear(p.touched)
		}
		p.wire.frame(append([]byte{0, 0x80 | byte(a>>8), byte(a)}, p.data(r)...))
	case r.Op == "r":
		a := r.addr()
		got := p.wire.frame(append([]byte{0, byte(a >> 8), byte(a), 0}, make([]byte, r.Len)...))[4:]
		if r.SHA != "" {
			p.expect(r, got, p.data(r))
			return
		}
		p.check(r, got)
	default:
		p.t.Fatalf("unknown operation %q", r.Op)
	}
}

// listen plays a command to the SX1261. A patch is one record, without its bytes.
func (p *replay) listen(r record) {
	if r.Hex == "" && r.SHA != "" {
		image := SyntheticPatch()
		for i := 0; i < len(image); i += 4 {
			a := patchBase + i
			p.wire.listen(append([]byte{0x0D, byte(a >> 8), byte(a)}, image[i:i+4]...))
		}
		return
	}
	got := p.wire.listen(append([]byte{byte(r.addr())}, unhex(r.Hex)...))
	if !bytes.Equal(got[1:], unhex(r.Resp)) {
		p.open["SX1261 answers: the emulator had no states"]++
	}
}

// data is what a write carries. Program images are synthetic ones.
func (p *replay) data(r record) []byte {
	if r.SHA == "" {
		return unhex(r.Hex)
	}
	a := r.addr()
	if a >= arbMemory {
		return SyntheticFirmware(ProgramARB, 2)[a-arbMemory:][:r.Len]
	}
	if a == 0 && r.Op == "w" {
		p.image = p.images[p.load]
		p.load++
	}
	return p.image[a:][:r.Len]
}

func (p *replay) check(r record, got []byte) {
	want := unhex(r.Hex)
	if bytes.Equal(got, want) {
		p.compare++
		return
	}
	why := undetermined(r, got)
	if r.Mux != 0 && r.Op == "r" && got[0] == 0 && !p.touched[uint32(r.Mux)<<16|uint32(r.addr())] {
		why = "SX125x register after a reset: the emulator did not clear it"
	}
	if why != "" {
		p.open[why]++
		return
	}
	p.expect(r, got, want)
}

func (p *replay) expect(r record, got, want []byte) {
	p.compare++
	if !bytes.Equal(got, want) {
		p.t.Errorf("%s n=%d %s %s%s: got %x, the vendor read %x", p.set, r.N, r.Op, r.Addr, r.Opcode, got, want)
	}
}

// boardOf makes the board that a set was recorded on.
func boardOf(set string, clock *ManualClock) (*Chip, [][]byte) {
	cfg := Config{Clock: clock}
	set = strings.ToLower(set)
	images := [][]byte{SyntheticFirmware(ProgramAGC1250, 10)}
	if strings.Contains(set, "sx1303") || strings.Contains(set, "ftime") {
		cfg.Model = SX1303
	}
	for _, fe := range []FrontEnd{SX1255, SX1257} {
		if strings.Contains(set, strings.ToLower(string(fe))) {
			cfg.FrontEnd = fe
			images = [][]byte{SyntheticFirmware(ProgramCalibrate, 1), SyntheticFirmware(ProgramAGC125x, 6)}
		}
	}
	return New(cfg), images
}

func newReplay(t *testing.T, set string) (*replay, *Chip) {
	clock := NewManualClock(time.Time{})
	c, images := boardOf(set, clock)
	p := &replay{t: t, set: set, clock: clock, images: images, open: map[string]int{}, touched: map[uint32]bool{}}
	if strings.HasPrefix(set, "usb") {
		p.wire = newUSBWire(t, c)
	} else {
		p.wire = spiWire{t, c}
	}
	return p, c
}

// TestReplay plays start-up, one transmission and one reception of the vendor's
// packet forwarder. Every read must give what the vendor read, apart from those
// that are listed as undetermined.
func TestReplay(t *testing.T) {
	tx, rx := traceFiles(t, "tx"), traceFiles(t, "rx_fetch")
	for set, startup := range traceFiles(t, "startup") {
		t.Run(set, func(t *testing.T) {
			p, c := newReplay(t, set)
			p.run(startup)
			if c.Peek(regGPIOOut) != 1 || !c.agc.ready || !c.arb.ready {
				t.Fatalf("after start-up: LED %d, AGC ready %v, ARB ready %v", c.Peek(regGPIOOut), c.agc.ready, c.arb.ready)
			}
			replayTransmit(p, c, tx[set])
			replayReceive(p, c, rx[set])
			t.Logf("%d transactions, %d reads equal, undetermined: %v", len(startup)+len(tx[set])+len(rx[set]), p.compare, p.open)
		})
	}
}

// replayTransmit lets the recorded downlink be programmed one second before its
// trigger, and checks what goes on the air and when.
func replayTransmit(p *replay, c *Chip, records []record) {
	if len(records) == 0 {
		return
	}
	var sent []Transmission
	c.OnTransmit(func(s Transmission) func() { sent = append(sent, s); return nil })
	trigger := triggerOf(records)
	p.setCounter(c, trigger-secondTicks)
	p.run(records)
	if a, b := c.txStatusNow(0), c.txStatusNow(1); (a == txTimed) == (b == txTimed) {
		p.t.Fatalf("transmit status %#x and %#x after programming, want one %#x", a, b, txTimed)
	}
	p.clock.Advance(1200 * time.Millisecond)
	if len(sent) != 1 {
		p.t.Fatalf("%d packets on the air, want 1", len(sent))
	}
	got := sent[0]
	if base := uint16(got.Packet.RadioChain) * chainStride; string(got.Packet.Payload) != string(payloadOf(records, txBuffer+base)) {
		p.t.Errorf("payload on the air: %q", got.Packet.Payload)
	}
	// RF starts at a whole microsecond: the tmst of the downlink.
	if ticks := c.count(got.Start); ticks%32 != 0 || ticks-trigger > 48000 {
		p.t.Errorf("RF starts at tick %d, trigger %d", ticks, trigger)
	}
	if s := c.txStatusNow(int(got.Packet.RadioChain)); s != txFree {
		p.t.Errorf("transmit status %#x after the packet", s)
	}
	if !strings.HasSuffix(p.set, "_eu868") {
		return // a recording of somebody else's
	}
	want := radio.TxPacket{
		Payload: []byte("hello-downln"), Frequency: 868_300_000, DataRate: radio.LoRaRate(9, 125*radio.KHz),
		Coding: 1, Power: radio.DBm(14), InvertIQ: true, NoCRC: true, Preamble: 8,
	}
	// The frequency word has steps of 122 Hz.
	if d := got.Packet.Frequency - want.Frequency; d > 0 || d < -122 {
		p.t.Errorf("frequency %v, want %v", got.Packet.Frequency, want.Frequency)
	}
	got.Packet.Frequency = want.Frequency
	if fmt.Sprint(got.Packet) != fmt.Sprint(want) || got.Sync != 0x34 || got.Implicit {
		p.t.Errorf("on the air: %+v, want %+v", got, want)
	}
}

// payloadOf is what a trace wrote to a transmit buffer.
func payloadOf(records []record, buffer uint16) []byte {
	for _, r := range records {
		if r.Op == "w" && r.addr() == buffer {
			return unhex(r.Hex)
		}
	}
	return nil
}

func triggerOf(records []record) (v uint32) {
	for _, r := range records {
		a := r.addr()
		if chainOf(a) == 1 {
			a -= chainStride
		}
		if r.Op == "w" && r.Mux == 0 && a >= regTxTimer && a < regTxTimer+4 {
			v |= uint32(unhex(r.Hex)[0]) << (8 * (regTxTimer + 3 - a))
		}
	}
	return v
}

// setCounter gives the counter a value now.
func (p *replay) setCounter(c *Chip, v uint32) {
	c.lock()
	defer c.unlock()
	c.cfg.CounterAt += v - c.count(c.now)
}

func (c *Chip) txStatusNow(chain int) byte {
	c.lock()
	defer c.unlock()
	return c.txStatus(chain)
}

// replayReceive delivers the packet that was recorded and fetches it.
func replayReceive(p *replay, c *Chip, records []record) {
	if len(records) == 0 {
		return
	}
	var raw []byte
	for _, r := range records {
		if r.addr() == fifoWindow {
			raw = unhex(r.Hex)
		}
	}
	n := int(raw[2])
	end := int64(uint32(raw[15+n]) | uint32(raw[16+n])<<8 | uint32(raw[17+n])<<16 | uint32(raw[18+n])<<24)
	rate := loraRate{sf: int(raw[4] >> 4), bwKHz: 125, coding: int(raw[4] >> 1 & 7), length: n, crc: true}
	delay := rate.endDelay() * 32
	if c.Peek(regBuffer)&(1<<2) == 0 {
		delay = -rate.headerLead() * 32
		c.Poke(regMaxMetrics, 0) // the emulator had no timestamp metrics
	}
	p.setCounter(c, uint32(end-delay))
	now := p.clock.Now()
	ch := uint16(raw[3])
	if ch > 7 {
		p.t.Fatalf("the recorded packet is of channel %d: this test knows the multi-SF ones", ch)
	}
	c.lock()
	f := c.listensTo(c.field(regRadioSelect, uint(ch), 1), regIFFrequency+2*ch)
	c.unlock()
	loss := c.Receive(Reception{
		Packet: radio.RxPacket{
			Payload: raw[9 : 9+n], Frequency: f, DataRate: radio.LoRaRate(radio.SpreadingFactor(rate.sf), 125*radio.KHz), Coding: radio.CodingRate(rate.coding),
			CRC: radio.CRCOK, RSSI: radio.DBm(-80), SNR: 975,
		},
		Start: now.Add(-50 * time.Millisecond), End: now,
	})
	if loss != "" {
		p.t.Fatalf("packet not received: %s", loss)
	}
	p.clock.Advance(20 * time.Millisecond) // until it is decoded
	c.lock()
	got := c.fifo.buf
	c.unlock()
	// What the trace's emulator put into these fields is its own invention.
	for _, i := range []int{5, 6, 7, 8, 9 + n, 10 + n, 11 + n, 12 + n, 13 + n, 14 + n, 22 + n} {
		if i < len(got) && i < len(raw) {
			got[i] = raw[i]
		}
	}
	p.run(records)
}
