package sx1302

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"heliograph/hardware/sx1302/calc"
	"heliograph/radio"
)

// Stats counts what the receiver met since [New].
type Stats struct {
	Packets    uint64 // handed out, whatever their CRC status
	BadCRC     uint64 // of these, with a CRC error
	BadPacket  uint64 // dropped: checksum wrong or head impossible
	BadPayload uint64 // dropped: the payload does not have the CRC that the modem saw
	Duplicate  uint64 // dropped: the same packet from two demodulators
	Garbage    uint64 // bytes between packets
	Overflow   uint64 // times that the FIFO was found full
	Fine       uint64 // packets with a fine timestamp
	Sent       uint64
	SendFailed uint64
}

// Stats are the counts so far.
func (c *Concentrator) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// receiver holds bytes from the FIFO that are not yet a whole packet, and scratch
// space that lives from fetch to fetch.
type receiver struct {
	buf     []byte // carried over, then new
	metas   []meta
	metrics []int8
	idle    bool // the last fetch brought nothing: what is carried over will not grow
}

// carryMax bounds what is carried over: less than one longest packet.
const carryMax = headBytes + 255 + tailBytes + 2*255

func (r *receiver) init() {
	r.buf = make([]byte, 0, 2*fifoSize+carryMax)
	r.metas = make([]meta, 0, fifoSize/smallest)
	r.metrics = make([]int8, 0, 2*255)
}

func (r *receiver) reset() { r.buf = r.buf[:0]; r.idle = false }

// Receive waits until packets are there and returns them, in the order of their
// end, whatever their CRC status. The caller owns them. It fails with ctx's error
// or with an [*Error]: then the chip needs a new [Concentrator.Start], unless
// [Fault.Restart] says otherwise.
func (c *Concentrator) Receive(ctx context.Context) ([]radio.RxPacket, error) {
	c.receiving.Add(1)
	defer c.receiving.Add(-1)
	for {
		packets, err := c.fetch(ctx)
		if err != nil || len(packets) > 0 {
			return packets, err
		}
		if err := c.clock.Sleep(ctx, c.poll); err != nil {
			return nil, err
		}
	}
}

// fetch looks into the FIFO once.
func (c *Concentrator) fetch(ctx context.Context) ([]radio.RxPacket, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	if !c.started {
		return nil, fault(FaultNoChip, nil, "the concentrator is not started")
	}
	now := c.clock.Now()
	n, err := c.fifoBytes(ctx, now)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		c.rx.idle = true
	} else if err := c.drain(ctx, n); err != nil {
		return nil, err
	}
	idle := c.wanted.Load() == 0 // else what is due can wait for the next poll
	if idle && !now.Before(c.due) || n > 0 && c.cfg.Fine != FineOff {
		if err := c.housekeep(ctx, now); err != nil {
			return nil, err
		}
	}
	if idle && !now.Before(c.watch.due) {
		c.watch.due = now.Add(WatchEvery)
		if err := c.look(ctx); err != nil {
			return nil, err
		}
	}
	if len(c.rx.buf) == 0 {
		return nil, nil
	}
	return c.packets(), nil
}

// fifoBytes reads how many bytes are in the FIFO. The two bytes are not latched,
// but the upper one is read first and the count only grows until the host reads,
// so a torn count is too small, never too large, and what is missing then is
// fetched the next time. The transmitters' states go along where a Send waits for
// them.
func (c *Concentrator) fifoBytes(ctx context.Context, now time.Time) (int, error) {
	l := c.link
	l.begin()
	count := l.addRead(regRxTopRxBufferNbBytesMsbRxBufferNbBytes.addr(), 2, false)
	starts := c.addStarts(now)
	if err := l.send(ctx); err != nil {
		return 0, err
	}
	c.noteStarts(starts)
	n := int(binary.BigEndian.Uint16(l.frames[count].r[readStart:])) & 0x1FFF
	if n > fifoSize {
		return 0, c.blame(ctx, fault(FaultFIFO, nil, "%d bytes in a FIFO of %d", n, fifoSize))
	}
	if n == fifoSize {
		c.note(func(s *Stats) { s.Overflow++ })
	}
	return n, nil
}

// drain appends n bytes of the FIFO to what was carried over, fewer when a packet
// waits to be programmed: the next fetch takes the others.
func (c *Concentrator) drain(ctx context.Context, n int) error {
	r := &c.rx
	r.idle = false
	for first := true; n > 0 && (first || c.wanted.Load() == 0); first = false {
		part, k := min(n, c.t.burst()), len(r.buf)
		r.buf = r.buf[:k+part]
		if err := c.link.readFIFO(ctx, r.buf[k:]); err != nil {
			r.buf = r.buf[:k]
			return err
		}
		n -= part
	}
	return nil
}

func (c *Concentrator) note(f func(*Stats)) {
	c.mu.Lock()
	f(&c.stats)
	c.mu.Unlock()
}

// packets takes the packets out of the buffer.
func (c *Concentrator) packets() []radio.RxPacket {
	r := &c.rx
	b := r.buf
	r.metas = r.metas[:0]
	var lost, payloads, garbage uint64
	size := 0
scan:
	for len(b) > 0 {
		m, n, what := nextPacket(b)
		switch what {
		case foundPacket:
			r.metas = append(r.metas, m)
			size += len(m.payload)
			garbage += uint64(n - headBytes - tailBytes - len(m.payload) - len(m.metrics))
		case foundBad:
			lost++
		case foundBadPayload:
			payloads++
		case foundNothing:
			garbage += uint64(n)
		case foundPart:
			garbage += uint64(n)
			if !r.idle {
				b = b[n:]
				break scan
			}
			// No more bytes came: this was no packet's beginning.
			lost++
			n += min(2, len(b)-n)
		}
		b = b[n:]
	}
	out := c.convert(size)
	r.buf = r.buf[:copy(r.buf, b)]
	c.note(func(s *Stats) {
		s.BadPacket += lost
		s.BadPayload += payloads
		s.Garbage += garbage
		s.Packets += uint64(len(out))
	})
	return out
}

// convert makes packets of the metas. They share one allocation for their
// payloads, which nothing else refers to.
func (c *Concentrator) convert(size int) []radio.RxPacket {
	if len(c.rx.metas) == 0 {
		return nil
	}
	store := make([]byte, 0, size)
	out := make([]radio.RxPacket, 0, len(c.rx.metas))
	for i := range c.rx.metas {
		m := &c.rx.metas[i]
		p, ok := c.packet(m)
		if !ok {
			continue
		}
		k := len(store)
		store = append(store, m.payload...)
		p.Payload = store[k:len(store):len(store)]
		out = append(out, p)
	}
	if c.cfg.Fine != FineOff {
		out = c.dedup(out)
	}
	return out
}

// packet works out what a packet's metadata say (d.3, d.5, d.6). ok is false for
// one to be dropped.
func (c *Concentrator) packet(m *meta) (p radio.RxPacket, ok bool) {
	on, rf, offset, _ := c.cfg.ifChain(int(m.channel))
	if !on {
		c.note(func(s *Stats) { s.BadPacket++ })
		return p, false
	}
	front := &c.cfg.Radios[rf]
	comp := front.TempComp.At(c.celsius)
	p = radio.RxPacket{Frequency: front.Frequency + offset, IFChannel: m.channel, RadioChain: rf}
	crcOn := m.crcOn
	switch {
	case m.modem == modemFSK:
		p.DataRate = radio.FSKRate(c.cfg.FSK.BitRate)
		p.RSSI = calc.FSKRSSI(m.rssi, front.RSSIOffset, comp)
	default:
		bw := 125 * radio.KHz
		p.Coding = radio.CodingRate(m.coding)
		if m.channel == ChanService {
			bw = c.cfg.Service.Bandwidth
			if c.cfg.Service.ImplicitHeader {
				p.Coding, crcOn = c.cfg.Service.ImplicitCoding, c.cfg.Service.ImplicitCRC
			}
		}
		p.DataRate = radio.LoRaRate(radio.SpreadingFactor(m.sf), bw)
		p.RSSI = calc.RSSI(m.rssi, front.RSSIOffset, comp)
		p.SignalRSSI, p.HasSignalRSSI = calc.RSSI(m.signal, front.RSSIOffset, comp), true
		p.SNR = calc.SNR(m.snr)
		p.Offset = -calc.FrequencyOffset(m.freqError, bw, c.ifError[m.channel])
		p.HasOffset = true
	}
	if p.CRC = crcStatus(crcOn, m.crcBad); p.CRC == radio.CRCBad {
		c.note(func(s *Stats) { s.BadCRC++ })
	}
	if p.CRC == radio.CRCOK && m.modem != modemFSK && len(m.payload) > 0 && calc.PayloadCRC(m.payload) != m.crc {
		c.note(func(s *Stats) { s.BadPayload++ })
		return p, false
	}
	c.stamp(m, &p, crcOn, offset)
	return p, true
}

func crcStatus(on, bad bool) radio.CRCStatus {
	switch {
	case !on:
		return radio.CRCNone
	case bad:
		return radio.CRCBad
	}
	return radio.CRCOK
}

// stamp gives a packet its tick, the end of the packet, and its fine timestamp.
func (c *Concentrator) stamp(m *meta, p *radio.RxPacket, crcOn bool, offset radio.Hertz) {
	cycles, _ := c.count.Stamp(m.stamp)
	k := calc.Packet{DataRate: p.DataRate, Coding: p.Coding, CRC: crcOn, Bytes: len(m.payload)}
	if c.cfg.Fine == FineOff {
		p.Tick = cycles.Tick().Add(calc.LegacyCorrection(k))
		return
	}
	p.Tick = cycles.Tick().Add(calc.FineCorrection(k))
	if p.CRC != radio.CRCOK || !m.timing || len(m.metrics) == 0 || m.modem == modemFSK {
		return
	}
	c.rx.metrics = c.rx.metrics[:0]
	for _, b := range m.metrics {
		c.rx.metrics = append(c.rx.metrics, int8(b))
	}
	ns, err := c.pps.Nanos(calc.FinePacket{
		Stamp: m.stamp, SF: p.DataRate.SF, Carrier: p.Frequency, Offset: -p.Offset, IF: offset, Metrics: c.rx.metrics,
	})
	if err == nil {
		p.FineNanos, p.HasFine = ns, true
		c.note(func(s *Stats) { s.Fine++ })
	}
}

// duplicateSpan is how far the ticks of one packet from two demodulators differ.
const duplicateSpan = 24

// dedup drops the copies of packets that came from two demodulators, keeping the
// better one, and sorts by tick (d.6).
func (c *Concentrator) dedup(ps []radio.RxPacket) []radio.RxPacket {
	kept := ps[:0]
	for _, p := range ps {
		i := slices.IndexFunc(kept, func(q radio.RxPacket) bool { return samePacket(p, q) })
		if i < 0 {
			kept = append(kept, p)
			continue
		}
		c.note(func(s *Stats) { s.Duplicate++ })
		if better(p, kept[i]) {
			kept[i] = p
		}
	}
	slices.SortStableFunc(kept, func(a, b radio.RxPacket) int { return cmp.Compare(a.Tick, b.Tick) })
	return kept
}

func samePacket(a, b radio.RxPacket) bool {
	d := a.Tick.Sub(b.Tick)
	return d <= duplicateSpan && -d <= duplicateSpan && a.IFChannel == b.IFChannel && a.DataRate == b.DataRate &&
		bytes.Equal(a.Payload, b.Payload)
}

func better(a, b radio.RxPacket) bool {
	if a.CRC != b.CRC {
		return a.CRC > b.CRC
	}
	return a.HasFine && !b.HasFine
}

// housekeep reads counter and pulse, and what else is due.
func (c *Concentrator) housekeep(ctx context.Context, now time.Time) error {
	if err := c.readCounter(ctx); err != nil {
		return err
	}
	c.due = now.Add(counterEvery)
	if c.cfg.Fine != FineOff {
		c.due = now.Add(fineEvery)
	}
	if now.Before(c.heat) {
		return nil
	}
	c.heat = now.Add(celsiusEvery)
	t, ok, err := c.t.celsius(ctx)
	switch {
	case err != nil:
		// Reception goes on with the last temperature, unlike the vendor's.
		c.log.WarnContext(ctx, "temperature not read", "error", err)
	case ok:
		c.celsius = t
	}
	return ctx.Err()
}

// counterTries is how often the counter is read before its contradiction to the
// host's clock counts as a fault.
const counterTries = 3

// readCounter reads the pulse's and the running counter in one burst. They are not
// latched: a running counter that does not fit the host's clock was torn, or the
// chip is in trouble.
func (c *Concentrator) readCounter(ctx context.Context) error {
	var last error
	for range counterTries {
		var b [8]byte
		if err := c.link.read(ctx, regTimestampTimestampPpsMsb2TimestampPps.addr(), b[:]); err != nil {
			return err
		}
		now := c.clock.Now()
		cycles, err := c.count.Read(binary.BigEndian.Uint32(b[4:]), now.Sub(c.epoch))
		if err != nil {
			last = err
			continue
		}
		c.latched(binary.BigEndian.Uint32(b[:4]), now)
		c.mu.Lock()
		c.now, c.nowAt, c.nowOK = cycles, now, true
		c.mu.Unlock()
		return nil
	}
	return c.blame(ctx, fault(FaultCounter, last, ""))
}

// Now is the present tick of the counter, carried on from its last reading (at
// most about a second ago) by the host's clock, so to within some 20 µs plus what
// the reading itself took. ok is false before the chip has started.
func (c *Concentrator) Now() (radio.Tick, bool) {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.nowOK {
		return 0, false
	}
	return c.now.Tick().Add(radio.MicrosOf(now.Sub(c.nowAt))), true
}
