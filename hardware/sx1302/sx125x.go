package sx1302

import (
	"context"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Registers of the SX1255 and SX1257 (c.2).
const (
	fxMode       = 0
	fxFrfRx      = 1 // three bytes
	fxFrfTx      = 4 // three bytes
	fxTxGain     = 8
	fxTxBW       = 10
	fxTxDACBW    = 11
	fxRxAnaGain  = 12
	fxRxBW       = 13
	fxRxPLLBW    = 14
	fxClkSelect  = 16
	fxModeStatus = 17
	fxXosc1257   = 38
	fxXosc1255   = 40
	fxRegisters  = 64
)

// bits is a part of a front-end register: which byte, from which bit, how wide.
type bits struct{ addr, off, width byte }

var (
	fxDACGain   = bits{fxTxGain, 4, 3}
	fxMixGain   = bits{fxTxGain, 0, 4}
	fxTxAnaBW   = bits{fxTxBW, 0, 5}
	fxTxPLLBW   = bits{fxTxBW, 5, 2}
	fxLNAGain   = bits{fxRxAnaGain, 5, 3}
	fxBBGain    = bits{fxRxAnaGain, 1, 4}
	fxZin       = bits{fxRxAnaGain, 0, 1}
	fxADCBW     = bits{fxRxBW, 5, 3}
	fxADCTrim   = bits{fxRxBW, 2, 3}
	fxRxBBBW    = bits{fxRxBW, 0, 2}
	fxRxPLL     = bits{fxRxPLLBW, 1, 2}
	fxRxTemp    = bits{fxRxPLLBW, 0, 1}
	fxDACClock  = bits{fxClkSelect, 0, 1}
	fxLoopback  = bits{fxClkSelect, 2, 1}
	fxWholeByte = bits{0, 0, 8}
)

func whole(addr byte) bits { b := fxWholeByte; b.addr = addr; return b }

const (
	lockRx = 1 << 1 // in fxModeStatus
	lockTx = 1 << 0

	modeRx        = 3
	modeTx        = 13
	modeLoopback  = 15
	lockAttempts  = 5
	lockTime      = time.Millisecond
	calibrateTime = 10 * time.Millisecond
)

// fxShadow is the driver's copy of an SX125x's registers.
type fxShadow struct {
	value [fxRegisters]byte
	known [fxRegisters]bool
	dirty [fxRegisters]bool
}

func (s *fxShadow) forget() { *s = fxShadow{} }

// fxSet is one field with its value.
type fxSet struct {
	b bits
	v int
}

// fxWrite sets fields of a front end, byte by byte in the order of first mention,
// and reads every byte back (c.2).
func (c *Concentrator) fxWrite(ctx context.Context, chain int, sets ...fxSet) error {
	s := &c.front[chain]
	var order []byte
	for _, f := range sets {
		a := f.b.addr
		mask := byte(1<<f.b.width-1) << f.b.off
		if mask != 0xFF && !s.known[a] {
			v, err := c.fxRead(ctx, chain, a)
			if err != nil {
				return err
			}
			s.value[a], s.known[a] = v, true
		}
		s.value[a] = s.value[a]&^mask | byte(f.v)<<f.b.off&mask
		s.known[a] = true
		if !s.dirty[a] {
			s.dirty[a] = true
			order = append(order, a)
		}
	}
	l := c.link
	l.begin()
	for _, a := range order {
		s.dirty[a] = false
		w := grow(&l.out, 3)
		w[0], w[1], w[2] = muxRadioA+byte(chain), writeFlag|a, s.value[a]
		l.frames = append(l.frames, frame{w: w})
	}
	first := len(l.frames)
	for _, a := range order {
		w, r := grow(&l.out, 3), grow(&l.in, 3)
		w[0], w[1], w[2] = muxRadioA+byte(chain), a, 0
		l.frames = append(l.frames, frame{w: w, r: r})
	}
	if err := l.send(ctx); err != nil {
		return err
	}
	for i, a := range order {
		if got := l.frames[first+i].r[2]; got != s.value[a] {
			return fault(FaultFrontEnd, nil, "radio %d: %v register %d reads %#02x after %#02x was written",
				chain, c.cfg.Radios[chain].Kind, a, got, s.value[a])
		}
	}
	return nil
}

func (c *Concentrator) fxRead(ctx context.Context, chain int, addr byte) (byte, error) {
	in, err := c.link.raw(ctx, false, muxRadioA+byte(chain), addr, 0)
	if err != nil {
		return 0, err
	}
	return in[2], nil
}

// fxFrequency are the three bytes of FRF_RX (at fxFrfRx) or FRF_TX (at fxFrfTx).
func (c *Concentrator) fxFrequency(chain int, addr byte, f radio.Hertz) ([]fxSet, error) {
	v, err := calc.SX125xFrequency(c.cfg.Radios[chain].Kind, f)
	if err != nil {
		return nil, fault(FaultConfig, err, "radio %d", chain)
	}
	return []fxSet{{whole(addr), int(v >> 16)}, {whole(addr + 1), int(v >> 8)}, {whole(addr + 2), int(v)}}, nil
}

// fxLocked says whether the given synthesizers of a front end have locked.
func (c *Concentrator) fxLocked(ctx context.Context, chain int, want byte) (bool, error) {
	s, err := c.fxRead(ctx, chain, fxModeStatus)
	return s&want == want, err
}

// setupSX125x brings an SX1255 or SX1257 into reception (c.2).
func (c *Concentrator) setupSX125x(ctx context.Context, chain int) error {
	r := &c.cfg.Radios[chain]
	freq, err := c.fxFrequency(chain, fxFrfRx, r.Frequency)
	if err != nil {
		return err
	}
	clk, xosc := 0, byte(fxXosc1257)
	if int(c.cfg.ClockSource) == chain {
		clk = 2 // it drives the clock output
	}
	if r.Kind == calc.SX1255 {
		xosc = fxXosc1255
	}
	sets := []fxSet{
		{whole(fxClkSelect), clk},
		{bits{xosc, 0, 4}, 13}, {bits{xosc, 4, 3}, 2},
		{fxMixGain, 14}, {fxDACGain, 2},
		{fxTxAnaBW, 0}, {fxTxPLLBW, 1}, {whole(fxTxDACBW), 5},
		{fxZin, 0}, {fxBBGain, 15}, {fxLNAGain, 1},
		{fxRxBBBW, 0}, {fxADCTrim, 6}, {fxADCBW, 7},
		{fxRxTemp, 0}, {fxRxPLL, 0},
	}
	if err := c.fxWrite(ctx, chain, append(sets, freq...)...); err != nil {
		return err
	}
	for range lockAttempts {
		for _, mode := range []int{1, modeRx} {
			if err := c.fxWrite(ctx, chain, fxSet{whole(fxMode), mode}); err != nil {
				return err
			}
		}
		if err := c.sleep(ctx, lockTime); err != nil {
			return err
		}
		if ok, err := c.fxLocked(ctx, chain, lockRx); ok || err != nil {
			return err
		}
	}
	return fault(FaultFrontEnd, nil, "radio %d: %v does not lock at %v", chain, r.Kind, r.Frequency)
}
