package poc

import (
	"math"

	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// noFine stands for "no fine timestamp": a real one is below one second.
const (
	noFine         = 1<<32 - 1
	nanosPerSecond = 1_000_000_000
)

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

// AppendBinary appends the body. It fails with [ErrValue] for a witness report
// that no parser would take.
func (w Witness) AppendBinary(dst []byte) ([]byte, error) {
	e := newWriter(dst, KindWitness)
	e.hotspot(w.Hotspot)
	e.raw(w.Payload[:])
	e.frequency(w.Frequency)
	e.u32(uint32(e.within(int64(w.Offset), math.MinInt32, math.MaxInt32, "frequency offset")))
	e.dataRate(w.DataRate)
	e.i16(int64(w.RSSI), "rssi")
	e.i16(int64(w.SNR), "snr")
	e.u64(uint64(w.Tick))
	e.wallTime(w.Time)
	fine := uint32(noFine)
	if w.HasFine {
		fine = uint32(e.within(int64(w.FineNanos), 0, nanosPerSecond-1, "fine timestamp"))
	}
	e.u32(fine)
	return e.end(KindWitness)
}

func parseWitness(r reader) (w Witness, err error) {
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
		if fine >= nanosPerSecond {
			r.fail("fine timestamp %d ns is not below one second", fine)
		}
	}
	return w, r.end(KindWitness)
}
