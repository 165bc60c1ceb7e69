package linuxbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/hardware/bus"
)

var (
	_ bus.SPI    = (*SPI)(nil)
	_ bus.I2C    = (*I2C)(nil)
	_ bus.Pin    = (*Pin)(nil)
	_ bus.Serial = (*Serial)(nil)
)

func TestMissingDevices(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "spidev0.0")
	for name, c := range map[string]struct {
		open func(string) error
		hint string
	}{
		"spi":    {func(p string) error { _, err := OpenSPI(p, 2_000_000); return err }, "dtparam=spi=on"},
		"i2c":    {func(p string) error { _, err := OpenI2C(p); return err }, "dtparam=i2c_arm=on"},
		"serial": {func(p string) error { _, err := OpenSerial(p, 115200); return err }, "plugged in"},
	} {
		if err := c.open(absent); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), c.hint) || !strings.Contains(err.Error(), absent) || !bus.HasRemedy(err) {
			t.Errorf("%s: absent: %v", name, err)
		}
		if err := c.open(file); err == nil || !strings.Contains(err.Error(), "check the name") || !bus.HasRemedy(err) {
			t.Errorf("%s: a file: %v", name, err)
		}
	}
	if _, err := OpenSPI(absent, 0); err == nil || !strings.Contains(err.Error(), "0 Hz") {
		t.Errorf("clock 0: %v", err)
	}
	if err := new(Pin).Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenPin("no such line"); err == nil {
		t.Error("a line that is not there opens")
	}
}

func TestClosedAndCancelled(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := new(SPI).Tx(ended, []byte{0}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("SPI on an ended context: %v", err)
	}
	if err := new(I2C).Tx(ended, 1, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("I2C on an ended context: %v", err)
	}
	if err := new(Pin).Set(ended, true); !errors.Is(err, context.Canceled) {
		t.Errorf("pin on an ended context: %v", err)
	}
	if err := new(SPI).Tx(context.Background(), []byte{0}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed SPI: %v", err)
	}
	if err := new(I2C).Tx(context.Background(), 1, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed I2C: %v", err)
	}
}

// pty opens a pseudo terminal: what is written to the master is read from path.
func pty(t *testing.T) (master *os.File, path string) {
	t.Helper()
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return m, fmt.Sprintf("/dev/pts/%d", n)
}

func TestSerial(t *testing.T) {
	master, path := pty(t)
	s, err := OpenSerial(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := master.Write([]byte("\x00\r\n\x11\x7f")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(s, b); err != nil || string(b) != "\x00\r\n\x11\x7f" {
		t.Fatalf("read %q, %v", b, err)
	}
	if _, err := s.Write([]byte("\x03\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(master, b[:2]); err != nil || string(b[:n]) != "\x03\n" {
		t.Fatalf("master read %q, %v", b[:n], err)
	}
	if err := s.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := s.Read(b); done <- err }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("Read survived Close")
	}
	if _, err := s.Read(b); !errors.Is(err, ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestSerialUnplugged(t *testing.T) {
	master, path := pty(t)
	s, err := OpenSerial(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("unplugged: %v", err)
	}
}

// TestSerialStuck: a device that takes nothing any more holds up neither a Write with
// a deadline nor Close, and Close ends a Write without one.
func TestSerialStuck(t *testing.T) {
	_, path := pty(t) // whose master never reads
	s, err := OpenSerial(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	much := make([]byte, 1<<20)
	n, err := s.Write(much)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n <= 0 || n >= len(much) {
		t.Fatalf("wrote %d bytes to nobody: %v", n, err)
	}
	if err := s.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := s.Write(much); done <- err }()
	select {
	case err := <-done:
		t.Fatalf("a Write without a deadline ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Write across Close: %v", err)
	}
	if _, err := s.Write(much); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

// TestSerialDropped: what the device has not taken when it is closed is dropped.
func TestSerialDropped(t *testing.T) {
	master, path := pty(t)
	keep, err := os.OpenFile(path, os.O_RDWR|openFlags, 0) // or the last close drops it all
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	s, err := OpenSerial(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := master.Write([]byte("stale")); err != nil {
		t.Fatal(err)
	}
	waiting := func() int {
		n := -1
		if err := control(keep, func(fd int) (err error) { n, err = unix.IoctlGetInt(fd, unix.TIOCINQ); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for end := time.Now().Add(10 * time.Second); waiting() != len("stale"); { // the kernel hands it over by and by
		if time.Now().After(end) {
			t.Fatal("nothing arrives")
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d bytes are left for the next to open it", n)
	}
}

// TestOneUser: two programs never drive the same board.
func TestOneUser(t *testing.T) {
	_, path := pty(t)
	first, err := OpenSerial(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "concentrator")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() error{
		"serial":  func() error { _, err := OpenSerial(path, 115200); return err },
		"by link": func() error { _, err := OpenSerial(link, 115200); return err },
		"spi":     func() error { _, err := OpenSPI(path, 2_000_000); return err }, // the same rule, before it finds that this is none
	} {
		if err := open(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "stop hotspotd first") || !bus.HasRemedy(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := OpenSerial(link, 115200)
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestUnusableIsGivenBack: what cannot be set up is not kept locked.
func TestUnusableIsGivenBack(t *testing.T) {
	_, path := pty(t)
	for range 2 {
		if s, err := OpenSerial(path, 12345); err == nil || errors.Is(err, unix.EBUSY) {
			t.Errorf("at 12345 baud: %v, %v", s, err)
		}
		if s, err := OpenSPI(path, 2_000_000); err == nil || errors.Is(err, unix.EBUSY) {
			t.Errorf("a tty as SPI device: %v, %v", s, err)
		}
	}
}

// TestExclusive: a tty is closed to programs that ask for no lock, a pseudo terminal
// is not.
func TestExclusive(t *testing.T) {
	_, path := pty(t)
	f, err := kindTTY.own(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	exclusive := func() bool {
		n := 0
		if err := control(f, func(fd int) (err error) { n, err = unix.IoctlGetInt(fd, unix.TIOCGEXCL); return err }); err != nil {
			t.Fatal(err)
		}
		return n != 0
	}
	if err := exclude(f); err != nil || exclusive() {
		t.Errorf("pseudo terminal: exclusive %v, %v", exclusive(), err)
	}
	if err := control(f, setExclusive); err != nil || !exclusive() {
		t.Errorf("exclusive %v, %v", exclusive(), err)
	}
}

func TestKernelName(t *testing.T) {
	link := filepath.Join(t.TempDir(), "concentrator")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{link: "/dev/null", "/dev/null": "/dev/null", "/no/such/device": "/no/such/device"} {
		if got := kernelName(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
