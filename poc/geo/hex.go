package geo

// Directions are digits: the bits of a digit say which of the unit vectors i
// (4), j (2) and k (1) it is the sum of. The three vectors are 120 degrees apart
// and add up to nothing.
const (
	dirCenter = 0
	dirK      = 1
	dirJ      = 2
	dirJK     = 3
	dirI      = 4
	dirIK     = 5
	dirIJ     = 6
)

// ccw60 is each direction turned by 60 degrees counter-clockwise, cw60 clockwise.
var (
	ccw60 = [7]int{dirCenter, dirIK, dirJK, dirK, dirIJ, dirI, dirJ}
	cw60  = [7]int{dirCenter, dirJK, dirIJ, dirJ, dirIK, dirK, dirI}
)

// hex is a point of the hexagonal lattice in the basis of i and j; k is (-1,-1).
type hex struct{ i, j int64 }

func unit(d int) hex {
	i, j, k := int64(d>>2&1), int64(d>>1&1), int64(d&1)
	return hex{i - k, j - k}
}

// direction is the digit of a unit vector or of zero; ok is false for others.
func (h hex) direction() (d int, ok bool) {
	for d := range 7 {
		if unit(d) == h {
			return d, true
		}
	}
	return 0, false
}

func (h hex) add(o hex) hex { return hex{h.i + o.i, h.j + o.j} }
func (h hex) sub(o hex) hex { return hex{h.i - o.i, h.j - o.j} }

// cw turns by 60 degrees clockwise, n times.
func (h hex) cw(n int) hex {
	for range n {
		h = hex{h.j, h.j - h.i}
	}
	return h
}

// length is the number of steps from the origin.
func (h hex) length() int64 { return max(h.i, h.j, 0) - min(h.i, h.j, 0) }

// finer is the point in the lattice of resolution r, where h is in that of r-1.
// Each resolution has cells of a seventh of the area; the lattice turns by
// 19.1 degrees counter-clockwise into odd resolutions (Class III) and back into
// even ones.
func (h hex) finer(r int) hex {
	if r%2 == 1 {
		return hex{2*h.i + h.j, 3*h.j - h.i}
	}
	return hex{3*h.i - h.j, h.i + 2*h.j}
}

// coarser is the point of resolution r-1 whose cell the point h of resolution r
// belongs to: the inverse of finer, rounded.
func (h hex) coarser(r int) hex {
	if r%2 == 1 {
		return hex{round7(3*h.i - h.j), round7(h.i + 2*h.j)}
	}
	return hex{round7(2*h.i + h.j), round7(3*h.j - h.i)}
}

// round7 is v/7 rounded to nearest; there are no ties.
func round7(v int64) int64 {
	q := (v + 3) / 7
	if v+3 < 0 && (v+3)%7 != 0 {
		q--
	}
	return q
}

// hexInBase is the cell's place in the lattice of its resolution, counted from
// the centre of its base cell and in that base cell's orientation.
func (c Cell) hexInBase() hex {
	var h hex
	for r := 1; r <= c.Resolution(); r++ {
		h = h.finer(r).add(unit(c.digit(r)))
	}
	return h
}

// turned maps every digit of the index n times.
func (c Cell) turned(table *[7]int, n int) Cell {
	for range n {
		for r := 1; r <= c.Resolution(); r++ {
			c = c.withDigit(r, table[c.digit(r)])
		}
	}
	return c
}

// turnedOnPentagon is turned for an index on a pentagonal base cell: a turn that
// ends in the missing k direction goes on by one more.
func (c Cell) turnedOnPentagon(table *[7]int, n int) Cell {
	for range n {
		steps := 1
		if table[c.leading()] == dirK {
			steps = 2
		}
		c = c.turned(table, steps)
	}
	return c
}
