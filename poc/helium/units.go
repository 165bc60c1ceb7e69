package helium

// unitPlaces is the number of decimal places to which reward units and scales
// are rounded.
const unitPlaces = 4

// UnitRule are the parameters of HIP-15.
type UnitRule struct {
	Redundancy int     // witnesses that are paid in full
	Decay      Decimal // what each further witness leaves of the addition
	Cap        Decimal // the most that anybody gets
	Places     int     // decimal places
}

// DefaultUnitRule is the rule that ran: 4 witnesses, 0.8, at most 2, 4 places.
func DefaultUnitRule() UnitRule {
	return UnitRule{Redundancy: 4, Decay: Int(4).Quo(Int(5)), Cap: Int(2), Places: unitPlaces}
}

// Beaconer is the beaconer's unit for w selected witnesses: w/N up to N, beyond
// it 1 plus the decaying addition.
func (u UnitRule) Beaconer(w int) Decimal {
	switch {
	case w <= 0 || u.Redundancy <= 0:
		return Decimal{}
	case w <= u.Redundancy:
		return Int(int64(w)).Quo(Int(int64(u.Redundancy))).Round(u.Places)
	}
	return Int(1).Add(u.addition(w)).Min(u.Cap).Round(u.Places)
}

// Witness is the unit of each of w selected witnesses: 1 up to N, beyond it what
// the beaconer's addition leaves of N, shared by all.
func (u UnitRule) Witness(w int) Decimal {
	switch {
	case w <= 0 || u.Redundancy <= 0:
		return Decimal{}
	case w <= u.Redundancy:
		return Int(1)
	}
	rest := Int(int64(u.Redundancy)).Sub(u.addition(w))
	return rest.Quo(Int(int64(w))).Min(u.Cap).Round(u.Places)
}

// addition is 1 - decay^(w-N).
func (u UnitRule) addition(w int) Decimal {
	left := Int(1)
	for range w - u.Redundancy {
		left = left.Mul(u.Decay)
	}
	return Int(1).Sub(left)
}

// Share is what a selected report earns of its pool: scale times unit, when both
// are positive.
func Share(scale, unit Decimal) Decimal {
	if scale.Sign() <= 0 || unit.Sign() <= 0 {
		return Decimal{}
	}
	return scale.Mul(unit)
}
