package signer

import (
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
)

// checkPeer asks the kernel whose process is at the other end.
func checkPeer(c net.Conn, allowed []int) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("signer: not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *syscall.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if cerr != nil {
		return cerr
	}
	if uid := int(cred.Uid); uid != os.Getuid() && !slices.Contains(allowed, uid) {
		return fmt.Errorf("signer: process %d of user %d may not ask: add the user to allow_uid", cred.Pid, uid)
	}
	return nil
}
