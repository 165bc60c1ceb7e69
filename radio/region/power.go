package region

import (
	"fmt"

	"heliograph/radio"
)

// Power is a sub-band's limit. The terms that are not zero hold together; at
// least one is set.
type Power struct {
	ERP  radio.ERP
	EIRP radio.EIRP
	// Conducted limits the power at the antenna connector. The antenna may
	// add up to FreeGain; above it the power goes down dB for dB.
	Conducted radio.CentiDBm
	FreeGain  radio.CentiDB
}

// Max is the most that may be radiated through an antenna of that gain (dBi,
// cable loss taken off).
func (l Power) Max(gain radio.CentiDB) radio.EIRP {
	limit := radio.EIRP(radio.DBm(1000))
	if l.ERP != 0 {
		limit = min(limit, l.ERP.EIRP())
	}
	if l.EIRP != 0 {
		limit = min(limit, l.EIRP)
	}
	if l.Conducted != 0 {
		limit = min(limit, radio.EIRP(l.Conducted.Add(min(gain, l.FreeGain))))
	}
	return limit
}

// Listen is a duty to sense the carrier before sending.
type Listen struct {
	For       radio.Micros   // how long the channel must be observed
	Threshold radio.CentiDBm // busy at or above this level
	MaxOnAir  radio.Micros   // longest transmission after one observation
	Pause     radio.Micros   // silence after a transmission
}

// SubBand is a stretch of spectrum with one set of limits on a gateway.
type SubBand struct {
	Name         string
	From, To     radio.Hertz // edges; the whole signal must lie between them
	Power        Power
	DutyPerMille int // most time on air in an hour, in thousandths; 1000: no limit

	// MaxDwell is the longest transmission of a signal narrower than
	// DwellBelow; 0 is no limit.
	MaxDwell   radio.Micros
	DwellBelow radio.Hertz

	Listen *Listen // nil: no carrier sense needed
}

// holds says whether a signal lies in the band with its whole width.
func (b SubBand) holds(freq, width radio.Hertz) bool {
	return freq-width/2 >= b.From && freq+(width+1)/2 <= b.To
}

// SubBand is the sub-band that holds the frequency. A frequency on the border of
// two belongs to the upper one.
func (p *Plan) SubBand(freq radio.Hertz) (SubBand, bool) {
	for _, b := range p.SubBands {
		if freq >= b.From && freq < b.To {
			return b, true
		}
	}
	return SubBand{}, false
}

// DutyLimited lists the sub-bands whose time on air must be accounted.
func (p *Plan) DutyLimited() []SubBand {
	var out []SubBand
	for _, b := range p.SubBands {
		if b.DutyPerMille < 1000 {
			out = append(out, b)
		}
	}
	return out
}

// MaxEIRP is the most that a gateway may radiate on the frequency through an
// antenna of that gain (dBi, cable loss taken off).
func (p *Plan) MaxEIRP(freq radio.Hertz, gain radio.CentiDB) (radio.EIRP, error) {
	b, ok := p.SubBand(freq)
	if !ok {
		return 0, &Refusal{Reason: FrequencyNotInPlan, Plan: p.Name, Frequency: freq}
	}
	return b.Power.Max(gain), nil
}

// BeaconSteps are the coverage beacon's power steps that the sub-band and the
// antenna allow on the frequency, highest first.
func (p *Plan) BeaconSteps(freq radio.Hertz, gain radio.CentiDB) ([]radio.EIRP, error) {
	limit, err := p.MaxEIRP(freq, gain)
	if err != nil {
		return nil, err
	}
	var out []radio.EIRP
	for _, s := range p.PoC.Steps {
		if s <= limit {
			out = append(out, s)
		}
	}
	return out, nil
}

// fskWidth is the channel that RP002 sets aside for its 50 kbit/s FSK rate.
const fskWidth = 125 * radio.KHz

// width is the bandwidth that a signal takes.
func width(d radio.DataRate) radio.Hertz {
	if d.Modulation == radio.FSK {
		return fskWidth
	}
	return d.Bandwidth
}

// Tx is a transmission to be judged.
type Tx struct {
	Frequency radio.Hertz
	DataRate  radio.DataRate
	EIRP      radio.EIRP
	Gain      radio.CentiDB // antenna gain less cable loss, dBi
	OnAir     radio.Micros
	// Listened says that carrier sense as the sub-band asks will come before
	// the packet, and can hold it back.
	Listened bool
}

// Reason says which rule a transmission would break.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	FrequencyNotInPlan Reason = iota + 1
	DataRateNotInPlan
	PowerAboveLimit
	DwellExceeded
	ListenFirst
)

var reasonNames = [...]string{FrequencyNotInPlan: "frequency_not_in_plan", DataRateNotInPlan: "data_rate_not_in_plan",
	PowerAboveLimit: "power_above_limit", DwellExceeded: "dwell_exceeded", ListenFirst: "listen_first"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) && r > 0 {
		return reasonNames[r]
	}
	return "unknown"
}

// Refusal is the error of [Plan.CheckTx]: the rule and its numbers.
type Refusal struct {
	Reason    Reason
	Plan      string
	SubBand   string // empty when the frequency is in none
	Frequency radio.Hertz
	DataRate  radio.DataRate
	EIRP      radio.EIRP   // asked for
	MaxEIRP   radio.EIRP   // PowerAboveLimit
	OnAir     radio.Micros // asked for
	MaxOnAir  radio.Micros // DwellExceeded
}

func (r *Refusal) Error() string {
	at := fmt.Sprintf("region: %s: transmit on %v: ", r.Plan, r.Frequency)
	switch r.Reason {
	case FrequencyNotInPlan:
		return at + "the signal does not fit into any band of the plan; use another channel"
	case DataRateNotInPlan:
		return at + fmt.Sprintf("the plan has no data rate %v", r.DataRate)
	case PowerAboveLimit:
		return at + fmt.Sprintf("%v is above the limit of %v; lower the power", r.EIRP, r.MaxEIRP)
	case DwellExceeded:
		return at + fmt.Sprintf("%v on the air exceeds %v; use a faster data rate or a shorter packet", r.OnAir.Duration(), r.MaxOnAir.Duration())
	case ListenFirst:
		return at + "the band demands carrier sense; a radio that can listen before it talks is needed"
	}
	return at + "refused"
}

// CheckTx says whether a gateway may send this, and if not, why: the error is a
// *[Refusal]. Duty cycle is not judged here, it needs the past.
func (p *Plan) CheckTx(tx Tx) error {
	no := Refusal{Plan: p.Name, Frequency: tx.Frequency, DataRate: tx.DataRate, EIRP: tx.EIRP, OnAir: tx.OnAir}
	refuse := func(r Reason) error {
		no.Reason = r
		return &no
	}
	b, ok := p.SubBand(tx.Frequency)
	if !ok || !b.holds(tx.Frequency, width(tx.DataRate)) {
		return refuse(FrequencyNotInPlan)
	}
	no.SubBand = b.Name
	_, up := p.Index(Up, tx.DataRate)
	_, down := p.Index(Down, tx.DataRate)
	if !up && !down {
		return refuse(DataRateNotInPlan)
	}
	if no.MaxEIRP = b.Power.Max(tx.Gain); tx.EIRP > no.MaxEIRP {
		return refuse(PowerAboveLimit)
	}
	if b.MaxDwell > 0 && width(tx.DataRate) < b.DwellBelow && tx.OnAir > b.MaxDwell {
		no.MaxOnAir = b.MaxDwell
		return refuse(DwellExceeded)
	}
	if b.Listen != nil {
		if !tx.Listened {
			return refuse(ListenFirst)
		}
		if no.MaxOnAir = b.Listen.MaxOnAir; no.MaxOnAir > 0 && tx.OnAir > no.MaxOnAir {
			return refuse(DwellExceeded)
		}
	}
	return nil
}
