package sx1302

import (
	"context"
	"time"

	"heliograph/hardware/sx1302/calc"
)

// rfFields are the registers that exist once per RF chain.
type rfFields struct {
	reset, enable, pa, lna, mode, clock  field
	dcNotch, hostGain                    field
	rssiBBAlpha, rssiDecAlpha            field
	rssiBBDefault, rssiDecDefault        field
	iqAmp, iqPhi, paLUT, lnaLUT, pllByMC field
	tx                                   uint16 // distance of the chain's transmit registers from chain A's
}

func fieldsOf(chain int) rfFields {
	if chain == 0 {
		return rfFields{
			reset: regAgcMcuRfEnARadioRst, enable: regAgcMcuRfEnARadioEn,
			pa: regAgcMcuRfEnAPaEn, lna: regAgcMcuRfEnALnaEn,
			mode: regCommonCtrl0Sx1261ModeRadioA, clock: regClkCtrlClkSelClkRadioASel,
			dcNotch: regRadioFeCtrl0RadioADcNotchEn, hostGain: regRadioFeCtrl0RadioAHostFilterGain,
			rssiBBAlpha:    regRadioFeRssiBbFilterAlphaRadioARssiBbFilterAlpha,
			rssiDecAlpha:   regRadioFeRssiDecFilterAlphaRadioARssiDecFilterAlpha,
			rssiBBDefault:  regRadioFeRssiDbDefRadioARssiDbDefaultValue,
			rssiDecDefault: regRadioFeRssiDecDefRadioARssiDecDefaultValue,
			iqAmp:          regRadioFeIqCompAmpCoeffRadioAAmpCoeff, iqPhi: regRadioFeIqCompPhiCoeffRadioAPhiCoeff,
			paLUT: regAgcMcuLutTableAPaLut, lnaLUT: regAgcMcuLutTableALnaLut,
			pllByMC: regTxTopATxRffeIfCtrl2PllDivCtrlAgc,
		}
	}
	return rfFields{
		reset: regAgcMcuRfEnBRadioRst, enable: regAgcMcuRfEnBRadioEn,
		pa: regAgcMcuRfEnBPaEn, lna: regAgcMcuRfEnBLnaEn,
		mode: regCommonCtrl0Sx1261ModeRadioB, clock: regClkCtrlClkSelClkRadioBSel,
		dcNotch: regRadioFeCtrl0RadioBDcNotchEn, hostGain: regRadioFeCtrl0RadioBHostFilterGain,
		rssiBBAlpha:    regRadioFeRssiBbFilterAlphaRadioBRssiBbFilterAlpha,
		rssiDecAlpha:   regRadioFeRssiDecFilterAlphaRadioBRssiDecFilterAlpha,
		rssiBBDefault:  regRadioFeRssiDbDefRadioBRssiDbDefaultValue,
		rssiDecDefault: regRadioFeRssiDecDefRadioBRssiDecDefaultValue,
		iqAmp:          regRadioFeIqCompAmpCoeffRadioBAmpCoeff, iqPhi: regRadioFeIqCompPhiCoeffRadioBPhiCoeff,
		paLUT: regAgcMcuLutTableBPaLut, lnaLUT: regAgcMcuLutTableBLnaLut,
		pllByMC: regTxTopBTxRffeIfCtrl2PllDivCtrlAgc,
		tx:      chainStride,
	}
}

// The waits of a radio's reset (c.3).
const (
	radioResetTime  = 500 * time.Millisecond
	radioSettleTime = 10 * time.Millisecond
	radioStateTime  = 10 * time.Millisecond // SX1250: calibration and standby
	commandGap      = time.Millisecond      // SX1250 and SX1261: between commands, in place of the BUSY line
)

// resetRadio pulses a front end's reset line, which is active low on an SX1250 and
// active high on the others (c.3).
func (c *Concentrator) resetRadio(ctx context.Context, chain int) error {
	f := fieldsOf(chain)
	steps := []struct {
		f    field
		v    int
		wait time.Duration
	}{
		{regCommonCtrl0Clk32RifCtrl, 0, 0},
		{f.enable, 1, 0},
		{f.reset, 1, radioResetTime},
		{f.reset, 0, radioSettleTime},
		{f.reset, 1, radioSettleTime},
	}
	if c.cfg.Radios[chain].Kind != calc.SX1250 {
		steps = steps[:4]
	}
	for _, s := range steps {
		if err := c.regs.put(ctx, s.f, s.v); err != nil {
			return err
		}
		if err := c.sleep(ctx, s.wait); err != nil {
			return err
		}
	}
	c.front[chain].forget()
	return nil
}

// setDialect tells the chip which of the two kinds of front end a chain has.
func (c *Concentrator) setDialect(ctx context.Context, chain int) error {
	v := 0
	if c.cfg.Radios[chain].Kind == calc.SX1250 {
		v = 1
	}
	return c.regs.put(ctx, fieldsOf(chain).mode, v)
}

// selectClock lets the chip run from one radio's clock (c.4). The selection is
// complete before the divider starts.
func (c *Concentrator) selectClock(ctx context.Context) error {
	for chain := range RFChains {
		v := 0
		if int(c.cfg.ClockSource) == chain {
			v = 1
		}
		c.regs.set(fieldsOf(chain).clock, v)
	}
	if err := c.regs.flush(ctx); err != nil {
		return err
	}
	if err := c.regs.put(ctx, regClkCtrlClkSelClkdivEn, 1); err != nil {
		return err
	}
	return c.regs.put(ctx, regCommonCtrl0Clk32RifCtrl, 1)
}

// setupRadio brings one front end into reception (c.6).
func (c *Concentrator) setupRadio(ctx context.Context, chain int) error {
	if err := c.resetRadio(ctx, chain); err != nil {
		return err
	}
	var err error
	if c.cfg.Radios[chain].Kind == calc.SX1250 {
		err = c.setupSX1250(ctx, chain)
	} else {
		err = c.setupSX125x(ctx, chain)
	}
	if err != nil {
		return err
	}
	return c.setDialect(ctx, chain)
}

// radioCommand sends an SX1250 command and returns the bytes that came back after
// the opcode: the status and, for those that read, data.
func (c *Concentrator) radioCommand(ctx context.Context, chain int, op byte, params ...byte) ([]byte, error) {
	if err := c.sleep(ctx, commandGap); err != nil {
		return nil, err
	}
	w := append([]byte{muxRadioA + byte(chain), op}, params...)
	in, err := c.link.raw(ctx, false, w...)
	if err != nil {
		return nil, err
	}
	return in[2:], nil
}

// Opcodes of the SX1250 and SX1261 (c.1, g).
const (
	opStatus         = 0xC0
	opStandby        = 0x80
	opCalibrate      = 0x89
	opCalibrateImage = 0x98
	opDeviceErrors   = 0x17
	opWriteRegister  = 0x0D
	opReadRegister   = 0x1D
	opFrequency      = 0x86
	opReceive        = 0x82
)

const imageCalibrationError = 1 << 4 // in the last byte of the device errors

// calibrateSX1250 runs the image calibration of one front end (c.5).
func (c *Concentrator) calibrateSX1250(ctx context.Context, chain int) error {
	a, b, err := calc.CalibrationBand(c.cfg.Radios[chain].Frequency)
	if err != nil {
		return fault(FaultCalibration, err, "radio %d", chain)
	}
	if _, err := c.radioCommand(ctx, chain, opStatus, 0); err != nil {
		return err
	}
	if _, err := c.radioCommand(ctx, chain, opCalibrateImage, a, b); err != nil {
		return err
	}
	if err := c.sleep(ctx, radioStateTime); err != nil {
		return err
	}
	e, err := c.radioCommand(ctx, chain, opDeviceErrors, 0, 0, 0)
	if err != nil {
		return err
	}
	if e[2]&imageCalibrationError != 0 {
		return fault(FaultCalibration, nil, "radio %d: image calibration failed (errors % x)", chain, e[1:])
	}
	return nil
}

// The modes that an SX1250's status shows in bits 6..4.
const (
	modeStandbyRC   = 2
	modeStandbyXOSC = 3
)

func (c *Concentrator) expectMode(ctx context.Context, chain int, want byte, name string) error {
	s, err := c.radioCommand(ctx, chain, opStatus, 0)
	if err != nil {
		return err
	}
	if mode := s[0] >> 4 & 7; mode != want {
		return fault(FaultFrontEnd, nil, "radio %d: SX1250 is in mode %d (status %#02x) instead of %s", chain, mode, s[0], name)
	}
	return nil
}

// setupSX1250 brings an SX1250 into continuous reception (c.1).
func (c *Concentrator) setupSX1250(ctx context.Context, chain int) error {
	r := &c.cfg.Radios[chain]
	f, err := calc.SX1250Frequency(r.Frequency)
	if err != nil {
		return fault(FaultConfig, err, "radio %d", chain)
	}
	if err := c.radioState(ctx, chain, opStandby, 0); err != nil {
		return err
	}
	if err := c.expectMode(ctx, chain, modeStandbyRC, "standby on its RC oscillator"); err != nil {
		return err
	}
	if err := c.radioState(ctx, chain, opCalibrate, 0x7F); err != nil {
		return err
	}
	if err := c.radioState(ctx, chain, opStandby, 1); err != nil {
		return err
	}
	if err := c.expectMode(ctx, chain, modeStandbyXOSC, "standby on its crystal"); err != nil {
		return err
	}
	commands := [][]byte{
		{opWriteRegister, 0x06, 0xA1, 0x01, 0x00, 0x00},
		{opWriteRegister, 0x05, 0x82, 0, 0, 0, 0},
		{opWriteRegister, 0x05, 0x80, 0},
		{opWriteRegister, 0x08, 0xB6, 0x2A}, // bandwidth of the digital filters
		{opFrequency, byte(f >> 24), byte(f >> 16), byte(f >> 8), byte(f)},
		{opWriteRegister, 0x08, 0x8F, 0, 0, 0}, // frequency offset
		{opReceive, 0xFF, 0xFF, 0xFF},          // for ever
	}
	if r.SingleInput {
		commands = append(commands, []byte{opWriteRegister, 0x08, 0xE2, 0x0D})
	}
	commands = append(commands, []byte{opWriteRegister, 0x05, 0x87, 0x0B}) // samples go to the concentrator
	for _, w := range commands {
		if _, err := c.radioCommand(ctx, chain, w[0], w[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// radioState sends a command that changes an SX1250's state and waits for it.
func (c *Concentrator) radioState(ctx context.Context, chain int, op, param byte) error {
	if _, err := c.radioCommand(ctx, chain, op, param); err != nil {
		return err
	}
	return c.sleep(ctx, radioStateTime)
}
