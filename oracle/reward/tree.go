package reward

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof: a proof does not lead to the root.
var ErrProof = errors.New("reward: proof does not fit the root")

// Proof shows that a row is a leaf of the tree with some root.
type Proof struct {
	Row    Row
	Index  int64 // of the row, from 0
	Size   int64 // number of rows
	Hashes [][sha256.Size]byte
}

// hash is a node of the tree.
type hash = [sha256.Size]byte

// Prefixes of what is hashed (RFC 6962, section 2.1).
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// Tree is the Merkle tree over an epoch's rows. It is immutable and safe for
// concurrent use. It keeps two hashes a row: 64 MB for a million rows.
type Tree struct {
	rows []Row
	// levels[0] are the leaves, each further level the nodes above. The last node
	// of an odd level has no sibling and is its own parent: that is the tree of
	// RFC 6962, whose left half is the largest full one.
	levels [][]hash
}

// NewTree builds the tree. The rows must not be changed afterwards.
func NewTree(rows []Row) (*Tree, error) {
	t := &Tree{rows: rows}
	leaves := make([]hash, len(rows))
	buf := make([]byte, 0, 1+rowSize)
	for i, r := range rows {
		var err error
		if buf, err = r.AppendBinary(append(buf[:0], leafPrefix)); err != nil {
			return nil, fmt.Errorf("reward: tree: row %d: %w", i, err)
		}
		leaves[i] = sha256.Sum256(buf)
	}
	t.levels = append(t.levels, leaves)
	for below := leaves; len(below) > 1; below = t.levels[len(t.levels)-1] {
		t.levels = append(t.levels, above(below))
	}
	return t, nil
}

// above hashes a level pair by pair.
func above(below []hash) []hash {
	out := make([]hash, (len(below)+1)/2)
	var buf [1 + 2*sha256.Size]byte
	buf[0] = nodePrefix
	for i := range out {
		if 2*i+1 == len(below) {
			out[i] = below[2*i]
			break
		}
		copy(buf[1:], below[2*i][:])
		copy(buf[1+sha256.Size:], below[2*i+1][:])
		out[i] = sha256.Sum256(buf[:])
	}
	return out
}

// Root is the Merkle tree hash; that of no rows is the SHA-256 of nothing.
func (t *Tree) Root() [sha256.Size]byte {
	if len(t.rows) == 0 {
		return sha256.Sum256(nil)
	}
	return t.levels[len(t.levels)-1][0]
}

// Prove makes the proof of row i.
func (t *Tree) Prove(i int) (Proof, error) {
	if i < 0 || i >= len(t.rows) {
		return Proof{}, fmt.Errorf("reward: prove row %d of %d: no such row", i, len(t.rows))
	}
	p := Proof{Row: t.rows[i], Index: int64(i), Size: int64(len(t.rows)), Hashes: make([][sha256.Size]byte, 0, len(t.levels)-1)}
	for at, level := i, 0; level < len(t.levels)-1; at, level = at/2, level+1 {
		if sibling := at ^ 1; sibling < len(t.levels[level]) {
			p.Hashes = append(p.Hashes, t.levels[level][sibling])
		}
	}
	return p, nil
}

// Root is the root of the tree over rows.
func Root(rows []Row) ([sha256.Size]byte, error) {
	t, err := NewTree(rows)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return t.Root(), nil
}

// Prove makes the proof of row i. For more than one proof make a [Tree].
func Prove(rows []Row, i int) (Proof, error) {
	t, err := NewTree(rows)
	if err != nil {
		return Proof{}, err
	}
	return t.Prove(i)
}

// CheckProof says whether the proof's row belongs to the root. The judgement is
// another implementation's than the one that makes proofs.
func CheckProof(root [sha256.Size]byte, p Proof) error {
	leaf, err := p.Row.AppendBinary(nil)
	if err != nil {
		return err
	}
	if len(p.Hashes) > 64 {
		return fmt.Errorf("%w: %d hashes are more than any tree has levels", ErrProof, len(p.Hashes))
	}
	hashes := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		hashes[i] = h
	}
	if err := tlog.CheckRecord(hashes, p.Size, root, p.Index, tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("%w: %v", ErrProof, err)
	}
	return nil
}
