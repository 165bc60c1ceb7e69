package segment

import (
	"os"
	"syscall"
)

// dataSync is fdatasync: content and size, without the times of the inode.
func dataSync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
