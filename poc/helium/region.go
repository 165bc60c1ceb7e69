package helium

import (
	"fmt"
	"strings"

	"heliograph/radio"
)

// Region is a frequency plan by its number in the protobuf enum.
type Region uint8

// The regions of region.proto.
const (
	US915        Region = 0
	EU868        Region = 1
	EU433        Region = 2
	CN470        Region = 3
	CN779        Region = 4
	AU915        Region = 5
	AS923x1      Region = 6
	KR920        Region = 7
	IN865        Region = 8
	AS923x2      Region = 9
	AS923x3      Region = 10
	AS923x4      Region = 11
	AS923x1B     Region = 12
	CD900x1A     Region = 13
	RU864        Region = 14
	AU915SB1     Region = 21
	AS923x1C     Region = 24
	RegionAbsent Region = 99 // UNKNOWN: no region could be resolved
)

// Tagged is one entry of a region's tagged spreading: a spreading factor and the
// largest payload, in bytes, for which it is meant.
type Tagged struct {
	SF      radio.SpreadingFactor
	MaxSize int
}

// Channel is one uplink channel of a region.
type Channel struct {
	Frequency    radio.Hertz
	Bandwidth    radio.Hertz
	MaxEIRPDeci  int32    // tenths of dBm
	TaggedSpread []Tagged // in stored order, which matters
}

// RegionParams is a region's channel list in stored order, which matters.
type RegionParams []Channel

func evenly(from, step radio.Hertz, n int) []radio.Hertz {
	out := make([]radio.Hertz, n)
	for i := range out {
		out[i] = from + step*radio.Hertz(i)
	}
	return out
}

func plan(maxEIRPDeci int32, tagged []Tagged, freqs []radio.Hertz) RegionParams {
	out := make(RegionParams, len(freqs))
	for i, f := range freqs {
		out[i] = Channel{Frequency: f, Bandwidth: 125 * radio.KHz, MaxEIRPDeci: maxEIRPDeci, TaggedSpread: tagged}
	}
	return out
}

// Published gives the parameters that the network used for a region (the files
// of helium/lorawan-h3, commit 30c8743); ok is false for regions without a file.
// EU433 has its frequencies ten times too low, as the published file had.
func Published(r Region) (p RegionParams, ok bool) {
	const step = 200 * radio.KHz
	us := []Tagged{{10, 25}, {9, 67}, {8, 139}, {7, 256}}
	eu := []Tagged{{12, 65}, {9, 129}, {8, 238}}
	rest := []Tagged{{12, 25}, {11, 25}, {10, 25}, {9, 67}, {8, 139}, {7, 256}}
	switch r {
	case US915:
		return plan(360, us, evenly(903_900_000, step, 8)), true
	case EU868, CD900x1A:
		return plan(161, eu, evenly(867_100_000, step, 8)), true
	case AU915:
		return plan(300, rest, evenly(916_800_000, step, 8)), true
	case AU915SB1:
		return plan(300, rest, evenly(915_200_000, step, 8)), true
	case AS923x1:
		return plan(160, rest, evenly(923_200_000, step, 8)), true
	case AS923x2:
		return plan(160, rest, evenly(921_400_000, step, 8)), true
	case AS923x3:
		return plan(160, rest, evenly(916_600_000, step, 8)), true
	case AS923x4:
		return plan(160, rest, evenly(917_300_000, step, 8)), true
	case AS923x1B:
		return plan(160, rest, evenly(922_000_000, step, 8)), true
	case AS923x1C:
		return plan(300, rest, evenly(923_200_000, step, 8)), true
	case CN470:
		return plan(191, rest, evenly(486_300_000, step, 8)), true
	case IN865:
		return plan(300, rest, []radio.Hertz{865_062_500, 865_402_500, 865_985_000}), true
	case KR920:
		return plan(140, rest, evenly(922_100_000, step, 7)), true
	case RU864:
		return plan(160, rest, append(evenly(864_100_000, step, 5), 868_900_000, 869_100_000)), true
	case EU433:
		return plan(121, rest, []radio.Hertz{43_317_500, 43_337_500, 43_357_500}), true
	}
	return nil, false
}

var regionNames = map[Region]string{
	US915: "US915", EU868: "EU868", EU433: "EU433", CN470: "CN470", CN779: "CN779", AU915: "AU915",
	AS923x1: "AS923_1", KR920: "KR920", IN865: "IN865", AS923x2: "AS923_2", AS923x3: "AS923_3",
	AS923x4: "AS923_4", AS923x1B: "AS923_1B", CD900x1A: "CD900_1A", RU864: "RU864",
	AU915SB1: "AU915_SB1", AS923x1C: "AS923_1C", RegionAbsent: "UNKNOWN",
}

func (r Region) String() string {
	if n, ok := regionNames[r]; ok {
		return n
	}
	return fmt.Sprintf("REGION_%d", uint8(r))
}

// ParseRegion reads a region's protobuf name, for example "EU868" or "AS923_1B".
func ParseRegion(s string) (Region, error) {
	for r, n := range regionNames {
		if strings.EqualFold(n, s) {
			return r, nil
		}
	}
	return RegionAbsent, fmt.Errorf("helium: unknown region %.20q", s)
}
