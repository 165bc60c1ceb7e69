package region

import (
	"fmt"
	"slices"
	"strings"

	"heliograph/radio"
)

// Revision is a published revision of RP002 (Regional Parameters).
type Revision uint8

// The revisions that changed what the tables hold.
const (
	RP002v100 Revision = iota // RP002-1.0.0, 2019, and all before it
	RP002v102                 // RP002-1.0.2, 2020: LR-FHSS
	RP002v105                 // RP002-1.0.5: SF5 and SF6
)

func (r Revision) String() string {
	return [...]string{"RP002-1.0.0", "RP002-1.0.2", "RP002-1.0.5"}[min(r, RP002v105)]
}

// Direction tells uplink tables from downlink tables.
type Direction uint8

// The two directions.
const (
	Up   Direction = 1 // device to network
	Down Direction = 2 // network to device
)

func (d Direction) String() string {
	if d == Up {
		return "uplink"
	}
	return "downlink"
}

// DR is a data rate index of the regional parameters, 0..14. Its meaning
// depends on plan and direction.
type DR uint8

// Rate is one row of a data rate table.
type Rate struct {
	DR       DR
	DataRate radio.DataRate // zero for LR-FHSS, which an SX1302 cannot handle
	LRFHSS   string         // coding rate and bandwidth of an LR-FHSS row, else empty
	Since    Revision       // first revision that has the row

	// MaxMAC is the longest MACPayload (the M of the tables) in bytes;
	// MaxMACRepeater the same where a repeater may be in between.
	MaxMAC, MaxMACRepeater uint8
}

// MaxApp is the longest FRMPayload without FOpts, the N of the tables.
func (r Rate) MaxApp() int { return int(r.MaxMAC) - 8 }

// Channel is one default channel with the data rates used on it.
type Channel struct {
	Frequency radio.Hertz
	Min, Max  DR // lowest and highest index, both included
}

// Window is a receive window's fixed parameters.
type Window struct {
	Frequency radio.Hertz
	DR        DR // downlink index
}

// Delays are the start times of the receive windows after the end of the uplink.
type Delays struct {
	RX1, RX2, JoinAccept1, JoinAccept2 radio.Micros
}

// Beacon is the class B beacon's default.
type Beacon struct {
	Channels []radio.Hertz // more than one: the beacon hops
	DR       DR            // downlink index
	Bytes    int
}

// PoC is what a hotspot's coverage beacons use: channels that every hotspot of
// the region listens on, rates whose airtime is bearable, and the power steps
// that a challenge may ask for, highest first.
type PoC struct {
	PayloadBytes int // PHY payload
	Channels     []radio.Hertz
	Rates        []radio.DataRate
	Steps        []radio.EIRP
}

// Source names the documents that a plan was taken from.
type Source struct {
	Regional   string // LoRa Alliance document and section
	Regulation string // regulator's document and section
}

// Plan is a region's channel plan. A plan from [ByName] belongs to the caller;
// treat it as read-only when it is shared.
type Plan struct {
	Name     string
	Revision Revision
	Source   Source

	Uplink        []Channel // default channels
	Downlink      []Channel // fixed plans: the RX1 channels
	UplinkRates   []Rate
	DownlinkRates []Rate

	// RX1Channels is 0 when RX1 answers on the uplink's frequency; otherwise
	// it answers on downlink channel (uplink channel index mod RX1Channels).
	RX1Channels int
	// RX1Rates gives the downlink index for [uplink index][RX1DROffset]; a row
	// without entries is an index that the plan does not have.
	RX1Rates   [][]DR
	RX2Default Window
	Delays     Delays
	ClassB     Beacon

	// DeviceMaxEIRP is the default that a network assumes of end devices.
	DeviceMaxEIRP radio.EIRP

	SubBands []SubBand // what a gateway may radiate
	PoC      PoC
}

// plans lists the regions; each call makes a fresh plan.
var plans = [...]func() *Plan{eu868, us915}

// Names lists the known plans.
func Names() []string {
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p().Name
	}
	return names
}

// ByName gives the plan of that name, like "EU868". An unknown name is answered
// with those that are known.
func ByName(name string) (*Plan, error) {
	for _, plan := range plans {
		if p := plan(); p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("region: unknown plan %q: use one of %s", name, strings.Join(Names(), ", "))
}

// At is the plan as the revision had it: data rates that came later are gone,
// and with them the RX1 rows that lead from or to them.
func (p *Plan) At(r Revision) *Plan {
	q := *p
	q.Revision = min(r, p.Revision)
	late := func(row Rate) bool { return row.Since > r }
	q.UplinkRates = slices.DeleteFunc(slices.Clone(p.UplinkRates), late)
	q.DownlinkRates = slices.DeleteFunc(slices.Clone(p.DownlinkRates), late)
	q.RX1Rates = slices.Clone(p.RX1Rates)
	for up := range q.RX1Rates {
		if _, ok := q.Rate(Up, DR(up)); !ok {
			q.RX1Rates[up] = nil
		}
	}
	return &q
}

// Rate looks a data rate index up.
func (p *Plan) Rate(dir Direction, dr DR) (Rate, bool) {
	for _, r := range p.rates(dir) {
		if r.DR == dr {
			return r, true
		}
	}
	return Rate{}, false
}

// Index is the reverse of [Plan.Rate] for rates that the radio handles.
func (p *Plan) Index(dir Direction, rate radio.DataRate) (DR, bool) {
	for _, r := range p.rates(dir) {
		if r.DataRate == rate && r.LRFHSS == "" {
			return r.DR, true
		}
	}
	return 0, false
}

func (p *Plan) rates(dir Direction) []Rate {
	if dir == Up {
		return p.UplinkRates
	}
	return p.DownlinkRates
}

// loraRow makes one row of a LoRa rate.
func loraRow(dr DR, sf radio.SpreadingFactor, bw radio.Hertz, maxMAC, repeater uint8) Rate {
	return Rate{DR: dr, DataRate: radio.LoRaRate(sf, bw), MaxMAC: maxMAC, MaxMACRepeater: repeater}
}

func since(v Revision, r Rate) Rate {
	r.Since = v
	return r
}

// evenly makes n channels, step apart.
func evenly(first, step radio.Hertz, n int, lo, hi DR) []Channel {
	out := make([]Channel, n)
	for i := range out {
		out[i] = Channel{Frequency: first + radio.Hertz(i)*step, Min: lo, Max: hi}
	}
	return out
}

// frequencies makes n frequencies, step apart.
func frequencies(first, step radio.Hertz, n int) []radio.Hertz {
	out := make([]radio.Hertz, n)
	for i := range out {
		out[i] = first + radio.Hertz(i)*step
	}
	return out
}
