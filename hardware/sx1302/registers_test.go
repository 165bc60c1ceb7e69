package sx1302

import (
	"context"
	"testing"
)

// tornWire keeps register bytes, and loses a group of frames when told to.
type tornWire struct {
	mem  map[uint16]byte
	lose bool
}

func (w *tornWire) send(_ context.Context, frames []frame) error {
	if w.lose {
		w.lose = false
		return context.Canceled
	}
	for _, f := range frames {
		addr := uint16(f.w[1]&0x7F)<<8 | uint16(f.w[2])
		if f.w[1]&writeFlag != 0 {
			for i, v := range f.w[writeStart:] {
				w.mem[addr+uint16(i)] = v
			}
			continue
		}
		for i := range f.r[readStart:] {
			f.r[readStart+i] = w.mem[addr+uint16(i)]
		}
	}
	return nil
}

func (*tornWire) open(context.Context) error                     { return nil }
func (*tornWire) rest(context.Context) error                     { return nil }
func (*tornWire) close() error                                   { return nil }
func (*tornWire) burst() int                                     { return spiBurst }
func (*tornWire) celsius(context.Context) (float64, bool, error) { return 0, false, nil }

// TestRegistersAfterLoss: a write that was lost is not believed to be in the chip
// when a neighbour in the same byte is written.
func TestRegistersAfterLoss(t *testing.T) {
	w := &tornWire{mem: map[uint16]byte{}}
	r := newRegisters(newLink(w))
	a, b := regCommonCtrl0HostRadioCtrl, regCommonCtrl0Sx1261ModeRadioA
	if a.addr() != b.addr() {
		t.Fatal("the fields do not share a byte")
	}
	if err := r.put(t.Context(), b, 0); err != nil {
		t.Fatal(err)
	}
	w.lose = true
	if err := r.put(t.Context(), a, 1); err == nil {
		t.Fatal("nothing was lost")
	}
	if err := r.put(t.Context(), b, 1); err != nil {
		t.Fatal(err)
	}
	if got := w.mem[a.addr()]; got&byte(a.mask()) != 0 || got&byte(b.mask()) == 0 {
		t.Errorf("the byte is %#02x", got)
	}
}
