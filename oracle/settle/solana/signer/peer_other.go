//go:build !linux

package signer

import "net"

// checkPeer leaves it to the socket's mode: this system has no common way to ask.
func checkPeer(net.Conn, []int) error { return nil }
