//go:build !linux

package linuxbus

import "errors"

type ioctl struct{}

var systemIoctl ioctl

func (p *Pin) request(bool) error { return errors.ErrUnsupported }
func (p *Pin) drive(bool) error   { return errors.ErrUnsupported }
func (p *Pin) release() error     { return nil }
