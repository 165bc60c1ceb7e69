package calc

import (
	"fmt"

	"heliograph/radio"
)

// StartDelayDefault is the time from trigger to carrier that the chip adds on its
// own, in cycles of 32 MHz: 1500 µs, also the reset value of the register.
const StartDelayDefault = 48_000

// StartDelay is the transmit start delay register for LoRa (e.2), in cycles of
// 32 MHz: the nominal 1500 µs less what front end, interpolation filter and modem
// take, so that the first chirp leaves at the instant asked for.
func StartDelay(kind FrontEnd, dr radio.DataRate) (uint16, error) {
	k := bandwidthFactor(dr.Bandwidth)
	if dr.Modulation != radio.LoRa || !dr.Valid() {
		return 0, fmt.Errorf("calc: no transmit start delay for data rate %v", dr)
	}
	var front int64
	switch kind {
	case SX1250:
		front = [...]int64{1: 19, 2: 24, 4: 21}[k]
	case SX1255, SX1257:
		front = [...]int64{1: 100, 2: 106, 4: 100}[k]
	default:
		return 0, fmt.Errorf("calc: no transmit start delay for %v", kind)
	}
	filter := (int64(1)<<ChirpLowpass(dr.SF) - 1) * 1_000_000 / int64(dr.Bandwidth)
	modem := 8 * 1_000_000 / int64(dr.Bandwidth)
	return uint16(StartDelayDefault - front - filter - modem), nil
}

// ChirpLowpass is the chirp generator's filter setting (e.1): 6 below SF10, 7 from
// there on.
func ChirpLowpass(sf radio.SpreadingFactor) uint8 {
	if sf < 10 {
		return 6
	}
	return 7
}

// Trigger is the 32-bit compare value for a packet whose carrier shall start at a
// tick (e.2): tick * 32 - start delay, modulo 2^32. delay is [StartDelay] for LoRa
// and 0 for FSK and carrier.
func Trigger(at radio.Tick, delay uint16) uint32 {
	return uint32(CyclesOf(at)) - uint32(delay)
}

// Gain is one entry of an RF chain's power table: the settings that give Power at
// the connector. PA counts for both kinds of front end; PowerIndex only for the
// SX1250; Digital, DAC and Mixer only for the SX1255 and SX1257.
type Gain struct {
	Power      radio.CentiDBm
	PA         uint8 // 0..3; on an SX1250 zero or not
	PowerIndex uint8 // 0..22
	Digital    uint8 // 0..3
	DAC        uint8 // 0..3
	Mixer      uint8 // 5..15
}

// MaxGains is the longest power table.
const MaxGains = 16

// CheckGains refuses a power table with an entry outside the limits of e.1, an
// empty one, one with more than [MaxGains], and one that does not rise.
func CheckGains(kind FrontEnd, lut []Gain) error {
	if len(lut) == 0 || len(lut) > MaxGains {
		return fmt.Errorf("calc: power table has %d entries: need 1..%d", len(lut), MaxGains)
	}
	for i, g := range lut {
		switch {
		case g.PA > 3, g.Digital > 3, g.DAC > 3:
			return fmt.Errorf("calc: power table entry %d: PA, digital and DAC gain must be 0..3", i)
		case kind == SX1250 && g.PowerIndex > 22:
			return fmt.Errorf("calc: power table entry %d: power index %d is outside 0..22", i, g.PowerIndex)
		case kind != SX1250 && (g.Mixer < 5 || g.Mixer > 15):
			return fmt.Errorf("calc: power table entry %d: mixer gain %d is outside 5..15", i, g.Mixer)
		case i > 0 && g.Power <= lut[i-1].Power:
			return fmt.Errorf("calc: power table entry %d: %v does not exceed the %v before it: sort the table", i, g.Power, lut[i-1].Power)
		}
	}
	return nil
}

// ChooseGain is the last entry of a table that is not stronger than want. ok is
// false when even the first one is: the vendor sends it all the same, and it is
// for the caller to decide whether that is allowed. An empty table gives the zero
// Gain and false.
func ChooseGain(lut []Gain, want radio.CentiDBm) (g Gain, ok bool) {
	for i := len(lut) - 1; i >= 0; i-- {
		if lut[i].Power <= want {
			return lut[i], true
		}
	}
	if len(lut) > 0 {
		g = lut[0]
	}
	return g, false
}

// Register is AGC_TX_PWR for the entry (e.1).
func (g Gain) Register(kind FrontEnd) byte {
	if kind == SX1250 {
		r := g.PowerIndex & 0x3F
		if g.PA > 0 {
			r |= 1 << 6
		}
		return r
	}
	return g.PA<<6 | g.DAC&3<<4 | g.Mixer&0x0F
}
