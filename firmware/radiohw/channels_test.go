package radiohw

import (
	"slices"
	"testing"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

func TestChannels(t *testing.T) {
	const us = 903_900_000
	channels := []radio.Hertz{us, us + 200*radio.KHz, us + 400*radio.KHz}
	full := func() sx1302.Config {
		var c sx1302.Config
		c.Radios[0] = sx1302.Radio{Enable: true, Frequency: us, TxEnable: true, TxMin: 902_000_000, TxMax: 928_000_000}
		for i := range channels {
			c.Channels[i] = sx1302.Channel{Enable: true, IF: radio.Hertz(i) * 200 * radio.KHz}
		}
		return c
	}
	for name, tt := range map[string]struct {
		change     func(*sx1302.Config)
		deaf, mute []radio.Hertz
	}{
		"all":                  {func(*sx1302.Config) {}, nil, nil},
		"no limits":            {func(c *sx1302.Config) { c.Radios[0].TxMin, c.Radios[0].TxMax = 0, 0 }, nil, nil},
		"a channel is off":     {func(c *sx1302.Config) { c.Channels[1].Enable = false }, channels[1:2], nil},
		"a channel is beside":  {func(c *sx1302.Config) { c.Channels[2].IF += 10 * radio.KHz }, channels[2:], nil},
		"the radio is off":     {func(c *sx1302.Config) { c.Radios[0].Enable = false }, channels, channels},
		"downlinks only":       {func(c *sx1302.Config) { c.Radios[0].TxMin = 923_000_000 }, nil, channels},
		"limit within":         {func(c *sx1302.Config) { c.Radios[0].TxMax = us + 200*radio.KHz }, nil, channels[2:]},
		"the second radio may": {func(c *sx1302.Config) { c.Radios[0].TxMin, c.Radios[1] = 923_000_000, c.Radios[0] }, nil, nil},
		"listen before talk": {func(c *sx1302.Config) {
			c.SX1261 = sx1302.SX1261{Enable: true, LBT: true, Channels: []sx1302.LBTChannel{{Frequency: us}}}
		}, nil, channels[1:]},
	} {
		c := full()
		tt.change(&c)
		if got := Deaf(&c, channels); !slices.Equal(got, tt.deaf) {
			t.Errorf("%s: deaf to %v, want %v", name, got, tt.deaf)
		}
		if got := Mute(&c, channels); !slices.Equal(got, tt.mute) {
			t.Errorf("%s: mute on %v, want %v", name, got, tt.mute)
		}
	}
}
