package poc

import (
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

// AppendBinary appends the body. It fails with [ErrValue] for a packet that no
// parser would take, an FSK one among them.
func (p Packet) AppendBinary(dst []byte) ([]byte, error) {
	w := newWriter(dst, KindPacket)
	w.hotspot(p.Hotspot)
	w.varBytes(p.PHY, 1, radio.MaxPayload, "phy payload")
	w.frequency(p.Frequency)
	w.dataRate(p.DataRate)
	w.i16(int64(p.RSSI), "rssi")
	w.i16(int64(p.SNR), "snr")
	w.u64(uint64(p.Tick))
	w.wallTime(p.Time)
	return w.end(KindPacket)
}

func parsePacket(r reader) (p Packet, err error) {
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
