package chip

import (
	"bytes"
	"cmp"
	"context"
	"testing"
	"time"

	"heliograph/radio"
)

// upload loads a program and starts it, as section c.4 says.
func (h host) upload(base, control uint16, image []byte) {
	h.t.Helper()
	clock := byte(0x10)
	if control == regARBControl {
		clock = 0x20
	}
	h.write(control, clock|mcuClear)
	h.write(control, clock|mcuClear|mcuHostProg)
	h.write(base, image...)
	h.write(control, clock|mcuClear)
	h.write(control, clock)
}

// setUp does the AGC's dialogue with zeros for values, up to the given command,
// and returns the status.
func (h host) setUp(last byte) byte {
	for _, cmd := range []byte{0x80, 0x20, 3, 4, 5, 6, 7, 8, 9, 0x0A, 0x0B, 0x0F} {
		h.write(regMailboxIn, cmd)
		if cmd == last {
			break
		}
	}
	return h.read(regAGCStatus, 1)[0]
}

// TestMicrocontrollerFaults looks at what a host sees of each fault between
// loading the programs and the main loop.
func TestMicrocontrollerFaults(t *testing.T) {
	agc, arb := SyntheticFirmware(ProgramAGC1250, 10), SyntheticFirmware(ProgramARB, 2)
	tests := map[Fault]func(h host) bool{
		"none": func(h host) bool {
			return h.read(regAGCStatus, 1)[0] == 1 && h.read(regMailboxOut+3, 1)[0] == 10 && h.setUp(0x0F) == 0
		},
		ReadBackFlip: func(h host) bool { return !bytes.Equal(h.read(agcMemory, memorySize), agc) },
		LoadParity:   func(h host) bool { return h.read(regAGCControl, 1)[0]&h.read(regARBControl, 1)[0]&1 == 1 },
		RunParity:    func(h host) bool { return h.read(regAGCControl, 1)[0]&h.read(regARBControl, 1)[0]&1 == 1 },
		WrongAGC:     func(h host) bool { return h.read(regMailboxOut+3, 1)[0] == 11 },
		WrongARB:     func(h host) bool { return h.read(regARBReport, 1)[0] == 3 },
		AGCDead:      func(h host) bool { return h.read(regAGCStatus, 1)[0] == 0 },
		ARBDead:      func(h host) bool { return h.read(regARBStatus, 1)[0] == 0 },
		AGCStops:     func(h host) bool { return h.setUp(0x0F) == 5 },
		AGCWrongEcho: func(h host) bool {
			h.write(regMailboxIn+3, 0xFF)
			h.setUp(0x80)
			return h.read(regMailboxOut+3, 1)[0] == 0
		},
		ARBStops: func(h host) bool { h.write(regARBConfig+1, 1); return h.read(regARBStatus, 1)[0] == 1 },
		ReceiveStall: func(h host) bool {
			return h.read(regAGCStatus, 1)[0] == 0x14 && h.read(regAGCControl, 1)[0]&h.read(regARBControl, 1)[0]&1 == 1
		},
		NeedsReset: func(h host) bool {
			h.setUp(0x0F)
			h.upload(agcMemory, regAGCControl, agc)
			stuck := h.read(regAGCStatus, 1)[0] == 0
			_ = h.c.ResetPin().Set(context.Background(), true)
			_ = h.c.ResetPin().Set(context.Background(), false)
			h.upload(agcMemory, regAGCControl, agc)
			return stuck && h.read(regAGCStatus, 1)[0] == 1
		},
	}
	for f, seen := range tests {
		t.Run(string(f), func(t *testing.T) {
			h := host{t, New(Config{Clock: NewManualClock(time.Time{})})}
			atRunTime := f == RunParity || f == ReceiveStall
			if !atRunTime {
				h.c.Break(f)
			}
			h.upload(agcMemory, regAGCControl, agc)
			h.upload(arbMemory, regARBControl, arb)
			if atRunTime {
				h.c.Break(f)
			}
			if !seen(h) {
				t.Errorf("not seen: AGC status %#x, control %#x; ARB status %#x", h.read(regAGCStatus, 1), h.read(regAGCControl, 1), h.read(regARBStatus, 1))
			}
			h.c.Mend(f)
			_ = h.c.ResetPin().Set(context.Background(), true)
			_ = h.c.ResetPin().Set(context.Background(), false)
			h.upload(agcMemory, regAGCControl, agc)
			if got := h.read(regAGCControl, 1)[0]; got&1 != 0 || h.setUp(0x0F) != 0 {
				t.Errorf("not cured by a reset: control %#x, status %#x", got, h.read(regAGCStatus, 1))
			}
		})
	}
}

func TestWireFaults(t *testing.T) {
	for f, want := range map[Fault]byte{AbsentLow: 0, AbsentHigh: 0xFF, HeldInReset: 0, WrongBus: 0x05} {
		h := host{t, New(Config{Clock: NewManualClock(time.Time{})})}
		h.c.Break(f)
		if got := h.read(regVersion, 1)[0]; got != want {
			t.Errorf("%s: VERSION reads %#x, want %#x", f, got, want)
		}
		h.c.Mend(f)
		if got := h.read(regVersion, 1)[0]; got != 0x10 {
			t.Errorf("%s mended: VERSION reads %#x", f, got)
		}
	}
	c := New(Config{Clock: NewManualClock(time.Time{})})
	c.Break(BusError)
	if err := c.SPI().Tx(context.Background(), make([]byte, 5), nil); err == nil {
		t.Error("a failing bus does not fail")
	}
	_ = c.PowerPin().Set(context.Background(), false)
	c.Mend(BusError)
	if got := (host{t, c}).read(regVersion, 1)[0]; got != 0 {
		t.Errorf("without power VERSION reads %#x", got)
	}
}

func TestTimeFaults(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, nil)
	pps := func() []byte { return h.read(regPPS, 4) }
	a := h.counter()
	clock.Advance(time.Second)
	if b := h.counter(); b-a != secondTicks {
		t.Errorf("a second has %d ticks", b-a)
	}
	before := pps()
	h.c.Break(NoPPS)
	clock.Advance(10 * time.Second)
	if !bytes.Equal(pps(), before) {
		t.Error("a pulse came although they ceased")
	}
	h.c.Mend(NoPPS)
	clock.Advance(time.Second)
	if bytes.Equal(pps(), before) {
		t.Error("no pulse came back")
	}
	h.c.Break(CounterStopped)
	a = h.counter()
	clock.Advance(time.Second)
	if b := h.counter(); a != b {
		t.Errorf("stopped counter moved from %d to %d", a, b)
	}
	h.c.Mend(CounterStopped)
	h.c.Break(CounterBackwards)
	a = h.counter()
	clock.Advance(time.Second)
	if b := h.counter(); a-b != secondTicks {
		t.Errorf("backwards counter moved by %d", int32(b-a))
	}
	h.c.Mend(CounterBackwards)
	h.c.Break(CounterTorn)
	if a, b := h.counter(), h.counter(); b-a < 1<<24-64 && a-b < 1<<24-64 {
		t.Errorf("two reads of a torn counter: %#x, %#x", a, b)
	}
}

func TestFIFOFaults(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, nil)
	var lost Loss
	h.c.cfg.Hear = func(l Loss) { lost = l }
	put := func(n int) Loss {
		clock.Advance(100 * time.Millisecond)
		lost = ""
		loss := h.c.Receive(Reception{
			Packet: radio.RxPacket{Payload: bytes.Repeat([]byte{7}, n), Frequency: 868_100_000, DataRate: sf7, CRC: radio.CRCOK, RSSI: -9000},
			Start:  clock.Now().Add(-50 * time.Millisecond), End: clock.Now(),
		})
		clock.Advance(20 * time.Millisecond) // until it is decoded
		return cmp.Or(loss, lost)
	}
	good := func(b []byte) bool {
		var sum byte
		for _, v := range b[:len(b)-1] {
			sum += v
		}
		return b[0] == 0xA5 && b[1] == 0xC0 && sum == b[len(b)-1]
	}
	put(20)
	if b := h.fetch(); !good(b) || len(b) != 43 {
		t.Errorf("no fault: % x", b)
	}
	h.c.Break(FIFOCorrupt)
	put(20)
	if b := h.fetch(); good(b) || len(b) != 43 {
		t.Errorf("corrupt: % x", b)
	}
	h.c.Break(FIFOGarbage)
	put(20)
	if b := h.fetch(); good(b) || !good(b[5:]) {
		t.Errorf("garbage: % x", b)
	}
	h.c.Break(FIFOTorn)
	put(20)
	if a, b := h.read(regBytes, 2), h.read(regBytes, 2); a[1] != 0 || b[1] != 43 {
		t.Errorf("torn: % x, % x", a, b)
	}
	h.c.Mend(FIFOTorn)
	h.c.Break(FIFOAbsurd)
	if a := h.read(regBytes, 2); int(a[0])<<8|int(a[1]) <= fifoSize {
		t.Errorf("absurd: % x", a)
	}
	h.c.Mend(FIFOAbsurd)
	h.fetch()
	sent := 0
	for put(255) == "" {
		sent++
	}
	if b := h.fetch(); sent != fifoSize/278 || len(b) != sent*278 || !good(b[:278]) {
		t.Errorf("%d packets of 278 bytes fill the FIFO with %d", sent, len(b))
	}
	h.c.Break(FIFOOverflow)
	put(255)
	if b := h.fetch(); len(b) != fifoSize || good(b[:278]) {
		t.Errorf("overflow: %d bytes", len(b))
	}
}

func TestTransmitFaults(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := started(t, spi1250, clock, nil)
	status := func() byte { return h.read(regTxStatus, 1)[0] }
	send := func() {
		h.program(868_100_000, sf7, []byte("stuck"))
		h.timer(h.counter() + secondTicks)
		clock.Advance(3 * time.Second)
	}
	h.c.Break(TransmitScheduled)
	if send(); status() != txTimed {
		t.Errorf("status %#x", status())
	}
	h.c.Mend(TransmitScheduled)
	h.c.Break(TransmitEmitting)
	send()
	h.write(regTxTrigger, 0)
	if status() != txEmitting {
		t.Errorf("status %#x after abort", status())
	}
	h.c.Mend(TransmitEmitting)
	h.c.Break(TransmitZero)
	if status() != 0 || h.read(regTxStatus+chainStride, 1)[0] != 0 {
		t.Errorf("status %#x", status())
	}
}

func TestRadioFaults(t *testing.T) {
	mode := func(h host, standby byte) byte {
		h.write(regRFEnableA, radioReset|radioEnable)
		h.tx(1, 0x80, standby)
		return h.tx(1, 0xC0, 0)[2] >> 4
	}
	for _, tt := range []struct {
		fault   Fault
		standby byte
		want    byte
	}{{"", 0, 2}, {"", 1, 3}, {NoStandby, 0, 4}, {NoCrystal, 1, 2}} {
		h := host{t, New(Config{Clock: NewManualClock(time.Time{})})}
		h.c.Break(tt.fault)
		if got := mode(h, tt.standby); got != tt.want {
			t.Errorf("%q: standby %d gives mode %d, want %d", tt.fault, tt.standby, got, tt.want)
		}
	}
	for _, tt := range []struct {
		fault Fault
		pair  [2]byte
		want  byte
	}{{"", [2]byte{0xD7, 0xDB}, 0}, {"", [2]byte{1, 2}, 0x10}, {ImageError, [2]byte{0xD7, 0xDB}, 0x10}} {
		h := host{t, New(Config{Clock: NewManualClock(time.Time{})})}
		h.c.Break(tt.fault)
		h.write(regRFEnableB, radioReset|radioEnable)
		h.tx(2, 0x98, tt.pair[0], tt.pair[1])
		if got := h.tx(2, 0x17, 0, 0, 0)[4]; got != tt.want {
			t.Errorf("%q: image calibration of % x gives errors %#x, want %#x", tt.fault, tt.pair, got, tt.want)
		}
	}
	for fault, want := range map[Fault]byte{"": 2, NoLock: 0} {
		h := host{t, New(Config{FrontEnd: SX1257, Clock: NewManualClock(time.Time{})})}
		h.c.Break(fault)
		h.write(regRFEnableA, radioEnable)
		h.write(regControl, ctrlHost) // SX125x dialect
		h.tx(1, 0x81, 0xD9, 0x20, 0x00)
		h.tx(1, 0x80, 3)
		if got := h.tx(1, sx125xStatus, 0)[2]; got != want {
			t.Errorf("%q: lock bits %#x, want %#x", fault, got, want)
		}
		h.write(regControl, ctrlHost|ctrlDialect)
		if got := h.tx(1, sx125xVersion, 0)[2]; got != 0 {
			t.Errorf("an SX1257 answers in the other dialect: %#x", got)
		}
	}
}

func TestSensor(t *testing.T) {
	c := New(Config{Clock: NewManualClock(time.Time{}), Temperature: -7.5})
	ask := func(reg byte) (byte, error) {
		r := make([]byte, 1)
		err := c.I2C().Tx(context.Background(), sensorAddress, []byte{reg}, r)
		return r[0], err
	}
	hi, _ := ask(0)
	lo, err := ask(2)
	if got := float64(int16(uint16(hi)<<8|uint16(lo))) / 256; err != nil || got != -7.5 {
		t.Errorf("temperature %v, %v", got, err)
	}
	if maker, _ := ask(0xFE); maker != 0x53 {
		t.Errorf("manufacturer %#x", maker)
	}
	c.Break(NoSensor)
	if _, err := ask(0); err == nil {
		t.Error("an absent sensor answers")
	}
}

func TestEveryFaultIsListedOnce(t *testing.T) {
	seen := map[Fault]bool{}
	for _, f := range Faults() {
		if seen[f] || f == "" {
			t.Errorf("%q is listed twice", f)
		}
		seen[f] = true
	}
}
