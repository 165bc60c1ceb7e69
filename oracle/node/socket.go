package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
)

// socketFile is the operator's socket in the data directory.
const socketFile = "admin.sock"

// maxSocket is the longest path of a unix socket on Linux.
const maxSocket = 107

// listenSocket opens the operator's socket for this user only. The store's lock is
// held already, so a socket that is there is a dead oracle's. A data directory whose
// path is too long for a socket leaves the oracle without one.
func listenSocket(c Config, log *slog.Logger) (net.Listener, error) {
	path := c.Admin.Socket
	if path == "" {
		path = filepath.Join(c.Data, socketFile)
		if len(path) > maxSocket {
			log.Warn("no operator's socket: its path would be too long; name a shorter one with --admin.socket", "path", path)
			return nil, nil
		}
	}
	if len(path) > maxSocket {
		return nil, fmt.Errorf("admin.socket: %s has %d bytes, a socket's path at most %d: name a shorter one with --admin.socket", path, len(path), maxSocket)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("admin.socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w: choose another path with --admin.socket", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("admin.socket: %w", err), l.Close())
	}
	return l, nil
}
