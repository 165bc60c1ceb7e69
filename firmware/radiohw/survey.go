package radiohw

import (
	"cmp"
	"context"
	"slices"

	"heliograph/hardware/sx1302"
	"heliograph/radio"
)

// Noise is what a survey found on one frequency.
type Noise struct {
	Frequency radio.Hertz    `json:"frequency_hz"`
	Median    radio.CentiDBm `json:"median_cdbm"`
}

// Spectrum is [sx1302.Concentrator.Spectrum] of the chip in service. A scan that
// does not end is counted, and the chip is started anew.
func (r *Radio) Spectrum(ctx context.Context, f radio.Hertz, n uint16) ([]sx1302.Level, error) {
	levels, err := r.chip.Spectrum(ctx, f, n)
	if err != nil {
		r.report(err)
	}
	return levels, err
}

// survey measures the configured frequencies in turn until ctx ends. Where the SX1261
// listens before each packet it is left alone: a packet would find it busy.
func (r *Radio) survey(ctx context.Context) {
	s := r.cfg.Survey
	switch {
	case s.Channels == 0 || s.Pace <= 0:
		return
	case r.cfg.Board.Config.SX1261.LBT:
		r.log.Warn("no spectral scan: the SX1261 is needed for listen-before-talk")
		return
	}
	for i := 0; r.clock.Sleep(ctx, s.Pace) == nil; i++ {
		if !r.ready() {
			continue
		}
		f := s.First + sx1302.SurveyStep*radio.Hertz(i%s.Channels)
		if levels, err := r.Spectrum(ctx, f, s.Scans); err == nil {
			r.note(Noise{Frequency: f, Median: median(levels)})
		}
	}
}

// note keeps the latest finding for each frequency.
func (r *Radio) note(n Noise) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, found := slices.BinarySearchFunc(r.status.Noise, n, func(a, b Noise) int { return cmp.Compare(a.Frequency, b.Frequency) })
	if !found {
		r.status.Noise = slices.Insert(r.status.Noise, i, n)
	}
	r.status.Noise[i] = n
}

// median is the level that half of the readings do not exceed.
func median(levels []sx1302.Level) radio.CentiDBm {
	slices.SortFunc(levels, func(a, b sx1302.Level) int { return cmp.Compare(a.Level, b.Level) })
	var all, sum uint32
	for _, l := range levels {
		all += uint32(l.Count)
	}
	for _, l := range levels {
		if sum += uint32(l.Count); 2*sum >= all {
			return l.Level
		}
	}
	return 0
}
