package sx1302

import (
	"context"
	"slices"
)

// Addresses outside the register table (b).
const (
	addrAGCMemory = 0x0000
	addrARBMemory = 0x2000
	addrFIFO      = 0x4000
	addrTxBuffer  = 0x5300 // of chain A
	chainStride   = 0x0200 // from a transmit register of chain A to that of chain B

	regFirst = 0x5200
	regSpan  = 0x0FC0 // up to the OTP block at 0x6180..0x61BF
)

// maxFill is how many unchanged bytes between two changed ones are written again
// because that takes fewer bytes than the header of another frame.
const maxFill = 3

// registers is the driver's copy of the configuration registers. Fields are set in
// the copy with set; flush brings the chip up to date. Bytes that have not been
// written or read since reset are unknown: before one of their fields is written
// for the first time, flush reads their block, in the same go as all others.
type registers struct {
	l     *link
	value [regSpan]byte
	state [regSpan]regState
	mask  [regSpan]byte // bits to be written
	want  [regSpan]byte // their values
	dirty []uint16      // addresses with a pending change
}

type regState uint8

const (
	regKnown    regState = 1 << iota // value is what the chip holds
	regListed                        // the table has it
	regVolatile                      // it has read-only bits or acts when written
)

func newRegisters(l *link) *registers {
	r := &registers{l: l, dirty: make([]uint16, 0, 256)}
	for i := 0; i < len(resetImage); i += 4 {
		a := uint16(resetImage[i])<<8 | uint16(resetImage[i+1])
		j, ok := regIndex(a)
		if !ok {
			continue
		}
		r.state[j] |= regListed
		if resetImage[i+3] != 0 || isAction(a) {
			r.state[j] |= regVolatile
		}
	}
	return r
}

// isAction names the registers whose writing does something, beyond keeping a
// value: they are never rewritten to fill a gap.
func isAction(addr uint16) bool {
	switch addr {
	case regCommonPagePage.addr(), regCommonCtrl0Clk32RifCtrl.addr(), regCommonGenGlobalEn.addr(),
		regAgcMcuCtrlMcuClear.addr(), regAgcMcuRfEnARadioRst.addr(), regAgcMcuRfEnBRadioRst.addr(),
		regAgcMcuMcuMailBoxWrDataByte3McuMailBoxWrData.addr(), regClkCtrlClkSelClkdivEn.addr(),
		regArbMcuCtrlMcuClear.addr(), regArbMcuArbDebugCfg1ArbDebugCfg1.addr(),
		regTxTopATxTrigTxFsmClr.addr(), regTxTopATxTrigTxFsmClr.addr() + chainStride,
		regTxTopATxCtrlWriteBuffer.addr(), regTxTopATxCtrlWriteBuffer.addr() + chainStride,
		regTxTopATxFlagTxTimeout.addr(), regTxTopATxFlagTxTimeout.addr() + chainStride,
		regTxTopALoraTxFlagFrameDone.addr(), regTxTopALoraTxFlagFrameDone.addr() + chainStride,
		regGpioHostIrqTxDoneA.addr(), regOtpByteAddrAddr.addr(), regOtpCfgAccessMode.addr(),
		regOtpPinCtrl0Csb.addr(), regOtpPinCtrl1Frst.addr(), regGpioGpioOutLOutValue.addr():
		return true
	}
	return false
}

func regIndex(addr uint16) (int, bool) {
	i := int(addr) - regFirst
	return i, i >= 0 && i < regSpan
}

// forget makes every register unknown, as a reset of the chip does.
func (r *registers) forget() {
	for i := range r.state {
		r.state[i] &^= regKnown
	}
	clear(r.mask[:])
	r.dirty = r.dirty[:0]
}

// set changes a field in the copy. The value's low bits count; a read-only field
// stays as it is.
func (r *registers) set(f field, v int) {
	if f.readOnly() {
		return
	}
	i, _ := regIndex(f.addr())
	if r.mask[i] == 0 {
		r.dirty = append(r.dirty, f.addr())
	}
	r.mask[i] |= f.mask()
	r.want[i] = f.insert(r.want[i], v)
}

// setAll sets the same value in several fields.
func (r *registers) setAll(v int, fields ...field) {
	for _, f := range fields {
		r.set(f, v)
	}
}

// put sets one field and flushes.
func (r *registers) put(ctx context.Context, f field, v int) error {
	r.set(f, v)
	return r.flush(ctx)
}

// flush writes all pending changes, in rising order of address and in as few
// frames as possible.
func (r *registers) flush(ctx context.Context) error {
	if len(r.dirty) == 0 {
		return nil
	}
	if err := r.learn(ctx); err != nil {
		return err
	}
	r.l.begin()
	r.addPending()
	return r.sent(r.l.send(ctx))
}

// sent passes on how an access with addPending ended. When it failed nobody knows
// which of the bytes the chip has taken, so all are read again before they are used.
func (r *registers) sent(err error) error {
	if err != nil {
		for i := range r.state {
			r.state[i] &^= regKnown
		}
	}
	return err
}

// addPending appends the pending changes to the access in hand, which the caller
// sends. All bytes must be known (see learn).
func (r *registers) addPending() {
	slices.Sort(r.dirty)
	for _, a := range r.dirty {
		i, _ := regIndex(a)
		r.value[i] = r.value[i]&^r.mask[i] | r.want[i]&r.mask[i]
		r.mask[i] = 0
		r.state[i] |= regKnown
	}
	for i := 0; i < len(r.dirty); {
		first, last := r.dirty[i], r.dirty[i]
		for i++; i < len(r.dirty) && r.fillable(last, r.dirty[i]); i++ {
			last = r.dirty[i]
		}
		r.l.addWrite(first, r.value[first-regFirst:last-regFirst+1])
	}
	r.dirty = r.dirty[:0]
}

// fillable says whether one burst may go from byte a to the later byte b.
func (r *registers) fillable(a, b uint16) bool {
	if b-a > maxFill+1 {
		return false
	}
	for x := a + 1; x < b; x++ {
		s := r.state[x-regFirst]
		if s&regListed == 0 || s&regKnown == 0 || s&regVolatile != 0 {
			return false
		}
	}
	return true
}

// learn reads the blocks of pending bytes that are neither known nor about to be
// written whole.
func (r *registers) learn(ctx context.Context) error {
	var unknown []uint16
	slices.Sort(r.dirty)
	for _, a := range r.dirty {
		if r.mask[a-regFirst] != 0xFF {
			unknown = append(unknown, a)
		}
	}
	return r.know(ctx, unknown)
}

// block is a run of listed registers without a hole.
type block struct {
	addr  uint16
	n     int
	frame int
}

// know reads the blocks of those addresses, in rising order, that are not known.
func (r *registers) know(ctx context.Context, addrs []uint16) error {
	var blocks []block
	r.l.begin()
	for _, a := range addrs {
		i := int(a) - regFirst
		if r.state[i]&regKnown != 0 {
			continue
		}
		if k := len(blocks); k > 0 && int(a) < int(blocks[k-1].addr)+blocks[k-1].n {
			continue
		}
		lo, hi := i, i+1
		for lo > 0 && r.state[lo-1]&regListed != 0 {
			lo--
		}
		for hi < regSpan && r.state[hi]&regListed != 0 {
			hi++
		}
		b := block{addr: uint16(lo + regFirst), n: hi - lo}
		b.frame = r.l.addRead(b.addr, b.n, false)
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil
	}
	if err := r.l.send(ctx); err != nil {
		return err
	}
	for _, b := range blocks {
		data := make([]byte, b.n)
		r.l.collect(b.frame, data)
		for k, v := range data {
			i := int(b.addr) + k - regFirst
			if r.state[i]&regKnown == 0 {
				r.value[i] = v
				r.state[i] |= regKnown
			}
		}
	}
	return nil
}
