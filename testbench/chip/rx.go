package chip

import (
	"math"
	"slices"
	"time"

	"heliograph/radio"
)

// Reception is a packet that reaches the chip's antenna.
type Reception struct {
	Packet     radio.RxPacket // Tick, Time and the chains are left to the chip
	Start, End time.Time      // of the packet at the antenna
	Sync       byte           // LoRa sync word; 0 = 0x34, the public LoRaWAN networks'
	Implicit   bool           // no PHY header
	Invert     bool           // inverted polarity, as downlinks have
}

// Loss says why a packet at the antenna did not get into the FIFO.
type Loss string

// The reasons why a packet is lost.
const (
	LossNoChip      Loss = "no_chip"        // off, in reset or not started
	LossRadioOff    Loss = "radio_off"      // no channel takes it, and the radio of one is not receiving
	LossNoChannel   Loss = "no_channel"     // no enabled channel takes that frequency and rate
	LossSync        Loss = "sync_word"      // another network's sync word
	LossPolarity    Loss = "polarity"       // inverted
	LossHeader      Loss = "header"         // implicit header, or the other way round
	LossDemodulator Loss = "no_demodulator" // all demodulators are busy
	LossFull        Loss = "fifo_full"      // no room in the FIFO
	LossTransmit    Loss = "transmitting"   // the chip transmitted meanwhile
)

// demodulators is the number of multi-SF packets that are received at once.
const demodulators = 16

// Receive delivers a packet that has just ended. It says why the chip did not
// take it, or "". The packet is in the FIFO once its timestamp has passed, which
// in the legacy mode is when it has been decoded: never does a host read a
// timestamp that its counter has not reached. Config.Hear alone is told when there
// is no room by then.
func (c *Chip) Receive(r Reception) Loss {
	c.lock()
	defer c.unlock()
	loss := c.receive(r)
	c.tell(loss)
	return loss
}

// tell has the observer told of a loss, if it is one.
func (c *Chip) tell(loss Loss) {
	if loss != "" && c.cfg.Hear != nil {
		c.later = append(c.later, func() { c.cfg.Hear(loss) })
	}
}

func (c *Chip) receive(r Reception) Loss {
	if !c.listening() {
		return LossNoChip
	}
	if r.Sync == 0 {
		r.Sync = 0x34
	}
	if c.transmitted(r.Start, r.End) {
		return LossTransmit
	}
	ch, loss := c.channelFor(r)
	if loss != "" {
		return loss
	}
	modem, free := c.demodulator(ch, r)
	if !free {
		return LossDemodulator
	}
	p := c.packetOf(ch, modem, r)
	due := c.now
	if ahead := p.timestamp - c.count(c.now); int32(ahead) > 0 {
		due = c.when(c.now, ahead)
	}
	at, _ := slices.BinarySearchFunc(c.decoding, due, func(d decoding, due time.Time) int {
		if d.due.After(due) {
			return 1
		}
		return -1 // behind those that are due at the same time
	})
	c.decoding = slices.Insert(c.decoding, at, decoding{due: due, packet: p})
	if !due.After(c.now) {
		return c.decode(c.now)
	}
	c.cfg.Clock.AfterFunc(due.Sub(c.now), func() {
		c.lock()
		defer c.unlock()
		until := due // the clock may have slowed down meanwhile
		if c.now.After(due) {
			until = c.now
		}
		c.tell(c.decode(until))
	})
	return ""
}

// decoding is a packet that has ended and is not in the FIFO yet.
type decoding struct {
	due    time.Time
	packet fifoPacket
}

// decode delivers the packets that are due, in their order, whichever timer of the
// host's is late. It returns what became of the last one, and tells of the others.
func (c *Chip) decode(until time.Time) (loss Loss) {
	for len(c.decoding) > 0 && !c.decoding[0].due.After(until) {
		p := c.decoding[0].packet
		c.decoding = slices.Delete(c.decoding, 0, 1)
		c.tell(loss)
		loss = c.deliver(p)
	}
	return loss
}

// deliver puts a packet into the FIFO.
func (c *Chip) deliver(p fifoPacket) Loss {
	if !c.enqueue(p.encode(), len(p.payload)) {
		return LossFull
	}
	c.stats.Received++
	return ""
}

// listening says whether the chip as a whole is set up to receive.
func (c *Chip) listening() bool {
	const allModems, clocked = 0x0F, ctrlClock
	return !c.dead() && c.reg[regEnable]&allModems >= 0x0A &&
		c.reg[regControl]&clocked != 0 && c.reg[regControl]&ctrlHost == 0 &&
		c.agc.ready && !c.agc.stalled && c.arb.ready && !c.agc.parity && !c.arb.parity
}

// transmitted says whether one of the chains was on the air in that time.
func (c *Chip) transmitted(from, to time.Time) bool {
	for i := range c.tx {
		t := &c.tx[i]
		if t.begun && !t.denied && t.sent.Start.Before(to) && from.Before(t.sent.Start.Add(t.sent.Air)) {
			return true
		}
	}
	return false
}

// channel is one IF chain as the registers set it.
type channel struct {
	number   int
	chain    int     // radio
	centre   float64 // Hz
	ifHz     float64
	bw       radio.Hertz
	sync     byte
	implicit bool
}

// intermediate is the IF in Hz that two registers hold: 13 bits, signed, in
// steps of 15625/32 Hz.
func (c *Chip) intermediate(addr uint16) float64 {
	v := int(c.word(addr, 2)) & 0x1FFF
	if v >= 0x1000 {
		v -= 0x2000
	}
	return float64(v) * 15625 / 32
}

func (c *Chip) channelAt(number, chain int, addr uint16, bw radio.Hertz) channel {
	f := c.intermediate(addr)
	return channel{number: number, chain: chain, ifHz: f, centre: c.fe[chain].centre() + f, bw: bw}
}

// channels lists the enabled IF chains that would take a packet of that rate.
func (c *Chip) channels(r Reception) []channel {
	dr := r.Packet.DataRate
	if dr.Modulation == radio.FSK {
		return c.fskChannel(dr)
	}
	var out []channel
	if dr.Bandwidth == 125*radio.KHz && c.reg[regEnable]&1 != 0 && c.field(regSFOn, uint(dr.SF)-5, 1) != 0 {
		on := c.reg[regChannelClock] & c.reg[regChannelOn]
		for i := range 8 {
			if on>>i&1 != 0 {
				ch := c.channelAt(i, c.field(regRadioSelect, uint(i), 1), regIFFrequency+2*uint16(i), dr.Bandwidth)
				ch.sync = c.multiSync(int(dr.SF))
				out = append(out, ch)
			}
		}
	}
	return append(out, c.serviceChannel(dr)...)
}

// multiSync is the sync word of the multi-SF demodulators for a spreading factor.
func (c *Chip) multiSync(sf int) byte {
	switch sf {
	case 5:
		return c.syncWord(regSyncSF5)
	case 6:
		return c.syncWord(regSyncSF6)
	}
	return c.syncWord(regSyncSF7)
}

func (c *Chip) serviceChannel(dr radio.DataRate) []channel {
	const enabled = 1 << 3 // MODEM_EN
	sf, bw := c.field(regServiceModem, 0, 4), txBandwidths[c.field(regServiceModem, 4, 4)]
	if c.reg[regServiceCoding]&enabled == 0 || c.reg[regServiceOptions]&(1<<4) == 0 ||
		int(dr.SF) != sf || dr.Bandwidth != bw {
		return nil
	}
	ch := c.channelAt(8, c.field(regServiceRadio, 0, 1), regServiceIF, bw)
	ch.sync = c.syncWord(regServiceSync)
	ch.implicit = c.reg[regServiceOptions]&(1<<1) != 0
	return []channel{ch}
}

func (c *Chip) fskChannel(dr radio.DataRate) []channel {
	div := c.word(regFSKRate, 2)
	if c.reg[regEnable]&(1<<2) == 0 || c.field(regFSKConfig0, 0, 1) == 0 || div == 0 {
		return nil
	}
	if rate := float64(32_000_000 / div); math.Abs(rate-float64(dr.BitRate)) > rate/100 {
		return nil
	}
	return []channel{c.channelAt(9, c.field(regFSKConfig3, 1, 1), regFSKIF, 200*radio.KHz)}
}

// channelFor finds the IF chain that receives r: the nearest of those that are
// off by no more than a quarter of the bandwidth, which is what a LoRa
// demodulator can follow.
func (c *Chip) channelFor(r Reception) (channel, Loss) {
	loss := LossNoChannel
	best, found := channel{}, false
	f := float64(r.Packet.Frequency + r.Packet.Offset)
	off := func(ch channel) float64 { return math.Abs(ch.centre - f) }
	for _, ch := range c.channels(r) {
		switch lora := r.Packet.DataRate.Modulation == radio.LoRa; {
		case !c.fe[ch.chain].receiving():
			loss = LossRadioOff
		case off(ch) > float64(ch.bw)/4:
		case lora && r.Invert:
			loss = LossPolarity
		case lora && ch.sync != r.Sync && !(r.Packet.DataRate.SF < 7 && r.Sync == 0x34 && ch.sync == 0x12):
			// Peaks of SF5 and SF6 are always those of 0x12 (c, step 17).
			loss = LossSync
		case lora && ch.implicit != r.Implicit:
			loss = LossHeader
		case !found || off(ch) < off(best):
			best, found = ch, true
		}
	}
	if !found {
		return channel{}, loss
	}
	return best, ""
}

// demodulator finds a free one for a packet. Packets come in the order of their
// ends, so this sees at least those of the packets that began earlier.
func (c *Chip) demodulator(ch channel, r Reception) (byte, bool) {
	switch ch.number {
	case 8:
		return 16, true
	case 9:
		return 17, true
	}
	c.busy = append(c.busy, make([]span, demodulators-min(len(c.busy), demodulators))...)
	for i := range c.busy {
		if !c.busy[i].to.After(r.Start) {
			c.busy[i] = span{r.Start, r.End}
			return byte(i), true
		}
	}
	return 0, false
}

// packetOf is the FIFO entry of a packet.
func (c *Chip) packetOf(ch channel, modem byte, r Reception) fifoPacket {
	in := r.Packet
	dbm := func(v radio.CentiDBm) float64 {
		return v.Float() - c.cfg.RSSIOffset - tempCompensation(c.cfg.TempCoeffs, c.cfg.Temperature)
	}
	p := fifoPacket{
		payload: in.Payload, channel: byte(ch.number), modem: modem,
		crcOn: in.CRC != radio.CRCNone, crcBad: in.CRC == radio.CRCBad,
	}
	if in.DataRate.Modulation == radio.FSK {
		p.rssi = rawFSK(dbm(in.RSSI))
		endUS := int64(680_000/in.DataRate.BitRate) - 20
		p.timestamp = c.count(r.End) - uint32(endUS*32)
		return p
	}
	p.sf, p.coding = byte(in.DataRate.SF), byte(max(in.Coding, 1))
	p.rssi, p.signal = clampByte(dbm(in.RSSI)), clampByte(dbm(in.Level()))
	p.snr = int8(min(max(math.Round(in.SNR.Float()*4), -128), 127))
	// The modem counts its own centre less the carrier (see the README).
	below := ch.centre - float64(in.Frequency+in.Offset)
	p.freqError = int32(math.Round(below * (1 << 20) / float64(ch.bw)))
	rate := loraRate{sf: int(p.sf), bwKHz: int(ch.bw / radio.KHz), coding: int(p.coding), length: len(in.Payload), crc: p.crcOn}
	c.stampLoRa(&p, ch, rate, r)
	return p
}

// stampLoRa sets the timestamp, and the metrics of a fine one. In the legacy
// mode the counter is latched when the packet has been decoded, otherwise after
// the header, so that the host's correction leads to the end of the packet.
func (c *Chip) stampLoRa(p *fifoPacket, ch channel, rate loraRate, r Reception) {
	const legacy, fine = 1 << 2, 1 << 3
	if c.reg[regBuffer]&legacy != 0 {
		p.timestamp = c.count(r.End.Add(time.Duration(rate.endDelay()) * time.Microsecond))
		return
	}
	p.timestamp = c.count(r.End.Add(-time.Duration(rate.headerLead()) * time.Microsecond))
	p.timing = !p.crcBad
	if c.cfg.Model != SX1303 || ch.number > 7 || c.reg[regMetrics]&fine == 0 || c.fineMask()>>(p.sf-5)&1 == 0 {
		return
	}
	p.metrics = c.fineMetrics(p, ch, rate, r)
}

// FineLag is by how many ticks of 31.25 ns a fine timestamp, as the vendor's
// arithmetic makes it out of what the chip says, lies behind the end of the
// packet's programmed preamble: the receive filters and two constants of d.6.
// It is the same for all packets, so differences between receivers are exact.
const FineLag = 577 + 2138 + 256

// fineMetrics makes the host's arithmetic (d.6) give the end of the preamble
// plus FineLag, to a fraction of a tick: what the coarse timestamp lacks goes
// into the metrics, whose running sum the host averages.
func (c *Chip) fineMetrics(p *fifoPacket, ch channel, rate loraRate, r Reception) []int8 {
	quarters := 4*rate.symbols() + 49
	if rate.sf < 7 {
		quarters += 8
	}
	preambleEnd := r.End.Add(-time.Duration(quarters) * time.Duration(2000<<rate.sf))
	off := float64(rate.preambleTicks())
	off += 0.5 - off*float64(r.Packet.Offset)/float64(r.Packet.Frequency) // a fast sender's symbols are short
	coarse := int64(int32(p.timestamp-c.count(preambleEnd))) - int64(off) + 2138
	rest := float64(FineLag-coarse) + c.fraction(preambleEnd) - notchDelay(ch.ifHz/1000)
	n := 2 * min(int(c.reg[regMaxMetrics]), 32, 4<<min(12-int(p.sf), 3))
	whole := math.Floor(rest)
	if n <= 0 || whole < -128 || whole > 127 {
		return nil
	}
	out := make([]int8, n)
	out[0] = int8(whole)
	if ones := int(math.Round((rest - whole) * float64(n))); ones == n {
		out[0]++
	} else if ones > 0 {
		out[n-ones]++
	}
	return out
}

// fraction is the part of a tick that has passed at t.
func (c *Chip) fraction(t time.Time) float64 {
	ns := t.Sub(c.started).Nanoseconds()
	return float64(((ns*4)%125+125)%125) / 125
}
