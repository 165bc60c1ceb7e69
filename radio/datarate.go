package radio

import (
	"fmt"
	"strconv"
	"strings"
)

// Modulation tells how bits are put on the carrier.
type Modulation uint8

// The modulations that Heliograph handles.
const (
	LoRa Modulation = 1
	FSK  Modulation = 2
)

// SpreadingFactor is LoRa's spreading factor, 5..12.
type SpreadingFactor uint8

// DataRate is a modulation with its parameters. For LoRa, SF and Bandwidth are
// set; for FSK, BitRate is. The zero value is invalid.
type DataRate struct {
	Modulation Modulation
	SF         SpreadingFactor // LoRa: 5..12
	Bandwidth  Hertz           // LoRa: 125, 250 or 500 kHz
	BitRate    uint32          // FSK: bits a second
}

// LoRaRate makes a LoRa data rate. It does not check; [DataRate.Valid] does.
func LoRaRate(sf SpreadingFactor, bw Hertz) DataRate {
	return DataRate{Modulation: LoRa, SF: sf, Bandwidth: bw}
}

// FSKRate makes an FSK data rate of that many bits a second.
func FSKRate(bitRate uint32) DataRate { return DataRate{Modulation: FSK, BitRate: bitRate} }

// Valid says whether an SX1302 could send and receive the rate.
func (d DataRate) Valid() bool {
	switch d.Modulation {
	case LoRa:
		bw := d.Bandwidth == 125*KHz || d.Bandwidth == 250*KHz || d.Bandwidth == 500*KHz
		return bw && d.SF >= 5 && d.SF <= 12 && d.BitRate == 0
	case FSK:
		return d.BitRate >= 500 && d.BitRate <= 250_000 && d.SF == 0 && d.Bandwidth == 0
	}
	return false
}

// String prints the rate as LoRaWAN tools write it: "SF7BW125", or "FSK50000".
func (d DataRate) String() string {
	switch d.Modulation {
	case LoRa:
		return fmt.Sprintf("SF%dBW%d", d.SF, d.Bandwidth/KHz)
	case FSK:
		return fmt.Sprintf("FSK%d", d.BitRate)
	}
	return "invalid"
}

// ParseDataRate reads what [DataRate.String] prints.
func ParseDataRate(s string) (DataRate, error) {
	var d DataRate
	if rate, ok := strings.CutPrefix(s, "FSK"); ok {
		n, err := strconv.ParseUint(rate, 10, 32)
		if err != nil {
			return DataRate{}, fmt.Errorf("%w %q: %v", errDataRate, s, err)
		}
		d = FSKRate(uint32(n))
	} else {
		sf, bw, ok := strings.Cut(strings.TrimPrefix(s, "SF"), "BW")
		if !ok || !strings.HasPrefix(s, "SF") {
			return DataRate{}, fmt.Errorf("%w %q: want a form like SF7BW125", errDataRate, s)
		}
		f, err := strconv.ParseUint(sf, 10, 8)
		if err != nil {
			return DataRate{}, fmt.Errorf("%w %q: %v", errDataRate, s, err)
		}
		b, err := strconv.ParseUint(bw, 10, 16)
		if err != nil {
			return DataRate{}, fmt.Errorf("%w %q: %v", errDataRate, s, err)
		}
		d = LoRaRate(SpreadingFactor(f), Hertz(b)*KHz)
	}
	if !d.Valid() || d.String() != s {
		return DataRate{}, fmt.Errorf("%w %q: outside what the radio can do", errDataRate, s)
	}
	return d, nil
}

// CodingRate is LoRa's forward error correction: 4/(4+n) is stored as n, 1..4.
// Zero means that the packet has none (FSK) or that it is not known.
type CodingRate uint8

// String prints "4/5".."4/8", or "OFF".
func (c CodingRate) String() string {
	if c < 1 || c > 4 {
		return "OFF"
	}
	return "4/" + strconv.Itoa(4+int(c))
}
