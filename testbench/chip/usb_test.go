package chip

import (
	"context"
	"io"
	"net"
	"testing"
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

func (u *usbWire) frame(w []byte) []byte {
	u.t.Helper()
	ack, answer := u.ask(u.spi, append([]byte{7, 1, 0, byte(len(w) >> 8), byte(len(w))}, w...))
	if ack != u.spi+0x40 || len(answer) != 5+len(w) || answer[0] != 7 || answer[2] != 0 {
		u.t.Fatalf("SPI request answered with type %#x, % x", ack, answer[:min(len(answer), 8)])
	}
	return answer[5:]
}

func (u *usbWire) modify(addr uint16, mask, value byte) (read, written byte) {
	u.t.Helper()
	ack, answer := u.ask(u.spi, []byte{9, 2, byte(addr >> 8), byte(addr), ^mask, value})
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
