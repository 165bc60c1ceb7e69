package calc

import (
	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Packet is what the corrections of a timestamp depend on.
type Packet struct {
	DataRate radio.DataRate
	Coding   radio.CodingRate // LoRa: 1..4
	CRC      bool             // the packet carries a payload checksum
	Bytes    int              // payload, 0..255
}

func (p Packet) valid() bool {
	return p.DataRate.Valid() && p.Bytes >= 0 && p.Bytes <= radio.MaxPayload &&
		(p.DataRate.Modulation == radio.FSK || p.Coding >= 1 && p.Coding <= 4)
}

// LegacyCorrection is what to add to a packet's counter, in microseconds, to get
// the end of the packet when the chip stamps in legacy mode (d.5): the modem's
// processing delay, always negative for LoRa. 0 for a packet that cannot be.
func LegacyCorrection(p Packet) radio.Micros {
	if !p.valid() {
		return 0
	}
	if p.DataRate.Modulation == radio.FSK {
		return fskCorrection(p.DataRate.BitRate)
	}
	return -radio.Micros((filterDelay(p.DataRate.Bandwidth) + modemDelay(p) + 500_000) / 1_000_000)
}

// FineCorrection is the same when the chip stamps in fine mode (d.5): the counter
// then marks the end of the header, so the payload's symbols are added. They are
// counted as the modem receives them ([airtime.LowDataRateOptimize]).
func FineCorrection(p Packet) radio.Micros {
	return fineCorrection(p, airtime.LowDataRateOptimize(p.DataRate))
}

// VendorFineCorrection is the vendor's figure for [FineCorrection]. It counts the
// payload with low data rate optimisation for SF11 and SF12 at every bandwidth,
// so for SF11 at 250 kHz and for both at 500 kHz it is late by whole symbols (up
// to half a second), and an answer timed by it misses its window. The two agree
// at all other rates.
func VendorFineCorrection(p Packet) radio.Micros { return fineCorrection(p, p.DataRate.SF >= 11) }

func fineCorrection(p Packet, lowRate bool) radio.Micros {
	if !p.valid() {
		return 0
	}
	if p.DataRate.Modulation == radio.FSK {
		return fskCorrection(p.DataRate.BitRate)
	}
	payload := payloadSymbols(p, lowRate) * int64(airtime.Symbol(p.DataRate)) * 1_000_000
	return radio.Micros((payload - filterDelay(p.DataRate.Bandwidth) - 500_000) / 1_000_000)
}

func fskCorrection(bitRate uint32) radio.Micros { return radio.Micros(680_000/int64(bitRate)) - 20 }

// filterDelay is the decimation filter's, in picoseconds.
func filterDelay(bw radio.Hertz) int64 { return 16_000_000/bandwidthFactor(bw) + 2_031_250 }

// modemDelay is the time from the last sample to the timestamp, in picoseconds:
// the last FFT, demapping and decoding of d.5.
func modemDelay(p Packet) int64 {
	clock := 250_000 / bandwidthFactor(p.DataRate.Bandwidth)
	sf := int64(p.DataRate.SF)
	symbol := int64(1) << sf
	bits := sf // of a payload symbol
	if airtime.LowDataRateOptimize(p.DataRate) {
		bits -= 2
	}
	iterations := (sf + 1) / 2
	fft3 := clock*(symbol-6+2*(symbol*(iterations-1)+6)) + 4*clock

	last, fits := lastBlock(p, bits)
	coding := int64(p.Coding)
	demap, fft := 4*clock, int64(0)
	if fits {
		coding = 4
		demap += symbol*clock*3/4 + (sf-2)*clock
		fft = 2*symbol*clock + 3*clock
	} else {
		demap += symbol*clock + bits*clock
		fft = (5-(sf-bits))*(symbol*clock+7*clock) + 2*clock
	}
	decode := 8*clock + (9*clock+clock*coding)*last
	return fft3 + demap + fft + decode
}

// lastBlock counts the nibbles in the packet's last interleaved block; fits says
// that the whole payload travels in the header's block.
func lastBlock(p Packet, bits int64) (nibbles int64, fits bool) {
	sf := int64(p.DataRate.SF)
	bytes := int64(p.Bytes)
	if p.CRC {
		bytes += 2
	}
	header := sf - 2
	if sf < 7 {
		header = sf
	}
	if 2*bytes-(sf-7) <= 0 || bytes == 0 {
		return header, true
	}
	nibbles = (2*bytes + 5 - header) % bits
	if nibbles == 0 {
		nibbles = bits
	}
	return nibbles, false
}

// payloadSymbols counts the symbols after the eight of the header block (e.2),
// for an explicit header.
func payloadSymbols(p Packet, lowRate bool) int64 {
	sf := int64(p.DataRate.SF)
	need := 8*int64(p.Bytes) - 4*sf + 20
	if p.CRC {
		need += 16
	}
	if sf >= 7 {
		need += 8
	}
	if need <= 0 {
		return 0
	}
	perBlock := 4 * sf
	if lowRate {
		perBlock -= 8
	}
	return (need + perBlock - 1) / perBlock * (4 + int64(p.Coding))
}

// VendorAirMS is the vendor's time on air in whole milliseconds (e.2), for
// comparison with its logs and its transmit queue only: it overstates SF11 and
// SF12 at wide bandwidths, and FSK is always one millisecond long or more. Use
// [airtime.OnAir] to account for time.
func VendorAirMS(p airtime.Params) (int64, error) {
	us, err := airtime.VendorOnAir(p)
	if err != nil {
		return 0, err
	}
	if p.DataRate.Modulation == radio.LoRa {
		return (int64(us) + 500) / 1000, nil
	}
	n := int64(p.PayloadBytes) + 1
	if !p.NoCRC {
		n += 2
	}
	n += int64(orDefault(p.PreambleSymbols, airtime.DefaultPreambleBytes)) + int64(orDefault(p.SyncBytes, airtime.DefaultSyncBytes))
	return 8*n*1000/int64(p.DataRate.BitRate) + 1, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
