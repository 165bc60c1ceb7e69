package chip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"
)

// Types of the bridge's commands; the answer's type is 0x40 more (a.2).
const (
	usbPing      = 0x00
	usbStatus    = 0x01
	usbBoot      = 0x02
	usbReset     = 0x03
	usbGPIO      = 0x04
	usbSPI       = 0x05 // firmware V01.00.00 and later
	usbOldSPI    = 0x06 // firmware before that
	usbAnswer    = 0x40
	usbError     = 0xFF
	usbHeader    = 4
	usbMaxPacket = 4200
)

// usbPatience is how long the bridge waits for the rest of a command.
const usbPatience = time.Second

// Status bytes of the requests in a multiple SPI command.
const (
	usbOK         = 0
	usbWrongParam = 2
)

var errUnplugged = errors.New("chip: usb bridge: unplugged")

// bridge is the STM32 of a USB board while a host has it open.
type bridge struct {
	chip *Chip
	conn io.ReadWriter
	spi  byte // type of the multiple SPI command
}

// ServeUSB answers a host's commands on conn as the STM32 bridge of a USB board
// would, until ctx ends, the host closes the stream, or the bridge reboots. It
// closes conn. The firmware's generation is that of Config.Bridge: before
// V01.00.00 the multiple SPI command was 06.
func (c *Chip) ServeUSB(ctx context.Context, conn io.ReadWriteCloser) error {
	var closing sync.Once
	closeConn := func() { closing.Do(func() { _ = conn.Close() }) }
	stop := context.AfterFunc(ctx, closeConn)
	defer stop()
	defer closeConn()
	b := &bridge{chip: c, conn: conn, spi: usbSPI}
	if c.cfg.Bridge < "V01.00.00" {
		b.spi = usbOldSPI
	}
	for {
		if err := b.serveOne(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// serveOne reads a command and writes its answer.
func (b *bridge) serveOne() error {
	var head [usbHeader]byte
	if _, err := io.ReadFull(b.conn, head[:1]); err != nil {
		return err
	}
	b.deadline(time.Now().Add(usbPatience))
	defer b.deadline(time.Time{})
	payload, err := b.rest(&head)
	switch size := len(payload); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil // a host that went away in the middle of a command
	case err != nil:
		return fmt.Errorf("chip: usb bridge: read command: %w", err)
	case size > usbMaxPacket-usbHeader:
		return b.reply(head[0], usbError, nil, usbHeader+size)
	}
	b.deadline(time.Time{})
	size := len(payload)
	kind, answer, after := b.command(head[3], payload)
	if err := b.reply(head[0], kind, answer, usbHeader+size); err != nil {
		return err
	}
	return after
}

// rest reads a command but for its first byte.
func (b *bridge) rest(head *[usbHeader]byte) ([]byte, error) {
	if _, err := io.ReadFull(b.conn, head[1:]); err != nil {
		return nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint16(head[1:3]))
	_, err := io.ReadFull(b.conn, payload)
	return payload, err
}

// deadline bounds reading where the stream can do that.
func (b *bridge) deadline(t time.Time) {
	if d, ok := b.conn.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(t) // without it a broken command merely blocks until the stream ends
	}
}

// command executes one command. after, if not nil, ends the connection once the
// answer is sent.
func (b *bridge) command(kind byte, p []byte) (ack byte, answer []byte, after error) {
	c := b.chip
	switch {
	case kind == usbPing:
		return usbPing + usbAnswer, append(append(answer, c.cfg.BridgeUID[:]...), c.cfg.Bridge...), nil
	case kind == usbStatus:
		return usbStatus + usbAnswer, c.bridgeStatus(), nil
	case kind == usbBoot:
		return usbBoot + usbAnswer, nil, errUnplugged
	case kind == usbReset && len(p) == 1:
		return usbReset + usbAnswer, []byte{usbOK}, errUnplugged
	case kind == usbGPIO && len(p) == 3:
		return usbGPIO + usbAnswer, []byte{c.bridgePin(p[0], p[1], p[2] != 0)}, nil
	case kind == b.spi:
		if answer, ok := c.bridgeSPI(p); ok {
			return kind + usbAnswer, answer, nil
		}
	}
	return usbError, nil, nil
}

// bridgeStatus is uptime in milliseconds and temperature in 1/100 °C.
func (c *Chip) bridgeStatus() []byte {
	c.lock()
	defer c.unlock()
	t := int16(math.Round(c.cfg.Temperature * 100))
	if c.faults[NoSensor] {
		t = -1
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(c.now.Sub(c.started).Milliseconds()))
	return binary.BigEndian.AppendUint16(out, uint16(t))
}

// bridgePin drives a pin of the microcontroller.
func (c *Chip) bridgePin(port, number byte, high bool) byte {
	if port > 7 || number > 15 {
		return usbWrongParam
	}
	p := pin{chip: c, name: uint16(port)<<8 | uint16(number), set: func(bool) {}}
	switch p.name {
	case pinPower:
		p.set = c.setPower
	case pinReset:
		p.set = c.setReset
	case pinListenReset:
		p.set = c.setListenReset
	}
	c.drive(p, high)
	return usbOK
}

// bridgeSPI executes the requests of a multiple SPI command. It fails as a whole
// when the requests cannot be told apart.
func (c *Chip) bridgeSPI(p []byte) (answer []byte, ok bool) {
	for len(p) > 0 {
		if len(p) < 2 {
			return nil, false
		}
		switch {
		case p[1] == 1 && len(p) >= 5:
			n := int(binary.BigEndian.Uint16(p[3:5]))
			if len(p) < 5+n {
				return nil, false
			}
			answer = c.bridgeFrame(answer, p[:5], p[5:5+n])
			p = p[5+n:]
		case p[1] == 2 && len(p) >= 6:
			answer = c.bridgeModify(answer, p[:6])
			p = p[6:]
		default:
			return nil, false
		}
	}
	return answer, true
}

// bridgeFrame runs one frame: idx, 1, target, length, frame.
func (c *Chip) bridgeFrame(answer, head, frame []byte) []byte {
	run := c.mainFrame
	if head[2] == 1 {
		run = c.listenFrame
	}
	back := make([]byte, len(frame))
	if head[2] > 1 || c.transfer(run, frame, back) != nil {
		return append(answer, head[0], 1, usbWrongParam, 0, 0)
	}
	answer = append(answer, head[0], 1, usbOK, head[3], head[4])
	return append(answer, back...)
}

// bridgeModify changes bits of a register: idx, 2, address, mask of the bits to
// change, value. The value is ORed in as it is.
func (c *Chip) bridgeModify(answer, p []byte) []byte {
	back := make([]byte, 5)
	if err := c.transfer(c.mainFrame, []byte{0, p[2] & 0x7F, p[3], 0, 0}, back); err != nil {
		return append(answer, p[0], 2, 1)
	}
	v := back[4]&^p[4] | p[5]
	if err := c.transfer(c.mainFrame, []byte{0, p[2] | 0x80, p[3], v}, nil); err != nil {
		return append(answer, p[0], 2, 1)
	}
	return append(answer, p[0], 2, usbOK, back[4], v)
}

// reply sends an answer, with the faults that are on.
func (b *bridge) reply(id, kind byte, answer []byte, received int) error {
	out := append([]byte{id, byte(len(answer) >> 8), byte(len(answer)), kind}, answer...)
	c := b.chip
	c.lock()
	c.stats.Commands++
	c.stats.USBIn += int64(received)
	silent, short := c.faults[USBSilent], c.faults[USBShort]
	if c.faults[USBWrongID] {
		out[0]++
	}
	unplugged := c.once(USBUnplugged)
	if !silent {
		c.stats.USBOut += int64(len(out))
	}
	c.unlock()
	switch {
	case silent:
		return nil
	case unplugged:
		_, _ = b.conn.Write(out[:len(out)/2])
		return errUnplugged
	case short:
		for len(out) > 0 {
			n := min(len(out), 1+len(out)%2)
			if _, err := b.conn.Write(out[:n]); err != nil {
				return fmt.Errorf("chip: usb bridge: answer: %w", err)
			}
			out = out[n:]
		}
		return nil
	}
	if _, err := b.conn.Write(out); err != nil {
		return fmt.Errorf("chip: usb bridge: answer: %w", err)
	}
	return nil
}
