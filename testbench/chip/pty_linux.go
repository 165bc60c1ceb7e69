package chip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// PTY is a terminal device whose far end is a USB concentrator.
type PTY struct {
	Path string // of the device that a host opens

	master, slave *os.File
}

// OpenPTY makes a terminal in raw mode. Its own hold on the device keeps it
// alive while no host has it open.
func OpenPTY() (*PTY, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("chip: open /dev/ptmx: %w", err)
	}
	p := &PTY{master: os.NewFile(uintptr(fd), "/dev/ptmx")}
	if err := p.prepare(fd); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *PTY) prepare(fd int) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("chip: unlock terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("chip: name terminal: %w", err)
	}
	p.Path = fmt.Sprintf("/dev/pts/%d", n)
	p.slave, err = os.OpenFile(p.Path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("chip: open terminal: %w", err)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("chip: read terminal modes: %w", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("chip: set terminal modes: %w", err)
	}
	return nil
}

// Read takes what the host has written.
func (p *PTY) Read(b []byte) (int, error) { return p.master.Read(b) }

// SetReadDeadline bounds Read.
func (p *PTY) SetReadDeadline(t time.Time) error { return p.master.SetReadDeadline(t) }

// Write gives bytes to the host.
func (p *PTY) Write(b []byte) (int, error) { return p.master.Write(b) }

// Close removes the device.
func (p *PTY) Close() error {
	err := p.master.Close()
	if p.slave != nil {
		err = errors.Join(err, p.slave.Close())
	}
	return err
}

// ServePTY serves the chip as a USB concentrator on a new terminal until ctx
// ends. ready is told the device's path; when the bridge reboots or its cable
// is pulled, the terminal goes away and ready is told the path of the next one.
func (c *Chip) ServePTY(ctx context.Context, ready func(path string)) error {
	for {
		p, err := OpenPTY()
		if err != nil {
			return err
		}
		ready(p.Path)
		err = c.ServeUSB(ctx, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, errUnplugged) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
}
