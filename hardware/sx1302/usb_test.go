package sx1302

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/hardware/bus"
)

// fakeBridge is the microcontroller of a USB board with a fake chip behind it, at
// the far end of a pipe.
type fakeBridge struct {
	chip    *fakeChip
	version string
	spi     byte // command that it takes for MULTIPLE_SPI
	pins    []byte
	cmds    map[byte]int
	split   bool // answers come in small pieces
	mangle  func(cmd byte, ack []byte) []byte
}

// dial connects a driver to the bridge. Each call is a new cable.
func (f *fakeBridge) dial(context.Context) (bus.Serial, error) {
	near, far := net.Pipe()
	go f.serve(far)
	return near, nil
}

func (f *fakeBridge) serve(conn net.Conn) {
	defer conn.Close()
	head := make([]byte, bridgeHeader)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint16(head[1:]))
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		cmd := head[3]
		f.cmds[cmd]++
		ack, typ := f.answer(cmd, body), cmd|bridgeAnswer
		if ack == nil {
			typ = bridgeRefused
		}
		out := append([]byte{head[0], byte(len(ack) >> 8), byte(len(ack)), typ}, ack...)
		if f.mangle != nil {
			if out = f.mangle(cmd, out); out == nil {
				return // unplugged
			}
		}
		for len(out) > 0 {
			n := len(out)
			if f.split {
				n = min(n, 3)
			}
			if _, err := conn.Write(out[:n]); err != nil {
				return
			}
			out = out[n:]
		}
	}
}

func (f *fakeBridge) answer(cmd byte, body []byte) []byte {
	switch cmd {
	case bridgePing:
		return append(make([]byte, 12), f.version...)
	case bridgeStatus:
		return []byte{0, 0, 1, 0, 0x0B, 0xB8} // 30 degrees
	case bridgeGPIO:
		f.pins = append(f.pins, body...)
		if body[1] == bridgePinReset {
			_ = f.chip.Set(context.Background(), body[2] == 1)
		}
		return []byte{0}
	case f.spi:
		ack := []byte{}
		for len(body) > 0 {
			n := int(binary.BigEndian.Uint16(body[3:]))
			w := body[5 : 5+n]
			r := make([]byte, n)
			status := byte(0)
			if err := f.chip.Tx(context.Background(), w, r); err != nil {
				status = 1
			}
			ack = append(ack, body[0], 1, status, byte(n>>8), byte(n))
			ack = append(ack, r...)
			body = body[5+n:]
		}
		return ack
	}
	return nil
}

func usbConcentrator(t *testing.T, f *fakeBridge) *Concentrator {
	t.Helper()
	g, err := ParseGlobalConf(setConf(t, "usb_sx1250_eu868"))
	if err != nil {
		t.Fatal(err)
	}
	clock := &fakeClock{now: time.Unix(1_700_000_000, 0)}
	f.chip, f.cmds = newFakeChip(clock), map[byte]int{}
	c, err := New(Options{USB: f.dial, Config: g.Config, Firmware: syntheticFirmware(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func TestUSB(t *testing.T) {
	for _, tt := range []struct {
		version string
		spi     byte
		split   bool
	}{{"V01.00.00", bridgeSPI, false}, {"V00.02.06", bridgeSPIOld, false}, {"V01.00.00", bridgeSPI, true}} {
		f := &fakeBridge{version: tt.version, spi: tt.spi, split: tt.split}
		c := usbConcentrator(t, f)
		if err := c.Start(context.Background()); err != nil {
			t.Fatalf("%s: %v", tt.version, err)
		}
		f.chip.fifo = entry(numbered(1), 0, 0, 0)
		ps, err := c.Receive(context.Background())
		if err != nil || len(ps) != 1 {
			t.Errorf("%s: received %v, %v", tt.version, ps, err)
		}
		want := []byte{0, 1, 1, 0, 2, 1, 0, 2, 0, 0, 8, 0, 0, 8, 1}
		if !bytes.Equal(f.pins, want) {
			t.Errorf("%s: pins % x", tt.version, f.pins)
		}
		if c.celsius != 30 {
			t.Errorf("%s: %v degrees", tt.version, c.celsius)
		}
		t.Logf("%s: %d SPI messages for %d frames", tt.version, f.cmds[tt.spi], f.chip.frames)
		// Again over a new cable, as after an unplugged board.
		if err := c.Start(context.Background()); err != nil {
			t.Errorf("%s: second start: %v", tt.version, err)
		}
	}
}

func TestUSBFaults(t *testing.T) {
	whenSPI := func(do func([]byte) []byte) func(byte, []byte) []byte {
		n := 0
		return func(cmd byte, out []byte) []byte {
			if cmd != bridgeSPI {
				return out
			}
			if n++; n < 20 { // in the middle of the start
				return out
			}
			return do(out)
		}
	}
	for name, mangle := range map[string]func(byte, []byte) []byte{
		"unplugged":       whenSPI(func([]byte) []byte { return nil }),
		"another id":      whenSPI(func(b []byte) []byte { b[0] ^= 1; return b }),
		"refused":         whenSPI(func(b []byte) []byte { return []byte{b[0], 0, 0, bridgeRefused} }),
		"another type":    whenSPI(func(b []byte) []byte { b[3] = bridgeStatus | bridgeAnswer; return b }),
		"another request": whenSPI(func(b []byte) []byte { b[4]++; return b }),
		"SPI failed":      whenSPI(func(b []byte) []byte { b[6] = 1; return b }),
		"too short":       whenSPI(func(b []byte) []byte { b[8]--; return b }),
		"too long": whenSPI(func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[1:], uint16(len(b)-4+1))
			return append(b, 0)
		}),
		"bad PING": func(cmd byte, b []byte) []byte {
			if cmd == bridgePing {
				b[4+12] = 'X'
			}
			return b
		},
		"pin refused": func(cmd byte, b []byte) []byte {
			if cmd == bridgeGPIO {
				b[4] = 1
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeBridge{version: "V01.00.00", spi: bridgeSPI, mangle: mangle}
			c := usbConcentrator(t, f)
			err := c.Start(context.Background())
			if fault, ok := FaultOf(err); !ok || !fault.Restart() {
				t.Fatalf("start: %v", err)
			}
			// Plugged in again, all is well.
			f.mangle = nil
			if err := c.Start(context.Background()); err != nil {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// TestUSBSilent: a bridge that does not answer ends with the context.
func TestUSBSilent(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	f := &fakeBridge{version: "V01.00.00", spi: bridgeSPI}
	f.mangle = func(_ byte, b []byte) []byte { <-ctx.Done(); return nil }
	c := usbConcentrator(t, f)
	if err := c.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start: %v", err)
	}
}

// slowBridge answers SPI commands late, once it is told to.
func slowBridge(late time.Duration) (f *fakeBridge, begun chan struct{}, slow *atomic.Bool) {
	f = &fakeBridge{version: "V01.00.00", spi: bridgeSPI}
	begun, slow = make(chan struct{}, 1), &atomic.Bool{}
	f.mangle = func(cmd byte, ack []byte) []byte {
		if cmd == bridgeSPI && slow.CompareAndSwap(true, false) {
			begun <- struct{}{}
			time.Sleep(late)
		}
		return ack
	}
	return f, begun, slow
}

// TestUSBCancelled: a context that ends in the middle of an exchange costs neither
// the bridge nor a packet. An answer that is on its way is still taken; one that
// is later than that is taken in by the next exchange.
func TestUSBCancelled(t *testing.T) {
	for name, late := range map[string]time.Duration{"within the grace": 20 * time.Millisecond, "after it": 3 * bridgeGrace} {
		t.Run(name, func(t *testing.T) {
			f, begun, slow := slowBridge(late)
			c := usbConcentrator(t, f)
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			slow.Store(true)
			go func() { _, err := c.Receive(ctx); done <- err }()
			<-begun
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled: %v", err)
			}
			f.chip.mu.Lock()
			f.chip.fifo = entry(numbered(1), 0, 0, 0)
			f.chip.mu.Unlock()
			if ps, err := c.Receive(t.Context()); err != nil || len(ps) != 1 {
				t.Errorf("afterwards: %v, %v", ps, err)
			}
			if f.cmds[bridgePing] != 1 {
				t.Errorf("%d PINGs: the bridge was opened again", f.cmds[bridgePing])
			}
		})
	}
}

// TestUSBOwedForEver: an answer that never comes is a fault of the next exchange,
// within the first one's deadline.
func TestUSBOwedForEver(t *testing.T) {
	f, begun, slow := slowBridge(bridgeTimeout + time.Second)
	c := usbConcentrator(t, f)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	slow.Store(true)
	go func() { <-begun; cancel() }()
	if err := c.Health(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	if got, _ := FaultOf(c.Health(t.Context())); got != FaultBridge {
		t.Errorf("then: %v", got)
	}
}

// TestUSBPacketsOutliveCancel: packets that an exchange took out of the FIFO while
// its context ended are handed out, not lost.
func TestUSBPacketsOutliveCancel(t *testing.T) {
	f := &fakeBridge{version: "V01.00.00", spi: bridgeSPI}
	c := usbConcentrator(t, f)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.chip.fifo = entry(numbered(1), 0, 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	f.mangle = func(cmd byte, ack []byte) []byte {
		if n++; cmd == bridgeSPI && n == 2 { // the count first, then the FIFO
			cancel()
			time.Sleep(bridgeGrace / 10) // the driver notices
		}
		return ack
	}
	ps, err := c.Receive(ctx)
	if err != nil {
		ps, err = c.Receive(t.Context())
	}
	if err != nil || len(ps) != 1 {
		t.Errorf("%v, %v", ps, err)
	}
}

// TestUSBStuck: a bridge that takes nothing any more is a fault, not a driver that
// waits for ever.
func TestUSBStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		g, err := ParseGlobalConf(setConf(t, "usb_sx1250_eu868"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Options{
			USB:    func(context.Context) (bus.Serial, error) { return near, nil },
			Config: g.Config, Firmware: syntheticFirmware(), Clock: &fakeClock{now: time.Unix(1_700_000_000, 0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = c.Start(t.Context())
		if f, _ := FaultOf(err); f != FaultBridge || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("start: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if d := time.Since(begun); d > 2*bridgeTimeout {
			t.Errorf("it took %v", d)
		}
	})
}
