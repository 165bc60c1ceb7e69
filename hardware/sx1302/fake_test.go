package sx1302

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// fakeChip answers what a start needs, byte for byte on the SPI bus, and records
// what was written. It is deliberately dumb: the chip simulator in testbench is
// where behaviour is tested.
type fakeChip struct {
	mu     sync.Mutex
	clock  *fakeClock
	mem    [0x8000]byte
	radio  [2][64]byte // SX125x
	mode   [2]byte     // SX1250
	writes []write
	frames int
	bytes  int

	version, model byte
	cal            bool // the AGC memory holds the calibration program
	agcVersion     byte
	calImage       []byte
	fifo           []byte
	start          time.Time
	tx             [2]byte
	deaf           map[uint16]bool // addresses that read as 0 whatever happens
	freeze         bool            // microcontrollers never answer
	parity         bool
	stuckMode      byte // what an SX1250's mode stays at
	imageError     bool
	noLock         bool
	emit           bool // armed packets go on air, and end half a second later
	txEnd          [2]time.Time
	stuckTx        bool // and cannot be aborted
	onTrigger      func()
}

// write is one byte that came into effect, or one radio command.
type write struct {
	mux  int
	addr int // register, or for a command 0x10000|opcode
	data string
}

// fakeClock runs only when somebody sleeps.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	after func(time.Time) // told the time after every sleep
}

func (c *fakeClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	now := c.now
	c.mu.Unlock()
	if c.after != nil {
		c.after(now)
	}
	return ctx.Err()
}

func newFakeChip(clock *fakeClock) *fakeChip {
	f := &fakeChip{clock: clock, version: 0x10, model: 0x02, agcVersion: versionAGC1250, start: clock.now}
	f.reset()
	return f
}

// reset is the chip's reset. The recordings' emulator keeps the radios as they are.
func (f *fakeChip) reset() {
	for i := 0; i < len(resetImage); i += 4 {
		f.mem[int(resetImage[i])<<8|int(resetImage[i+1])] = resetImage[i+2]
	}
	f.tx = [2]byte{txFree, txFree}
	f.start = f.clock.Now()
}

func (f *fakeChip) Tx(_ context.Context, w, r []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames++
	f.bytes += len(w)
	if r == nil {
		r = make([]byte, len(w))
	}
	if len(r) != len(w) {
		return fmt.Errorf("lengths %d and %d", len(w), len(r))
	}
	switch {
	case w[0] == 0 && w[1]&0x80 != 0:
		a := int(w[1]&0x7F)<<8 | int(w[2])
		for i, b := range w[3:] {
			f.put(a+i, b)
		}
	case w[0] == 0:
		a := int(w[1])<<8 | int(w[2])
		for i := range w[4:] {
			if a == addrFIFO {
				r[4+i] = f.pop()
				continue
			}
			r[4+i] = f.get(a + i)
		}
	case f.mem[0x5601]>>(w[0]-1)&1 == 1:
		f.command(int(w[0]), w[1], w[2:], r[2:])
	case w[1]&0x80 != 0:
		f.radio[w[0]-1][w[1]&0x3F] = w[2]
		f.writes = append(f.writes, write{int(w[0]), int(w[1] & 0x7F), fmt.Sprintf("%02x", w[2])})
	default:
		r[2] = f.radio[w[0]-1][w[1]&0x3F]
		if w[1] == fxModeStatus && !f.noLock {
			r[2] = 3
		}
	}
	return nil
}

// Set is the reset pin.
func (f *fakeChip) Set(_ context.Context, high bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if high {
		f.reset()
	}
	return nil
}

func (f *fakeChip) pop() byte {
	if len(f.fifo) == 0 {
		return 0
	}
	b := f.fifo[0]
	f.fifo = f.fifo[1:]
	return b
}

func (f *fakeChip) put(a int, b byte) {
	old := f.mem[a]
	f.mem[a] = b
	f.writes = append(f.writes, write{0, a, fmt.Sprintf("%02x", b)})
	switch {
	case f.freeze:
	case a == 0x5780 && old&4 != 0 && b&4 == 0:
		f.cal = f.calImage != nil && string(f.mem[:8192]) == string(f.calImage)
		f.mem[0x5781], f.mem[0x5790] = 1, f.agcVersion
		if f.cal {
			f.mem[0x5790] = versionCal
		}
	case a == 0x6080 && old&4 != 0 && b&4 == 0:
		f.mem[0x6081], f.mem[0x608D] = 1, versionARB
	case a == 0x608A && b == 1:
		f.mem[0x6081] = 0
	case a == 0x5789 && f.cal:
		f.calibrate(b)
	case a == 0x5789:
		f.agc(b)
	case a == 0x5200 || a == 0x5400:
		chain := (a - 0x5200) / 0x200
		switch {
		case b&7 == 0 && !f.stuckTx:
			f.tx[chain] = txFree
		case b&7 != 0 && f.mem[0x5780]&4 == 0:
			f.tx[chain] = 0x91
			if f.emit {
				f.tx[chain] = 0x30
				f.txEnd[chain] = f.clock.Now().Add(500 * time.Millisecond)
			}
			if f.onTrigger != nil {
				f.onTrigger()
			}
		}
	}
}

func (f *fakeChip) agc(b byte) {
	next := map[byte]byte{0x80: 2, 0x20: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8, 8: 9, 9: 10, 10: 11, 11: 15, 15: 0}
	s, ok := next[b]
	if !ok {
		return
	}
	f.mem[0x5781] = s
	f.mem[0x5790], f.mem[0x578F], f.mem[0x578E] = f.mem[0x578C], f.mem[0x578B], f.mem[0x578A]
}

// calibrate answers the calibration dialogue with the numbers that the recordings
// were made with.
func (f *fakeChip) calibrate(b byte) {
	chain := f.mem[0x578A]
	say := func(status, m3, m2, m1, m0 byte) {
		f.mem[0x5781], f.mem[0x578D], f.mem[0x578E], f.mem[0x578F], f.mem[0x5790] = status, m3, m2, m1, m0
	}
	switch b {
	case 0xFF:
		say(0, 0, 0, 0, 0)
	case 0:
		f.mode[0] = chain // remembered here: what is being calibrated
	case 4:
		say(6, 8, 9, 0x60, 0)
	case 6:
		if f.mode[0] < 2 {
			say(7, 1, 0, 2, 0xFD)
		} else {
			say(7, 0, 8, 3, 0xFE)
		}
	case 7:
		say(8, 0, 8, 0, 4)
	case 8:
		switch f.mode[0] {
		case 0:
			say(0x11, 0, 0, 0, 0)
		case 1:
			say(0x22, 0, 0, 0, 0)
		default:
			say(9, 0, 0, 0, 0)
		}
	case 0x0A:
		say(0x0C, 0, 0, 0, 0)
	case 0x20:
		say(0x33+0x11*(f.mode[0]-2), 0, 0, 0, 0)
	default:
		say(b+b2i(b > 3), 0, 0, 0, 0)
	}
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (f *fakeChip) get(a int) byte {
	switch {
	case f.deaf[uint16(a)]:
		return 0
	case a == 0x5606:
		return f.version
	case a == 0x5780 || a == 0x6080:
		return f.mem[a] | b2i(f.parity)
	case a == 0x5211 || a == 0x5411:
		chain := (a - 0x5211) / 0x200
		if f.tx[chain] == 0x30 && !f.stuckTx && f.clock.Now().After(f.txEnd[chain]) {
			f.tx[chain] = txFree
		}
		return f.tx[chain]
	case a == 0x6181 && f.mem[0x6180] == otpModel:
		return f.model
	case a == 0x6181:
		return 0xA0 + f.mem[0x6180]
	case a >= 0x6105 && a <= 0x6108:
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], f.counter())
		return b[a-0x6105]
	case a == 0x58C8:
		return byte(len(f.fifo) >> 8)
	case a == 0x58C9:
		return byte(len(f.fifo))
	}
	return f.mem[a]
}

func (f *fakeChip) counter() uint32 {
	return uint32(f.clock.Now().Sub(f.start).Nanoseconds() * 4 / 125)
}

func (f *fakeChip) command(mux int, op byte, params, in []byte) {
	switch op {
	case opStandby:
		f.mode[mux-1] = 2 + params[0]
	case opReceive:
		f.mode[mux-1] = 5
	}
	if op != opStatus && op != opDeviceErrors {
		f.writes = append(f.writes, write{mux, 0x10000 | int(op), fmt.Sprintf("%x", params)})
	}
	m := f.mode[mux-1]
	if m == 0 {
		m = 2
	}
	if f.stuckMode != 0 {
		m = f.stuckMode
	}
	clear(in)
	in[0] = m<<4 | 2
	if op == opDeviceErrors && f.imageError {
		in[2] = imageCalibrationError
	}
}

// syntheticImage is a program with valid parity that is nobody's.
func syntheticImage(seed uint16) []byte {
	b := make([]byte, calc.ImageBytes)
	for i := range uint16(calc.ImageBytes / 2) {
		binary.LittleEndian.PutUint16(b[2*i:], calc.ParityWord((i*7+seed)&0x3FFF))
	}
	return b
}

func syntheticFirmware() Firmware {
	return Firmware{AGC: syntheticImage(1), ARB: syntheticImage(2), Cal: syntheticImage(3), SX1261: make([]byte, sx1261ImageSize)}
}
