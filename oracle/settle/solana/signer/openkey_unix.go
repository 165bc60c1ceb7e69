//go:build unix

package signer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openKey opens a file that is no link and does not wait for a pipe's other end.
// What is checked afterwards is checked of what was opened.
func openKey(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is not a regular file but a symbolic link: name the file itself", path)
	}
	return f, err
}

// checkOwner wants the file to belong to the user of this process, or to root, who
// can read and change everything anyway: whoever owns it can change it.
func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("signer: key file %s: its owner cannot be read", path)
	}
	if me := os.Geteuid(); st.Uid != 0 && int(st.Uid) != me {
		return fmt.Errorf("signer: key file %s belongs to user %d, this process is user %d: run `chown %d %s`, and replace the key if that user should not have it", path, st.Uid, me, me, path)
	}
	return nil
}
