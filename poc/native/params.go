package native

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"heliograph/poc/geo"
	"heliograph/radio"
)

// Params are the limits of the rule set. They are the same for a whole epoch; an
// epoch's record names them by [Params.Hash].
type Params struct {
	BeaconTimeTolerance  time.Duration // sent off the challenge's instant, beyond the clock's own bound
	WitnessTimeTolerance time.Duration // between beacon and witness, beyond both clocks' bounds
	MaxTimeBound         time.Duration // a worse bound counts as this
	MaxClockLead         time.Duration // a stated time ahead of the oracle's receive time
	MaxReportDelay       time.Duration // from the stated time to the oracle

	BeaconFrequencyTolerance  radio.Hertz // programmed frequency against the challenge
	WitnessFrequencyTolerance radio.Hertz // measured carrier against the beacon's frequency

	PowerOver  radio.CentiDB // radiated above the challenge
	PowerUnder radio.CentiDB // radiated below the challenge

	MinDistance geo.Metres
	MaxDistance geo.Metres

	NoiseFigure       radio.CentiDB // of the best receiver in use
	SensitivityMargin radio.CentiDB // RSSI below the computed sensitivity
	CeilingMargin     radio.CentiDB // RSSI above free space
	SNRFloorMargin    radio.CentiDB // SNR below the demodulator's limit
	SNRCeilingMargin  radio.CentiDB // SNR above RSSI over thermal noise

	LinkObservations uint32        // receptions of a link before its power is judged
	LinkSpread       radio.CentiDB // between its lowest and highest beacon power
	LinkFading       radio.CentiDB // standard deviation of the level of a link that stands still
	LinkSigmas       uint32        // in hundredths: how unlikely an honest link must be
	LinkMinSNR       radio.CentiDB // mean SNR from which the level is the beacon's, not the noise's

	MaxWitnesses uint32 // that share the reward of one beacon

	TightBound   time.Duration // clock bound of a hotspot with GNSS time
	LooseBound   time.Duration // clock bound of a hotspot with network time
	LooseWeight  uint32        // per mille for a bound over TightBound
	CoarseWeight uint32        // per mille for a bound over LooseBound
	FileWeight   uint32        // per mille for an Ed25519 key, which lies in a file
}

// Default is the parameter set that the project publishes.
func Default() Params {
	return Params{
		BeaconTimeTolerance:  50 * time.Millisecond,
		WitnessTimeTolerance: 20 * time.Millisecond,
		MaxTimeBound:         time.Second,
		MaxClockLead:         5 * time.Second,
		MaxReportDelay:       26 * time.Hour,

		BeaconFrequencyTolerance:  1 * radio.KHz,
		WitnessFrequencyTolerance: 31_250,

		PowerOver:  radio.DB(1),
		PowerUnder: radio.DB(3),

		MinDistance: 300,
		MaxDistance: 120_000,

		NoiseFigure:       radio.DB(6),
		SensitivityMargin: radio.DB(6),
		CeilingMargin:     radio.DB(10),
		SNRFloorMargin:    radio.DB(4),
		SNRCeilingMargin:  radio.DB(6),

		LinkObservations: 6,
		LinkSpread:       radio.DB(4),
		LinkFading:       250,
		LinkSigmas:       300,
		LinkMinSNR:       radio.DB(6),

		MaxWitnesses: 14,

		TightBound:   time.Millisecond,
		LooseBound:   100 * time.Millisecond,
		LooseWeight:  900,
		CoarseWeight: 700,
		FileWeight:   900,
	}
}

// Limit is one parameter as a reader meets it.
type Limit struct {
	Name  string
	Value int64
	Unit  string
	Why   string
}

// Limits lists all parameters in canonical order.
func (p Params) Limits() []Limit {
	us := func(d time.Duration) int64 { return int64(d / time.Microsecond) }
	return []Limit{
		{"beacon_time_tolerance", us(p.BeaconTimeTolerance), "us", "just-in-time queues of packet forwarders send within milliseconds; the rest is the mapping from counter to UTC"},
		{"witness_time_tolerance", us(p.WitnessTimeTolerance), "us", "120 km are 0.4 ms; the rest is the mapping from counter to UTC"},
		{"max_time_bound", us(p.MaxTimeBound), "us", "else a hotspot could excuse any time by admitting a bad clock; network time is better than this"},
		{"max_clock_lead", us(p.MaxClockLead), "us", "nobody reports what has not happened"},
		{"max_report_delay", us(p.MaxReportDelay), "us", "a day's outage and the grace after the epoch"},
		{"beacon_frequency_tolerance", int64(p.BeaconFrequencyTolerance), "Hz", "the synthesizer's step is a few hertz; a forwarder may round to kHz"},
		{"witness_frequency_tolerance", int64(p.WitnessFrequencyTolerance), "Hz", "a quarter of 125 kHz: beyond it a LoRa demodulator does not lock (SX1276 data sheet, 4.1.1.4)"},
		{"power_over", int64(p.PowerOver), "cdB", "the steps of a front end's gain table, rounded to the nearest"},
		{"power_under", int64(p.PowerUnder), "cdB", "the widest step of a gain table, rounded down"},
		{"min_distance", int64(p.MinDistance), "m", "nearer links cost nothing to stage and say nothing about coverage"},
		{"max_distance", int64(p.MaxDistance), "m", "radio horizon between two antennas 210 m above a smooth Earth; over 99.9 % of honest witnesses are below 100 km (HIP-58)"},
		{"noise_figure", int64(p.NoiseFigure), "cdB", "SX1250 front ends with a good preselector"},
		{"sensitivity_margin", int64(p.SensitivityMargin), "cdB", "cancels the noise figure: no receiver at room temperature is better"},
		{"ceiling_margin", int64(p.CeilingMargin), "cdB", "6 dB from one reflection in phase, 4 dB for calibration, antenna pattern and rounded places"},
		{"snr_floor_margin", int64(p.SNRFloorMargin), "cdB", "spread of the SX1302's SNR estimate near its limit"},
		{"snr_ceiling_margin", int64(p.SNRCeilingMargin), "cdB", "calibration of RSSI and SNR"},
		{"link_observations", int64(p.LinkObservations), "", "fewer cannot tell fading from fraud"},
		{"link_spread", int64(p.LinkSpread), "cdB", "a smaller spread is lost in fading"},
		{"link_fading", int64(p.LinkFading), "cdB", "two antennas that stand still: shadowing is the same each time, what varies is traffic, weather and the channel"},
		{"link_sigmas", int64(p.LinkSigmas), "0.01", "three sigma: one honest link in 740 on top of having lost half of the power steps"},
		{"link_min_snr", int64(p.LinkMinSNR), "cdB", "below, channel RSSI is mostly noise, and weak packets are lost: both flatten an honest slope"},
		{"max_witnesses", int64(p.MaxWitnesses), "", "as in the network that existing hotspots come from (HIP-83)"},
		{"tight_bound", us(p.TightBound), "us", "GNSS and PPS; a bound is a promise that the time checks hold the hotspot to"},
		{"loose_bound", us(p.LooseBound), "us", "network time over a home connection"},
		{"loose_weight", int64(p.LooseWeight), "0.001", "network time can hide 30,000 km of a relay's path"},
		{"coarse_weight", int64(p.CoarseWeight), "0.001", "a bound of a second hides a person with a recorder"},
		{"file_weight", int64(p.FileWeight), "0.001", "a key in a file can be copied to many machines"},
	}
}

// AppendBinary appends the canonical form: the name of the rule set, then each
// parameter as a signed 64-bit integer, big-endian, in the order of Limits.
func (p Params) AppendBinary(b []byte) ([]byte, error) {
	b = append(append(b, byte(len(Rules))), Rules...)
	for _, l := range p.Limits() {
		b = binary.BigEndian.AppendUint64(b, uint64(l.Value))
	}
	return b, nil
}

// Hash names the rule set with these parameters.
func (p Params) Hash() [sha256.Size]byte {
	b, _ := p.AppendBinary(nil) // cannot fail
	return sha256.Sum256(b)
}

// Validate refuses parameters under which the rules would have no meaning.
func (p Params) Validate() error {
	for _, l := range p.Limits() {
		if l.Value < 0 || l.Value > 1<<40 {
			return fmt.Errorf("native: parameter %s is %d, want 0..2^40", l.Name, l.Value)
		}
		if l.Unit == "0.001" && l.Value > 1000 {
			return fmt.Errorf("native: parameter %s is %d per mille, want at most 1000", l.Name, l.Value)
		}
	}
	switch {
	case p.MinDistance > p.MaxDistance:
		return fmt.Errorf("native: min_distance %d m is above max_distance %d m", p.MinDistance, p.MaxDistance)
	case p.MaxWitnesses < 1 || p.MaxWitnesses > maxTable:
		return fmt.Errorf("native: max_witnesses is %d, want 1..%d", p.MaxWitnesses, maxTable)
	case p.LinkObservations < 3 || p.LinkFading > 10_000 || p.LinkSigmas > 10_000:
		return fmt.Errorf("native: link rule: want at least 3 observations, fading up to 100 dB and up to 100 sigma")
	case p.TightBound > p.LooseBound || p.CoarseWeight > p.LooseWeight:
		return fmt.Errorf("native: a worse clock must not weigh more")
	}
	return nil
}
