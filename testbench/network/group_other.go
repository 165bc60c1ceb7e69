//go:build !linux

package network

import "syscall"

// ownGroup puts a child out of the terminal's reach.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
