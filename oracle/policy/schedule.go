package policy

import (
	"fmt"

	"heliograph/oracle/ledger"
	"heliograph/poc"
)

// Kind is how the emission changes with the epochs.
type Kind uint8

// The kinds.
const (
	Fixed   Kind = 1 // Initial, always
	Halving Kind = 2 // Initial, halved every Span epochs after Start, rounded down
	Linear  Kind = 3 // from Initial at Start to Final at Start+Span in a straight line
)

var kindNames = map[Kind]string{Fixed: "fixed", Halving: "halving", Linear: "linear"}

func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText is the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *Kind) UnmarshalText(b []byte) error {
	for kind, name := range kindNames {
		if name == string(b) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("policy: schedule %q is not known: use fixed, halving or linear", b)
}

// Schedule is what epochs create. Before Start a halving or linear schedule gives
// Initial; after Start+Span a linear one gives Final.
type Schedule struct {
	Kind    Kind
	Initial ledger.Amount
	Final   ledger.Amount // linear only
	Start   poc.Epoch     // halving and linear only
	Span    uint32        // epochs; halving and linear only, at least 1
}

// Check refuses amounts that no ledger holds, and fields that the kind does not
// use: a document says nothing that does not count.
func (s Schedule) Check() error {
	if s.Initial > ledger.MaxAmount || s.Final > ledger.MaxAmount {
		return fmt.Errorf("policy: schedule: amounts are at most %d", ledger.MaxAmount)
	}
	switch s.Kind {
	case Fixed:
		if s.Final != 0 || s.Start != 0 || s.Span != 0 {
			return fmt.Errorf("policy: schedule: a fixed one has an initial amount only")
		}
	case Halving:
		if s.Final != 0 {
			return fmt.Errorf("policy: schedule: a halving one has no final amount")
		}
	case Linear:
	default:
		return fmt.Errorf("policy: schedule: %v is not known", s.Kind)
	}
	if s.Kind != Fixed && s.Span == 0 {
		return fmt.Errorf("policy: schedule: %v needs a span of at least 1 epoch", s.Kind)
	}
	return nil
}

// At is the emission of an epoch.
func (s Schedule) At(e poc.Epoch) ledger.Amount {
	if s.Kind == Fixed || e <= s.Start {
		return s.Initial
	}
	gone := uint64(e - s.Start)
	if s.Kind == Halving {
		return s.Initial >> (gone / uint64(s.Span)) // 0 from 64 halvings on
	}
	if gone >= uint64(s.Span) {
		return s.Final
	}
	// The quotient is below the difference, which fits: no error is possible.
	if s.Final < s.Initial {
		moved, _ := (s.Initial - s.Final).MulDiv(gone, uint64(s.Span))
		return s.Initial - moved
	}
	moved, _ := (s.Final - s.Initial).MulDiv(gone, uint64(s.Span))
	return s.Initial + moved
}
