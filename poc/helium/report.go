package helium

import (
	"heliograph/poc/geo"
	"heliograph/provisioning/identity"
	"heliograph/radio"
)

// Millis is an instant in Unix milliseconds, as ingest stamps reports.
type Millis int64

// seconds is the instant in whole seconds, rounded down.
func (m Millis) seconds() int64 {
	s := int64(m) / 1000
	if int64(m)%1000 < 0 {
		s--
	}
	return s
}

// BeaconReport is a hotspot's report of its own beacon, with ingest's stamp.
// The hotspot's own timestamps are not here: no rule looked at them.
type BeaconReport struct {
	Key        identity.HotspotID
	Local      []byte // local entropy
	Remote     Entropy
	Data       []byte // payload without header byte
	Frequency  radio.Hertz
	DataRate   radio.DataRate
	TxPowerDBm int32
	Received   Millis
}

// WitnessReport is a hotspot's report of a beacon that it received.
type WitnessReport struct {
	Key           identity.HotspotID
	Data          []byte
	SignalDeciDBm int32 // RSSI in tenths of dBm
	Frequency     radio.Hertz
	Received      Millis
}

// Gateway is what the chain said about a hotspot.
type Gateway struct {
	Location    geo.Cell // asserted cell, usually of resolution 12; 0 when not asserted
	Region      Region   // [RegionAbsent] when the location is in none
	GainDeciDBi int32
	FullHotspot bool // made by an approved maker, so allowed to take part
}

func (g Gateway) asserted() bool { return g.Location.Valid() && g.Region != RegionAbsent }

// Denylist answers for the published filter. A nil Denylist means that no filter
// is loaded, and then everybody is denied.
type Denylist interface {
	Denied(identity.HotspotID) bool
	// DeniedEdge does not depend on the order of the two.
	DeniedEdge(a, b identity.HotspotID) bool
}

// World is all that a verdict depends on besides the reports. Lookups must be
// pure for the duration of one [Evaluate].
type World struct {
	Gateway func(identity.HotspotID) (Gateway, bool)
	Params  func(Region) (RegionParams, bool)
	Denied  Denylist
	// The three clocks that earlier verdicts set; see [Effects].
	LastBeacon       func(identity.HotspotID) (Millis, bool)
	LastBeaconMutual func(identity.HotspotID) (Millis, bool)
	LastWitness      func(identity.HotspotID) (Millis, bool)
	Scale            func(geo.Cell) Decimal // hex density; see [Density]
	Limits           Limits
}

// Limits are the numbers of the rules. [DefaultLimits] has those that ran.
type Limits struct {
	BeaconIntervalS   int64 // seconds; must divide a day
	EntropyLifeS      int64 // seconds
	FirstBeaconLagMS  int64 // when the beaconer's report came first
	FirstWitnessLagMS int64 // when a witness's report came first
	FrequencyHz       radio.Hertz
	MinCells          int64 // at resolution 11
	MaxKM             int64
	ReciprocityMS     int64
	MaxWitnesses      int
	Units             UnitRule
}

// DefaultLimits are the numbers of helium-2026.
func DefaultLimits() Limits {
	return Limits{
		BeaconIntervalS: 6 * 3600, EntropyLifeS: 180,
		FirstBeaconLagMS: 4000, FirstWitnessLagMS: 1500,
		FrequencyHz: 100 * radio.KHz, MinCells: 8, MaxKM: 100,
		ReciprocityMS: 48 * 3600 * 1000, MaxWitnesses: 14, Units: DefaultUnitRule(),
	}
}
