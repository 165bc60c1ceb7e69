//go:build !linux

package linuxbus

import "os"

// Without Linux there are no devices to open; the package builds so that the
// programs do.
const openFlags = 0

func lock(*os.File) error    { return nil }
func exclude(*os.File) error { return nil }
func discard(*os.File) error { return nil }
