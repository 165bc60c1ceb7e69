//go:build !linux

package linuxbus

const openFlags = 0
