package radiohw

import (
	"slices"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// offChannel is how far a channel's centre may be from a packet's.
const offChannel = 5 * radio.KHz

// Deaf are those of some LoRa channels of 125 kHz that a configuration does not
// listen on.
func Deaf(cfg *sx1302.Config, channels []radio.Hertz) []radio.Hertz {
	return slices.DeleteFunc(slices.Clone(channels), func(f radio.Hertz) bool {
		for i := range cfg.Channels {
			if c, ok := cfg.Frequency(i); ok && c >= f-offChannel && c <= f+offChannel {
				return true
			}
		}
		return false
	})
}

// Mute are those of some channels that no radio of a configuration may send on, or
// that its listen-before-talk leaves out.
func Mute(cfg *sx1302.Config, channels []radio.Hertz) []radio.Hertz {
	return slices.DeleteFunc(slices.Clone(channels), func(f radio.Hertz) bool {
		sends := slices.ContainsFunc(cfg.Radios[:], func(r sx1302.Radio) bool { return r.Enable && r.TxEnable && reaches(&r, f) })
		listens := !cfg.SX1261.LBT || slices.ContainsFunc(cfg.SX1261.Channels, func(c sx1302.LBTChannel) bool { return c.Frequency == f })
		return sends && listens
	})
}

// reaches says whether a radio's limits let it send on a frequency.
func reaches(r *sx1302.Radio, f radio.Hertz) bool {
	return (r.TxMin == 0 || f >= r.TxMin) && (r.TxMax == 0 || f <= r.TxMax)
}
