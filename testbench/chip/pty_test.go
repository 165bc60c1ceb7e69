//go:build linux

package chip

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestPTY opens the terminal as any program would, talks to the bridge, closes
// it, opens it again, and leaves a broken command behind.
func TestPTY(t *testing.T) {
	c := New(Config{Clock: NewManualClock(time.Time{})})
	ctx, cancel := context.WithCancel(t.Context())
	paths := make(chan string, 4)
	done := make(chan error, 1)
	go func() { done <- c.ServePTY(ctx, func(p string) { paths <- p }) }()
	var path string
	select {
	case path = <-paths:
	case err := <-done:
		t.Skipf("no terminals here: %v", err)
	}
	ping := func() {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		u := &usbWire{t: t, conn: f, spi: usbSPI}
		if ack, got := u.ask(usbPing, nil); ack != 0x40 || len(got) != 21 {
			t.Fatalf("ping: %#x % x", ack, got)
		}
		// Bytes that a terminal would swallow or change pass as they are.
		got := u.frame([]byte{0, 0x80, 0x00, 0x03, 0x04, 0x0A, 0x0D, 0x11, 0x13, 0x7F, 0xFF})
		if len(got) != 11 {
			t.Fatalf("frame of %d bytes came back", len(got))
		}
		if got := u.frame([]byte{0, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0}); string(got[4:]) != "\x03\x04\x0A\x0D\x11\x13\x7F\xFF" {
			t.Errorf("memory reads back % x", got[4:])
		}
	}
	ping()
	ping()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte{1, 0, 200, usbSPI, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	time.Sleep(usbPatience + 200*time.Millisecond)
	ping()

	// Pulling the cable takes the terminal away; another one follows.
	c.Break(USBUnplugged)
	f, err = os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte{1, 0, 0, usbPing}); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); len(got) >= 25 {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	path = <-paths
	ping()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
