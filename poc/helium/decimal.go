package helium

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Decimal is an exact rational number: shares, units and money before rounding.
// It is immutable; the zero value is 0. The baseline computed with 28 significant
// digits; wherever the rules round, at 4 or 15 places, the results are the same.
type Decimal struct{ r *big.Rat }

func (d Decimal) rat() *big.Rat {
	if d.r == nil {
		return new(big.Rat)
	}
	return d.r
}

// Int makes a whole number.
func Int(v int64) Decimal { return Decimal{new(big.Rat).SetInt64(v)} }

// BigInt makes a whole number.
func BigInt(v *big.Int) Decimal { return Decimal{new(big.Rat).SetInt(v)} }

// maxDecimal bounds the text of a number.
const maxDecimal = 80

var errDecimal = errors.New("want digits with at most one decimal point")

// ParseDecimal reads a plain decimal number: an optional minus sign, digits, at
// most one point. No exponents.
func ParseDecimal(s string) (Decimal, error) {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if len(s) > maxDecimal || whole == "" || point && fraction == "" ||
		strings.Trim(whole+fraction, "0123456789") != "" {
		return Decimal{}, fmt.Errorf("helium: parse decimal %.90q: %w", s, errDecimal)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return Decimal{}, fmt.Errorf("helium: parse decimal %q: %w", s, errDecimal)
	}
	return Decimal{r}, nil
}

// Add is d + e.
func (d Decimal) Add(e Decimal) Decimal { return Decimal{new(big.Rat).Add(d.rat(), e.rat())} }

// Sub is d - e.
func (d Decimal) Sub(e Decimal) Decimal { return Decimal{new(big.Rat).Sub(d.rat(), e.rat())} }

// Mul is d * e.
func (d Decimal) Mul(e Decimal) Decimal { return Decimal{new(big.Rat).Mul(d.rat(), e.rat())} }

// Quo is d / e. It panics when e is 0.
func (d Decimal) Quo(e Decimal) Decimal { return Decimal{new(big.Rat).Quo(d.rat(), e.rat())} }

// Cmp is -1, 0 or 1.
func (d Decimal) Cmp(e Decimal) int { return d.rat().Cmp(e.rat()) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.rat().Sign() }

// Min is the lesser of two numbers.
func (d Decimal) Min(e Decimal) Decimal {
	if e.Cmp(d) < 0 {
		return e
	}
	return d
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// scaled is floor(d * 10^places) and what is left, over the denominator.
func (d Decimal) scaled(places int) (q, rest, den *big.Int) {
	num := new(big.Int).Mul(d.rat().Num(), pow10(places))
	den = d.rat().Denom()
	q, rest = new(big.Int).DivMod(num, den, new(big.Int))
	return q, rest, den
}

func unscaled(q *big.Int, places int) Decimal {
	return Decimal{new(big.Rat).SetFrac(q, pow10(places))}
}

// Round rounds to that many decimal places, ties to the even digit.
func (d Decimal) Round(places int) Decimal {
	q, rest, den := d.scaled(places)
	switch c := new(big.Int).Lsh(rest, 1).Cmp(den); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return unscaled(q, places)
}

// Ceil rounds up to that many decimal places.
func (d Decimal) Ceil(places int) Decimal {
	q, rest, _ := d.scaled(places)
	if rest.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return unscaled(q, places)
}

// Floor is the largest whole number that is not above d.
func (d Decimal) Floor() *big.Int {
	q, _, _ := d.scaled(0)
	return q
}

// Text prints with that many decimal places, ties to even.
func (d Decimal) Text(places int) string { return d.Round(places).rat().FloatString(places) }

// String prints with up to 15 decimal places, without trailing zeros.
func (d Decimal) String() string {
	s := d.Text(15)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
