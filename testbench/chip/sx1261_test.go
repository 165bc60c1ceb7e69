package chip

import (
	"context"
	"testing"
	"time"

	"heliograph/radio"
)

// listen sends a command to the SX1261 and returns the answer after the opcode.
func (h host) listen(w ...byte) []byte {
	h.t.Helper()
	r := make([]byte, len(w))
	if err := h.c.ListenSPI().Tx(context.Background(), w, r); err != nil {
		h.t.Fatal(err)
	}
	return r[1:]
}

func (h host) patch() string {
	h.t.Helper()
	h.listen(0x80, 0)
	image := SyntheticPatch()
	for i := 0; i < len(image); i += 4 {
		a := patchBase + i
		h.listen(append([]byte{0x0D, byte(a >> 8), byte(a)}, image[i:i+4]...)...)
	}
	h.listen(0xD9)
	return string(h.listen(append([]byte{0x1D, 0x03, 0x20}, make([]byte, 17)...)...)[3:])
}

func TestPatch(t *testing.T) {
	h := host{t, New(Config{Clock: NewManualClock(time.Time{})})}
	if v := h.patch(); v[11:15] != "2D06" {
		t.Errorf("version %q", v)
	}
	if got := h.listen(0xC0, 0)[0]; got != 0x22 {
		t.Errorf("status %#x", got)
	}
	_ = h.c.ListenResetPin().Set(context.Background(), false)
	_ = h.c.ListenResetPin().Set(context.Background(), true)
	h.c.Break(OldPatch)
	if v := h.patch(); v[11:15] == "2D06" {
		t.Errorf("version %q", v)
	}
	h.c.Break(ListenDead)
	if got := h.listen(0xC0, 0)[0]; got != 0 {
		t.Errorf("a dead radio answers %#x", got)
	}
}

func TestSpectralScan(t *testing.T) {
	clock := NewManualClock(time.Time{})
	h := host{t, New(Config{Clock: clock, Occupied: func(f radio.Hertz, _ time.Time) float64 {
		if f > 868_000_000 {
			return -81
		}
		return -118
	}})}
	h.patch()
	status := func() byte { return h.listen(0x1D, 0x07, 0xCD, 0, 0)[3] }
	scan := func(f uint32) []byte {
		word := uint32(uint64(f) << 25 / 32_000_000)
		h.listen(0x86, byte(word>>24), byte(word>>16), byte(word>>8), byte(word))
		h.listen(0x9B, 0x07, 0xD0, 0x0B, 0, 0, 0, 0, 0, 0)
		if s := status(); s != scanRunning {
			t.Errorf("status %#x, want %#x", s, scanRunning)
		}
		clock.Advance(20 * time.Millisecond)
		if s := status(); s != scanCompleted {
			t.Errorf("status %#x, want %#x", s, scanCompleted)
		}
		return h.listen(append([]byte{0x1D, 0x04, 0x01}, make([]byte, 67)...)...)[3:]
	}
	for f, bin := range map[uint32]int{868_100_000: 20, 867_100_000: 30} {
		b := scan(f)
		for i := range scanLevels {
			want := 0
			if i == bin {
				want = 2000
			}
			if got := int(b[2*i])<<8 | int(b[2*i+1]); got != want {
				t.Errorf("%d Hz: level %d has %d samples, want %d", f, i, got, want)
			}
		}
	}
	h.c.Break(ScanStuck)
	h.listen(0x9B, 0x07, 0xD0, 0x0B)
	clock.Advance(time.Minute)
	if s := status(); s != scanRunning {
		t.Errorf("a stuck scan has status %#x", s)
	}
	h.listen(0x0D, 0x08, 0x9B, 0)
	if s := status(); s != scanAborted {
		t.Errorf("an aborted scan has status %#x", s)
	}
}

// TestListenBeforeTalk sets the AGC up with LBT and looks at its verdict.
func TestListenBeforeTalk(t *testing.T) {
	for _, busy := range []bool{false, true} {
		clock := NewManualClock(time.Time{})
		h := started(t, spi1250, clock, nil)
		sent := 0
		h.c.OnTransmit(func(Transmission) func() { sent++; return nil })
		h.upload(agcMemory, regAGCControl, SyntheticFirmware(ProgramAGC1250, 10))
		h.setUp(0x0A)
		h.write(regMailboxIn+3, 1)
		h.write(regMailboxIn, 0x0B)
		h.write(regMailboxIn, 0x0F)
		h.patch()
		h.listen(0x9A, 0x0B, 0, 24, 160, 1) // -80 dBm, 128 us
		if busy {
			h.c.Break(ListenBusy)
		}
		h.program(868_100_000, sf7, []byte("polite"))
		h.timer(h.counter() + secondTicks/10)
		clock.Advance(200 * time.Millisecond)
		want, air := byte(0x01), 1
		if busy {
			want, air = 0x41, 0
		}
		if got := h.read(regAGCStatus, 1)[0]; got != want || sent != air {
			t.Errorf("busy %v: AGC status %#x, %d sent", busy, got, sent)
		}
		h.write(regMailboxIn+3, 0xFF)
		if got := h.read(regAGCStatus, 1)[0]; got != 0 {
			t.Errorf("AGC status %#x after acknowledgement", got)
		}
	}
}
