package geo

import (
	"fmt"
	"slices"
)

// MaxDisk bounds the radius of [Disk].
const MaxDisk = 32

// Disk is every cell within k steps of c, itself first, then ring by ring, the
// cells of a ring in ascending order. There are 1+3k(k+1) of them, fewer around
// a pentagon (six for k = 1). It fails for an invalid cell or k outside
// 0..[MaxDisk], and never because of a pentagon.
func Disk(c Cell, k int) ([]Cell, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("geo: disk: %w", ErrCell)
	}
	if k < 0 || k > MaxDisk {
		return nil, fmt.Errorf("geo: disk: radius %d is outside 0..%d", k, MaxDisk)
	}
	out := []Cell{c}
	seen := map[Cell]bool{c: true}
	edge := out
	for range k {
		var ring []Cell
		for _, e := range edge {
			for d := dirK; d <= dirIJ; d++ {
				if n, ok := e.neighbor(d); ok && !seen[n] {
					seen[n] = true
					ring = append(ring, n)
				}
			}
		}
		slices.Sort(ring)
		out = append(out, ring...)
		edge = ring
	}
	return out, nil
}

// neighbor is the cell next to the valid cell c in a direction, 1..6, of c's own
// orientation; ok is false for the direction that a pentagon has not. Each of a
// hexagon's six neighbours is found in exactly one direction.
func (c Cell) neighbor(dir int) (n Cell, ok bool) {
	n, dir = c.step(dir)
	if dir == dirCenter {
		return n.enter(c, 0)
	}
	// The step leaves the base cell.
	base := c.base()
	link := baseLinks[base][dir-1]
	if link.to < 0 {
		// A pentagon has no edge towards k: that part is folded onto the next.
		link = baseLinks[base][dirIK-1]
		n = n.turned(&ccw60, 1)
	}
	return n.withBase(int(link.to)).enter(c, int(link.rot))
}

// step adds one unit vector in the lattice of c's resolution and carries upwards
// from digit to digit. What is left of the carry at the base cell is returned as
// a direction, 0 when the step stays inside.
func (c Cell) step(dir int) (Cell, int) {
	for r := c.Resolution(); r >= 1 && dir != dirCenter; r-- {
		sum := unit(c.digit(r)).add(unit(dir))
		up := sum.coarser(r)
		digit, _ := sum.sub(up.finer(r)).direction()
		c = c.withDigit(r, digit)
		dir, _ = up.direction()
	}
	return c, dir
}

// enter brings an index, stepped to from another cell, into the orientation of
// its base cell, rot turns counter-clockwise away, and out of the k direction
// that a pentagon has not.
func (c Cell) enter(from Cell, rot int) (Cell, bool) {
	if !isPentagonBase(c.base()) {
		return c.turned(&ccw60, rot), true
	}
	if c.leading() == dirK {
		switch {
		case c.base() != from.base():
			c = c.turned(&cw60, 1)
		case from.leading() == dirCenter:
			return 0, false
		case from.leading() == dirJK:
			c = c.turned(&ccw60, 1)
		default: // ik, the other neighbour of k
			c = c.turned(&cw60, 1)
		}
	}
	return c.turnedOnPentagon(&ccw60, rot), true
}
