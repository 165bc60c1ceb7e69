//go:build !linux

package chip

import (
	"context"
	"errors"
)

// ServePTY needs the terminals of Linux; here it fails.
func (c *Chip) ServePTY(context.Context, func(path string)) error {
	return errors.New("chip: open terminal: only Linux has the terminals that this needs; use ServeUSB on a stream")
}
