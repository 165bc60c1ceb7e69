package poc

import (
	"fmt"

	"heliograph/provisioning/identity"
)

// FullWeight is the weight of a report that nothing speaks against.
const FullWeight = 1000

// Verdict is what became of one report.
type Verdict struct {
	Report  ID
	Kind    Kind
	Hotspot identity.HotspotID
	Reason  Reason
	Got     int64  // the number that broke the rule, in Reason.Unit()
	Limit   int64  // the limit that it broke
	Weight  uint32 // 0..FullWeight; 0 unless Reason is OK
}

// String is the line that the hotspot's owner reads.
func (v Verdict) String() string {
	switch {
	case v.Reason == OK:
		return fmt.Sprintf("%v accepted, weight %d/%d", v.Kind, v.Weight, FullWeight)
	case v.Reason.Unit() != "":
		return fmt.Sprintf("%v: %v (%d %s, limit %d %s)", v.Kind, v.Reason, v.Got, v.Reason.Unit(), v.Limit, v.Reason.Unit())
	}
	return fmt.Sprintf("%v: %v", v.Kind, v.Reason)
}
