package linuxbus

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lines are requested here and not through periph's gpioioctl, which knows them all
// but makes an output of a line first, at level 0, and sets the level afterwards: a
// power pin would dip, a reset pin pulse.

// ioctl is the system call; tests put a kernel of their own in its place.
type ioctl func(fd int, request uint, arg unsafe.Pointer) error

func systemIoctl(fd int, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// The structures of version 2 of the GPIO character device (Linux 5.10 and later,
// include/uapi/linux/gpio.h).
type (
	lineAttribute struct {
		id, _ uint32
		value uint64 // a union; for outputs one bit a line
		mask  uint64 // of the lines that it is for
	}
	lineRequest struct {
		offsets    [64]uint32
		consumer   [32]byte
		flags      uint64
		attributes uint32
		_          [5]uint32
		attribute  [10]lineAttribute
		lines      uint32
		buffer     uint32
		_          [5]uint32
		fd         int32
	}
	lineValues struct{ bits, mask uint64 }
)

const (
	lineOutput = 1 << 3 // GPIO_V2_LINE_FLAG_OUTPUT
	consumer   = "heliograph"
)

// request makes an output of the line, with its first level.
func (p *Pin) request(high bool) error {
	chip, err := unix.Open(p.chip, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(chip)
	r := lineRequest{flags: lineOutput, lines: 1, attributes: 1}
	r.offsets[0] = p.offset
	copy(r.consumer[:], consumer)
	r.attribute[0] = lineAttribute{id: unix.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES, value: bit(high), mask: 1}
	if err := p.kernel(chip, unix.GPIO_V2_GET_LINE_IOCTL, unsafe.Pointer(&r)); err != nil {
		return err
	}
	p.line = int(r.fd)
	return nil
}

// drive changes the level of the line that was requested.
func (p *Pin) drive(high bool) error {
	return p.kernel(p.line, unix.GPIO_V2_LINE_SET_VALUES_IOCTL, unsafe.Pointer(&lineValues{bits: bit(high), mask: 1}))
}

func (p *Pin) release() error { return unix.Close(p.line) }

func bit(high bool) uint64 {
	if high {
		return 1
	}
	return 0
}
