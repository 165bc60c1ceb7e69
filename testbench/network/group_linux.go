package network

import "syscall"

// ownGroup puts a child out of the terminal's reach, and ends it when this
// process dies without a word.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
