package sx1302

import (
	"fmt"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Numbers of a concentrator's parts.
const (
	RFChains    = 2 // radios
	MultiSF     = 8 // channels that listen to all spreading factors at 125 kHz
	ChanService = 8 // the IF chain of the LoRa service channel
	ChanFSK     = 9 // the IF chain of the FSK channel
	IFChains    = 10
	MaxGains    = 16 // entries of a power table
	MaxLBT      = 16 // channels of listen-before-talk
)

// Config is how a concentrator shall be set up. [Config.Validate] says whether it
// can be; [ParseGlobalConf] makes one out of a packet forwarder's file.
type Config struct {
	Public      bool          // LoRaWAN sync word 0x34 rather than 0x12
	ClockSource uint8         // RF chain whose radio clocks the chip: 0 or 1
	FullDuplex  bool          // board that sends and receives at once (CN490)
	AntennaGain radio.CentiDB // already taken off by whoever asks for a power; kept for reports

	Fine     FineTimestamp
	Radios   [RFChains]Radio
	SF       uint8 // spreading factors of the multi-SF channels: bit 0 is SF5 ... bit 7 SF12
	Channels [MultiSF]Channel
	Service  Service
	FSK      FSK
	SX1261   SX1261
}

// FineTimestamp is the SX1303's timestamp of nanoseconds since the last pulse per
// second.
type FineTimestamp uint8

// Which packets get a fine timestamp.
const (
	FineOff          FineTimestamp = 0
	FineHighCapacity FineTimestamp = 1 // SF5..SF10, keeping all demodulators
	FineAllSF        FineTimestamp = 2 // all, with half of the demodulators
)

// Radio is a front end.
type Radio struct {
	Enable      bool
	Kind        calc.FrontEnd
	Frequency   radio.Hertz   // centre
	RSSIOffset  radio.CentiDB // of the board, about -215.4 dB with SX1250
	TempComp    calc.TempComp
	SingleInput bool // SX1250: the receive path is single-ended

	TxEnable     bool
	TxMin, TxMax radio.Hertz // carrier frequencies that may be sent on; 0 means no limit
	Gains        []calc.Gain // rising powers, 1..16; needed when TxEnable

	// Calibrate is whose DAC and mixer gains of an SX1255 or SX1257 are
	// calibrated, in that order; nil means those of Gains.
	Calibrate []calc.Gain
}

// Channel is a multi-SF channel: all spreading factors at 125 kHz. One whose radio
// is off hears nothing.
type Channel struct {
	Enable bool
	Radio  uint8
	IF     radio.Hertz // from the radio's centre
}

// Service is the LoRa channel of one data rate.
type Service struct {
	Enable    bool
	Radio     uint8
	IF        radio.Hertz
	Bandwidth radio.Hertz
	SF        radio.SpreadingFactor

	ImplicitHeader bool // then the three below say what the header would
	ImplicitLength uint8
	ImplicitCRC    bool
	ImplicitCoding radio.CodingRate
}

// FSK is the FSK channel.
type FSK struct {
	Enable    bool
	Radio     uint8
	IF        radio.Hertz
	Bandwidth radio.Hertz
	BitRate   uint32
	SyncWord  []byte // 1..8 bytes, first on air first; nil means C1 94 C1
}

// SX1261 is the listen-before-talk and spectral-scan radio.
type SX1261 struct {
	Enable     bool
	RSSIOffset radio.CentiDB
	LBT        bool
	Threshold  radio.CentiDBm // channel is busy above it
	Channels   []LBTChannel   // nothing may be sent elsewhere
}

// LBTChannel is where, and for how long, a transmission has to listen first.
type LBTChannel struct {
	Frequency radio.Hertz
	Bandwidth radio.Hertz  // 125 or 250 kHz
	Scan      radio.Micros // 128 or 5000
	Transmit  radio.Micros // longest transmission afterwards
}

// syncWord is the FSK sync word that applies.
func (f FSK) syncWord() []byte {
	if len(f.SyncWord) == 0 {
		return []byte{0xC1, 0x94, 0xC1}
	}
	return f.SyncWord
}

// channelMask has a bit for each enabled multi-SF channel.
func (c *Config) channelMask() int {
	m := 0
	for i, ch := range c.Channels {
		if ch.Enable {
			m |= 1 << i
		}
	}
	return m
}

// ifChain is the radio, the intermediate frequency and the bandwidth of an IF chain.
func (c *Config) ifChain(i int) (enable bool, rf uint8, offset, bw radio.Hertz) {
	switch i {
	case ChanService:
		return c.Service.Enable, c.Service.Radio, c.Service.IF, c.Service.Bandwidth
	case ChanFSK:
		return c.FSK.Enable, c.FSK.Radio, c.FSK.IF, c.FSK.Bandwidth
	}
	ch := c.Channels[i]
	return ch.Enable, ch.Radio, ch.IF, 125 * radio.KHz
}

// Frequency is the centre of an IF chain, 0..9; ok is false when it is off.
func (c *Config) Frequency(chain int) (f radio.Hertz, ok bool) {
	if chain < 0 || chain >= IFChains {
		return 0, false
	}
	on, rf, offset, _ := c.ifChain(chain)
	if !on || !c.Radios[rf].Enable {
		return 0, false
	}
	return c.Radios[rf].Frequency + offset, true
}

// Validate says why a concentrator cannot be set up so, or nil.
func (c *Config) Validate() error {
	if c.ClockSource >= RFChains || !c.Radios[c.ClockSource].Enable {
		return bad("clock source is radio %d, which is not enabled", c.ClockSource)
	}
	if c.Fine > FineAllSF {
		return bad("fine timestamp mode %d", c.Fine)
	}
	for i := range c.Radios {
		if err := c.validateRadio(i); err != nil {
			return err
		}
	}
	for i := range IFChains {
		if err := c.validateIF(i); err != nil {
			return err
		}
	}
	if err := c.validateService(); err != nil {
		return err
	}
	if f := c.FSK; f.Enable && (!radio.FSKRate(f.BitRate).Valid() || len(f.SyncWord) > 8) {
		return bad("FSK channel: bit rate %d, sync word of %d bytes", f.BitRate, len(f.SyncWord))
	}
	return c.validateSX1261()
}

func (c *Config) validateRadio(i int) error {
	r := &c.Radios[i]
	if !r.Enable {
		return nil
	}
	switch r.Kind {
	case calc.SX1250, calc.SX1255, calc.SX1257:
	default:
		return bad("radio %d: unknown type", i)
	}
	for j, o := range c.Radios {
		if o.Enable && (o.Kind == calc.SX1250) != (r.Kind == calc.SX1250) {
			return bad("radios %d and %d: SX1250 cannot be mixed with SX1255 or SX1257", i, j)
		}
	}
	if r.Frequency < 100*radio.MHz || r.Frequency > 1100*radio.MHz {
		return bad("radio %d: centre frequency %v", i, r.Frequency)
	}
	if !r.TxEnable {
		return nil
	}
	if r.TxMax < r.TxMin {
		return bad("radio %d: transmit frequencies %v to %v", i, r.TxMin, r.TxMax)
	}
	if err := calc.CheckGains(r.Kind, r.Gains); err != nil {
		return fault(FaultConfig, err, "radio %d", i)
	}
	if len(r.Calibrate) > MaxGains {
		return bad("radio %d: %d pairs of gains to calibrate, more than %d", i, len(r.Calibrate), MaxGains)
	}
	for _, g := range r.Calibrate {
		if err := calc.CheckGains(r.Kind, []calc.Gain{g}); err != nil {
			return fault(FaultConfig, err, "radio %d: calibration", i)
		}
	}
	return nil
}

func (c *Config) validateIF(i int) error {
	on, rf, offset, bw := c.ifChain(i)
	if !on {
		return nil
	}
	if rf >= RFChains {
		return bad("IF chain %d uses radio %d: there are two, 0 and 1", i, rf)
	}
	if err := calc.CheckIF(offset, bw); err != nil {
		return fault(FaultConfig, err, "IF chain %d", i)
	}
	return nil
}

func (c *Config) validateService() error {
	s := c.Service
	if !s.Enable {
		return nil
	}
	if !radio.LoRaRate(s.SF, s.Bandwidth).Valid() {
		return bad("LoRa service channel: SF%d at %v", s.SF, s.Bandwidth)
	}
	if s.ImplicitHeader && (s.ImplicitCoding < 1 || s.ImplicitCoding > 4) {
		return bad("LoRa service channel: implicit coding rate %d", s.ImplicitCoding)
	}
	return nil
}

func (c *Config) validateSX1261() error {
	x := &c.SX1261
	if !x.LBT {
		return nil
	}
	if !x.Enable || len(x.Channels) > MaxLBT {
		return bad("listen-before-talk with %d channels, SX1261 enabled: %t", len(x.Channels), x.Enable)
	}
	if _, err := calc.ListenThreshold(x.Threshold); err != nil {
		return fault(FaultConfig, err, "listen-before-talk")
	}
	for i, ch := range x.Channels {
		if _, err := calc.ListenScans(ch.Scan); err != nil {
			return fault(FaultConfig, err, "listen-before-talk channel %d", i)
		}
		if ch.Bandwidth != 125*radio.KHz && ch.Bandwidth != 250*radio.KHz {
			return bad("listen-before-talk channel %d: bandwidth %v", i, ch.Bandwidth)
		}
	}
	return nil
}

func bad(format string, args ...any) error {
	return &Error{Fault: FaultConfig, Detail: fmt.Sprintf(format, args...)}
}
