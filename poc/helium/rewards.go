package helium

import (
	"errors"
	"fmt"
	"math/big"
)

// sharePlaces is the number of decimal places of per-share values and of
// data-credit conversions.
const sharePlaces = 15

// Split is how an epoch's emissions are divided, in per cent.
type Split struct {
	Beacon, Witness, Data, Operations, Oracles int64
	// RestToBeacon is the part of what data transfer leaves that goes to
	// beaconers, in per cent; the others get the rest.
	RestToBeacon int64
	// RestToOperations sends what data transfer leaves to operations instead.
	RestToOperations bool
}

// PoCSplit is the split while proof of coverage ran. The missing 6 per cent
// (delegators) are paid on chain.
func PoCSplit() Split {
	return Split{Beacon: 6, Witness: 24, Data: 50, Operations: 7, Oracles: 7, RestToBeacon: 20}
}

// HIP149Split is the split after HIP-149: no proof of coverage.
func HIP149Split() Split {
	return Split{Data: 50, Operations: 37, Oracles: 7, RestToOperations: true}
}

// Pools are the amounts of an epoch in bones (1e-8 HNT), not yet rounded.
type Pools struct{ Beacon, Witness, Data, Operations, Oracles Decimal }

// Pools divides emissions when data transfer is worth dataUsed bones. Data
// transfer gets that, at most its own part; the remainder goes where the split
// says.
func (s Split) Pools(emissions, dataUsed Decimal) Pools {
	percent := func(d Decimal, p int64) Decimal { return d.Mul(Int(p)).Quo(Int(100)) }
	limit := percent(emissions, s.Data)
	data := dataUsed.Min(limit)
	rest := limit.Sub(data)
	p := Pools{
		Beacon: percent(emissions, s.Beacon), Witness: percent(emissions, s.Witness), Data: data,
		Operations: percent(emissions, s.Operations), Oracles: percent(emissions, s.Oracles),
	}
	if s.RestToOperations {
		p.Operations = p.Operations.Add(rest)
		return p
	}
	p.Beacon = p.Beacon.Add(percent(rest, s.RestToBeacon))
	p.Witness = p.Witness.Add(percent(rest, 100-s.RestToBeacon))
	return p
}

// Price is what the oracle gives: units of 1e-8 dollar per whole token, and the
// decimals of the token.
type Price struct {
	Units    Decimal
	Decimals int
}

// priceExponent is the number of decimals of Price.Units.
const priceExponent = 8

// PerToken is the price of a whole token in dollars.
func (p Price) PerToken() Decimal { return p.Units.Quo(BigInt(pow10(priceExponent))) }

// PerBone is the price of the token's smallest unit in dollars.
func (p Price) PerBone() Decimal { return p.PerToken().Quo(BigInt(pow10(p.Decimals))) }

// BonesOf is what data credits are worth in bones, rounded up to 15 places. One
// data credit is a hundred-thousandth of a dollar. pricePerBone is positive.
func BonesOf(dc, pricePerBone Decimal) Decimal {
	return dc.Quo(Int(100_000)).Quo(pricePerBone).Ceil(sharePlaces)
}

// GatewayShares is what one hotspot earned in an epoch.
type GatewayShares struct{ Beacon, Witness, DC Decimal }

// GatewayReward is what one hotspot is paid, in bones.
type GatewayReward struct{ Beacon, Witness, Data *big.Int }

// IsZero says whether there is nothing to pay; such entries were left out.
func (r GatewayReward) IsZero() bool {
	return r.Beacon.Sign() == 0 && r.Witness.Sign() == 0 && r.Data.Sign() == 0
}

// Distribution is the outcome of an epoch.
type Distribution struct {
	PerShare    GatewayShares   // bones for one share, 15 places
	Rewards     []GatewayReward // parallel to the shares given
	Unallocated *big.Int        // rounding dust and empty pools
	Operations  *big.Int
	Oracles     *big.Int
}

// Distribute divides an epoch's emissions (bones) among hotspots under a split
// with proof of coverage.
func Distribute(emissions Decimal, price Price, shares []GatewayShares, split Split) (Distribution, error) {
	if emissions.Sign() < 0 || price.PerBone().Sign() <= 0 {
		return Distribution{}, errors.New("helium: distribute: emissions must not be negative and the price must be positive")
	}
	var sum GatewayShares
	for i, s := range shares {
		if s.Beacon.Sign() < 0 || s.Witness.Sign() < 0 || s.DC.Sign() < 0 {
			return Distribution{}, fmt.Errorf("helium: distribute: entry %d has a negative share", i)
		}
		sum = GatewayShares{sum.Beacon.Add(s.Beacon), sum.Witness.Add(s.Witness), sum.DC.Add(s.DC)}
	}
	pools := split.Pools(emissions, BonesOf(sum.DC, price.PerBone()))
	each := GatewayShares{perShare(pools.Beacon, sum.Beacon), perShare(pools.Witness, sum.Witness), perShare(pools.Data, sum.DC)}
	out := Distribution{PerShare: each, Operations: pools.Operations.Floor(), Oracles: pools.Oracles.Floor()}
	paid := new(big.Int)
	for _, s := range shares {
		r := GatewayReward{
			Beacon: each.Beacon.Mul(s.Beacon).Floor(), Witness: each.Witness.Mul(s.Witness).Floor(),
			Data: each.DC.Mul(s.DC).Floor(),
		}
		paid.Add(paid, r.Beacon).Add(paid, r.Witness).Add(paid, r.Data)
		out.Rewards = append(out.Rewards, r)
	}
	whole := emissions.Mul(Int(split.Beacon + split.Witness + split.Data)).Quo(Int(100))
	if split.RestToOperations {
		whole = pools.Data
	}
	out.Unallocated = new(big.Int).Sub(whole.Floor(), paid)
	return out, nil
}

// perShare is pool / shares, ties to even at 15 places; 0 without shares.
func perShare(pool, shares Decimal) Decimal {
	if shares.Sign() == 0 {
		return Decimal{}
	}
	return pool.Quo(shares).Round(sharePlaces)
}
