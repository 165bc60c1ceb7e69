package sx1302

import (
	"context"
	"encoding/binary"
)

// frame is what passes while one chip select is held: w goes out, and r, when not
// nil, has the length of w and receives what came in meanwhile.
type frame struct {
	w, r   []byte
	sx1261 bool // addressed to the SX1261, not to the concentrator
}

// transport carries frames: SPI directly, or the USB bridge.
type transport interface {
	// open prepares the wire and resets the chips behind it.
	open(ctx context.Context) error

	// send carries the frames in order.
	send(ctx context.Context, frames []frame) error

	// rest puts the chips into reset or at rest, so that they radiate nothing.
	rest(ctx context.Context) error

	// close lets go of the wire.
	close() error

	// burst is the most data bytes of one frame.
	burst() int

	// celsius reads the board's temperature; ok is false when it has no sensor.
	celsius(ctx context.Context) (t float64, ok bool, err error)
}

// The first byte of every frame to the concentrator says who is meant (a.1).
const (
	muxChip   = 0x00
	muxRadioA = 0x01 // muxRadioA + chain
)

const (
	writeFlag  = 0x80
	writeStart = 3 // data follow multiplexer and address
	readStart  = 4 // and, in reads, a byte of waiting
)

// link turns register accesses into frames and counts them. It is not safe for
// concurrent use; [Concentrator] holds its turn around it.
type link struct {
	t      transport
	frames []frame // of the access in hand
	out    []byte  // backing of their w
	in     []byte  // backing of their r
	count  Traffic
}

// Traffic counts what went over the bus since [New].
type Traffic struct {
	Frames uint64 // chip-select frames
	Bytes  uint64 // clocked, headers included
	Sends  uint64 // system calls (SPI) or messages (USB) at most: groups of frames
}

const arena = 2 * (8192 + 64)

func newLink(t transport) *link {
	return &link{t: t, out: make([]byte, 0, arena), in: make([]byte, 0, arena)}
}

// begin forgets the frames of the access before.
func (l *link) begin() {
	l.frames, l.out, l.in = l.frames[:0], l.out[:0], l.in[:0]
}

// grow takes n bytes from an arena; frames that were cut from it before stay
// valid even when it has to move.
func grow(a *[]byte, n int) []byte {
	if cap(*a)-len(*a) < n {
		*a = make([]byte, 0, max(arena, n))
	}
	s := (*a)[len(*a) : len(*a)+n : len(*a)+n]
	*a = (*a)[:len(*a)+n]
	return s
}

// addWrite appends the frames that write data from addr on.
func (l *link) addWrite(addr uint16, data []byte) {
	for len(data) > 0 {
		n := min(len(data), l.t.burst())
		w := grow(&l.out, writeStart+n)
		w[0] = muxChip
		binary.BigEndian.PutUint16(w[1:], addr|writeFlag<<8)
		copy(w[writeStart:], data[:n])
		l.frames = append(l.frames, frame{w: w})
		data, addr = data[n:], addr+uint16(n)
	}
}

// addRead appends the frames that read n bytes from addr on and returns the index
// of the first. A FIFO does not move its address.
func (l *link) addRead(addr uint16, n int, fifo bool) int {
	first := len(l.frames)
	for n > 0 {
		k := min(n, l.t.burst())
		w, r := grow(&l.out, readStart+k), grow(&l.in, readStart+k)
		clear(w)
		binary.BigEndian.PutUint16(w[1:], addr)
		l.frames = append(l.frames, frame{w: w, r: r})
		n -= k
		if !fifo {
			addr += uint16(k)
		}
	}
	return first
}

// send carries the frames collected since begin.
func (l *link) send(ctx context.Context) error {
	if len(l.frames) == 0 {
		return nil
	}
	for _, f := range l.frames {
		l.count.Bytes += uint64(len(f.w))
	}
	l.count.Frames += uint64(len(l.frames))
	l.count.Sends++
	return l.t.send(ctx, l.frames)
}

// collect copies what reads starting with frame i brought.
func (l *link) collect(i int, dst []byte) {
	for ; len(dst) > 0; i++ {
		dst = dst[copy(dst, l.frames[i].r[readStart:]):]
	}
}

func (l *link) write(ctx context.Context, addr uint16, data []byte) error {
	l.begin()
	l.addWrite(addr, data)
	return l.send(ctx)
}

func (l *link) read(ctx context.Context, addr uint16, dst []byte) error {
	l.begin()
	i := l.addRead(addr, len(dst), false)
	if err := l.send(ctx); err != nil {
		return err
	}
	l.collect(i, dst)
	return nil
}

// readFIFO empties n bytes of the receive FIFO.
func (l *link) readFIFO(ctx context.Context, dst []byte) error {
	l.begin()
	i := l.addRead(addrFIFO, len(dst), true)
	if err := l.send(ctx); err != nil {
		return err
	}
	l.collect(i, dst)
	return nil
}

func (l *link) readByte(ctx context.Context, addr uint16) (byte, error) {
	var b [1]byte
	err := l.read(ctx, addr, b[:])
	return b[0], err
}

// raw carries one frame as it is and returns what came in, which is valid until
// the next access.
func (l *link) raw(ctx context.Context, sx1261 bool, w ...byte) ([]byte, error) {
	l.begin()
	out, in := grow(&l.out, len(w)), grow(&l.in, len(w))
	copy(out, w)
	l.frames = append(l.frames, frame{w: out, r: in, sx1261: sx1261})
	err := l.send(ctx)
	return in, err
}
