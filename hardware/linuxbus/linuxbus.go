// Package linuxbus implements package bus on Linux: spidev, i2c-dev and GPIO lines
// through periph.io, ttys through tarm/serial. It knows the operating system only,
// and no board or chip.
//
// A tty and a chip select belong to one program at a time: they are locked (flock)
// while they are open, and a second [OpenSerial] or [OpenSPI], in this program or
// another, fails with [syscall.EBUSY]. An I2C bus is shared.
//
// Every error of opening names the device and what to do about it, because a
// missing overlay or group is the most common reason why a hotspot does not start.
package linuxbus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"periph.io/x/conn/v3/driver/driverreg"

	"heliograph/hardware/bus"
)

// kind is what the hints about a sort of device need.
type kind struct {
	name, enable, group string
}

var (
	kindSPI = kind{"SPI", "enable SPI with dtparam=spi=on in the boot configuration (/boot/firmware/config.txt on a Raspberry Pi) and restart", "spi"}
	kindI2C = kind{"I2C", "enable I2C with dtparam=i2c_arm=on in the boot configuration (/boot/firmware/config.txt on a Raspberry Pi), load i2c-dev, and restart", "i2c"}
	kindTTY = kind{"serial", "check that the board is plugged in, and its name with ls -l /dev/serial/by-id", "dialout"}
)

// open opens a device, or explains why it cannot be, before a library does it worse.
func (k kind) open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|openFlags, 0)
	if err != nil {
		return nil, k.explain(path, err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&fs.ModeCharDevice == 0 {
		err = bus.WithRemedy(fmt.Errorf("linuxbus: %s is no %s device: check the name", path, k.name))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// own is open for a device that nobody else may use meanwhile.
func (k kind) own(path string) (*os.File, error) {
	f, err := k.open(path)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(k.explain(path, err), f.Close())
	}
	return f, nil
}

// explain names the device, and what to do where that is known.
func (k kind) explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("linuxbus: no %s device %s: %s: %w", k.name, path, k.enable, err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("linuxbus: %s device %s may not be used: add the user to group %s: %w", k.name, path, k.group, err)
	case errors.Is(err, syscall.EBUSY):
		err = fmt.Errorf("linuxbus: %s device %s is in use by another program: stop hotspotd first, or what fuser -v %s shows: %w", k.name, path, path, err)
	default:
		return fmt.Errorf("linuxbus: open %s: %w", path, err)
	}
	return bus.WithRemedy(err)
}

// kernelName is the name that the kernel gave to a device, and periph knows it by, for a
// link that udev or the user made to it.
func kernelName(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path // opening says what is wrong with it
}

// drivers loads periph's drivers of the kernel's interfaces, and none of those that
// write to a processor's registers behind its back. Without any, every later call
// would fail with a message that explains nothing.
func drivers() error {
	state, err := driverreg.Init()
	if err != nil {
		return fmt.Errorf("linuxbus: load drivers: %w", err)
	}
	if len(state.Loaded) == 0 {
		return errors.New("linuxbus: none of the host's drivers could be loaded: is this Linux, with /sys mounted?")
	}
	return nil
}
