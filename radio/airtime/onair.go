package airtime

import (
	"fmt"

	"heliograph/radio"
)

// Defaults that a zero in [Params] stands for.
const (
	DefaultPreambleSymbols = 8 // LoRa symbols
	DefaultPreambleBytes   = 5 // FSK
	DefaultSyncBytes       = 3 // FSK
)

// maxPreamble is the largest preamble that the 16-bit register can hold.
const maxPreamble = 65535

// maxSyncBytes is the longest FSK sync word of the SX1302.
const maxSyncBytes = 8

// Params describes one packet on the air.
type Params struct {
	DataRate     radio.DataRate
	Coding       radio.CodingRate // LoRa: 1..4; not used for FSK
	PayloadBytes int              // PHY payload, 0..255

	// PreambleSymbols is the programmed preamble: LoRa symbols without the
	// 4.25 (SF5, SF6: 6.25) that the modem adds, or FSK bytes. 0 is the default.
	PreambleSymbols int
	ImplicitHeader  bool // LoRa: no PHY header, as in class B beacons
	NoCRC           bool // no payload checksum, as in LoRaWAN downlinks
	SyncBytes       int  // FSK: length of the sync word, 1..8; 0 is the default
}

// OnAir is the time from the first preamble chirp to the end of the packet.
// It fails when a parameter is outside what the radio can do.
func OnAir(p Params) (radio.Micros, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	if p.DataRate.Modulation == radio.FSK {
		return p.fsk(), nil
	}
	return p.lora(LowDataRateOptimize(p.DataRate)), nil
}

// VendorOnAir is the SX1302 HAL's figure for a LoRa packet: it equals [OnAir]
// except that low data rate optimisation is assumed for SF11 and SF12 whatever
// the bandwidth is. For FSK it is [OnAir].
func VendorOnAir(p Params) (radio.Micros, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	if p.DataRate.Modulation == radio.FSK {
		return p.fsk(), nil
	}
	return p.lora(p.DataRate.SF >= 11), nil
}

// LowDataRateOptimize says whether the modem drops two bits of each payload
// symbol: when a symbol lasts 16 ms or more, which is SF11 and SF12 at 125 kHz
// and SF12 at 250 kHz. It is never so at 500 kHz, nor for FSK.
func LowDataRateOptimize(dr radio.DataRate) bool {
	return dr.Modulation == radio.LoRa && dr.Valid() && Symbol(dr) >= 16_000
}

// Symbol is the duration of one LoRa symbol, 2^SF / bandwidth; 0 when dr is not
// a valid LoRa rate.
func Symbol(dr radio.DataRate) radio.Micros {
	if dr.Modulation != radio.LoRa || !dr.Valid() {
		return 0
	}
	return radio.Micros((int64(1) << dr.SF) * 1_000_000 / int64(dr.Bandwidth))
}

func (p Params) check() error {
	switch {
	case !p.DataRate.Valid():
		return fmt.Errorf("airtime: data rate %v is not one the radio has", p.DataRate)
	case p.DataRate.Modulation == radio.LoRa && (p.Coding < 1 || p.Coding > 4):
		return fmt.Errorf("airtime: coding rate %d is outside 1..4 (4/5..4/8)", p.Coding)
	case p.PayloadBytes < 0 || p.PayloadBytes > radio.MaxPayload:
		return fmt.Errorf("airtime: payload of %d bytes is outside 0..%d", p.PayloadBytes, radio.MaxPayload)
	case p.PreambleSymbols < 0 || p.PreambleSymbols > maxPreamble:
		return fmt.Errorf("airtime: preamble of %d is outside 0..%d", p.PreambleSymbols, maxPreamble)
	case p.SyncBytes < 0 || p.SyncBytes > maxSyncBytes:
		return fmt.Errorf("airtime: sync word of %d bytes is outside 0..%d", p.SyncBytes, maxSyncBytes)
	}
	return nil
}

// lora counts in quarter symbols, so that the 4.25 (6.25) symbols of sync word
// and start frame delimiter stay whole.
func (p Params) lora(lowRate bool) radio.Micros {
	preamble := int64(p.PreambleSymbols)
	if preamble == 0 {
		preamble = DefaultPreambleSymbols
	}
	syncQuarters := int64(17)
	if p.DataRate.SF < 7 {
		syncQuarters = 25
	}
	quarters := 4*preamble + syncQuarters + 4*p.payloadSymbols(lowRate)
	return radio.Micros(quarters * int64(Symbol(p.DataRate)/4))
}

// payloadSymbols counts header, payload and checksum in symbols: eight fixed
// ones, then coded blocks of SF (or SF-2) nibbles each.
func (p Params) payloadSymbols(lowRate bool) int64 {
	sf := int64(p.DataRate.SF)
	bits := 8*int64(p.PayloadBytes) - 4*sf
	if !p.NoCRC {
		bits += 16
	}
	if sf >= 7 {
		bits += 8
	}
	if !p.ImplicitHeader {
		bits += 20
	}
	if bits <= 0 {
		return 8
	}
	perBlock := 4 * sf
	if lowRate {
		perBlock -= 8
	}
	blocks := (bits + perBlock - 1) / perBlock
	return 8 + blocks*(4+int64(p.Coding))
}

// fsk counts preamble, sync word, length byte, payload and checksum.
func (p Params) fsk() radio.Micros {
	n := int64(p.PayloadBytes) + 1
	if p.PreambleSymbols == 0 {
		n += DefaultPreambleBytes
	} else {
		n += int64(p.PreambleSymbols)
	}
	if p.SyncBytes == 0 {
		n += DefaultSyncBytes
	} else {
		n += int64(p.SyncBytes)
	}
	if !p.NoCRC {
		n += 2
	}
	rate := int64(p.DataRate.BitRate)
	return radio.Micros((n*8*1_000_000 + rate - 1) / rate)
}
