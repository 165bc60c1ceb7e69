package calc

// PayloadCRC is the checksum that a LoRa modem computes over a payload (d.3):
// polynomial 0x1021, start 0, and the last two bytes enter without augmentation,
// so that the result is XMODEM's checksum of all but these XOR these as a
// big-endian word. Of a single byte it is the byte; of none it is 0.
func PayloadCRC(payload []byte) uint16 {
	switch n := len(payload); n {
	case 0:
		return 0
	case 1:
		return uint16(payload[0])
	default:
		tail := uint16(payload[n-2])<<8 | uint16(payload[n-1])
		return CRC16(payload[:n-2]) ^ tail
	}
}

// CRC16 is XMODEM's: polynomial 0x1021, start 0, not reflected. LoRaWAN class B
// beacons carry it.
func CRC16(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^c]
	}
	return crc
}

var crcTable = makeCRCTable()

func makeCRCTable() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}

// Checksum is the byte that closes a packet in the receive FIFO: the low byte of
// the sum of all before it (d.2).
func Checksum(b []byte) byte {
	var s byte
	for _, c := range b {
		s += c
	}
	return s
}
