package helium

import "fmt"

// Reason is why a report was refused, or None. The numbers are those of the
// protobuf enum InvalidReason of poc_lora.
type Reason uint8

// All reasons. Those marked "never" exist in the enum, but no rule raises them.
const (
	None                  Reason = 0
	BadSignature          Reason = 1 // never: ingest refuses such reports
	NotAsserted           Reason = 2
	EntropyExpired        Reason = 3
	BadEntropy            Reason = 4 // never
	InvalidCapability     Reason = 5
	InvalidPubkey         Reason = 6 // never
	IrregularInterval     Reason = 7
	GatewayNotFound       Reason = 8
	Denied                Reason = 9
	InvalidPacket         Reason = 10
	BadRSSI               Reason = 11
	InvalidRegion         Reason = 12
	MaxDistanceExceeded   Reason = 13
	InvalidFrequency      Reason = 14
	SelfWitness           Reason = 15
	Stale                 Reason = 16 // only for reports that grew too old unjudged
	ScalingFactorNotFound Reason = 17 // never
	UnknownError          Reason = 18 // never
	BelowMinDistance      Reason = 19
	Duplicate             Reason = 20
	DeniedEdge            Reason = 21
	TooLate               Reason = 22
	NoValidBeacons        Reason = 23
	NoValidWitnesses      Reason = 24
)

var reasonNames = [...]string{
	None: "reason_none", BadSignature: "bad_signature", NotAsserted: "not_asserted",
	EntropyExpired: "entropy_expired", BadEntropy: "bad_entropy",
	InvalidCapability: "invalid_capability", InvalidPubkey: "invalid_pubkey",
	IrregularInterval: "irregular_interval", GatewayNotFound: "gateway_not_found",
	Denied: "denied", InvalidPacket: "invalid_packet", BadRSSI: "bad_rssi",
	InvalidRegion: "invalid_region", MaxDistanceExceeded: "max_distance_exceeded",
	InvalidFrequency: "invalid_frequency", SelfWitness: "self_witness", Stale: "stale",
	ScalingFactorNotFound: "scaling_factor_not_found", UnknownError: "unknown_error",
	BelowMinDistance: "below_min_distance", Duplicate: "duplicate", DeniedEdge: "denied_edge",
	TooLate: "too_late", NoValidBeacons: "gateway_no_valid_beacons",
	NoValidWitnesses: "gateway_no_valid_witnesses",
}

// String is the reason's name in the protobuf enum.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// ParseReason reads what [Reason.String] prints for a known reason.
func ParseReason(s string) (Reason, error) {
	for r, name := range reasonNames {
		if name == s {
			return Reason(r), nil
		}
	}
	return None, fmt.Errorf("helium: unknown reason %.40q", s)
}

// Reasons lists every reason in the order of its number.
func Reasons() []Reason {
	all := make([]Reason, len(reasonNames))
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// Side says whose fault a refusal is.
type Side uint8

// The sides; SideNone goes with [None].
const (
	SideNone     Side = 0
	SideBeaconer Side = 1
	SideWitness  Side = 2
)

func (s Side) String() string {
	switch s {
	case SideBeaconer:
		return "beaconer"
	case SideWitness:
		return "witness"
	}
	return "none"
}
