package chip

import "math"

// loraRate is what the receive timing depends on.
type loraRate struct {
	sf     int
	bwKHz  int // 125, 250 or 500
	coding int // 1..4
	length int
	crc    bool
}

func (r loraRate) k() int64 { return int64(r.bwKHz / 125) }

// lowRate says whether the modem drops two bits of each symbol (e.2).
func (r loraRate) lowRate() int64 {
	if r.bwKHz == 125 && r.sf >= 11 || r.bwKHz == 250 && r.sf == 12 {
		return 1
	}
	return 0
}

// header is the number of payload nibbles in the header's block.
func (r loraRate) header() int64 {
	if r.sf < 7 {
		return int64(r.sf)
	}
	return int64(r.sf) - 2
}

// filter is the delay of the receive filters in picoseconds.
func (r loraRate) filter() int64 { return 16_000_000/r.k() + 2_031_250 }

// endDelay is how long after the end of a packet the legacy timestamp is taken,
// in microseconds: the negative of the host's correction (d.5).
func (r loraRate) endDelay() int64 {
	k := r.k()
	clock := 250_000 / k // one clock of the decoder, in picoseconds
	sf, ppm, h := int64(r.sf), r.lowRate(), r.header()
	symbol := int64(1) << sf
	bytes, block := int64(r.length), sf-2*ppm
	if r.crc {
		bytes += 2
	}
	coding := int64(r.coding)
	fits := 2*bytes-(sf-7) <= 0 || r.length == 0 && !r.crc
	last := h
	demap := clock + symbol*clock*3/4 + 3*clock + (sf-2)*clock
	fft := symbol*2*clock + 3*clock
	if fits {
		coding = 4
	} else {
		if last = mod(2*bytes+5-h, block); last == 0 {
			last = block
		}
		demap = clock + symbol*clock + 3*clock + block*clock
		fft = (5-2*ppm)*(symbol*clock+7*clock) + 2*clock
	}
	half := (sf + 1) / 2
	fft3 := clock*((symbol-6)+2*(symbol*(half-1)+6)) + 4*clock
	decode := 5*clock + (9*clock+clock*coding)*last + 3*clock
	return (r.filter() + demap + fft3 + fft + decode + 500_000) / 1_000_000
}

func mod(a, b int64) int64 { return (a%b + b) % b }

// headerLead is how long before the end of a packet the timestamp of the fine
// mode is taken, in microseconds: the host's correction (d.5).
func (r loraRate) headerLead() int64 {
	symbol := float64(int64(1)<<r.sf) * 8 / float64(r.k())
	return int64(float64(r.symbols())*symbol - float64(r.filter()+500_000)/1e6)
}

// symbols is the number of symbols after the header block.
func (r loraRate) symbols() int64 {
	sf := float64(r.sf)
	bits := 8*float64(r.length) - 4*sf + 20
	if r.sf >= 7 {
		bits += 8
	}
	if r.crc {
		bits += 16
	}
	blocks := math.Ceil(max(bits, 0) / (4 * (sf - 2*float64(r.lowRate()))))
	return int64(blocks) * int64(4+r.coding)
}

// preambleTicks is the length of preamble, sync word and frame delimiter as the
// fine timestamp counts it (d.6, step 1).
func (r loraRate) preambleTicks() int64 {
	n := int64(12)
	if r.sf < 7 {
		n = 14
	}
	symbol := int64(1) << r.sf
	return 256*symbol*n + 256*(symbol/4-1)
}

// notchDelay is the delay of the DC notch in ticks at an IF in kHz (d.6).
func notchDelay(kHz float64) float64 {
	if math.Abs(kHz) > 75 {
		return 0
	}
	return 1.7e-6*math.Pow(kHz, 4) + 2.4e-6*math.Pow(kHz, 3) - 0.0101*kHz*kHz - 0.01275*kHz + 10.2922
}

// tempCompensation is the host's RSSI correction at t °C (d.3).
func tempCompensation(k [5]float64, t float64) float64 {
	return ((((k[0]*t+k[1])*t+k[2])*t+k[3])*t + k[4]) / 65536
}

// fskRSSI is what a host makes of a raw FSK RSSI before offset and temperature.
func fskRSSI(raw float64) float64 {
	return 90.636423 + 0.420835*raw + 0.007129*raw*raw - 0.000026*raw*raw*raw
}

// rawFSK is the raw value that reads nearest to a level.
func rawFSK(level float64) byte {
	best := 0
	for raw := range 180 { // the curve rises up to here
		if math.Abs(fskRSSI(float64(raw))-level) < math.Abs(fskRSSI(float64(best))-level) {
			best = raw
		}
	}
	return byte(best)
}

func clampByte(v float64) byte { return byte(math.Round(min(max(v, 0), 255))) }
