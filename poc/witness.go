package poc

import (
	"encoding/binary"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// noFine stands for "no fine timestamp": a real one is below one second.
const noFine = 1<<32 - 1

// Witness is a hotspot's report that it received a beacon.
type Witness struct {
	Hotspot   identity.HotspotID
	Payload   Payload
	Frequency radio.Hertz // centre of the channel it was received on
	Offset    radio.Hertz // measured carrier offset, 0 when the radio does not tell
	DataRate  radio.DataRate
	RSSI      radio.CentiDBm
	SNR       radio.CentiDB
	Tick      radio.Tick     // end of the packet on the concentrator's counter
	Time      radio.WallTime // UTC of that end; unknown when the host has no clock
	FineNanos uint32         // ns since the last PPS, below 1e9; meaningful when HasFine
	HasFine   bool
}

// AppendBinary appends the body.
func (w Witness) AppendBinary(dst []byte) ([]byte, error) {
	dst = putHeader(dst, KindWitness)
	dst = append(dst, w.Hotspot[:]...)
	dst = append(dst, w.Payload[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(w.Frequency))
	dst = binary.BigEndian.AppendUint32(dst, uint32(w.Offset))
	dst = putDataRate(dst, w.DataRate)
	dst = binary.BigEndian.AppendUint16(dst, uint16(w.RSSI))
	dst = binary.BigEndian.AppendUint16(dst, uint16(w.SNR))
	dst = binary.BigEndian.AppendUint64(dst, uint64(w.Tick))
	dst = putWallTime(dst, w.Time)
	fine := uint32(noFine)
	if w.HasFine {
		fine = w.FineNanos
	}
	return binary.BigEndian.AppendUint32(dst, fine), nil
}

func parseWitness(body []byte) (w Witness, err error) {
	r := reader{b: body}
	r.header(KindWitness)
	w.Hotspot = r.hotspot()
	copy(w.Payload[:], r.take(PayloadSize, "payload"))
	w.Frequency = r.frequency()
	w.Offset = radio.Hertz(int32(r.u32("frequency offset")))
	w.DataRate = r.dataRate()
	w.RSSI = radio.CentiDBm(int16(r.u16("rssi")))
	w.SNR = radio.CentiDB(int16(r.u16("snr")))
	w.Tick = radio.Tick(r.u64("tick"))
	w.Time = r.wallTime()
	if fine := r.u32("fine timestamp"); fine != noFine {
		w.FineNanos, w.HasFine = fine, true
		if fine >= 1_000_000_000 {
			r.fail("fine timestamp %d ns is not below one second", fine)
		}
	}
	return w, r.end(KindWitness)
}
