package calc

import (
	"errors"
	"math"
	"testing"

	"heliograph/radio"
)

// arrival makes the stamp that the chip would give to a packet whose preamble
// ends ns nanoseconds after a pulse, on a crystal that is ppm off.
func arrival(pulse uint32, ns, ppm float64, sf radio.SpreadingFactor, freqError float64) uint32 {
	cycles := ns / 31.25 * (1 + ppm/1e6)
	symbols := 12.0
	if sf < 7 {
		symbols = 14
	}
	n := 256*math.Exp2(float64(sf))*symbols + 256*(math.Exp2(float64(sf))/4-1)
	return pulse + uint32(int64(math.Round(cycles+n*(1+freqError)-2138)))
}

func TestFineTimestamp(t *testing.T) {
	for _, ppm := range []float64{-20, 0, 13} {
		for sf := radio.SpreadingFactor(5); sf <= 12; sf++ {
			var p PPS
			pulse := uint32(0xFFFF_0000)
			second := uint32(32_000_000 * (1 + ppm/1e6))
			for range PPSDepth {
				if !p.Add(pulse) || p.Add(pulse) {
					t.Fatal("pulses are not told apart")
				}
				pulse += second
			}
			pulse -= second
			for _, ns := range []float64{1000, 123_456_789, 999_990_000} {
				for _, k := range []FinePacket{
					{Carrier: 868_100_000, IF: -400_000, Metrics: []int8{0, 0}},
					{Carrier: 868_100_000, Offset: 8681, IF: 200_000, Metrics: []int8{0, 0, 0, 0}},
				} {
					k.SF = sf
					k.Stamp = arrival(pulse, ns, ppm, sf, float64(k.Offset)/float64(k.Carrier))
					got, err := p.Nanos(k)
					if err != nil || math.Abs(float64(got)-ns) > 70 {
						t.Errorf("SF%d %v ppm: %v ns, %v; want %v", sf, ppm, got, err, ns)
					}
					// The same packet, looked at only after the next pulse came.
					later := p
					later.Add(pulse + second)
					if again, err := later.Nanos(k); err != nil || again != got {
						t.Errorf("SF%d: after the next pulse %v, %v; before %v", sf, again, err, got)
					}
				}
			}
		}
	}
}

func TestFineTimestampMetricsAndNotch(t *testing.T) {
	var p PPS
	for i := range uint32(PPSDepth) {
		p.Add(1000 + i*32_000_000)
	}
	at := arrival(1000+15*32_000_000, 500_000_000, 0, 12, 0)
	k := FinePacket{Stamp: at, SF: 12, Carrier: 868_100_000, IF: -400_000, Metrics: []int8{4, 0, 0, 0, 0, 0, 0, 0, 100, 100}}
	a, err := p.Nanos(k)
	if err != nil || math.Abs(float64(a)-500_000_000-4*31.25) > 40 {
		t.Errorf("SF12 uses the first 4 pairs: %d, %v", a, err)
	}
	k.SF, k.Stamp, k.IF, k.Metrics = 9, arrival(1000+15*32_000_000, 500_000_000, 0, 9, 0), 0, []int8{1, 1, 1, 1}
	b, err := p.Nanos(k)
	if want := 500_000_000 + (2.5+10.2922)*31.25; err != nil || math.Abs(float64(b)-want) > 40 {
		t.Errorf("running sums and notch: %d, %v; want %.0f", b, err, want)
	}
}

func TestFineTimestampRefuses(t *testing.T) {
	var full, lame PPS
	for i := range uint32(PPSDepth) {
		full.Add(i * 32_000_000)
		lame.Add(i * 16_000_000)
	}
	last := uint32(15) * 32_000_000
	good := FinePacket{Stamp: arrival(last, 1e6, 0, 7, 0), SF: 7, Carrier: 868_000_000, Metrics: []int8{0, 0}}
	if _, err := full.Nanos(good); err != nil {
		t.Fatal(err)
	}
	stale, bare, sf := good, good, good
	stale.Stamp += 33_000_000
	bare.Metrics = nil
	sf.SF = 13
	half := good
	half.Stamp = arrival(15*16_000_000, 1e6, 0, 7, 0)
	for _, tt := range []struct {
		p    *PPS
		k    FinePacket
		want error
	}{
		{&PPS{}, good, ErrNoPPS}, {&full, stale, ErrPPSMissing}, {&full, bare, ErrNoMetrics},
		{&full, sf, ErrNoMetrics}, {&lame, half, ErrCrystal},
	} {
		if got, err := tt.p.Nanos(tt.k); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %d, %v; want %v", tt.k, got, err, tt.want)
		}
	}
	full.Reset()
	if _, err := full.Nanos(good); !errors.Is(err, ErrNoPPS) || full.Seen() != 0 {
		t.Error("Reset keeps pulses")
	}
}
