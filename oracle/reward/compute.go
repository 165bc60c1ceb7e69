package reward

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/registry"
	"heliograph/poc"
	"heliograph/poc/native"
)

// Result is an epoch's reward. The rows, Operations and Remainder add up to the
// emission exactly.
type Result struct {
	Emission   ledger.Amount // what is created: the policy's, or less when it is capped
	Rows       []Row         // sorted by hotspot, none of them empty
	Operations ledger.Amount
	Remainder  ledger.Amount // rounding, pools that nobody earned from, and what the shares leave free
}

// Compute shares the emission out. It fails if a hotspot occurs twice or has no
// owner in the registry, if the policy is not valid, or if totals overflow.
func Compute(e poc.Epoch, units []native.Units, owners *registry.Snapshot, p Policy) (Result, error) {
	if err := p.Validate(); err != nil {
		return Result{}, err
	}
	sorted := slices.Clone(units)
	slices.SortFunc(sorted, func(a, b native.Units) int { return bytes.Compare(a.Hotspot[:], b.Hotspot[:]) })
	t, err := total(sorted)
	if err != nil {
		return Result{}, err
	}
	p.Emission = p.EmissionFor(t.Credits)
	pools, err := p.pools(t.Credits)
	if err != nil {
		return Result{}, err
	}
	res := Result{Emission: p.Emission, Operations: pools.operations}
	left := p.Emission - pools.operations
	for i, u := range sorted {
		if i > 0 && sorted[i-1].Hotspot == u.Hotspot {
			return Result{}, fmt.Errorf("reward: hotspot %v has two sets of units", u.Hotspot)
		}
		row := Row{Epoch: e, Hotspot: u.Hotspot}
		if row.Beacon, err = share(pools.beacon, u.Beacon, t.Beacon); err != nil {
			return Result{}, err
		}
		if row.Witness, err = share(pools.witness, u.Witness, t.Witness); err != nil {
			return Result{}, err
		}
		if row.Data, err = share(pools.data, u.Credits, t.Credits); err != nil {
			return Result{}, err
		}
		sum, err := row.Total()
		if err != nil {
			return Result{}, err
		}
		if sum == 0 {
			continue
		}
		var known bool
		if row.Owner, known = owners.Owner(u.Hotspot); !known {
			return Result{}, fmt.Errorf("reward: hotspot %v earned in epoch %d but is not in its registry", u.Hotspot, e)
		}
		if left, err = left.Sub(sum); err != nil {
			return Result{}, fmt.Errorf("reward: epoch %d: more shared out than emitted: %w", e, err)
		}
		res.Rows = append(res.Rows, row)
	}
	res.Remainder = left
	return res, nil
}

func share(pool ledger.Amount, part, total uint64) (ledger.Amount, error) {
	if total == 0 {
		return 0, nil
	}
	return pool.MulDiv(part, total)
}

func total(units []native.Units) (t native.Units, err error) {
	for _, u := range units {
		var c1, c2, c3 uint64
		t.Beacon, c1 = bits.Add64(t.Beacon, u.Beacon, 0)
		t.Witness, c2 = bits.Add64(t.Witness, u.Witness, 0)
		t.Credits, c3 = bits.Add64(t.Credits, u.Credits, 0)
		if c1+c2+c3 != 0 {
			return t, fmt.Errorf("reward: sum of units: %w", ledger.ErrOverflow)
		}
	}
	return t, nil
}

type pools struct{ beacon, witness, data, operations ledger.Amount }

// pools cuts the emission up. The data pool is what the credits cost, at most its
// cap; what it does not take goes to beacons and witnesses.
func (p Policy) pools(credits uint64) (out pools, err error) {
	parts := [...]struct {
		to    *ledger.Amount
		share uint64
	}{{&out.beacon, p.Beacon}, {&out.witness, p.Witness}, {&out.data, p.Data}, {&out.operations, p.Operations}}
	for _, c := range parts {
		if *c.to, err = p.Emission.MulDiv(c.share, perMille); err != nil {
			return pools{}, err
		}
	}
	ceiling := out.data
	out.data = min(ceiling, p.burned(credits))
	rest := ceiling - out.data
	toBeacon, err := rest.MulDiv(p.DataRest, perMille)
	if err != nil {
		return pools{}, err
	}
	out.beacon += toBeacon
	out.witness += rest - toBeacon
	return out, nil
}
