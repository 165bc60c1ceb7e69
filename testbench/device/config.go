package device

import (
	"errors"
	"fmt"
	"time"

	"heliograph/radio"
	"heliograph/radio/lorawan"
	"heliograph/radio/region"
)

// Config is a device and its habits. Zero values of the fields after Plan mean
// the defaults.
type Config struct {
	DevEUI  lorawan.EUI64
	JoinEUI lorawan.EUI64
	AppKey  lorawan.AESKey
	Plan    *region.Plan

	Seed     uint64        // of channels, backoff and default payloads
	DevNonce uint16        // the first one; each join-request takes the next
	DR       region.DR     // uplink data rate index
	Every    time.Duration // from one uplink to the next, default 30 s
	First    time.Duration // from start to the first join-request
	// ConfirmEvery makes each n-th uplink a confirmed one; 0: none.
	ConfirmEvery uint32
	// Tries bounds how often a confirmed uplink goes out, 1..15, default 4.
	Tries int
	FPort uint8          // 1..223, default 1
	Power radio.CentiDBm // conducted, default 14 dBm
	Gain  radio.CentiDB  // antenna, dBi
	// Payload gives the plain payload of an uplink by its frame counter;
	// default: 12 bytes that follow from Seed and counter.
	Payload func(fcnt uint32) []byte
}

func (c Config) fill() (Config, error) {
	if c.Plan == nil {
		return c, errors.New("device: a plan is needed")
	}
	if c.Every == 0 {
		c.Every = 30 * time.Second
	}
	if c.Tries == 0 {
		c.Tries = 4
	}
	if c.FPort == 0 {
		c.FPort = 1
	}
	if c.Power == 0 {
		c.Power = radio.DBm(14)
	}
	if c.Payload == nil {
		c.Payload = c.reading
	}
	switch _, ok := c.Plan.Rate(region.Up, c.DR); {
	case !ok:
		return c, fmt.Errorf("device: %s has no uplink data rate %d", c.Plan.Name, c.DR)
	case len(c.channels(c.DR)) == 0:
		return c, fmt.Errorf("device: no default channel of %s takes data rate %d", c.Plan.Name, c.DR)
	case c.Tries < 1 || c.Tries > 15:
		return c, fmt.Errorf("device: %d tries, want 1..15", c.Tries)
	case c.FPort > 223:
		return c, fmt.Errorf("device: port %d, want 1..223", c.FPort)
	case c.Every < time.Second || c.First < 0:
		return c, fmt.Errorf("device: an uplink every %s, the first after %s: want 1 s or more, and not before the start", c.Every, c.First)
	case c.Power+radio.CentiDBm(c.Gain) > radio.CentiDBm(c.Plan.DeviceMaxEIRP):
		return c, fmt.Errorf("device: %v into %v dBi is more than the %v EIRP that %s grants devices",
			c.Power, c.Gain, c.Plan.DeviceMaxEIRP, c.Plan.Name)
	}
	return c, nil
}

// channels are the default channels that take a data rate.
func (c Config) channels(dr region.DR) (out []radio.Hertz) {
	for _, ch := range c.Plan.Uplink {
		if ch.Min <= dr && dr <= ch.Max {
			out = append(out, ch.Frequency)
		}
	}
	return out
}

// reading is the default payload: a counter and eight bytes that look measured.
func (c Config) reading(fcnt uint32) []byte {
	x := c.Seed ^ uint64(fcnt)*0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	out := []byte{byte(fcnt >> 24), byte(fcnt >> 16), byte(fcnt >> 8), byte(fcnt)}
	for i := range 8 {
		out = append(out, byte(x>>(8*i)))
	}
	return out
}
