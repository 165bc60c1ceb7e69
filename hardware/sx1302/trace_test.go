package sx1302

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// tracesDir holds recordings of the vendor's library: see testdata/README.md.
func tracesDir() string {
	if d := os.Getenv("SX1302_TRACES"); d != "" {
		return d
	}
	return filepath.Join("testdata", "traces")
}

// TestStartUpEqualsVendor starts the driver on a fake chip with the configuration
// of each recording and compares what reached the chip. See stream.
func TestStartUpEqualsVendor(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(tracesDir(), "*_startup_writes.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", tracesDir(), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "_startup_writes.jsonl")
		t.Run(name, func(t *testing.T) {
			conf, err := os.ReadFile(filepath.Join(filepath.Dir(file), name+"_conf.json"))
			if err != nil {
				t.Fatal(err)
			}
			compareStartUp(t, conf, file)
		})
	}
	for _, d := range Differences() {
		t.Logf("deliberate difference: %s: %s", d.Name, d.Reason)
	}
}

func compareStartUp(t *testing.T, conf []byte, file string) {
	_, chip := startFake(t, conf)
	vendor := readTrace(t, file)
	want, got := newStream(), newStream()
	want.feed(vendor)
	got.feed(chip.writes[:untilDone(chip.writes)])
	got.compare(t, want)
	t.Logf("%d frames, %d bytes; recording: %d writes; %d events with an effect compared, %d registers, %d filled",
		chip.frames, chip.bytes, len(vendor), len(want.events), len(want.wrote), got.beyond(t, want))
}

// startFake starts the driver on a fake chip that suits a configuration file. The
// SPI transport carries the USB recordings too: the bytes are the same, and the
// bridge is tested by itself.
func startFake(t testing.TB, conf []byte) (*Concentrator, *fakeChip) {
	t.Helper()
	c, chip := makeFake(t, conf)
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c, chip
}

func makeFake(t testing.TB, conf []byte) (*Concentrator, *fakeChip) {
	t.Helper()
	g, err := ParseGlobalConf(conf)
	if err != nil {
		t.Fatal(err)
	}
	fw := syntheticFirmware()
	clock := &fakeClock{now: time.Unix(1_700_000_000, 0)}
	chip := newFakeChip(clock)
	if g.Fine != FineOff {
		chip.model = modelSX1303
	}
	if g.Radios[g.ClockSource].Kind != calc.SX1250 {
		chip.agcVersion, chip.calImage = versionAGC125x, fw.Cal
	}
	c, err := New(Options{
		SPI: chip, SX1261: &fakeSX1261{chip: chip}, I2C: &fakeI2C{}, Config: g.Config, Firmware: fw, Clock: clock,
		Pins: Pins{Reset: chip},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, chip
}

// setConf is the configuration of one recording.
func setConf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "traces", name+"_conf.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// untilDone is where the driver's start ends for the recordings: with the LED.
func untilDone(ws []write) int {
	for i := len(ws) - 1; i >= 0; i-- {
		if ws[i].mux == 0 && ws[i].addr == 0x5643 {
			return i + 1
		}
	}
	return len(ws)
}

// muxSX1261 stands for the SX1261 in recordings.
const muxSX1261 = 9

// fakeSX1261 records commands and answers as a patched SX1261 does.
type fakeSX1261 struct{ chip *fakeChip }

func (f *fakeSX1261) Tx(_ context.Context, w, r []byte) error {
	f.chip.mu.Lock()
	defer f.chip.mu.Unlock()
	switch {
	case w[0] == opStatus || w[0] == opDeviceErrors || w[0] == opReadRegister:
	case w[0] == opWriteRegister && w[1] >= xPatch>>8:
		f.chip.writes = append(f.chip.writes, write{muxSX1261, 0, "program"})
	default:
		f.chip.writes = append(f.chip.writes, write{muxSX1261, 0x10000 | int(w[0]), fmt.Sprintf("%x", w[1:])})
	}
	clear(r)
	if len(r) > 1 {
		r[1] = standbyStatus
	}
	if w[0] == opReadRegister && len(r) >= 19 {
		copy(r[4+11:], sx1261Version)
	}
	return nil
}

// readTrace reads a recording of writes into single bytes and commands. Programs
// are recorded as digests: they are left out.
func readTrace(t *testing.T, file string) []write {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []write
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		var r struct {
			Op, Addr, Opcode, Hex, SHA256 string
			Mux                           int
		}
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(r.Hex)
		if err != nil {
			t.Fatal(err)
		}
		switch r.Op {
		case "r":
		case "w", "rmw": // a bridge's read-modify-write is recorded with the byte written
			if r.SHA256 != "" {
				out = append(out, write{0, int(number(t, r.Addr)), "program"})
				continue
			}
			for i, d := range data {
				out = append(out, write{r.Mux, int(number(t, r.Addr)) + i, fmt.Sprintf("%02x", d)})
			}
		case "cmd":
			out = append(out, write{r.Mux, 0x10000 | int(number(t, r.Opcode)), r.Hex})
		case "cmd1261":
			switch op := 0x10000 | int(number(t, cmp.Or(r.Opcode, "0x0D"))); {
			case r.SHA256 != "":
				out = append(out, write{muxSX1261, 0, "program"})
			case op&0xFF != opStatus && op&0xFF != opDeviceErrors && op&0xFF != opReadRegister:
				out = append(out, write{muxSX1261, op, r.Hex})
			}
		case "gpio": // pins have tests of their own
		default:
			t.Fatalf("%s: operation %q", file, r.Op)
		}
	}
	return out
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// stream is what a series of writes does to the chip: events are the writes that
// have an effect of their own, in order, each with the state of the whole chip and
// its radios at that moment. Two streams are equal when their events are, and the
// states at each of them. That is what "order where order matters" means here.
type stream struct {
	events []string
	states []map[string]string
	state  map[string]string
	wrote  map[string]bool // registers that were written at all
}

func newStream() *stream {
	s := &stream{state: map[string]string{}, wrote: map[string]bool{}}
	for i := 0; i < len(resetImage); i += 4 {
		s.state[key(0, int(resetImage[i])<<8|int(resetImage[i+1]))] = fmt.Sprintf("%02x", resetImage[i+2])
	}
	return s
}

func key(mux, addr int) string { return fmt.Sprintf("%d:%04X", mux, addr) }

// hasEffect says whether writing a register does something at once.
func hasEffect(mux, addr int) bool {
	if mux != 0 {
		return addr == fxMode
	}
	switch addr {
	case 0x5600, 0x5601, 0x5605, // page, clocks and dialect, enables
		0x5780, 0x5783, 0x5784, 0x5789, // AGC, radio resets, mailbox byte 3
		0x57C0, 0x6080, 0x608A, // clock, ARB and its start
		0x5207, 0x5407, // whether the payload buffer is the host's
		0x5200, 0x5400, 0x5643, 0x6180: // triggers, LEDs, OTP address
		return true
	}
	return false
}

func (s *stream) feed(ws []write) {
	for _, w := range ws {
		switch {
		case w.mux == muxSX1261:
			s.event(fmt.Sprintf("SX1261:%02X %s", w.addr&0xFF, w.data))
		case w.addr < 0x4000 && w.mux == 0: // program memory: one event, however it is cut
			s.event(key(0, w.addr&0x2000) + " program")
		case w.addr == 0x10000|opWriteRegister:
			b, _ := hex.DecodeString(w.data)
			for i, d := range b[2:] { // neighbours in one command or several
				s.set(w.mux, 0x20000|int(b[0])<<8+int(b[1])+i, fmt.Sprintf("%02x", d))
			}
		case w.addr >= 0x10000:
			s.event(fmt.Sprintf("%d:command %02X %s", w.mux, w.addr&0xFF, w.data))
		case hasEffect(w.mux, w.addr):
			if s.state[key(w.mux, w.addr)] == w.data && w.addr != 0x5789 {
				continue // no change, no effect
			}
			s.set(w.mux, w.addr, w.data)
			s.event(key(w.mux, w.addr) + "=" + w.data)
		default:
			s.set(w.mux, w.addr, w.data)
		}
	}
}

func (s *stream) set(mux, addr int, data string) {
	s.state[key(mux, addr)] = data
	s.wrote[key(mux, addr)] = true
}

func (s *stream) event(e string) {
	if n := len(s.events); n > 0 && s.events[n-1] == e && strings.HasSuffix(e, "program") {
		return
	}
	s.events = append(s.events, e)
	state := maps.Clone(s.state)
	if strings.HasPrefix(e, "0:5207=") || strings.HasPrefix(e, "0:5407=") {
		// Only the payload buffer depends on whose it is.
		maps.DeleteFunc(state, func(k, _ string) bool { return k[:4] != "0:53" && k[:4] != "0:55" })
	}
	s.states = append(s.states, state)
}

// beyond are the registers that only this stream wrote: filled gaps, which must
// be within maxFill of one that both wrote.
func (s *stream) beyond(t *testing.T, want *stream) (n int) {
	t.Helper()
	for k := range s.wrote {
		if want.wrote[k] {
			continue
		}
		n++
		var mux, addr int
		if _, err := fmt.Sscanf(k, "%d:%X", &mux, &addr); err != nil {
			t.Fatal(err)
		}
		near := func(step int) bool {
			for i := 1; i <= maxFill; i++ {
				if want.wrote[key(mux, addr+i*step)] {
					return true
				}
			}
			return false
		}
		if mux != 0 || !near(1) || !near(-1) {
			t.Errorf("%s was written, and is no gap between the vendor's registers", k)
		}
	}
	return n
}

func (s *stream) compare(t *testing.T, want *stream) {
	t.Helper()
	for i, e := range want.events {
		if i >= len(s.events) {
			t.Fatalf("event %d is missing: %s", i, e)
		}
		if s.events[i] != e {
			t.Fatalf("event %d is %s, vendor's is %s (before: %v)", i, s.events[i], e, s.events[max(0, i-4):i])
		}
		if d := diffStates(s.states[i], want.states[i]); len(d) > 0 {
			t.Errorf("at event %d (%s): %s", i, e, strings.Join(d[:min(len(d), 12)], ", "))
			if i > 0 && t.Failed() {
				return
			}
		}
	}
	for k := range want.wrote {
		if !s.wrote[k] {
			t.Errorf("%s is not written", k)
		}
	}
	if n := len(want.events); len(s.events) > n {
		t.Errorf("%d events too many, the first %s", len(s.events)-n, s.events[n])
	}
	if d := diffStates(s.state, want.state); len(d) > 0 {
		t.Errorf("at the end: %s", strings.Join(d, ", "))
	}
}

func diffStates(got, want map[string]string) []string {
	var out []string
	for k, v := range want {
		if got[k] != v {
			out = append(out, fmt.Sprintf("%s is %q, vendor's is %q", k, got[k], v))
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			out = append(out, fmt.Sprintf("%s is %q, the vendor never writes it", k, v))
		}
	}
	slices.Sort(out)
	return out
}
