package sx1302

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"heliograph/hardware/bus"
	"heliograph/hardware/sx1302/calc"
)

// The commands of the USB bridge's microcontroller (a.2). An answer has 0x40
// added; 0xFF refuses a command.
const (
	bridgePing      = 0x00
	bridgeStatus    = 0x01
	bridgeGPIO      = 0x04
	bridgeSPI       = 0x05 // since firmware 01.00.00
	bridgeSPIOld    = 0x06 // before
	bridgeAnswer    = 0x40
	bridgeRefused   = 0xFF
	bridgeHeader    = 4
	bridgePayload   = 4194 // most that one message carries
	bridgeRequests  = 255  // most requests in one message
	bridgeReqHeader = 5
	usbBurst        = 4096 // data bytes of a frame
)

// The bridge's pins (a.2): port A.
const (
	bridgePinPower  = 1
	bridgePinReset  = 2 // SX1302, active high
	bridgePinReset1 = 8 // SX1261, active low
)

const (
	bridgeTimeout = time.Second            // of a command, and of its answer
	bridgeGrace   = 100 * time.Millisecond // at most, for an answer whose caller has left; at least half of it
	drainTime     = 20 * time.Millisecond
)

// bridge is the concentrator behind a USB bridge: one request, one answer.
type bridge struct {
	dial func(context.Context) (bus.Serial, error)
	port bus.Serial
	spi  byte // command for MULTIPLE_SPI, by the firmware's version
	id   byte // of the last request
	out  []byte
	in   []byte
	next awaited
	dead error // the first failure: after it nothing can be in step any more
}

// awaited is the answer that the bridge has to give next.
type awaited struct {
	id, cmd byte
	until   time.Time // the exchange's deadline
	got     int       // bytes of it in bridge.in
	owed    bool      // its caller has left: the next exchange takes it in first
}

func newBridge(dial func(context.Context) (bus.Serial, error)) *bridge {
	return &bridge{
		dial: dial, spi: bridgeSPI,
		out: make([]byte, 0, bridgeHeader+bridgePayload), in: make([]byte, bridgeHeader+1<<16),
	}
}

func (b *bridge) burst() int { return usbBurst }

// open opens the port anew, since that is what gets both ends in step again, drops
// what an earlier user left unread, asks for the version, and resets the chips.
func (b *bridge) open(ctx context.Context) error {
	if err := b.close(); err != nil {
		return fault(FaultBridge, err, "close")
	}
	port, err := b.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault(FaultBus, err, "open")
	}
	b.port, b.dead, b.next = port, nil, awaited{}
	if err := b.drain(ctx); err != nil {
		return err
	}
	ping, err := b.command(ctx, bridgePing, nil)
	if err != nil {
		return err
	}
	if len(ping) != 21 || ping[12] != 'V' {
		return b.fail(fault(FaultBridge, nil, "PING answered with %q", ping))
	}
	b.spi = bridgeSPI
	if string(ping[12:21]) < "V01.00.00" {
		b.spi = bridgeSPIOld
	}
	return b.reset(ctx)
}

func (b *bridge) reset(ctx context.Context) error {
	for _, p := range [][2]byte{
		{bridgePinPower, 1}, {bridgePinReset, 1}, {bridgePinReset, 0}, {bridgePinReset1, 0}, {bridgePinReset1, 1},
	} {
		ack, err := b.command(ctx, bridgeGPIO, []byte{0, p[0], p[1]})
		if err != nil {
			return err
		}
		if len(ack) != 1 || ack[0] != 0 {
			return b.fail(fault(FaultPins, nil, "bridge refused to set pin A%d: % x", p[0], ack))
		}
	}
	return nil
}

// drain reads until the bridge has been silent for a moment.
func (b *bridge) drain(ctx context.Context) error {
	end := time.Now().Add(bridgeTimeout)
	for time.Now().Before(end) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.port.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
			return b.fail(fault(FaultBridge, err, "deadline"))
		}
		_, err := b.port.Read(b.in)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return b.fail(fault(FaultBridge, err, "read"))
		}
	}
	return b.fail(fault(FaultBridge, nil, "it never stops sending"))
}

// fail remembers the first failure: the stream can be out of step from then on.
func (b *bridge) fail(err error) error {
	if b.dead == nil {
		b.dead = err
	}
	return err
}

// command sends one request and returns the answer's payload, valid until the
// next one.
func (b *bridge) command(ctx context.Context, cmd byte, payload []byte) ([]byte, error) {
	if b.dead != nil {
		return nil, b.dead
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.id += 0x3B // walks through all 256 values
	b.out = append(b.out[:0], b.id, byte(len(payload)>>8), byte(len(payload)), cmd)
	b.out = append(b.out, payload...)
	return b.exchange(ctx, cmd)
}

// exchange writes b.out and reads the answer. Ctx's end does not tear it: an answer
// that comes within half of bridgeGrace is still the result, and one that is later
// than bridgeGrace is owed.
func (b *bridge) exchange(ctx context.Context, cmd byte) ([]byte, error) {
	if b.next.owed {
		if _, err := b.take(ctx); err != nil {
			return nil, err
		}
	}
	// It is not cut short by ctx either: half a command would be taken for a whole.
	if err := b.port.SetWriteDeadline(time.Now().Add(bridgeTimeout)); err != nil {
		return nil, b.fail(fault(FaultBridge, err, "deadline"))
	}
	if _, err := b.port.Write(b.out); err != nil {
		return nil, b.fail(fault(FaultBridge, err, "write command %#02x", cmd))
	}
	b.next = awaited{id: b.out[0], cmd: cmd, until: time.Now().Add(bridgeTimeout)}
	return b.take(ctx)
}

// take reads what is missing of the awaited answer and returns its payload.
func (b *bridge) take(ctx context.Context) ([]byte, error) {
	w := &b.next
	if err := b.fill(ctx, bridgeHeader); err != nil {
		return nil, err
	}
	switch h := b.in[:bridgeHeader]; {
	case h[0] != w.id:
		return nil, b.fail(fault(FaultBridge, nil, "answer %#02x to request %#02x", h[0], w.id))
	case h[3] == bridgeRefused:
		return nil, b.fail(fault(FaultBridge, nil, "command %#02x refused", w.cmd))
	case h[3] != w.cmd|bridgeAnswer:
		return nil, b.fail(fault(FaultBridge, nil, "answer of type %#02x to command %#02x", h[3], w.cmd))
	}
	end := bridgeHeader + int(binary.BigEndian.Uint16(b.in[1:]))
	if err := b.fill(ctx, end); err != nil {
		return nil, err
	}
	w.owed = false
	return b.in[bridgeHeader:end], nil
}

// fill reads until n bytes of the awaited answer are there. Ctx cannot wake a Read,
// and whatever could would have to be set up for each message; so a Read is patient
// for a moment only, and then ctx is asked.
func (b *bridge) fill(ctx context.Context, n int) error {
	for w := &b.next; w.got < n; {
		left := ctx.Err() != nil // what follows is the grace then
		soon := time.Now().Add(bridgeGrace / 2)
		if soon.After(w.until) {
			soon = w.until
		}
		if err := b.port.SetReadDeadline(soon); err != nil {
			return b.fail(fault(FaultBridge, err, "deadline"))
		}
		k, err := b.port.Read(b.in[w.got:n])
		w.got += k
		switch late := errors.Is(err, os.ErrDeadlineExceeded); {
		case err == nil || w.got >= n || late && !left && soon.Before(w.until):
		case late && left && soon.Before(w.until):
			w.owed = true
			return ctx.Err()
		default:
			return b.broken(ctx, err)
		}
	}
	return nil
}

// broken turns a failed read into a fault, since it puts the stream out of step, or
// into ctx's error when the caller has left anyway.
func (b *bridge) broken(ctx context.Context, err error) error {
	e := b.fail(fault(FaultBridge, err, "no whole answer to command %#02x", b.next.cmd))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return e
}

// send packs as many frames into each message as the bridge takes.
func (b *bridge) send(ctx context.Context, frames []frame) error {
	for len(frames) > 0 {
		n, size := 0, 0
		for n < len(frames) && n < bridgeRequests {
			more := bridgeReqHeader + len(frames[n].w)
			if n > 0 && size+more > bridgePayload {
				break
			}
			size += more
			n++
		}
		if err := b.message(ctx, frames[:n], size); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (b *bridge) message(ctx context.Context, frames []frame, size int) error {
	if b.dead != nil {
		return b.dead
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.id += 0x3B
	b.out = append(b.out[:0], b.id, byte(size>>8), byte(size), b.spi)
	for i, f := range frames {
		target := byte(0)
		if f.sx1261 {
			target = 1
		}
		b.out = append(b.out, byte(i), 1, target, byte(len(f.w)>>8), byte(len(f.w)))
		b.out = append(b.out, f.w...)
	}
	ack, err := b.exchange(ctx, b.spi)
	if err != nil {
		return err
	}
	for i, f := range frames {
		rest, err := f.answer(byte(i), ack)
		if err != nil {
			return b.fail(err)
		}
		ack = rest
	}
	if len(ack) != 0 {
		return b.fail(fault(FaultBridge, nil, "%d bytes too many in an answer", len(ack)))
	}
	return nil
}

// answer takes the answer to frame idx from the front of a message.
func (f frame) answer(idx byte, ack []byte) (rest []byte, err error) {
	if len(ack) < bridgeReqHeader {
		return nil, fault(FaultBridge, nil, "answer ends within request %d", idx)
	}
	n := int(binary.BigEndian.Uint16(ack[3:]))
	switch {
	case ack[0] != idx || ack[1] != 1:
		return nil, fault(FaultBridge, nil, "answer % x to request %d", ack[:2], idx)
	case ack[2] == 3:
		return nil, fault(FaultLBT, nil, "SX1261 is busy")
	case ack[2] != 0:
		return nil, fault(FaultBus, nil, "bridge reports status %d for an SPI transfer of %d bytes", ack[2], len(f.w))
	case n != len(f.w) || len(ack) < bridgeReqHeader+n:
		return nil, fault(FaultBridge, nil, "%d bytes in answer to %d", n, len(f.w))
	}
	copy(f.r, ack[bridgeReqHeader:bridgeReqHeader+n])
	return ack[bridgeReqHeader+n:], nil
}

func (b *bridge) celsius(ctx context.Context) (float64, bool, error) {
	ack, err := b.command(ctx, bridgeStatus, nil)
	if err != nil {
		return 0, false, err
	}
	if len(ack) != 6 {
		return 0, false, b.fail(fault(FaultBridge, nil, "status has %d bytes", len(ack)))
	}
	t, ok := calc.BridgeCelsius(int16(binary.BigEndian.Uint16(ack[4:])))
	return t, ok, nil
}

// rest resets the chips.
func (b *bridge) rest(ctx context.Context) error {
	if b.dead != nil || b.port == nil {
		return nil // nobody to tell
	}
	return b.reset(ctx)
}

// close closes the port, if it is open.
func (b *bridge) close() error {
	if b.port == nil {
		return nil
	}
	port := b.port
	b.port, b.dead = nil, errClosed
	if err := port.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

var errClosed = errors.New("sx1302: the USB bridge is closed")
