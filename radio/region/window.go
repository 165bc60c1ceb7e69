package region

import (
	"fmt"

	"heliograph/radio"
)

// RX1Rate is the downlink index of the first receive window for an uplink index
// and the RX1DROffset that the device was given.
func (p *Plan) RX1Rate(up DR, offset int) (DR, error) {
	if int(up) >= len(p.RX1Rates) || len(p.RX1Rates[up]) == 0 {
		return 0, fmt.Errorf("region: %s has no uplink data rate %d", p.Name, up)
	}
	row := p.RX1Rates[up]
	if offset < 0 || offset >= len(row) {
		return 0, fmt.Errorf("region: RX1 offset %d is outside 0..%d of %s", offset, len(row)-1, p.Name)
	}
	return row[offset], nil
}

// RX1Frequency is where the first receive window opens after an uplink on the
// given frequency. In a fixed plan the uplink's rate tells nothing: the channel
// is found by its frequency, which no two channels share.
func (p *Plan) RX1Frequency(up radio.Hertz) (radio.Hertz, error) {
	if p.RX1Channels == 0 {
		if _, ok := p.SubBand(up); !ok {
			return 0, fmt.Errorf("region: %v is outside the bands of %s", up, p.Name)
		}
		return up, nil
	}
	for i, c := range p.Uplink {
		if c.Frequency == up {
			return p.Downlink[i%p.RX1Channels].Frequency, nil
		}
	}
	return 0, fmt.Errorf("region: %v is not an uplink channel of %s", up, p.Name)
}

// RX1 is the first receive window for an uplink that the concentrator heard.
func (p *Plan) RX1(up radio.Hertz, rate radio.DataRate, offset int) (radio.Hertz, radio.DataRate, error) {
	freq, err := p.RX1Frequency(up)
	if err != nil {
		return 0, radio.DataRate{}, err
	}
	dr, ok := p.Index(Up, rate)
	if !ok {
		return 0, radio.DataRate{}, fmt.Errorf("region: %v is not an uplink data rate of %s", rate, p.Name)
	}
	down, err := p.RX1Rate(dr, offset)
	if err != nil {
		return 0, radio.DataRate{}, err
	}
	row, ok := p.Rate(Down, down)
	if !ok {
		return 0, radio.DataRate{}, fmt.Errorf("region: %s answers %v with offset %d at downlink data rate %d, which it does not have", p.Name, rate, offset, down)
	}
	return freq, row.DataRate, nil
}

// RX2 is the second receive window before a network changes it.
func (p *Plan) RX2() (radio.Hertz, radio.DataRate) {
	row, _ := p.Rate(Down, p.RX2Default.DR)
	return p.RX2Default.Frequency, row.DataRate
}
