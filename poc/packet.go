package poc

import (
	"encoding/binary"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Packet is a LoRaWAN uplink that a hotspot received and hands over for routing.
type Packet struct {
	Hotspot   identity.HotspotID
	PHY       []byte // PHY payload, 1..255 bytes
	Frequency radio.Hertz
	DataRate  radio.DataRate
	RSSI      radio.CentiDBm
	SNR       radio.CentiDB
	Tick      radio.Tick     // end of the packet on the concentrator's counter
	Time      radio.WallTime // UTC of that end
}

// AppendBinary appends the body.
func (p Packet) AppendBinary(dst []byte) ([]byte, error) {
	dst = putHeader(dst, KindPacket)
	dst = append(dst, p.Hotspot[:]...)
	dst = putVar(dst, p.PHY)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Frequency))
	dst = putDataRate(dst, p.DataRate)
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.RSSI))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.SNR))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Tick))
	return putWallTime(dst, p.Time), nil
}

func parsePacket(body []byte) (p Packet, err error) {
	r := reader{b: body}
	r.header(KindPacket)
	p.Hotspot = r.hotspot()
	p.PHY = r.varBytes(radio.MaxPayload, "phy payload")
	if len(p.PHY) == 0 {
		r.fail("phy payload is empty")
	}
	p.Frequency = r.frequency()
	p.DataRate = r.dataRate()
	p.RSSI = radio.CentiDBm(int16(r.u16("rssi")))
	p.SNR = radio.CentiDB(int16(r.u16("snr")))
	p.Tick = radio.Tick(r.u64("tick"))
	p.Time = r.wallTime()
	return p, r.end(KindPacket)
}
