package segment

import (
	"fmt"
	"io"
)

const (
	windowMin = 4 << 10
	windowMax = 256 << 10
)

// window reads a file through one buffer. It fetches little around a position
// that lies far from the last one, and ever more while positions follow closely.
type window struct {
	r     io.ReaderAt
	limit int64 // nothing at or behind it is read
	buf   []byte
	at    int64 // position of buf[0]
	ahead int
}

// bytes returns the n bytes at the position, valid until the next call. It is
// false if the limit or the end of the file comes before.
func (w *window) bytes(at int64, n int) ([]byte, bool, error) {
	if at < 0 || at+int64(n) > w.limit {
		return nil, false, nil
	}
	end := w.at + int64(len(w.buf))
	if at < w.at || at+int64(n) > end {
		if at >= w.at && at <= end {
			w.ahead = min(2*max(w.ahead, windowMin), windowMax)
		} else {
			w.ahead = windowMin
		}
		if err := w.fill(at, max(n, w.ahead)); err != nil {
			return nil, false, err
		}
	}
	i := int(at - w.at)
	if len(w.buf)-i < n {
		return nil, false, nil
	}
	return w.buf[i : i+n], true, nil
}

func (w *window) fill(at int64, n int) error {
	n = int(min(int64(n), w.limit-at))
	if cap(w.buf) < n {
		w.buf = make([]byte, n)
	}
	w.buf, w.at = w.buf[:n], at
	got, err := w.r.ReadAt(w.buf, at)
	w.buf = w.buf[:got]
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %d bytes at %d: %w", n, at, err)
	}
	return nil
}
