package sx1302

import (
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"heliograph/hardware/bus"
)

// directBridge is a USB bridge without a cable: a Write executes a command, the Reads
// that follow take its answer. It allocates nothing, other than a pipe.
type directBridge struct {
	fakeBridge
	out []byte
	off int
}

func (d *directBridge) Write(b []byte) (int, error) {
	head, body := b[:bridgeHeader], b[bridgeHeader:]
	d.out, d.off = append(d.out[:0], head[0], 0, 0, head[3]|bridgeAnswer), 0
	if head[3] != bridgeSPI {
		d.out = append(d.out, d.answer(head[3], body)...)
	}
	for head[3] == bridgeSPI && len(body) > 0 {
		n := int(binary.BigEndian.Uint16(body[3:]))
		d.out = append(d.out, body[0], 1, 0, body[3], body[4])
		k := len(d.out)
		d.out = append(d.out, body[5:5+n]...)
		clear(d.out[k:])
		if err := d.chip.Tx(context.Background(), body[5:5+n], d.out[k:]); err != nil {
			d.out[k-3] = 1
		}
		body = body[5+n:]
	}
	binary.BigEndian.PutUint16(d.out[1:], uint16(len(d.out)-bridgeHeader))
	return len(b), nil
}

func (d *directBridge) Read(b []byte) (int, error) {
	if d.off == len(d.out) {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, d.out[d.off:])
	d.off += n
	return n, nil
}

func (d *directBridge) Close() error                     { return nil }
func (d *directBridge) SetReadDeadline(time.Time) error  { return nil }
func (d *directBridge) SetWriteDeadline(time.Time) error { return nil }

// TestUSBReceiveAllocates: over USB too, with a context that can end, packets cost
// themselves and their payloads, and looking for some costs nothing.
func TestUSBReceiveAllocates(t *testing.T) {
	d := &directBridge{fakeBridge: fakeBridge{version: "V01.00.00"}}
	g, err := ParseGlobalConf(setConf(t, "usb_sx1250_eu868"))
	if err != nil {
		t.Fatal(err)
	}
	clock := &fakeClock{now: time.Unix(1_700_000_000, 0)}
	d.chip, d.cmds = newFakeChip(clock), map[byte]int{}
	c, err := New(Options{
		USB:    func(context.Context) (bus.Serial, error) { d.out, d.off = nil, 0; return d, nil },
		Config: g.Config, Firmware: syntheticFirmware(), Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	var whole []byte
	for i := range 16 {
		whole = append(whole, entry(numbered(i), uint8(i%8), 0, 0)...)
	}
	for _, tt := range []struct {
		packets int
		fifo    []byte
		allowed float64
	}{{0, nil, 0}, {1, entry(numbered(0), 0, 0, 0), 2}, {16, whole, 2}} {
		buf := make([]byte, 0, len(whole))
		if n := testing.AllocsPerRun(100, func() {
			d.chip.fifo = append(buf[:0], tt.fifo...)
			if ps, err := c.fetch(ctx); err != nil || len(ps) != tt.packets {
				t.Fatalf("%d packets, %v", len(ps), err)
			}
		}); n > tt.allowed {
			t.Errorf("%v allocations for %d packets", n, tt.packets)
		}
	}
}
