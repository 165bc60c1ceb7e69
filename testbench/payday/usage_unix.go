//go:build unix

package payday

import (
	"runtime"
	"syscall"
	"time"
)

// cpuSeconds is the time that this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
}

// peakBytes is the most memory that this process has had.
func peakBytes() uint64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" { // there it counts bytes
		return uint64(u.Maxrss)
	}
	return uint64(u.Maxrss) << 10
}
