package gnss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// readTimeout is how soon Read notices that its context has ended.
const readTimeout = time.Second

// Read feeds a scanner from a serial port and calls emit, on its own goroutine,
// for each message, until ctx ends or the port fails. A port with SetReadDeadline
// (as bus.Serial) notices the end of ctx within a second; any other must be closed
// by the caller to end a Read that blocks. It returns ctx's error or the port's;
// the caller opens the port anew, as a USB receiver may have been unplugged.
func Read(ctx context.Context, port io.Reader, s *Scanner, emit func(Message)) error {
	limited, _ := port.(interface{ SetReadDeadline(time.Time) error })
	buf := make([]byte, 256)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if limited != nil {
			if err := limited.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
				return fmt.Errorf("gnss: read: set deadline: %w", err)
			}
		}
		n, err := port.Read(buf)
		s.Feed(buf[:n], emit)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("gnss: read: %w", err)
		}
	}
}
