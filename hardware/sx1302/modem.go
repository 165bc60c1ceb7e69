package sx1302

import (
	"context"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// configure sets everything between the front ends and the microcontrollers
// (c.9 to c.17). Nothing runs yet, so that order does not matter, and all of it
// goes out in one flush.
func (c *Concentrator) configure(ctx context.Context) error {
	c.setBuffers()
	c.setPins()
	c.setFrontEnd()
	if err := c.setChannelizer(); err != nil {
		return err
	}
	c.setCorrelators()
	if err := c.setMultiSF(); err != nil {
		return err
	}
	if c.cfg.Service.Enable {
		if err := c.setService(); err != nil {
			return err
		}
	}
	if c.cfg.FSK.Enable {
		if err := c.setFSK(); err != nil {
			return err
		}
	}
	c.setSyncWords()
	return c.regs.flush(ctx)
}

// setBuffers chooses the kind of timestamp (c.9).
func (c *Concentrator) setBuffers() {
	r := c.regs
	if c.cfg.Fine == FineOff {
		r.set(regRxTopRxBufferLegacyTimestamp, 1)
		return
	}
	r.set(regRxTopRxBufferLegacyTimestamp, 0)
	r.set(regRxTopRxBufferTimestampCfgMaxTsMetrics, 32)
	r.set(regRxTopTimestampEnable, 1)
	r.set(regRxTopTimestampNbSymb, 0)
}

// setPins routes the chip's own pins: LEDs of the reference board, and the
// amplifiers' controls (c.9, c.10).
func (c *Concentrator) setPins() {
	const byRegister, byStatus, byAGC = 0, 9, 1
	r := c.regs
	r.setAll(byRegister, regGpioGpioSel0Selection, regGpioGpioSel1Selection, regGpioGpioSel3Selection,
		regGpioGpioSel5Selection, regGpioGpioSel6Selection)
	r.setAll(byStatus, regGpioGpioSel2Selection, regGpioGpioSel4Selection)
	r.set(regGpioGpioSel7Selection, byAGC)
	r.set(regGpioGpioDirLDirection, 0x7F)
	pa, lna := 0x4, 0x2
	if c.cfg.FullDuplex {
		pa, lna = 0xC, 0xF
	}
	r.set(regAgcMcuLutTableAPaLut, pa)
	r.set(regAgcMcuLutTableALnaLut, lna)
	r.set(regAgcMcuLutTableBPaLut, 0x4)
	r.set(regAgcMcuLutTableBLnaLut, 0x2)
}

// setFrontEnd sets the receivers' level meters (c.11).
func (c *Concentrator) setFrontEnd() {
	r := c.regs
	for chain := range RFChains {
		f := fieldsOf(chain)
		r.set(f.rssiBBAlpha, 3)
		r.set(f.rssiDecAlpha, 7)
		r.set(f.rssiBBDefault, 23)
		r.set(f.rssiDecDefault, 66)
		r.set(f.dcNotch, 1)
		r.set(f.hostGain, 0x0B)
	}
}

// setChannelizer tunes the ten IF chains (c.12).
func (c *Concentrator) setChannelizer() error {
	r := c.regs
	radios := 0
	for i, ch := range c.cfg.Channels {
		radios |= int(ch.Radio) << i
	}
	r.set(regRxTopRadioSelectRadioSelect, radios)
	r.set(regRxTopLoraServiceFskLoraServiceRadioSelRadioSelect, int(c.cfg.Service.Radio))
	r.set(regRxTopLoraServiceFskFskCfg3RadioSelect, int(c.cfg.FSK.Radio))
	for i := range IFChains {
		_, _, offset, _ := c.cfg.ifChain(i)
		reg, err := calc.IFRegister(offset)
		if err != nil {
			return fault(FaultConfig, err, "IF chain %d", i)
		}
		msb, lsb := reg.Bytes()
		hi, lo := ifFields(i)
		r.set(hi, int(msb))
		r.set(lo, int(lsb))
		c.ifError[i] = reg.Error(offset)
	}
	r.set(regRxTopRssiControlRssiFilterAlpha, 5)
	r.set(regRxTopRssiDefValueChanRssiDefValue, 85)
	r.set(regRxTopChannDagcCfg5ChanDagcMode, 1)
	r.set(regRxTopChannDagcCfg1ChanDagcThresholdHigh, 255)
	r.set(regRxTopChannDagcCfg2ChanDagcThresholdLow, 0)
	r.set(regRxTopChannDagcCfg3ChanDagcMaxAtten, 15)
	r.set(regRxTopChannDagcCfg3ChanDagcMinAtten, 0)
	return nil
}

func ifFields(i int) (msb, lsb field) {
	switch i {
	case ChanService:
		return regRxTopLoraServiceFskLoraServiceFreqMsbIfFreq0, regRxTopLoraServiceFskLoraServiceFreqLsbIfFreq0
	case ChanFSK:
		return regRxTopLoraServiceFskFskFreqMsbIfFreq0, regRxTopLoraServiceFskFskFreqLsbIfFreq0
	}
	return regRxTopFreq0MsbIfFreq0.plus(uint16(2 * i)), regRxTopFreq0LsbIfFreq0.plus(uint16(2 * i))
}

// setCorrelators sets the preamble detectors of SF5 to SF12 (c.13), whose
// registers lie 7 bytes apart.
func (c *Concentrator) setCorrelators() {
	const stride = 7
	r := c.regs
	for sf := range uint16(8) {
		r.set(regRxTopSf5Cfg2AccPnr.plus(stride*sf), 52)
		r.set(regRxTopSf5Cfg4MspPnr.plus(stride*sf), 24)
		r.set(regRxTopSf5Cfg6MspPeakNb.plus(stride*sf), 7)
		r.set(regRxTopSf5Cfg7Msp2PeakNb.plus(stride*sf), 5)
	}
	r.set(regRxTopCorrelatorEnableOnlyFirstDetEdgeEnableOnlyFirstDetEdge, 0xFF)
	r.set(regRxTopCorrelatorEnableAccClearEnableCorrAccClear, 0xFF)
	r.set(regRxTopCorrelatorSfEnCorrSfEn, int(c.cfg.SF))
	mask := c.cfg.channelMask()
	r.set(regRxTopCorrClockEnableClkEn, mask)
	r.set(regRxTopCorrelatorEnCorrEn, mask)
}

// setMultiSF sets the sixteen LoRa demodulators (c.14).
func (c *Concentrator) setMultiSF() error {
	drift, err := calc.FrequencyToTimeDrift(c.driftCenter(), 125*radio.KHz)
	if err != nil {
		return fault(FaultConfig, err, "radio 0")
	}
	r := c.regs
	r.set(regRxTopDcNotchCfg1Enable, 0)
	r.set(regRxTopRxDfeAgc1ForceDefaultFir, 1)
	r.set(regRxTopDagcCfgGainDropComp, 1)
	r.set(regRxTopDagcCfgTargetLvl, 1)
	r.set(regOtpModemEn0ModemEn, 0xFF)
	r.set(regOtpModemEn1ModemEn, 0xFF)
	r.set(regRxTopModemSyncDeltaMsbModemSyncDelta, 0)
	r.set(regRxTopModemSyncDeltaLsbModemSyncDelta, 126)
	r.setAll(1, regArbMcuChannelSyncOffset01Channel0Offset, regArbMcuChannelSyncOffset45Channel4Offset)
	r.setAll(5, regArbMcuChannelSyncOffset01Channel1Offset, regArbMcuChannelSyncOffset45Channel5Offset)
	r.setAll(9, regArbMcuChannelSyncOffset23Channel2Offset, regArbMcuChannelSyncOffset67Channel6Offset)
	r.setAll(13, regArbMcuChannelSyncOffset23Channel3Offset, regArbMcuChannelSyncOffset67Channel7Offset)
	r.setAll(0, regRxTopModemPpmOffset1PpmOffsetSf5, regRxTopModemPpmOffset1PpmOffsetSf6,
		regRxTopModemPpmOffset1PpmOffsetSf7, regRxTopModemPpmOffset1PpmOffsetSf8,
		regRxTopModemPpmOffset2PpmOffsetSf9, regRxTopModemPpmOffset2PpmOffsetSf10)
	r.setAll(1, regRxTopModemPpmOffset2PpmOffsetSf11, regRxTopModemPpmOffset2PpmOffsetSf12)
	r.set(regRxTopFineTimingA1GainPAuto, 3)
	r.set(regRxTopFineTimingA1GainPPayload, 3)
	r.setAll(1, regRxTopFineTimingA5GainIEnSf11, regRxTopFineTimingA5GainIEnSf12)
	r.set(regRxTopFreqTrack4FreqSynchThr, 15)
	r.setAll(3, regRxTopFreqTrackA0FreqTrackEnSf5, regRxTopFreqTrackA0FreqTrackEnSf6,
		regRxTopFreqTrackA0FreqTrackEnSf7, regRxTopFreqTrackA0FreqTrackEnSf8,
		regRxTopFreqTrackA1FreqTrackEnSf9, regRxTopFreqTrackA1FreqTrackEnSf10,
		regRxTopFreqTrackA1FreqTrackEnSf11, regRxTopFreqTrackA1FreqTrackEnSf12)
	r.setAll(0, regRxTopFreqTrackB0FreqTrackEnSf5, regRxTopFreqTrackB0FreqTrackEnSf6,
		regRxTopFreqTrackB0FreqTrackEnSf7, regRxTopFreqTrackB0FreqTrackEnSf8,
		regRxTopFreqTrackB1FreqTrackEnSf9, regRxTopFreqTrackB1FreqTrackEnSf10,
		regRxTopFreqTrackB1FreqTrackEnSf11, regRxTopFreqTrackB1FreqTrackEnSf12)
	c.setFineTimingB()
	r.set(regRxTopTxrxCfg7PreambleSymbNb, 0)
	r.set(regRxTopTxrxCfg6PreambleSymbNb, 10)
	r.set(regRxTopFreqToTime0FreqToTimeDriftMant, int(drift.Mantissa>>8))
	r.set(regRxTopFreqToTime1FreqToTimeDriftMant, int(drift.Mantissa&0xFF))
	r.set(regRxTopFreqToTime2FreqToTimeDriftExp, int(drift.Exponent))
	r.set(regRxTopFreqToTime3FreqToTimeInvertTimeSymb, 1)
	r.set(regRxTopRxCfg0DftPeakEn, 3)
	return nil
}

func (c *Concentrator) setFineTimingB() {
	r := c.regs
	r.setAll(0, regRxTopFineTimingB5GainIEnSf11, regRxTopFineTimingB5GainIEnSf12)
	r.set(regRxTopFineTimingB0Rounding, 1)
	r.set(regRxTopFineTimingB0Mode, 2)
	r.set(regRxTopFineTimingB1GainPAuto, 0)
	r.set(regRxTopFineTimingB1GainPPreamb, 6)
	r.set(regRxTopFineTimingB1GainPPayload, 2)
	r.set(regRxTopFineTimingB2GainIAuto, 0)
	r.set(regRxTopFineTimingB2GainIPreamb, 1)
	r.set(regRxTopFineTimingB2GainIPayload, 0)
}

// driftCenter is the frequency that the frequency-to-time drift is computed from:
// radio 0's, or radio 1's on a board without radio 0.
func (c *Concentrator) driftCenter() radio.Hertz {
	if r := c.cfg.Radios[0]; r.Enable {
		return r.Frequency
	}
	return c.cfg.Radios[1].Frequency
}

// bandwidthCode is a LoRa bandwidth as modems and AGC take it: 4, 5, 6 for 125,
// 250, 500 kHz.
func bandwidthCode(bw radio.Hertz) int {
	switch bw {
	case 250 * radio.KHz:
		return 5
	case 500 * radio.KHz:
		return 6
	}
	return 4
}

// lowRate is 1 where the low data rate optimization applies (e.2).
func lowRate(sf radio.SpreadingFactor, bw radio.Hertz) int {
	if bw == 125*radio.KHz && sf >= 11 || bw == 250*radio.KHz && sf >= 12 {
		return 1
	}
	return 0
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// setService sets the LoRa service demodulator (c.15).
func (c *Concentrator) setService() error {
	s := &c.cfg.Service
	drift, err := calc.FrequencyToTimeDrift(c.driftCenter(), s.Bandwidth)
	if err != nil {
		return fault(FaultConfig, err, "radio 0")
	}
	short := s.SF <= 6
	pPreamble, iEnable, preamble := 6, 0, 8
	if short {
		pPreamble, preamble = 4, 12
	}
	if s.SF >= 11 {
		pPreamble, iEnable = 7, bandwidthCode(s.Bandwidth)-3
	}
	r := c.regs
	r.set(regRxTopLoraServiceFskDetectMsp2MspPeakNb, 7)
	r.set(regRxTopLoraServiceFskDetectMsp2Msp2PeakNb, 5)
	r.set(regRxTopLoraServiceFskDetectAcc1UseGainSymb, 1)
	r.set(regRxTopLoraServiceFskDetectAcc1AccPnr, 52)
	r.set(regRxTopLoraServiceFskTxrxCfg2FineSynchEn, flag(short))
	r.set(regRxTopLoraServiceFskDcNotchCfg1Enable, 0)
	r.set(regRxTopLoraServiceFskRxDfeAgc1ForceDefaultFir, 1)
	r.set(regRxTopLoraServiceFskDagcCfgGainDropComp, 1)
	r.set(regRxTopLoraServiceFskDagcCfgTargetLvl, 1)
	r.set(regRxTopLoraServiceFskFineTiming1GainPAuto, 3)
	r.set(regRxTopLoraServiceFskFineTiming2GainIPayload, 3)
	r.set(regRxTopLoraServiceFskFineTiming1GainPPreamb, pPreamble)
	r.set(regRxTopLoraServiceFskFineTiming2GainIEn, iEnable)
	r.set(regRxTopLoraServiceFskTxrxCfg2ImplicitHeader, flag(s.ImplicitHeader))
	r.set(regRxTopLoraServiceFskTxrxCfg2CrcEn, flag(s.ImplicitCRC))
	r.set(regRxTopLoraServiceFskTxrxCfg1CodingRate, int(s.ImplicitCoding))
	r.set(regRxTopLoraServiceFskTxrxCfg3PayloadLength, int(s.ImplicitLength))
	r.set(regRxTopLoraServiceFskTxrxCfg0ModemSf, int(s.SF))
	r.set(regRxTopLoraServiceFskTxrxCfg0ModemBw, bandwidthCode(s.Bandwidth))
	r.set(regRxTopLoraServiceFskTxrxCfg1PpmOffset, lowRate(s.SF, s.Bandwidth))
	r.set(regRxTopLoraServiceFskTxrxCfg7PreambleSymbNb, 0)
	r.set(regRxTopLoraServiceFskTxrxCfg6PreambleSymbNb, preamble)
	r.set(regRxTopLoraServiceFskFreqToTime0FreqToTimeDriftMant, int(drift.Mantissa>>8))
	r.set(regRxTopLoraServiceFskFreqToTime1FreqToTimeDriftMant, int(drift.Mantissa&0xFF))
	r.set(regRxTopLoraServiceFskFreqToTime2FreqToTimeDriftExp, int(drift.Exponent))
	r.set(regRxTopLoraServiceFskFreqToTime3FreqToTimeInvertTimeSymb, 1)
	r.set(regRxTopLoraServiceFskRxDfeAgc2DagcInComp, 1)
	r.set(regRxTopLoraServiceFskTxrxCfg1ModemEn, 1)
	r.set(regRxTopLoraServiceFskTxrxCfg2Cadrxtx, 1)
	r.set(regRxTopLoraServiceFskTxrxCfg2ModemStart, 1)
	r.set(regRxTopLoraServiceFskRxCfg0DftPeakEn, 3)
	return nil
}

// setFSK sets the FSK demodulator (c.16).
func (c *Concentrator) setFSK() error {
	rate, err := calc.BitRate(c.cfg.FSK.BitRate)
	if err != nil {
		return fault(FaultConfig, err, "FSK channel")
	}
	r := c.regs
	word := c.cfg.FSK.syncWord()
	r.set(regRxTopLoraServiceFskFskCfg1Psize, len(word)-1)
	for i := range uint16(8) {
		b := 0
		if int(i) < len(word) {
			b = int(word[i])
		}
		r.set(regRxTopLoraServiceFskFskRefPatternByte7FskRefPattern.plus(i), b)
	}
	r.set(regRxTopLoraServiceFskBitRateMsbBitRate, int(rate>>8))
	r.set(regRxTopLoraServiceFskBitRateLsbBitRate, int(rate&0xFF))
	r.set(regRxTopLoraServiceFskFskCfg1ChBwExpo, 3)
	r.set(regRxTopLoraServiceFskFskCfg3RxInvert, 0)
	r.set(regRxTopLoraServiceFskFskCfg3ModemInvertIq, 0)
	r.set(regRxTopLoraServiceFskFskCfg4RssiLength, 4)
	r.set(regRxTopLoraServiceFskFskCfg0PktMode, 1)
	r.set(regRxTopLoraServiceFskFskCfg0CrcEn, 1)
	r.set(regRxTopLoraServiceFskFskCfg0DcfreeEnc, 2)
	r.set(regRxTopLoraServiceFskFskCfg0CrcIbm, 0)
	r.set(regRxTopLoraServiceFskFskCfg4ErrorOsrTol, 10)
	r.set(regRxTopLoraServiceFskFskPktLengthPktLength, 255)
	r.set(regRxTopLoraServiceFskFskNodeAdrsNodeAdrs, 0)
	r.set(regRxTopLoraServiceFskFskBroadcastBroadcast, 0)
	r.set(regRxTopLoraServiceFskFskCfg3AutoAfc, 1)
	r.set(regRxTopLoraServiceFskFskTimeoutMsbTimeout, 0)
	r.set(regRxTopLoraServiceFskFskTimeoutLsbTimeout, 128)
	return nil
}

// syncPeaks are the two symbols of a LoRa sync word: twice its nibbles, 0x34 for
// LoRaWAN and 0x12 for private networks, which SF5 and SF6 use always (c.17).
func syncPeaks(public bool, sf radio.SpreadingFactor) (int, int) {
	if public && sf != 5 && sf != 6 {
		return 6, 8
	}
	return 2, 4
}

func (c *Concentrator) setSyncWords() {
	r := c.regs
	p1, p2 := syncPeaks(c.cfg.Public, 5)
	r.setAll(p1, regRxTopFrameSynch0Sf5Peak1PosSf5, regRxTopFrameSynch0Sf6Peak1PosSf6)
	r.setAll(p2, regRxTopFrameSynch1Sf5Peak2PosSf5, regRxTopFrameSynch1Sf6Peak2PosSf6)
	p1, p2 = syncPeaks(c.cfg.Public, 7)
	r.set(regRxTopFrameSynch0Sf7to12Peak1PosSf7to12, p1)
	r.set(regRxTopFrameSynch1Sf7to12Peak2PosSf7to12, p2)
	p1, p2 = syncPeaks(c.cfg.Public, c.cfg.Service.SF)
	r.set(regRxTopLoraServiceFskFrameSynch0Peak1Pos, p1)
	r.set(regRxTopLoraServiceFskFrameSynch1Peak2Pos, p2)
}

// enableModems switches the demodulators on (c.18), the whole block last.
func (c *Concentrator) enableModems(ctx context.Context) error {
	for _, f := range []field{
		regCommonGenConcentratorModemEnable, regCommonGenMbwssfModemEnable,
		regCommonGenFskModemEnable, regCommonGenGlobalEn,
	} {
		if err := c.regs.put(ctx, f, 1); err != nil {
			return err
		}
	}
	return nil
}

// configureTx sets what no transmission changes (c.20), and lets pulses per second
// latch the counter (c.21).
func (c *Concentrator) configureTx(ctx context.Context) error {
	r := c.regs
	direct := c.cfg.Radios[c.cfg.ClockSource].Kind == calc.SX1250
	for chain := range RFChains {
		f := fieldsOf(chain)
		if direct {
			r.set(f.pllByMC, 1)
		}
		r.set(regTxTopATxRffeIfCtrlTxIfDst.plus(f.tx), flag(direct))
		r.set(regTxTopATxRffeIfCtrlTxMode.plus(f.tx), 1)
		r.set(regTxTopATxRffeIfCtrlTxClkEdge.plus(f.tx), 0)
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	// So that the first packet to be sent is not delayed by it.
	var blocks []uint16
	for chain := range RFChains {
		if c.cfg.Radios[chain].TxEnable {
			d := fieldsOf(chain).tx
			blocks = append(blocks, regTxTopATxTrigTxTrigDelayed.addr()+d, regTxTopATxRffeIfCtrlTxMode.addr()+d, regTxTopATxrxCfg00ModemSf.addr()+d)
		}
	}
	if err := r.know(ctx, blocks); err != nil {
		return err
	}
	r.set(regTimestampGpsCtrlGpsEn, 1)
	r.set(regTimestampGpsCtrlGpsPol, 1)
	return r.flush(ctx)
}
