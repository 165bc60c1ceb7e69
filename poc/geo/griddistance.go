package geo

import (
	"errors"
	"fmt"
)

// Errors of [GridDistance] and [Disk].
var (
	// ErrResolution: the two cells are of different resolutions.
	ErrResolution = errors.New("geo: cells of different resolutions have no grid distance")
	// ErrTooFar: the cells are on base cells that do not touch, or on opposite
	// sides of a pentagon, where the grid cannot be unfolded. The H3 library
	// fails for the same pairs.
	ErrTooFar = errors.New("geo: no grid distance: the cells are too far apart or a pentagon is between them")
)

// Unfolding around a pentagon: how often to turn by 60 degrees clockwise, by
// leading digit of one cell and direction of the other, and the pairs that the
// H3 library gives up on. Row and column k (1) do not exist. Constants of the H3
// algorithm; -1 marks impossible pairs.
var (
	pentagonTurns = [7][7]int8{
		{0, -1, 0, 0, 0, 0, 0},
		{-1, -1, -1, -1, -1, -1, -1},
		{0, -1, 0, 0, 0, 1, 0},
		{0, -1, 0, 0, 1, 1, 0},
		{0, -1, 0, 5, 0, 0, 0},
		{0, -1, 5, 5, 0, 0, 0},
		{0, -1, 0, 0, 0, 0, 0},
	}
	pentagonBlocks = [7][7]bool{
		dirJ:  {dirI: true, dirIK: true},
		dirJK: {dirI: true, dirIJ: true},
		dirI:  {dirJ: true, dirJK: true},
		dirIK: {dirJ: true, dirIJ: true},
		dirIJ: {dirJK: true, dirIK: true},
	}
)

// GridDistance is the number of steps between cells of equal resolution. It
// fails with [ErrCell], [ErrResolution] or [ErrTooFar]. Like the H3 library it is
// not symmetric in its failures: near a pentagon one order may fail where the
// other does not.
func GridDistance(a, b Cell) (int64, error) {
	if !a.Valid() || !b.Valid() {
		return 0, fmt.Errorf("geo: grid distance: %w", ErrCell)
	}
	if a.Resolution() != b.Resolution() {
		return 0, ErrResolution
	}
	ha, err := localHex(a, a)
	if err != nil {
		return 0, err
	}
	hb, err := localHex(a, b)
	if err != nil {
		return 0, err
	}
	return hb.sub(ha).length(), nil
}

// localHex is the place of c in the lattice around the base cell of origin, the
// lattice being unfolded over the edge between the two base cells.
func localHex(origin, c Cell) (hex, error) {
	if origin.base() != c.base() {
		return acrossEdge(origin, c)
	}
	h := c.hexInBase()
	if !isPentagonBase(c.base()) {
		return h, nil
	}
	from, to := origin.leading(), c.leading()
	if pentagonBlocks[from][to] {
		return hex{}, ErrTooFar
	}
	return h.cw(int(pentagonTurns[from][to])), nil
}

// acrossEdge is localHex for two different base cells. No two pentagons touch,
// so at most one of the two is one.
func acrossEdge(origin, c Cell) (hex, error) {
	dir, ok := baseDirection(origin.base(), c.base())
	if !ok {
		return hex{}, ErrTooFar
	}
	back, ok := baseDirection(c.base(), origin.base())
	if !ok {
		return hex{}, ErrTooFar
	}
	// Bring c into the orientation of origin's base cell.
	rot := int(baseLinks[origin.base()][dir-1].rot)
	if isPentagonBase(c.base()) {
		c = c.turnedOnPentagon(&cw60, rot)
		for range rot {
			if back = cw60[back]; back == dirK {
				back = cw60[back]
			}
		}
	} else {
		c = c.turned(&cw60, rot)
	}
	// A pentagon on either side turns the far part of the lattice; one under the
	// origin turns the way over the edge as well.
	var turns, edgeTurns int
	switch {
	case isPentagonBase(origin.base()):
		lead := origin.leading()
		if pentagonBlocks[lead][dir] {
			return hex{}, ErrTooFar
		}
		edgeTurns = int(pentagonTurns[lead][dir])
		turns = edgeTurns
	case isPentagonBase(c.base()):
		lead := c.leading()
		if pentagonBlocks[lead][back] {
			return hex{}, ErrTooFar
		}
		turns = int(pentagonTurns[back][lead])
	}
	if turns < 0 {
		return hex{}, ErrTooFar
	}
	over := unit(dir)
	for r := 1; r <= c.Resolution(); r++ {
		over = over.finer(r)
	}
	return c.hexInBase().cw(turns).add(over.cw(edgeTurns)), nil
}

// baseDirection is the direction of the step between two base cells that touch.
func baseDirection(from, to int) (dir int, ok bool) {
	for i, l := range baseLinks[from] {
		if int(l.to) == to {
			return i + 1, true
		}
	}
	return 0, false
}
