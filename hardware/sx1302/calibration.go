package sx1302

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// What the calibration of SX1255 and SX1257 measures with, and what it accepts
// (c.3).
const (
	calRuns        = 3
	calTone        = 250 * radio.KHz
	calToneReg     = 16 // the tone in the signal analyser's units, 15.625 kHz
	calRxThreshold = 8
	calTxThreshold = 64
	calSpread      = 4  // between runs, in steps
	calMinImage    = 50 // dB
	calMinSNR      = 50 // dB
	calMinDC       = 10 // dB
	loopbackMix    = 10
	toneMix        = 15
)

// iqOffset is a transmitter's correction at one pair of gains.
type iqOffset struct{ dac, mix, i, q byte }

// calibrateRadios measures and corrects the front ends (c.5).
func (c *Concentrator) calibrateRadios(ctx context.Context) error {
	for _, s := range []fieldValue{
		{regAgcMcuCtrlForceHostFeCtrl, 1}, {regAgcMcuRfEnAPaEn, 0}, {regAgcMcuRfEnALnaEn, 0},
	} {
		if err := c.regs.put(ctx, s.f, s.v); err != nil {
			return err
		}
	}
	var err error
	if c.cfg.Radios[c.cfg.ClockSource].Kind == calc.SX1250 {
		for chain := range RFChains {
			if c.cfg.Radios[chain].Enable && err == nil {
				err = c.calibrateSX1250(ctx, chain)
			}
		}
	} else {
		err = c.calibrateSX125x(ctx)
	}
	if err != nil {
		return err
	}
	return c.regs.put(ctx, regAgcMcuCtrlForceHostFeCtrl, 0)
}

// calibrateSX125x runs the calibration program (c.3): the receivers' image
// rejection, then the transmitters' carrier leakage at each pair of gains.
func (c *Concentrator) calibrateSX125x(ctx context.Context) error {
	if err := c.load(ctx, agcMCU(), c.fw.Cal); err != nil {
		return err
	}
	m, err := c.waitAGC(ctx, 1)
	if err != nil {
		return err
	}
	if m.m0 != versionCal {
		return fault(FaultMCUVersion, nil, "calibration: version %d instead of %d", m.m0, versionCal)
	}
	if err := c.tell(ctx, 0xFF); err != nil {
		return err
	}
	if _, err := c.waitAGC(ctx, 0); err != nil {
		return err
	}
	var iq [RFChains]imageResult
	for chain := range RFChains {
		if !c.cfg.Radios[chain].Enable {
			continue
		}
		if iq[chain], err = c.calibrateImage(ctx, chain); err != nil {
			return err
		}
	}
	for chain := range RFChains {
		f := fieldsOf(chain)
		c.regs.set(f.iqAmp, int(iq[chain].amp))
		c.regs.set(f.iqPhi, int(iq[chain].phi))
	}
	if err := c.regs.flush(ctx); err != nil {
		return err
	}
	for chain := range RFChains {
		if err := c.calibrateTx(ctx, chain, iq[chain]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Concentrator) calibrateTx(ctx context.Context, chain int, iq imageResult) error {
	r := &c.cfg.Radios[chain]
	c.offsets[chain] = nil
	if !r.Enable || !r.TxEnable {
		return nil // its corrections stay zero
	}
	gains := r.Calibrate
	if gains == nil {
		gains = r.Gains
	}
	for _, g := range gains {
		if slices.ContainsFunc(c.offsets[chain], func(o iqOffset) bool { return o.dac == g.DAC && o.mix == g.Mixer }) {
			continue
		}
		o, err := c.calibrateCarrier(ctx, chain, g.DAC, g.Mixer, iq)
		if err != nil {
			return err
		}
		c.offsets[chain] = append(c.offsets[chain], o)
	}
	return nil
}

// imageResult is one measurement of a receiver's image.
type imageResult struct {
	amp, phi       int8
	rejection, snr float64 // dB
}

// calibrateImage measures a receiver's image with the other radio's tone, or,
// where there is none of its kind or that fails, with its own in loopback.
func (c *Concentrator) calibrateImage(ctx context.Context, chain int) (imageResult, error) {
	other := &c.cfg.Radios[1-chain]
	if other.Enable && other.Kind == c.cfg.Radios[chain].Kind {
		best, err := c.imageRuns(ctx, chain, 1-chain)
		if f, ok := FaultOf(err); !ok || f != FaultCalibration {
			return best, err
		}
	}
	return c.imageRuns(ctx, chain, chain)
}

func (c *Concentrator) imageRuns(ctx context.Context, chain, sender int) (imageResult, error) {
	var runs []imageResult
	for range calRuns {
		r, err := c.imageRun(ctx, chain, sender)
		if err != nil {
			return imageResult{}, err
		}
		runs = append(runs, r)
	}
	best := slices.MaxFunc(runs, func(a, b imageResult) int {
		return int(math.Round(1000 * (a.rejection - b.rejection)))
	})
	amps, phis := span(runs, func(r imageResult) int8 { return r.amp }), span(runs, func(r imageResult) int8 { return r.phi })
	worst, noise := math.Inf(1), math.Inf(1)
	for _, r := range runs {
		worst, noise = min(worst, r.rejection), min(noise, r.snr)
	}
	if amps > calSpread || phis > calSpread || worst < calMinImage || noise < calMinSNR {
		return best, fault(FaultCalibration, nil,
			"radio %d: image rejection %.0f dB, signal to noise %.0f dB, spread of %d and %d steps", chain, worst, noise, amps, phis)
	}
	return best, nil
}

func span(runs []imageResult, get func(imageResult) int8) int {
	lo, hi := math.MaxInt8, math.MinInt8
	for _, r := range runs {
		lo, hi = min(lo, int(get(r))), max(hi, int(get(r)))
	}
	return hi - lo
}

// imageRun is one run of the calibration program's receiver dialogue.
func (c *Concentrator) imageRun(ctx context.Context, chain, sender int) (imageResult, error) {
	var res imageResult
	if err := c.tuneImage(ctx, chain, sender); err != nil {
		return res, err
	}
	if err := c.regs.put(ctx, regRadioFeSigAnaCfgRadioSel, flag(chain == 0)); err != nil {
		return res, err
	}
	if err := c.tell(ctx, 0, 0, calToneReg, byte(chain)); err != nil {
		return res, err
	}
	for s := byte(1); s <= 3; s++ {
		if err := c.move(ctx, s, s); err != nil {
			return res, err
		}
	}
	m, err := c.ask(ctx, 4, 6, 0, calRxThreshold, 0)
	if err != nil {
		return res, err
	}
	signal := pair(m.m1, m.m0)
	if m, err = c.ask(ctx, 6, 7); err != nil {
		return res, err
	}
	res.amp, res.phi = int8(m.m1), int8(m.m0)
	if m, err = c.ask(ctx, 7, 8); err != nil {
		return res, err
	}
	res.rejection, res.snr = decibels(signal, pair(m.m3, m.m2)), decibels(signal, pair(m.m1, m.m0))
	done := byte(0x11)
	if chain == 1 {
		done = 0x22
	}
	return res, c.move(ctx, 8, done)
}

// move tells the calibration program something and waits for its status.
func (c *Concentrator) move(ctx context.Context, cmd, status byte, params ...byte) error {
	_, err := c.dialogue(ctx, cmd, status, false, params)
	return err
}

// ask is move, and returns what the program answers.
func (c *Concentrator) ask(ctx context.Context, cmd, status byte, params ...byte) (mailbox, error) {
	return c.dialogue(ctx, cmd, status, true, params)
}

func (c *Concentrator) dialogue(ctx context.Context, cmd, status byte, answer bool, params []byte) (mailbox, error) {
	if len(params) == 3 { // byte 0 is not part of these messages
		c.regs.set(regAgcMcuMcuMailBoxWrDataByte2McuMailBoxWrData, int(params[2]))
		c.regs.set(regAgcMcuMcuMailBoxWrDataByte1McuMailBoxWrData, int(params[1]))
		if err := c.regs.flush(ctx); err != nil {
			return mailbox{}, err
		}
	}
	if err := c.tell(ctx, cmd); err != nil {
		return mailbox{}, err
	}
	return c.waitMailbox(ctx, status, answer)
}

func pair(hi, lo byte) float64 { return float64(uint16(hi)<<8 | uint16(lo)) }

// decibels is the ratio of two amplitudes; an amplitude of zero counts as one.
func decibels(a, b float64) float64 { return 20 * math.Log10(max(a, 1)/max(b, 1)) }

// tuneImage puts the receiver on its frequency and the sender's tone next to it.
func (c *Concentrator) tuneImage(ctx context.Context, chain, sender int) error {
	f := c.cfg.Radios[chain].Frequency
	rx, err := c.fxFrequency(chain, fxFrfRx, f)
	if err != nil {
		return err
	}
	tx, err := c.fxFrequency(sender, fxFrfTx, f+calTone)
	if err != nil {
		return err
	}
	rx = append(rx, fxSet{fxRxBBBW, 0}, fxSet{fxADCTrim, 6}, fxSet{fxRxPLL, 0})
	tx = append(tx, fxSet{fxTxPLLBW, 0}, fxSet{whole(fxTxDACBW), 5}, fxSet{fxDACGain, 3})
	if sender == chain {
		// The tone is the radio's own: the DAC keeps its internal clock.
		tx = append(tx, fxSet{fxMixGain, loopbackMix}, fxSet{fxLoopback, 1})
	} else {
		tx = append(tx, fxSet{fxMixGain, toneMix})
	}
	if err := c.fxWrite(ctx, chain, rx...); err != nil {
		return err
	}
	if err := c.fxWrite(ctx, sender, tx...); err != nil {
		return err
	}
	if sender == chain {
		return c.fxRun(ctx, calibrateTime, fxRole{chain, modeLoopback, lockRx | lockTx})
	}
	return c.fxRun(ctx, calibrateTime, fxRole{chain, modeRx, lockRx}, fxRole{sender, modeTx, lockTx})
}

// fxRole is the mode that a front end takes and the synthesizers that must lock.
type fxRole struct {
	chain, mode int
	lock        byte
}

// fxRun switches front ends on and checks, after a wait, that they have locked.
func (c *Concentrator) fxRun(ctx context.Context, wait time.Duration, roles ...fxRole) error {
	for _, r := range roles {
		if err := c.fxWrite(ctx, r.chain, fxSet{whole(fxMode), r.mode}); err != nil {
			return err
		}
	}
	if err := c.sleep(ctx, wait); err != nil {
		return err
	}
	for _, r := range roles {
		ok, err := c.fxLocked(ctx, r.chain, r.lock)
		if err != nil {
			return err
		}
		if !ok {
			return fault(FaultCalibration, nil, "radio %d does not lock in mode %d", r.chain, r.mode)
		}
	}
	return nil
}

var errSpread = errors.New("runs disagree")

// calibrateCarrier measures a transmitter's carrier leakage at one pair of gains.
func (c *Concentrator) calibrateCarrier(ctx context.Context, chain int, dac, mix byte, iq imageResult) (iqOffset, error) {
	var best iqOffset
	var is, qs []int8
	top, worst := math.Inf(-1), math.Inf(1)
	for range calRuns {
		o, rejection, err := c.carrierRun(ctx, chain, dac, mix, iq)
		if err != nil {
			return best, err
		}
		is, qs = append(is, int8(o.i)), append(qs, int8(o.q))
		if rejection > top {
			best, top = o, rejection
		}
		worst = min(worst, rejection)
	}
	wide := int(slices.Max(is))-int(slices.Min(is)) > calSpread || int(slices.Max(qs))-int(slices.Min(qs)) > calSpread
	if wide || worst < calMinDC {
		var cause error
		if wide {
			cause = errSpread
		}
		return best, fault(FaultCalibration, cause, "radio %d: carrier rejection %.0f dB at gains %d and %d", chain, worst, dac, mix)
	}
	return best, nil
}

// carrierRun is one run of the calibration program's transmitter dialogue.
func (c *Concentrator) carrierRun(ctx context.Context, chain int, dac, mix byte, iq imageResult) (iqOffset, float64, error) {
	o := iqOffset{dac: dac, mix: mix}
	if err := c.tuneCarrier(ctx, chain, dac, mix); err != nil {
		return o, 0, err
	}
	if err := c.tell(ctx, 0, 0, calToneReg, byte(chain)+2); err != nil {
		return o, 0, err
	}
	type turn struct {
		cmd, status byte
		params      []byte
	}
	for _, s := range []turn{
		{1, 1, nil}, {2, 2, []byte{0, byte(iq.phi), byte(iq.amp)}}, {3, 3, []byte{0, 0, 0}},
	} {
		if err := c.move(ctx, s.cmd, s.status, s.params...); err != nil {
			return o, 0, err
		}
	}
	m, err := c.ask(ctx, 4, 6, 0, calTxThreshold, 0)
	if err != nil {
		return o, 0, err
	}
	signal := pair(m.m1, m.m0)
	if m, err = c.ask(ctx, 6, 7); err != nil {
		return o, 0, err
	}
	o.i, o.q = m.m1, m.m0
	leak := pair(m.m3, m.m2)
	// The rest are the program's own numbers: it wants each acknowledged.
	for cmd := byte(7); cmd <= 0x20; cmd++ {
		if cmd == 0x0B {
			continue
		}
		next := cmd + 1
		switch cmd {
		case 0x0A:
			next = 0x0C
		case 0x20:
			next = 0x33
			if chain == 1 {
				next = 0x44
			}
		}
		if err := c.move(ctx, cmd, next); err != nil {
			return o, 0, err
		}
	}
	return o, decibels(signal, leak), nil
}

// tuneCarrier loops a transmitter back into its own receiver, beside its carrier.
func (c *Concentrator) tuneCarrier(ctx context.Context, chain int, dac, mix byte) error {
	f := c.cfg.Radios[chain].Frequency
	rx, err := c.fxFrequency(chain, fxFrfRx, f-calTone)
	if err != nil {
		return err
	}
	tx, err := c.fxFrequency(chain, fxFrfTx, f)
	if err != nil {
		return err
	}
	sets := append(rx, tx...)
	sets = append(sets, fxSet{fxRxBBBW, 0}, fxSet{fxADCTrim, 6}, fxSet{fxRxPLL, 0},
		fxSet{fxTxPLLBW, 0}, fxSet{whole(fxTxDACBW), 5}, fxSet{fxDACClock, 1},
		fxSet{fxDACGain, int(dac)}, fxSet{fxMixGain, int(mix)}, fxSet{fxLoopback, 1})
	if err := c.fxWrite(ctx, chain, sets...); err != nil {
		return err
	}
	if err := c.fxRun(ctx, lockTime, fxRole{chain, modeLoopback, lockRx | lockTx}); err != nil {
		return err
	}
	fields := fieldsOf(chain)
	c.regs.set(regRadioFeSigAnaCfgRadioSel, flag(chain == 0))
	c.regs.set(regTxTopATxRffeIfCtrlTxMode.plus(fields.tx), 0)
	if err := c.regs.flush(ctx); err != nil {
		return err
	}
	for v := 1; v >= 0; v-- {
		if err := c.regs.put(ctx, regTxTopATxTrigTxTrigImmediate.plus(fields.tx), v); err != nil {
			return err
		}
	}
	return c.regs.put(ctx, fields.dcNotch, 1)
}
