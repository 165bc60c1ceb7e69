package helium

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"heliograph/radio"
)

// PayloadSize is the length of a beacon's payload in bytes. On the air a header
// byte ([MHDR]) stands before it.
const PayloadSize = 51

// MHDR is the first byte of a beacon on the air: LoRaWAN message type
// proprietary, major version 0.
const MHDR = 0xe0

// maxEntropy bounds the entropy that a report may carry; the service gives 32
// bytes and a hotspot draws 4, but neither length was ever checked.
const maxEntropy = 1024

// Entropy is one output of the entropy service. Anybody could fetch it; it was
// not signed.
type Entropy struct {
	Data    []byte
	Start   int64  // Unix seconds
	Version uint32 // 0 or 1
}

// Beacon is what a hotspot transmits for given entropy.
type Beacon struct {
	Payload   [PayloadSize]byte
	Frequency radio.Hertz
	DataRate  radio.DataRate
	PowerDBm  int32 // conducted, whole dBm; the verifier does not compare it
}

// ErrNoBeacon marks parameters from which no beacon can be derived.
var ErrNoBeacon = errors.New("helium: no beacon can be derived")

// Seed is SHA-256 of remote data, remote time, local data and local time (0),
// the times as little-endian 64-bit seconds.
func Seed(remote Entropy, local []byte) [32]byte {
	b := make([]byte, 0, len(remote.Data)+len(local)+16)
	b = append(b, remote.Data...)
	b = binary.LittleEndian.AppendUint64(b, uint64(remote.Start))
	b = append(b, local...)
	b = binary.LittleEndian.AppendUint64(b, 0)
	return sha256.Sum256(b)
}

// Derive computes the beacon of a pair of entropies. Note that nothing in it is
// bound to the hotspot: whoever knows the local entropy makes the same beacon,
// and a hotspot may try many.
func Derive(remote Entropy, local []byte, params RegionParams, gainDeciDBi int32) (Beacon, error) {
	if remote.Version > 1 {
		return Beacon{}, fmt.Errorf("%w: entropy version %d", ErrNoBeacon, remote.Version)
	}
	if len(remote.Data) > maxEntropy || len(local) > maxEntropy {
		return Beacon{}, fmt.Errorf("%w: entropy is longer than %d bytes", ErrNoBeacon, maxEntropy)
	}
	if len(params) == 0 {
		return Beacon{}, fmt.Errorf("%w: the region has no channels", ErrNoBeacon)
	}
	var b Beacon
	for i, w := range chacha12(Seed(remote, local), PayloadSize) {
		b.Payload[i] = byte(w) // the low byte of each word
	}
	b.Frequency = params[b.channelDraw()%len(params)].Frequency
	var err error
	if b.DataRate, err = params.SelectDataRate(PayloadSize); err != nil {
		return Beacon{}, err
	}
	if b.PowerDBm, err = params.ConductedPower(gainDeciDBi); err != nil {
		return Beacon{}, err
	}
	return b, nil
}

// channelDraw is the number whose remainder picks the channel.
func (b *Beacon) channelDraw() int { return int(binary.LittleEndian.Uint16(b.Payload[:2])) }

// PHYPayload is the beacon as it goes on the air: header and payload, no MIC.
func (b *Beacon) PHYPayload() []byte { return append([]byte{MHDR}, b.Payload[:]...) }

// SelectDataRate takes the first tagged spreading of the first channel that is
// meant for payloads of at least that size, in stored order.
func (p RegionParams) SelectDataRate(size int) (radio.DataRate, error) {
	if len(p) == 0 {
		return radio.DataRate{}, fmt.Errorf("%w: the region has no channels", ErrNoBeacon)
	}
	for _, t := range p[0].TaggedSpread {
		if t.MaxSize >= size {
			return radio.LoRaRate(t.SF, p[0].Bandwidth), nil
		}
	}
	return radio.DataRate{}, fmt.Errorf("%w: no spreading factor for %d bytes", ErrNoBeacon, size)
}

// ConductedPower is the largest EIRP of all channels less the antenna's gain,
// cut to whole dBm. A negative difference is an error, even above -1.
func (p RegionParams) ConductedPower(gainDeciDBi int32) (int32, error) {
	if len(p) == 0 {
		return 0, fmt.Errorf("%w: the region has no channels", ErrNoBeacon)
	}
	limit := p[0].MaxEIRPDeci
	for _, c := range p {
		limit = max(limit, c.MaxEIRPDeci)
	}
	deci := int64(limit) - int64(gainDeciDBi)
	if deci < 0 {
		return 0, fmt.Errorf("%w: the antenna's gain exceeds the EIRP limit", ErrNoBeacon)
	}
	return int32(deci / 10), nil
}
