package reward

import (
	"fmt"
	"math/bits"

	"heliograph/oracle/ledger"
)

// Policy says how an epoch's emission is shared out. Shares are in thousandths of
// the emission; what they leave free stays in the remainder.
type Policy struct {
	Emission   ledger.Amount // per epoch
	Beacon     uint64        // per mille: shared by beacon units
	Witness    uint64        // per mille: shared by witness units
	Data       uint64        // per mille: most that goes to carried packets
	Operations uint64        // per mille: for those who run the network; see [Result]
	// DataRest is the part of what packets did not use of Data that goes to
	// beacons, in per mille; witnesses get the rest.
	DataRest uint64
	// CreditPrice is what one data credit costs, in the token's smallest unit.
	// Packets earn at most what was burned for them, so that a hotspot which
	// sends traffic to itself never gains.
	CreditPrice ledger.Amount
	// CapRatio ties the emission to use, in per mille: no more is created than
	// CapFloor plus this part of what the credits cost. 0: no such limit.
	CapRatio uint64        `json:",omitempty"`
	CapFloor ledger.Amount `json:",omitempty"` // what is created whatever was burned; counts with CapRatio only
}

// DefaultPolicy is the split of the network that existing hotspots come from (6 %
// beacons, 24 % witnesses, up to 50 % data, 7 % operations) with the given
// emission and price.
func DefaultPolicy(emission, creditPrice ledger.Amount) Policy {
	return Policy{Emission: emission, Beacon: 60, Witness: 240, Data: 500, Operations: 70, DataRest: 200, CreditPrice: creditPrice}
}

const perMille = 1000

// Validate refuses a policy that shares out more than there is.
func (p Policy) Validate() error {
	if p.Emission > ledger.MaxAmount || p.CreditPrice > ledger.MaxAmount {
		return fmt.Errorf("reward: policy: emission or credit price is above %d", ledger.MaxAmount)
	}
	sum := uint64(0)
	for _, share := range []uint64{p.Beacon, p.Witness, p.Data, p.Operations} {
		if share > perMille {
			return fmt.Errorf("reward: policy: a share of %d per mille is above 1000", share)
		}
		sum += share
	}
	if sum > perMille {
		return fmt.Errorf("reward: policy: shares add up to %d per mille, at most 1000", sum)
	}
	if p.DataRest > perMille {
		return fmt.Errorf("reward: policy: data rest of %d per mille is above 1000", p.DataRest)
	}
	if p.CapRatio > maxCapRatio {
		return fmt.Errorf("reward: policy: cap ratio of %d per mille is above %d", p.CapRatio, uint64(maxCapRatio))
	}
	if p.CapFloor > ledger.MaxAmount {
		return fmt.Errorf("reward: policy: cap floor is above %d", ledger.MaxAmount)
	}
	return nil
}

// maxCapRatio is a thousandfold: more is a slip of the pen.
const maxCapRatio = 1_000_000

// burned is what credits cost; a product that no ledger holds counts as
// [ledger.MaxAmount].
func (p Policy) burned(credits uint64) ledger.Amount {
	hi, lo := bits.Mul64(credits, uint64(p.CreditPrice))
	if hi != 0 || ledger.Amount(lo) > ledger.MaxAmount {
		return ledger.MaxAmount
	}
	return ledger.Amount(lo)
}

// EmissionFor is what an epoch creates in which that many credits were burned:
// Emission, or CapFloor + credits * CreditPrice * CapRatio / 1000 rounded down
// if that is less.
func (p Policy) EmissionFor(credits uint64) ledger.Amount {
	if p.CapRatio == 0 {
		return p.Emission
	}
	limit, err := p.burned(credits).MulDiv(p.CapRatio, perMille)
	if err == nil {
		limit, err = limit.Add(p.CapFloor)
	}
	if err != nil { // more than any emission
		return p.Emission
	}
	return min(p.Emission, limit)
}
