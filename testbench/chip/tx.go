package chip

import (
	"math"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Transmission is a packet that a chip puts on the air.
type Transmission struct {
	Packet   radio.TxPacket // frequency, rate, power, polarity and payload as programmed
	Start    time.Time      // when the preamble begins
	Air      time.Duration
	Sync     byte // LoRa sync word, 0x34 or 0x12 in LoRaWAN
	Implicit bool // no PHY header
	Carrier  bool // a continuous wave, not a packet
}

// Bits of the trigger register.
const (
	trigImmediate = 1 << 0
	trigDelayed   = 1 << 1
	trigGPS       = 1 << 2
	trigClear     = 1 << 3
)

// Values of the transmit status (e.3).
const (
	txFree     = 0x80
	txTimed    = 0x91 // waits for the counter
	txPulse    = 0x92 // waits for a PPS
	txStarting = 0x30 // triggered; the start delay runs
	txPreamble = 0x50
	txEmitting = 0x60
)

// transmitter is the state machine of one RF chain.
type transmitter struct {
	trigger byte      // the bit that started it; 0 when free
	wait    byte      // status while it waits
	at      time.Time // trigger; zero when it never comes
	sent    Transmission
	timer   Timer
	recall  func() // takes the packet back from the air; nil when it is not there
	begun   bool   // the packet was decided on at the trigger
	denied  bool   // nothing goes out: the channel was busy, or no radio is ready
	serial  int    // tells a stale timer from the current one
}

// abandon returns to the free state and takes back what is not yet on the air.
func (t *transmitter) abandon() {
	if t.timer != nil {
		t.timer.Stop()
	}
	*t = transmitter{serial: t.serial + 1}
}

// txStatus is the status register of a chain.
func (c *Chip) txStatus(chain int) byte {
	t := &c.tx[chain]
	switch {
	case c.faults[TransmitZero]:
		return 0
	case c.faults[TransmitEmitting] && t.trigger != 0 && t.begun:
		return txEmitting
	case t.trigger == 0:
		return txFree
	case t.at.IsZero() || c.now.Before(t.at):
		return t.wait
	case !t.begun:
		return txStarting
	case t.denied:
		return txFree
	case c.now.Before(t.sent.Start):
		return txStarting
	case c.now.Before(t.sent.Start.Add(t.sent.Air / 5)):
		return txPreamble
	case c.now.Before(t.sent.Start.Add(t.sent.Air)):
		return txEmitting
	}
	return txFree
}

// trigger follows the trigger bits: a rising one arms the transmitter, a
// falling one, or the clear bit, stops what that bit had started.
func (c *Chip) trigger(chain int, old, v byte) {
	t := &c.tx[chain]
	stuck := c.faults[TransmitEmitting] && t.begun
	if fell := old &^ v; (fell&t.trigger != 0 || v&trigClear != 0) && !stuck {
		c.stop(chain)
	}
	rose := v &^ old & (trigImmediate | trigDelayed | trigGPS)
	if rose == 0 || stuck {
		return
	}
	c.stop(chain)
	t.trigger = rose & -rose
	switch t.trigger {
	case trigImmediate:
		t.wait, t.at = txStarting, c.now
	case trigDelayed:
		t.wait = txTimed
		t.at = c.timerMatch(c.word(regTxTimer+uint16(chain)*chainStride, 4))
	case trigGPS:
		t.wait, t.at = txPulse, c.nextPulse()
	}
	if c.faults[TransmitScheduled] {
		t.at = time.Time{}
		if t.trigger == trigImmediate {
			t.wait = txTimed
		}
	}
	if t.at.IsZero() {
		return
	}
	serial := t.serial
	t.timer = c.cfg.Clock.AfterFunc(t.at.Add(-c.cfg.CommitLead).Sub(c.now), func() { c.begin(chain, serial) })
}

// stop ends whatever the chain does.
func (c *Chip) stop(chain int) {
	t := &c.tx[chain]
	if t.recall != nil && c.now.Before(t.sent.Start.Add(t.sent.Air)) {
		c.later = append(c.later, t.recall)
		c.logf("transmission aborted on the air")
	}
	t.abandon()
}

// timerMatch is when the counter next equals v. The comparison is one of
// equality: a value that has just passed comes round in 134 s.
func (c *Chip) timerMatch(v uint32) time.Time {
	if c.faults[CounterStopped] || c.faults[CounterBackwards] {
		return time.Time{}
	}
	ahead := v - c.count(c.now)
	if ahead == 0 {
		return c.when(c.now, 1<<32-1)
	}
	return c.when(c.now, ahead)
}

// nextPulse is the next PPS, or never.
func (c *Chip) nextPulse() time.Time {
	if c.reg[regGPS]&1 == 0 || c.cfg.NoGNSS || c.faults[NoPPS] {
		return time.Time{}
	}
	return c.lastPulse(c.now).Add(time.Second)
}

// begin is the trigger: the registers are read, and the packet goes to the air.
func (c *Chip) begin(chain, serial int) {
	c.lock()
	defer c.unlock()
	t := &c.tx[chain]
	if t.serial != serial || t.trigger == 0 || t.begun || c.dead() {
		return
	}
	if t.trigger == trigGPS && c.faults[NoPPS] {
		t.at = time.Time{} // the pulse did not come
		return
	}
	t.begun = true
	sent, why := c.transmission(chain, t.at)
	t.sent = sent
	if why == "" && !c.mayTransmit(chain, &sent) {
		why = "channel busy"
	}
	if why != "" {
		t.denied = true
		c.logf("nothing transmitted: " + why)
		return
	}
	c.stats.Sent++
	c.reg[regTxFlags+uint16(chain)*chainStride] |= 1 // PKT_DONE
	if output := c.output; output != nil {
		c.later = append(c.later, func() { c.emit(output, sent, chain, serial) })
	}
}

// emit hands a packet to the air and keeps the way to take it back.
func (c *Chip) emit(output func(Transmission) func(), sent Transmission, chain, serial int) {
	recall := output(sent)
	c.lock()
	defer c.unlock()
	if t := &c.tx[chain]; t.serial == serial {
		t.recall = recall
	} else if recall != nil {
		c.later = append(c.later, recall)
	}
}

// transmission reads a packet out of the registers, or says why there is none.
func (c *Chip) transmission(chain int, trigger time.Time) (Transmission, string) {
	base := uint16(chain) * chainStride
	s := Transmission{Start: c.when(trigger, c.word(regTxDelay+base, 2))}
	p := &s.Packet
	p.RadioChain = uint8(chain)
	p.Frequency = c.txFrequency(base)
	p.Power = c.txPower(base)
	switch c.field(regTxSource+base, 0, 2) {
	case 0:
		s.Carrier, s.Air = true, time.Hour
		return s, "continuous wave"
	case 2:
		c.txFSK(base, &s)
	default:
		c.txLoRa(base, &s)
	}
	span, err := airtime.OnAir(airtime.Params{
		DataRate: p.DataRate, Coding: p.Coding, PayloadBytes: len(p.Payload), PreambleSymbols: int(p.Preamble),
		ImplicitHeader: s.Implicit, NoCRC: p.NoCRC, SyncBytes: c.field(regTxFSKPattern+base, 5, 3) + 1,
	})
	if err != nil {
		return s, err.Error()
	}
	s.Air = span.Duration()
	if !c.agc.ready || c.agc.stalled {
		return s, "the AGC does not run"
	}
	if c.reg[regControl]&ctrlHost != 0 {
		return s, "the host owns the radios"
	}
	return s, ""
}

// txFrequency rounds the frequency word to a hertz (e.1).
func (c *Chip) txFrequency(base uint16) radio.Hertz {
	f := float64(c.word(regTxFrequency+base, 3)) * 32e6 / (1 << 18)
	if c.cfg.FrontEnd == SX1255 {
		f /= 2
	}
	return radio.Hertz(math.Round(f))
}

var txBandwidths = map[int]radio.Hertz{4: 125 * radio.KHz, 5: 250 * radio.KHz, 6: 500 * radio.KHz}

func (c *Chip) txLoRa(base uint16, s *Transmission) {
	p := &s.Packet
	p.DataRate = radio.LoRaRate(radio.SpreadingFactor(c.field(regTxModem+base, 0, 4)), txBandwidths[c.field(regTxModem+base, 4, 4)])
	p.Coding = radio.CodingRate(c.field(regTxCoding+base, 0, 3))
	p.Preamble = uint16(c.reg[regTxPreamble+base+1])<<8 | uint16(c.reg[regTxPreamble+base])
	p.InvertIQ = c.field(regTxChirp+base, 1, 1) != 0
	p.NoCRC = c.field(regTxOptions+base, 0, 1) == 0
	s.Implicit = c.field(regTxOptions+base, 1, 1) != 0
	p.Implicit = s.Implicit
	s.Sync = c.syncWord(regTxSync + base)
	n := uint16(c.reg[regTxLength+base])
	p.Payload = append([]byte(nil), c.reg[txBuffer+base:txBuffer+base+n]...)
}

// syncWord turns two peak positions into a sync word: each is twice a nibble.
func (c *Chip) syncWord(addr uint16) byte {
	return byte(c.field(addr, 0, 5)/2)<<4 | byte(c.field(addr+1, 0, 5)/2)&0x0F
}

// txFSK reads an FSK packet. The first byte of the buffer is its length.
func (c *Chip) txFSK(base uint16, s *Transmission) {
	p := &s.Packet
	if rate := c.word(regTxFSKRate+base, 2); rate > 0 {
		p.DataRate = radio.FSKRate((32_000_000 + rate/2) / rate)
	}
	p.Preamble = uint16(c.word(regTxFSKPreamb+base, 2))
	p.NoCRC = c.field(regTxFSKConfig+base, 1, 1) == 0
	n := uint16(c.reg[txBuffer+base])
	p.Payload = append([]byte(nil), c.reg[txBuffer+base+1:txBuffer+base+1+min(n, txBufferSize-1)]...)
}
