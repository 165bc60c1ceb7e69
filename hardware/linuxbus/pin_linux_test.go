package linuxbus

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"heliograph/hardware/bus"
)

func TestFindLine(t *testing.T) {
	chips := []gpioChip{
		{"gpiochip0", "/dev/gpiochip0", []string{"ID_SDA", "", "GPIO2", "GPIO17", "17"}},
		{"gpiochip3", "/dev/gpiochip3", []string{"", "RESET", "gpiochip3-GPIO2"}},
	}
	for name, want := range map[string]struct {
		path   string
		offset uint32
	}{
		"GPIO17":          {"/dev/gpiochip0", 3},
		"17":              {"/dev/gpiochip0", 4}, // a line of that very name goes before
		"2":               {"/dev/gpiochip0", 2},
		"RESET":           {"/dev/gpiochip3", 1},
		"gpiochip3-GPIO2": {"/dev/gpiochip3", 2},
		"gpiochip3:0":     {"/dev/gpiochip3", 0},
		"gpiochip0:1":     {"/dev/gpiochip0", 1},
	} {
		if path, offset, err := findLine(chips, name); err != nil || path != want.path || offset != want.offset {
			t.Errorf("%s: %s %d, %v", name, path, offset, err)
		}
	}
	for name, want := range map[string]string{
		"GPIO99": "gpioinfo", "3": "gpioinfo", "": "gpioinfo",
		"gpiochip3:3": "offsets 0 to 2", "gpiochip3:-1": "offsets 0 to 2", "gpiochip3:": "offsets 0 to 2", "gpiochip0:1:2": "offsets 0 to 4",
		"gpiochip7:0": "gpiochip0, gpiochip3", ":0": "gpiochip0, gpiochip3",
	} {
		if path, offset, err := findLine(chips, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s %d, %v", name, path, offset, err)
		}
	}
	if _, _, err := findLine(nil, "GPIO17"); err == nil || !strings.Contains(err.Error(), "group gpio") {
		t.Errorf("no chips: %v", err)
	}
}

// fakeKernel takes requests apart by the offsets of the kernel's structures, which
// hold on all machines.
type fakeKernel struct {
	t      *testing.T
	refuse error
	levels []uint64 // that the line had
}

func (k *fakeKernel) ioctl(_ int, request uint, arg unsafe.Pointer) error {
	size := int(request >> 16 & 0x3FFF)
	b := unsafe.Slice((*byte)(arg), size)
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	if k.refuse != nil {
		return k.refuse
	}
	switch request {
	case 0xC250B407: // GPIO_V2_GET_LINE_IOCTL
		if len(k.levels) > 0 {
			return unix.EBUSY
		}
		if offset, lines := u32(0), u32(560); offset != 17 || lines != 1 {
			k.t.Errorf("%d lines, of offset %d", lines, offset)
		}
		if name := unix.ByteSliceToString(b[256:288]); name != "heliograph" {
			k.t.Errorf("consumer %q", name)
		}
		if flags, attributes := u64(288), u32(296); flags != 1<<3 || attributes != 1 {
			k.t.Errorf("flags %#x, %d attributes", flags, attributes)
		}
		if id, mask := u32(320), u64(336); id != 2 || mask != 1 {
			k.t.Errorf("attribute %d of lines %#x", id, mask)
		}
		k.levels = append(k.levels, u64(328))
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		binary.NativeEndian.PutUint32(b[588:], uint32(fd))
	case 0xC010B40F: // GPIO_V2_LINE_SET_VALUES_IOCTL
		if mask := u64(8); mask != 1 {
			k.t.Errorf("values of lines %#x", mask)
		}
		k.levels = append(k.levels, u64(0))
	default:
		k.t.Errorf("request %#x", request)
	}
	return nil
}

// TestPin: the line has the level of the first Set from the moment that it is an
// output, so that a power pin that is high stays so.
func TestPin(t *testing.T) {
	if n := unsafe.Sizeof(lineRequest{}); n != 592 {
		t.Fatalf("a request has %d bytes", n)
	}
	chip := filepath.Join(t.TempDir(), "gpiochip0")
	if err := os.WriteFile(chip, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	k := &fakeKernel{t: t}
	p := &Pin{name: "GPIO17", chip: chip, offset: 17, kernel: k.ioctl}
	if len(k.levels) != 0 {
		t.Fatal("the line changes before the first Set")
	}
	for _, high := range []bool{true, false, true} {
		if err := p.Set(ctx, high); err != nil {
			t.Fatal(err)
		}
	}
	if want := []uint64{1, 0, 1}; !reflect.DeepEqual(k.levels, want) {
		t.Errorf("the line was %v, want %v", k.levels, want)
	}
	line := p.line
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(line), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("the line is still held: %v", err)
	}
	if err := p.Set(ctx, true); !errors.Is(err, ErrClosed) {
		t.Errorf("Set after Close: %v", err)
	}
}

func TestPinRefused(t *testing.T) {
	chip := filepath.Join(t.TempDir(), "gpiochip0")
	if err := os.WriteFile(chip, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k := &fakeKernel{t: t, refuse: unix.EBUSY}
	p := &Pin{name: "GPIO17", chip: chip, offset: 17, kernel: k.ioctl}
	if err := p.Set(context.Background(), true); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "stop hotspotd first") || !bus.HasRemedy(err) {
		t.Errorf("in use: %v", err)
	}
	k.refuse = nil
	if err := p.Set(context.Background(), false); err != nil || !reflect.DeepEqual(k.levels, []uint64{0}) {
		t.Errorf("free again: %v, %v", k.levels, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	p = &Pin{name: "GPIO17", chip: chip + "9", kernel: k.ioctl}
	if err := p.Set(context.Background(), true); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no chip: %v", err)
	}
}
