package calc

import (
	"errors"

	"heliograph/radio"
)

// PPSDepth is how many pulses a fine timestamp needs to have been seen (d.6).
const PPSDepth = 16

// Reasons why a packet has no fine timestamp.
var (
	ErrNoPPS      = errors.New("calc: fine timestamp: no 16 pulses per second seen yet")
	ErrPPSMissing = errors.New("calc: fine timestamp: no pulse in the second before the packet")
	ErrCrystal    = errors.New("calc: fine timestamp: pulses are not a second apart")
	ErrNoMetrics  = errors.New("calc: fine timestamp: the packet has no timestamp metrics")
	ErrFineRange  = errors.New("calc: fine timestamp: result is beyond a second")
)

// PPS remembers the counter at the last pulses per second. The zero value is
// empty. It is not safe for concurrent use.
type PPS struct {
	ring [PPSDepth]uint32
	n    int // total seen
}

// Add takes in the latched counter (32 MHz) and says whether it is a new pulse:
// the register keeps its value until the next one.
func (p *PPS) Add(raw uint32) bool {
	if p.n > 0 && p.nth(0) == raw {
		return false
	}
	p.ring[p.n%PPSDepth] = raw
	p.n++
	return true
}

// Reset forgets everything, as after a restart of the chip or a lost reference.
func (p *PPS) Reset() { *p = PPS{} }

// Seen counts the pulses since the last Reset.
func (p *PPS) Seen() int { return p.n }

func (p *PPS) nth(back int) uint32 { return p.ring[(p.n-1-back)%PPSDepth] }

// FinePacket is what a fine timestamp is computed from. It needs a packet with a
// good CRC and its timing bit set.
type FinePacket struct {
	Stamp   uint32 // 32 MHz counter in the packet's metadata
	SF      radio.SpreadingFactor
	Carrier radio.Hertz // centre of the channel
	Offset  radio.Hertz // channel less carrier, as [FrequencyOffset] has it
	IF      radio.Hertz // of the channel, from its radio's centre
	Metrics []int8      // 2*M values from the packet's metadata
}

// Nanos is the packet's arrival (end of preamble) in nanoseconds since the pulse
// before it (d.6), with the crystal's error taken out.
func (p *PPS) Nanos(k FinePacket) (uint32, error) {
	if p.n < PPSDepth {
		return 0, ErrNoPPS
	}
	if k.SF < 5 || k.SF > 12 || len(k.Metrics) < 2 || k.Carrier <= 0 {
		return 0, ErrNoMetrics
	}
	t := k.Stamp - k.preamble() + decoderOffset
	second := p.nth(0) - p.nth(1)
	crystal := xtalHz / float64(second)
	if !(crystal > 0.8 && crystal < 1.2) {
		return 0, ErrCrystal
	}
	pulse, ok := p.before(t, second)
	if !ok {
		return 0, ErrPPSMissing
	}
	ns := (float64(t-pulse) + k.mean() + DCNotchDelay(k.IF)) * 31.25 * crystal
	if !(ns >= 0 && ns <= 1e9) {
		return 0, ErrFineRange
	}
	return uint32(ns), nil
}

// decoderOffset is between the SX1303's decoder and the gateway design that the
// formula was made for, in cycles.
const decoderOffset = 2138

// preamble is the time from the end of the preamble to the header's end, where
// the chip stamps, in cycles, stretched by the sender's frequency error: one whose
// carrier is low by some share also has symbols longer by that share.
func (k FinePacket) preamble() uint32 {
	symbols := int64(12)
	if k.SF < 7 {
		symbols = 14
	}
	n := 256*(int64(1)<<k.SF)*symbols + 256*(int64(1)<<k.SF/4-1)
	freqError := float64(k.Carrier+k.Offset)/float64(k.Carrier) - 1
	return uint32(int64(float64(n) + (float64(n)*freqError + 0.5)))
}

// before finds the pulse that a stamp counts from: the last, or, for a packet
// that arrived before it, the one in history less than a second earlier. A second
// is as long as the crystal says: with the vendor's nominal 32,000,000 cycles the
// last microseconds before a pulse belong to none when the crystal runs fast.
func (p *PPS) before(t, second uint32) (uint32, bool) {
	if last := p.nth(0); t-last <= second {
		return last, true
	}
	for i := 1; i < PPSDepth; i++ {
		if pulse := p.nth(i); t-pulse <= second {
			return pulse, true
		}
	}
	return 0, false
}

// mean averages the running sums of the usable metrics, in cycles.
func (k FinePacket) mean() float64 {
	limit := 32
	if k.SF > 9 {
		limit = 4 << (12 - k.SF)
	}
	usable := 2 * min(len(k.Metrics)/2, limit)
	sum, at := 0, 0
	for _, m := range k.Metrics[:usable] {
		at += int(m)
		sum += at
	}
	return float64(sum) / float64(usable)
}
