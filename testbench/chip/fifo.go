package chip

// fifo is the receive buffer of 4096 bytes.
type fifo struct {
	buf         []byte
	read, write uint16 // addresses of the last byte taken and put
	torn        bool
}

// pop takes the oldest byte; an empty buffer reads 0.
func (f *fifo) pop() byte {
	if len(f.buf) == 0 {
		return 0
	}
	v := f.buf[0]
	f.buf = f.buf[1:]
	f.read = (f.read + 1) % fifoSize
	return v
}

// push adds a packet. A packet for which there is no room is lost whole.
func (f *fifo) push(p []byte) bool {
	if len(f.buf)+len(p) > fifoSize {
		return false
	}
	f.append(p)
	return true
}

// overwrite adds a packet over the oldest bytes: what then comes out first is
// the rest of a packet whose beginning is gone.
func (f *fifo) overwrite(p []byte) {
	f.append(p)
	if extra := len(f.buf) - fifoSize; extra > 0 {
		f.buf = f.buf[extra:]
	}
}

func (f *fifo) append(p []byte) {
	f.buf = append(f.buf, p...)
	f.write = (f.write + uint16(len(p))) % fifoSize
}

// register is a byte of the last addresses or the byte count.
func (f *fifo) register(addr uint16) byte {
	v := [3]uint16{f.read, f.write, uint16(len(f.buf))}[(addr-regLastRead)/2]
	if addr&1 == 0 {
		return byte(v >> 8)
	}
	return byte(v)
}

// tearBytes spoils a read of the byte count; r begins at its first byte.
func (c *Chip) tearBytes(r []byte) {
	switch {
	case c.faults[FIFOAbsurd]:
		r[0] = 0x1F
	case c.faults[FIFOTorn] && len(r) > 1:
		// The low byte is from before the last packets.
		if c.fifo.torn = !c.fifo.torn; c.fifo.torn {
			r[1] = 0
		}
	}
}

// enqueue puts an encoded packet into the FIFO, with the faults that are on.
func (c *Chip) enqueue(p []byte, payload int) bool {
	if c.once(FIFOGarbage) {
		c.fifo.append([]byte{0x00, 0xC0, 0xA5, 0x17, 0x42})
	}
	if c.once(FIFOCorrupt) {
		p[9+payload/2] ^= 0x40
	}
	if c.faults[FIFOOverflow] {
		for len(c.fifo.buf) < fifoSize {
			c.fifo.append(p)
		}
		c.fifo.overwrite(p)
		return true
	}
	return c.fifo.push(p)
}

// fifoPacket is what the chip says of one packet (d.2).
type fifoPacket struct {
	payload   []byte
	channel   byte // 0..7, 8 service, 9 FSK
	modem     byte // 0..15, 16 service, 17 FSK
	sf        byte
	coding    byte
	crcOn     bool
	crcBad    bool
	timing    bool  // "timing set": the timestamp is fit for fine time
	freqError int32 // 20 bits
	snr       int8  // quarter dB
	rssi      byte
	signal    byte
	timestamp uint32
	metrics   []int8
}

// encode lays the packet out as the FIFO holds it, checksum and all.
func (p fifoPacket) encode() []byte {
	flags, status := p.coding<<1|p.sf<<4, byte(0)
	if p.crcOn {
		flags |= 1
	}
	if p.crcBad {
		status |= 1
	}
	if p.timing {
		status |= 1 << 4
	}
	f := uint32(p.freqError)
	b := append([]byte{0xA5, 0xC0, byte(len(p.payload)), p.channel, flags, p.modem,
		byte(f), byte(f >> 8), byte(f>>16) & 0x0F}, p.payload...)
	crc := uint16(0)
	if p.crcOn {
		crc = payloadCRC(p.payload)
	}
	if p.crcBad {
		crc ^= 0x5A5A
	}
	t := p.timestamp
	b = append(b, status, byte(p.snr), p.rssi, p.signal, 0x22, 0x22,
		byte(t), byte(t>>8), byte(t>>16), byte(t>>24), byte(crc), byte(crc>>8), byte(len(p.metrics)/2))
	for _, m := range p.metrics {
		b = append(b, byte(m))
	}
	var sum byte
	for _, v := range b {
		sum += v
	}
	return append(b, sum)
}

// payloadCRC is the LoRa payload checksum (d.3): CRC-16/XMODEM of all but the
// last two bytes, exclusive-or with those two.
func payloadCRC(p []byte) uint16 {
	if len(p) == 0 {
		return 0
	}
	if len(p) == 1 {
		return uint16(p[0])
	}
	var crc uint16
	body, last := p[:len(p)-2], p[len(p)-2:]
	for _, b := range body {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc ^ uint16(last[0])<<8 ^ uint16(last[1])
}
