package linuxbus

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags keeps a tty from becoming the controlling terminal and from waiting
// for a carrier, and gives its reads and writes deadlines.
const openFlags = unix.O_NOCTTY | unix.O_NONBLOCK

// The major device numbers of pseudo terminals, as the kernel's
// admin-guide/devices.txt assigns them.
const (
	ptyFirst = 136
	ptyLast  = 143
)

// lock makes f the only holder of its device, among the programs that ask. The
// lock goes with the last copy of f, however its holder ends.
func lock(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return syscall.EBUSY
	}
	return err
}

// exclude keeps other programs, which ask for no lock, from opening the tty as long
// as f is open; root's may all the same. Pseudo terminals stay open to all: they
// remember the exclusion when its holder is killed, a device forgets it.
func exclude(f *os.File) error {
	return control(f, func(fd int) error {
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil {
			return err
		}
		if m := unix.Major(uint64(s.Rdev)); m >= ptyFirst && m <= ptyLast {
			return nil
		}
		return setExclusive(fd)
	})
}

func setExclusive(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }

// discard drops what a tty has received and not handed on, or been given and not
// sent: closing waits for the latter, with some devices for half a minute.
func discard(f *os.File) error {
	return control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH) })
}

// control calls do with f's descriptor, which stays non-blocking.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("linuxbus: %w", err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}
