package geo

import (
	"errors"
	"fmt"
	"strconv"

	h3 "github.com/ThingsIXFoundation/h3-light"
)

// Cell is an H3 cell index: mode 1 in bits 59..62, resolution in bits 52..55,
// base cell in bits 45..51, then fifteen digits of three bits, the coarsest
// first, 7 for those beyond the resolution. The zero value is invalid.
type Cell uint64

// MaxResolution is the finest resolution.
const MaxResolution = 15

const (
	modeCell  = 1
	digitBits = 3
	digitMask = 7
	noDigit   = 7
)

// ErrCell marks a number that is not the index of a cell.
var ErrCell = errors.New("not an H3 cell")

// ParseCell reads an index as 15 or 16 hexadecimal digits, as H3 prints it.
func ParseCell(s string) (Cell, error) {
	if len(s) < 15 || len(s) > 16 {
		return 0, fmt.Errorf("geo: parse cell %.20q: %w: want 15 hexadecimal digits", s, ErrCell)
	}
	return checkedCell(s, 16)
}

// ParseCellDecimal reads an index as a decimal number, as Helium's tables have it.
func ParseCellDecimal(s string) (Cell, error) {
	if len(s) > 20 {
		return 0, fmt.Errorf("geo: parse cell %.20q: %w: too long", s, ErrCell)
	}
	return checkedCell(s, 10)
}

func checkedCell(s string, base int) (Cell, error) {
	v, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		return 0, fmt.Errorf("geo: parse cell %q: %w: not a number of base %d", s, ErrCell, base)
	}
	if c := Cell(v); c.Valid() {
		return c, nil
	}
	return 0, fmt.Errorf("geo: parse cell %q: %w", s, ErrCell)
}

// CellOf is the cell of a resolution, 0..15, in which a place lies. It is zero
// for a place or resolution outside the limits. It uses floating point: see the
// package comment.
func CellOf(p LatLng, res int) Cell {
	if !p.Valid() || res < 0 || res > MaxResolution {
		return 0
	}
	return Cell(h3.LatLonToCell(p.Lat.Degrees(), p.Lng.Degrees(), res))
}

// String prints the index in hexadecimal, as H3 does.
func (c Cell) String() string { return strconv.FormatUint(uint64(c), 16) }

// Decimal prints the index in decimal.
func (c Cell) Decimal() string { return strconv.FormatUint(uint64(c), 10) }

// MarshalText is [Cell.String]. It refuses an invalid cell.
func (c Cell) MarshalText() ([]byte, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("geo: marshal cell %x: %w", uint64(c), ErrCell)
	}
	return []byte(c.String()), nil
}

// UnmarshalText is [ParseCell].
func (c *Cell) UnmarshalText(b []byte) error {
	v, err := ParseCell(string(b))
	if err != nil {
		return err
	}
	*c = v
	return nil
}

// Resolution is the cell's resolution, 0..15, when the cell is valid.
func (c Cell) Resolution() int { return int(c >> 52 & 15) }

func (c Cell) base() int { return int(c >> 45 & 127) }

// digit is the digit of resolution r, 1..15.
func (c Cell) digit(r int) int { return int(c >> (digitBits * (MaxResolution - r)) & digitMask) }

func (c Cell) withDigit(r, d int) Cell {
	shift := digitBits * (MaxResolution - r)
	return c&^(digitMask<<shift) | Cell(d)<<shift
}

func (c Cell) withBase(b int) Cell { return c&^(127<<45) | Cell(b)<<45 }

// leading is the first digit that is not zero, or 0 when there is none.
func (c Cell) leading() int {
	for r := 1; r <= c.Resolution(); r++ {
		if d := c.digit(r); d != 0 {
			return d
		}
	}
	return 0
}

// Valid says whether the index is the index of a cell.
func (c Cell) Valid() bool {
	if c>>56 != modeCell<<3 || c.base() >= numBaseCells {
		return false
	}
	res := c.Resolution()
	for r := 1; r <= MaxResolution; r++ {
		if (c.digit(r) == noDigit) != (r > res) {
			return false
		}
	}
	// The k direction of a pentagon does not exist.
	return !isPentagonBase(c.base()) || c.leading() != dirK
}

// Pentagon says whether the cell is one of the twelve of its resolution that
// have five neighbours.
func (c Cell) Pentagon() bool { return c.Valid() && isPentagonBase(c.base()) && c.leading() == 0 }

// Parent is the cell of a coarser or equal resolution that contains c by the
// digits of its index. It is zero when res is finer than c, negative, or c is
// invalid.
func (c Cell) Parent(res int) Cell {
	if res < 0 || !c.Valid() || res > c.Resolution() {
		return 0
	}
	beyond := Cell(1)<<(digitBits*(MaxResolution-res)) - 1
	return c&^(15<<52) | Cell(res)<<52 | beyond
}

// Center is the cell's centre, rounded to 1e-7 degrees. It is the zero place for
// an invalid cell. It uses floating point: see the package comment.
func (c Cell) Center() LatLng {
	lat, lng := c.centerDegrees()
	p, err := FromDegrees(lat, lng)
	if err != nil {
		return LatLng{}
	}
	return p
}

// centerDegrees is the centre as the H3 algorithm computes it, with longitude
// brought into -180..180.
func (c Cell) centerDegrees() (lat, lng float64) {
	if !c.Valid() {
		return 0, 0
	}
	lat, lng = h3.Cell(c).LatLon()
	if lng > 180 {
		lng -= 360
	} else if lng < -180 {
		lng += 360
	}
	return lat, lng
}
