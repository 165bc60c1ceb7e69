// Package ledger is the only place that creates money entries: accounts, double
// entry, zero sum per batch, checked integers, append only, idempotent by cause.
package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Amount is a number of the token's smallest units. It is never negative: the
// side of an [Entry] says whether it is debited or credited.
type Amount uint64

// MaxAmount is what a signed 64-bit balance can hold, so that sums over a whole
// book never overflow unnoticed.
const MaxAmount Amount = math.MaxInt64

// ErrOverflow: a sum or product does not fit.
var ErrOverflow = errors.New("ledger: amount overflows")

// Add is the checked sum.
func (a Amount) Add(b Amount) (Amount, error) {
	s, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry != 0 || Amount(s) > MaxAmount {
		return 0, fmt.Errorf("%w: %d + %d", ErrOverflow, a, b)
	}
	return Amount(s), nil
}

// Sub is the checked difference; a negative one is an error.
func (a Amount) Sub(b Amount) (Amount, error) {
	if b > a {
		return 0, fmt.Errorf("%w: %d - %d is negative", ErrOverflow, a, b)
	}
	return a - b, nil
}

// MulDiv is a*num/den rounded down, exact inside (128 bits). den must not be 0
// and the result must fit.
func (a Amount) MulDiv(num, den uint64) (Amount, error) {
	if den == 0 {
		return 0, errors.New("ledger: division by zero")
	}
	hi, lo := bits.Mul64(uint64(a), num)
	if hi >= den {
		return 0, fmt.Errorf("%w: %d * %d / %d", ErrOverflow, a, num, den)
	}
	q, _ := bits.Div64(hi, lo, den)
	if Amount(q) > MaxAmount {
		return 0, fmt.Errorf("%w: %d * %d / %d", ErrOverflow, a, num, den)
	}
	return Amount(q), nil
}
