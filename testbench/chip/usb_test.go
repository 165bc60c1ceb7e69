package chip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// usbWire is a host on the bridge protocol, written from section a.2.
type usbWire struct {
	t    *testing.T
	conn io.ReadWriteCloser
	spi  byte
	id   byte
}

// newUSBWire serves the chip's bridge on a pipe for the length of the test.
func newUSBWire(t *testing.T, c *Chip) *usbWire {
	t.Helper()
	host, board := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.ServeUSB(ctx, board) }()
	t.Cleanup(func() {
		cancel()
		_ = host.Close()
		<-done
	})
	return &usbWire{t: t, conn: host, spi: usbSPI}
}

// ask sends a command and reads its answer.
func (u *usbWire) ask(kind byte, payload []byte) (ack byte, answer []byte) {
	u.t.Helper()
	u.id++
	out := append([]byte{u.id, byte(len(payload) >> 8), byte(len(payload)), kind}, payload...)
	if _, err := u.conn.Write(out); err != nil {
		u.t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(u.conn, head[:]); err != nil {
		u.t.Fatal(err)
	}
	answer = make([]byte, int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(u.conn, answer); err != nil {
		u.t.Fatal(err)
	}
	if head[0] != u.id {
		u.t.Fatalf("answer has id %d, want %d", head[0], u.id)
	}
	return head[3], answer
}

func (u *usbWire) frame(w []byte) []byte  { u.t.Helper(); return u.to(0, w) }
func (u *usbWire) listen(w []byte) []byte { u.t.Helper(); return u.to(1, w) }

// to clocks a frame on one of the bridge's chip selects.
func (u *usbWire) to(target byte, w []byte) []byte {
	u.t.Helper()
	ack, answer := u.ask(u.spi, append([]byte{7, 1, target, byte(len(w) >> 8), byte(len(w))}, w...))
	if ack != u.spi+0x40 || len(answer) != 5+len(w) || answer[0] != 7 || answer[2] != 0 {
		u.t.Fatalf("SPI request answered with type %#x, % x", ack, answer[:min(len(answer), 8)])
	}
	return answer[5:]
}

func (u *usbWire) modify(addr uint16, mask, value byte) (read, written byte) {
	u.t.Helper()
	ack, answer := u.ask(u.spi, []byte{9, 2, byte(addr >> 8), byte(addr), mask, value})
	if ack != u.spi+0x40 || len(answer) != 5 || answer[0] != 9 || answer[2] != 0 {
		u.t.Fatalf("modify request answered with type %#x, % x", ack, answer)
	}
	return answer[3], answer[4]
}

func (u *usbWire) pin(number uint16, high bool) {
	u.t.Helper()
	level := byte(0)
	if high {
		level = 1
	}
	if ack, answer := u.ask(usbGPIO, []byte{byte(number >> 8), byte(number), level}); ack != 0x44 || answer[0] != 0 {
		u.t.Fatalf("pin request answered with type %#x, % x", ack, answer)
	}
}

func TestBridge(t *testing.T) {
	c := New(Config{Clock: NewManualClock(time.Time{}), Temperature: 31.25, BridgeUID: [12]byte{1, 2, 3}})
	u := newUSBWire(t, c)
	if ack, got := u.ask(usbPing, nil); ack != 0x40 || len(got) != 21 || string(got[12:]) != "V01.00.00" || got[2] != 3 {
		t.Errorf("ping: %#x % x", ack, got)
	}
	if ack, got := u.ask(usbStatus, nil); ack != 0x41 || len(got) != 6 || got[4] != 0x0C || got[5] != 0x35 {
		t.Errorf("status: %#x % x", ack, got)
	}
	if ack, _ := u.ask(usbOldSPI, []byte{0, 2, 0x56, 0x01, 0xFF, 0}); ack != usbError {
		t.Errorf("the old command id is answered with %#x", ack)
	}
	// Several requests in one command, each answered in turn.
	ack, got := u.ask(usbSPI, []byte{
		0, 2, 0x56, 0x01, 0x10, 0x10,
		1, 1, 0, 0, 5, 0, 0x56, 0x06, 0, 0,
		2, 1, 9, 0, 1, 0,
	})
	want := []byte{0, 2, 0, 0x0B, 0x1B, 1, 1, 0, 0, 5, 0, 0, 0, 0, 0x10, 2, 1, 2, 0, 0}
	if ack != 0x45 || !bytes.Equal(got, want) {
		t.Errorf("requests: %#x % x, want % x", ack, got, want)
	}
	for _, bad := range [][]byte{{0}, {0, 3, 0}, {0, 1, 0, 0}, {0, 1, 0, 1, 0, 0}, {0, 2, 1, 2, 3}} {
		if ack, _ := u.ask(usbSPI, bad); ack != usbError {
			t.Errorf("request % x is answered with %#x", bad, ack)
		}
	}
	// The reset line is a pin of the microcontroller.
	u.pin(pinReset, true)
	if got := u.frame([]byte{0, 0x56, 0x06, 0, 0})[4]; got != 0 {
		t.Errorf("VERSION in reset = %#x", got)
	}
	u.pin(pinReset, false)
	if got := u.frame([]byte{0, 0x56, 0x01, 0, 0})[4]; got != 0x0B {
		t.Errorf("CTRL0 after reset = %#x", got)
	}
	if s := c.Stats(); s.Commands == 0 || s.USBIn == 0 || s.USBOut == 0 || s.Frames == 0 {
		t.Errorf("counters: %+v", s)
	}
}

func TestOldBridge(t *testing.T) {
	u := newUSBWire(t, New(Config{Clock: NewManualClock(time.Time{}), Bridge: "V00.02.06"}))
	if ack, _ := u.ask(usbSPI, []byte{0, 2, 0x56, 0x01, 0xFF, 0}); ack != usbError {
		t.Errorf("command 05 is answered with %#x", ack)
	}
	u.spi = usbOldSPI
	if got := u.frame([]byte{0, 0x56, 0x06, 0, 0})[4]; got != 0x10 {
		t.Errorf("VERSION = %#x", got)
	}
}

func TestBridgeFaults(t *testing.T) {
	ping := []byte{1, 0, 0, usbPing}
	serve := func(t *testing.T, f Fault) (net.Conn, <-chan error) {
		c := New(Config{Clock: NewManualClock(time.Time{})})
		c.Break(f)
		host, board := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- c.ServeUSB(t.Context(), board) }()
		t.Cleanup(func() { _ = host.Close() })
		if _, err := host.Write(ping); err != nil {
			t.Fatal(err)
		}
		return host, done
	}
	t.Run("unplugged", func(t *testing.T) {
		host, done := serve(t, USBUnplugged)
		got, err := io.ReadAll(host)
		if err != nil || len(got) == 0 || len(got) >= 25 {
			t.Errorf("read %d bytes, %v; want a part of 25", len(got), err)
		}
		if err := <-done; !errors.Is(err, errUnplugged) {
			t.Error(err)
		}
	})
	t.Run("short", func(t *testing.T) {
		host, _ := serve(t, USBShort)
		b := make([]byte, 64)
		total := 0
		for total < 25 {
			n, err := host.Read(b)
			if err != nil || n > 2 {
				t.Fatalf("read %d bytes at once, %v", n, err)
			}
			total += n
		}
	})
	t.Run("silent", func(t *testing.T) {
		host, _ := serve(t, USBSilent)
		if err := host.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := host.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	t.Run("wrong id", func(t *testing.T) {
		host, _ := serve(t, USBWrongID)
		head := make([]byte, 4)
		if _, err := io.ReadFull(host, head); err != nil || head[0] == 1 {
			t.Errorf("id %d, %v", head[0], err)
		}
	})
}

func FuzzBridge(f *testing.F) {
	f.Add([]byte{0, 0, 0, usbPing, 1, 0, 6, usbSPI, 0, 2, 0x56, 1, 0xFF, 0})
	f.Add([]byte{0, 0, 10, usbSPI, 1, 1, 0, 0, 5, 0, 0x56, 6, 0, 0})
	f.Add([]byte{0, 0, 3, usbGPIO, 0, 2, 1, 0, 0, 1, usbReset, 0})
	f.Add([]byte{9, 0xFF, 0xFF, 5})
	f.Fuzz(func(t *testing.T, in []byte) {
		c := New(Config{Clock: NewManualClock(time.Time{})})
		rw := struct {
			io.Reader
			io.Writer
			io.Closer
		}{bytes.NewReader(in), io.Discard, io.NopCloser(nil)}
		_ = c.ServeUSB(t.Context(), rw) // must end, whatever comes
	})
}
