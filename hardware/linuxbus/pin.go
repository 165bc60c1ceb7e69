package linuxbus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"periph.io/x/host/v3/gpioioctl"

	"heliograph/hardware/bus"
)

// Pin is a GPIO line used as an output, through the kernel's character device. It
// implements bus.Pin.
type Pin struct {
	name, chip string // as asked for; path of the chip's device
	offset     uint32 // of the line on its chip

	mu     sync.Mutex
	kernel ioctl
	line   int // descriptor of the line that was requested
	held   bool
	closed bool
}

// OpenPin finds a GPIO line by the name that the kernel has for it (see gpioinfo),
// such as GPIO17 on a Raspberry Pi, where 17 will do, or as gpiochip0:17, by chip and
// offset, which also reaches lines without a name. The line is not touched before
// the first Set.
func OpenPin(name string) (*Pin, error) {
	if err := drivers(); err != nil {
		return nil, err
	}
	chips := make([]gpioChip, len(gpioioctl.Chips))
	for i, c := range gpioioctl.Chips {
		chips[i] = gpioChip{name: c.Name(), path: c.Path()}
		for _, l := range c.Lines() {
			chips[i].lines = append(chips[i].lines, l.Name())
		}
	}
	chip, offset, err := findLine(chips, name)
	if err != nil {
		return nil, err
	}
	return &Pin{name: name, chip: chip, offset: offset, kernel: systemIoctl}, nil
}

// gpioChip is what is needed of a chip to find a line: the names of all its lines,
// by offset, "" for those without.
type gpioChip struct {
	name, path string
	lines      []string
}

// findLine finds the device and offset of the line that OpenPin's argument means.
func findLine(chips []gpioChip, name string) (path string, offset uint32, err error) {
	if len(chips) == 0 {
		return "", 0, fmt.Errorf("linuxbus: GPIO line %s: no GPIO chip can be used: check that /dev/gpiochip0 exists, and that the user is in group gpio", name)
	}
	if chip, line, ok := strings.Cut(name, ":"); ok {
		return findOffset(chips, name, chip, line)
	}
	names := []string{name}
	if _, err := strconv.ParseUint(name, 10, 16); err == nil {
		names = append(names, "GPIO"+name)
	}
	for _, n := range names {
		for _, c := range chips {
			for i, l := range c.lines {
				if l == n && l != "" {
					return c.path, uint32(i), nil
				}
			}
		}
	}
	return "", 0, fmt.Errorf("linuxbus: no GPIO line %q: see gpioinfo for the lines' names, or give chip and offset, as in gpiochip0:17", name)
}

func findOffset(chips []gpioChip, name, chip, line string) (path string, offset uint32, err error) {
	known := make([]string, 0, len(chips))
	for _, c := range chips {
		known = append(known, c.name)
		// A Raspberry Pi 5 has /dev/gpiochip4 as another name of gpiochip0.
		if c.name != chip && c.name != filepath.Base(kernelName("/dev/"+chip)) {
			continue
		}
		n, err := strconv.ParseUint(line, 10, 32)
		if err != nil || n >= uint64(len(c.lines)) {
			return "", 0, fmt.Errorf("linuxbus: GPIO line %q: %s has the offsets 0 to %d", name, chip, len(c.lines)-1)
		}
		return c.path, uint32(n), nil
	}
	return "", 0, fmt.Errorf("linuxbus: GPIO line %q: there is no such chip, but %s", name, strings.Join(known, ", "))
}

// Set drives the line; see bus.Pin. The first Set makes an output of the line, at
// that level from the beginning.
func (p *Pin) Set(ctx context.Context, high bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.held {
		if err := p.drive(high); err != nil {
			return fmt.Errorf("linuxbus: GPIO line %s: %w", p.name, err)
		}
		return nil
	}
	err := p.request(high)
	switch {
	case errors.Is(err, syscall.EBUSY):
		return bus.WithRemedy(fmt.Errorf("linuxbus: GPIO line %s is in use, as gpioinfo shows: stop hotspotd first, or what else drives it: %w", p.name, err))
	case err != nil:
		return fmt.Errorf("linuxbus: GPIO line %s: %w", p.name, err)
	}
	p.held = true
	return nil
}

// Close gives the line back. Its level is from then on up to the kernel, which on
// most boards leaves it.
func (p *Pin) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if !p.held {
		return nil
	}
	p.held = false
	return p.release()
}
