package ether

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"heliograph/radio"
	"heliograph/radio/airtime"
)

// Config is the weather of one ether. The zero value is filled by [Config.fill].
type Config struct {
	Seed      uint64
	Exponent  float64 // path loss exponent n beyond Reference; 0 = 2.9 (roof to roof in a city)
	Reference float64 // metres up to which loss is that of free space; 0 = 100
	Shadowing float64 // standard deviation in dB, constant for each pair of stations; 0 = 5
	Fading    float64 // standard deviation in dB, drawn for each packet and receiver; 0 = 1
	NoiseFig  float64 // receiver noise figure in dB; 0 = 6
	Capture   float64 // dB by which the stronger of two equal packets must lead; 0 = 6
}

func (c Config) fill() Config {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Exponent, 2.9)
	def(&c.Reference, 100)
	def(&c.Shadowing, 5)
	def(&c.Fading, 1)
	def(&c.NoiseFig, 6)
	def(&c.Capture, 6)
	return c
}

const (
	earthRadius   = 6_371_007.0 // metres, mean
	rejection     = 16.0        // dB between different spreading factors
	maxSNR        = 12.0        // the demodulator's estimate saturates here
	beyondHorizon = 150_000.0   // metres beyond which nothing is ever heard
)

// Place is a position in degrees.
type Place struct{ Lat, Lon float64 }

// Metres is the great-circle distance (haversine on the mean sphere).
func (p Place) Metres(q Place) float64 {
	const rad = math.Pi / 180
	s1 := math.Sin((q.Lat - p.Lat) * rad / 2)
	s2 := math.Sin((q.Lon - p.Lon) * rad / 2)
	h := s1*s1 + math.Cos(p.Lat*rad)*math.Cos(q.Lat*rad)*s2*s2
	return 2 * earthRadius * math.Asin(math.Sqrt(math.Min(1, h)))
}

// freeSpace is the free-space path loss in dB (ITU-R P.525).
func freeSpace(metres float64, f radio.Hertz) float64 {
	return 20*math.Log10(math.Max(metres, 1)) + 20*math.Log10(float64(f)) - 147.55
}

// loss is the path loss in dB without fading, never below free space.
func (c Config) loss(metres float64, f radio.Hertz, shadow float64) float64 {
	free := freeSpace(metres, f)
	if metres <= c.Reference {
		return free
	}
	l := freeSpace(c.Reference, f) + 10*c.Exponent*math.Log10(metres/c.Reference) + shadow
	return math.Max(l, free)
}

// noise is the receiver's noise floor in dBm.
func (c Config) noise(bw radio.Hertz) float64 {
	return -174 + 10*math.Log10(float64(bw)) + c.NoiseFig
}

// minSNR is the lowest SNR in dB that can still be demodulated.
func minSNR(sf radio.SpreadingFactor) float64 { return -7.5 - 2.5*(float64(sf)-7) }

// normal draws from a standard normal distribution; the same keys always draw
// the same number.
func (c Config) normal(kind string, keys ...uint64) float64 {
	h := fnv.New64a()
	h.Write([]byte(kind))
	for _, k := range append(keys, c.Seed) {
		var b [8]byte
		for i := range b {
			b[i] = byte(k >> (8 * i))
		}
		h.Write(b[:])
	}
	return rand.New(rand.NewPCG(h.Sum64(), c.Seed)).NormFloat64()
}

// shadow is the shadowing of a pair of stations in dB, the same both ways.
func (c Config) shadow(a, b StationID) float64 {
	return c.Shadowing * c.normal("shadow", uint64(min(a, b)), uint64(max(a, b)))
}

func toMilliwatt(dbm float64) float64 { return math.Pow(10, dbm/10) }
func toDBm(mw float64) float64        { return 10 * math.Log10(mw) }

func onAir(p radio.TxPacket) (time.Duration, error) {
	span, err := airtime.OnAir(airtime.Params{
		DataRate: p.DataRate, Coding: max(p.Coding, 1), PayloadBytes: len(p.Payload),
		PreambleSymbols: int(p.Preamble), ImplicitHeader: p.Implicit, NoCRC: p.NoCRC,
	})
	return span.Duration(), err
}
