// Package linuxbus implements package bus on Linux: spidev, i2c-dev and GPIO lines
// through periph.io, ttys through tarm/serial. It knows the operating system only,
// and no board or chip.
//
// Every error of opening names the device and what to do about it, because a
// missing overlay or group is the most common reason why a hotspot does not start.
package linuxbus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"periph.io/x/host/v3"
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

// check explains why a device cannot be opened, before a library does it worse.
func (k kind) check(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|openFlags, 0)
	if err == nil {
		info, err := f.Stat()
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil && info.Mode()&fs.ModeCharDevice == 0 {
			return fmt.Errorf("linuxbus: %s is no %s device: check the name", path, k.name)
		}
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("linuxbus: no %s device %s: %s: %w", k.name, path, k.enable, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("linuxbus: %s device %s may not be used: add the user to group %s: %w", k.name, path, k.group, err)
	}
	return fmt.Errorf("linuxbus: open %s: %w", path, err)
}

// drivers loads periph's drivers. Without any, every later call would fail with a
// message that explains nothing.
func drivers() error {
	state, err := host.Init()
	if err != nil {
		return fmt.Errorf("linuxbus: load drivers: %w", err)
	}
	if len(state.Loaded) == 0 {
		return errors.New("linuxbus: none of the host's drivers could be loaded: is this Linux, with /sys mounted?")
	}
	return nil
}
