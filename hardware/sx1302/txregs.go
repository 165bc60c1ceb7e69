package sx1302

import (
	"context"
	"encoding/binary"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// program hands a packet to the chip in one go (e.1): settings, payload, trigger,
// and at its end what became of it: the state machine and the counter.
func (c *Concentrator) program(ctx context.Context, o order) (state byte, counter uint32, err error) {
	d := fieldsOf(int(o.p.RadioChain)).tx
	if err := c.setTx(o); err != nil {
		return 0, 0, err
	}
	trigger := regTxTopATxTrigTxTrigImmediate
	switch o.p.When {
	case radio.AtTick:
		trigger = regTxTopATxTrigTxTrigDelayed
		at := calc.Trigger(o.p.Tick, o.delay)
		for i := range uint16(4) {
			c.regs.set(regTxTopATimerTrigByte3TimerDelayedTrig.plus(d+i), int(at>>(24-8*i))&0xFF)
		}
	case radio.AtGPS:
		trigger = regTxTopATxTrigTxTrigGps
	}
	if err := c.regs.learn(ctx); err != nil {
		return 0, 0, err
	}
	payload := o.p.Payload
	if o.p.DataRate.Modulation == radio.FSK {
		payload = append([]byte{byte(len(payload))}, payload...)
	}
	l := c.link
	l.begin()
	c.regs.addPending()
	c.regs.set(regTxTopATxCtrlWriteBuffer.plus(d), 1)
	c.regs.addPending()
	l.addWrite(addrTxBuffer+d, payload)
	c.regs.set(regTxTopATxCtrlWriteBuffer.plus(d), 0)
	c.regs.addPending()
	for v := range 2 {
		c.regs.set(trigger.plus(d), v)
		c.regs.addPending()
	}
	i := l.addRead(regTxTopATxFsmStatusTxStatus.plus(d).addr(), 1, false)
	j := l.addRead(regTimestampTimestampMsb2Timestamp.addr(), 4, false)
	if err := c.regs.sent(l.send(ctx)); err != nil {
		return 0, 0, err
	}
	var b [4]byte
	l.collect(j, b[:])
	return l.frames[i].r[readStart], binary.BigEndian.Uint32(b[:]), nil
}

// setTx sets all of a packet's registers but its payload and trigger.
func (c *Concentrator) setTx(o order) error {
	p := o.p
	chain := int(p.RadioChain)
	kind := c.cfg.Radios[chain].Kind
	d := fieldsOf(chain).tx
	set := func(f field, v int) { c.regs.set(f.plus(d), v) }

	freq, err := calc.TxFrequency(kind, p.Frequency)
	if err != nil {
		return fault(FaultConfig, err, "transmit frequency")
	}
	fix := c.offsetFor(chain, o.gain)
	set(regTxTopATxRffeIfIOffsetIOffset, int(fix.i))
	set(regTxTopATxRffeIfQOffsetQOffset, int(fix.q))
	set(regTxTopAAgcTxPwrAgcTxPwr, int(o.gain.Register(kind)))
	set(regTxTopATxRffeIfIqGainIqGain, int(o.gain.Digital))
	set(regTxTopATxRffeIfFreqRfHFreqRf, int(freq>>16))
	set(regTxTopATxRffeIfFreqRfMFreqRf, int(freq>>8&0xFF))
	set(regTxTopATxRffeIfFreqRfLFreqRf, int(freq&0xFF))
	if p.DataRate.Modulation == radio.FSK {
		return c.setTxFSK(p, set)
	}
	dev, err := calc.TxDeviation(p.DataRate.Bandwidth / 2)
	if err != nil {
		return fault(FaultConfig, err, "transmit bandwidth")
	}
	set(regTxTopATxRffeIfFreqDevHFreqDev, int(dev>>8))
	set(regTxTopATxRffeIfFreqDevLFreqDev, int(dev&0xFF))
	set(regTxTopAAgcTxBwAgcTxBw, bandwidthCode(p.DataRate.Bandwidth))
	set(regTxTopATxStartDelayMsbTxStartDelay, int(o.delay>>8))
	set(regTxTopATxStartDelayLsbTxStartDelay, int(o.delay&0xFF))
	c.setTxLoRa(p, set)
	return nil
}

func (c *Concentrator) setTxLoRa(p *radio.TxPacket, set func(field, int)) {
	sf := p.DataRate.SF
	peak1, peak2 := syncPeaks(c.cfg.Public, sf)
	preamble := preambleOf(p)
	set(regTxTopAGenCfg0ModulationType, 0)
	set(regTxTopATxRffeIfCtrlTxIfSrc, 1)
	set(regTxTopATxrxCfg00ModemBw, bandwidthCode(p.DataRate.Bandwidth))
	set(regTxTopATxrxCfg00ModemSf, int(sf))
	set(regTxTopATxrxCfg01CodingRate, int(p.Coding))
	set(regTxTopATxrxCfg01PpmOffset, lowRate(sf, p.DataRate.Bandwidth))
	set(regTxTopATxrxCfg01PpmOffsetHdrCtrl, 0)
	set(regTxTopATxrxCfg02ModemEn, 1)
	set(regTxTopATxrxCfg02Cadrxtx, 2)
	set(regTxTopATxrxCfg02ImplicitHeader, flag(p.Implicit))
	set(regTxTopATxrxCfg02CrcEn, flag(!p.NoCRC))
	set(regTxTopATxrxCfg02FineSynchEn, flag(sf <= 6))
	set(regTxTopATxrxCfg03PayloadLength, len(p.Payload))
	set(regTxTopATxrxCfg11ModemStart, 1)
	set(regTxTopATxrxCfg12PreambleSymbNb, int(preamble&0xFF))
	set(regTxTopATxrxCfg13PreambleSymbNb, int(preamble>>8))
	set(regTxTopATxCfg00ChirpLowpass, int(calc.ChirpLowpass(sf)))
	set(regTxTopATxCfg00Continuous, 0)
	set(regTxTopATxCfg00ChirpInvert, flag(p.InvertIQ))
	set(regTxTopAFrameSynch0Peak1Pos, peak1)
	set(regTxTopAFrameSynch1Peak2Pos, peak2)
}

// fskDeviation is LoRaWAN's: 25 kHz at 50 kbit/s.
func fskDeviation(rate uint32) radio.Hertz { return radio.Hertz(rate / 2) }

func (c *Concentrator) setTxFSK(p *radio.TxPacket, set func(field, int)) error {
	deviation := fskDeviation(p.DataRate.BitRate)
	dev, err := calc.TxDeviation(deviation)
	if err != nil {
		return fault(FaultConfig, err, "FSK deviation")
	}
	rate, err := calc.BitRate(p.DataRate.BitRate)
	if err != nil {
		return fault(FaultConfig, err, "FSK bit rate")
	}
	set(regTxTopATxRffeIfFreqDevHFreqDev, int(dev>>8))
	set(regTxTopATxRffeIfFreqDevLFreqDev, int(dev&0xFF))
	// For the AGC, which hands it to an SX1250; others do without.
	v, err := calc.SX1250Deviation(deviation)
	if err != nil {
		return fault(FaultConfig, err, "FSK deviation")
	}
	for i := range uint16(3) {
		c.regs.set(regAgcMcuMcuMailBoxWrDataByte0McuMailBoxWrData.plus(-i), int(v>>(8*i))&0xFF)
	}
	set(regTxTopAAgcTxBwAgcTxBw, 0x80)
	set(regTxTopAGenCfg0ModulationType, 1)
	set(regTxTopATxRffeIfCtrlTxIfSrc, 2)
	set(regTxTopAFskCfg0PktMode, 1)
	set(regTxTopAFskCfg0CrcEn, flag(!p.NoCRC))
	set(regTxTopAFskCfg0CrcIbm, 0)
	set(regTxTopAFskCfg0DcfreeEnc, 2)
	set(regTxTopAFskModFskGaussianEn, 1)
	set(regTxTopAFskModFskGaussianSelectBt, 2)
	set(regTxTopAFskModFskRefPatternEn, 1)
	word := c.cfg.FSK.syncWord()
	set(regTxTopAFskModFskRefPatternSize, len(word)-1)
	for i := range uint16(8) {
		b := 0
		if int(i) < len(word) {
			b = int(word[i])
		}
		set(regTxTopAFskRefPatternByte7FskRefPattern.plus(i), b)
	}
	set(regTxTopAFskModFskPreambleSeq, 0)
	set(regTxTopAFskBitRateMsbBitRate, int(rate>>8))
	set(regTxTopAFskBitRateLsbBitRate, int(rate&0xFF))
	preamble := preambleOf(p)
	set(regTxTopAFskPreambleSizeMsbPreambleSize, int(preamble>>8))
	set(regTxTopAFskPreambleSizeLsbPreambleSize, int(preamble&0xFF))
	set(regTxTopAFskPktLenPktLength, len(p.Payload))
	return nil
}
