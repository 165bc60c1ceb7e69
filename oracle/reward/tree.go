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

// Tree is the Merkle tree over an epoch's rows. It is immutable and safe for
// concurrent use. It keeps about two hashes a row.
type Tree struct {
	rows   []Row
	hashes stored
}

// stored are the hashes in the order that package tlog numbers them.
type stored []tlog.Hash

// ReadHashes implements [tlog.HashReader].
func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(s)) {
			return nil, fmt.Errorf("reward: no hash %d in the tree", at)
		}
		out[i] = s[at]
	}
	return out, nil
}

// NewTree builds the tree. The rows must not be changed afterwards.
func NewTree(rows []Row) (*Tree, error) {
	t := &Tree{rows: rows, hashes: make(stored, 0, 2*len(rows))}
	var leaf []byte
	for i, r := range rows {
		var err error
		if leaf, err = r.AppendBinary(leaf[:0]); err != nil {
			return nil, err
		}
		added, err := tlog.StoredHashes(int64(i), leaf, t.hashes)
		if err != nil {
			return nil, fmt.Errorf("reward: tree: %w", err)
		}
		t.hashes = append(t.hashes, added...)
	}
	return t, nil
}

// Root is the Merkle tree hash; that of no rows is the SHA-256 of nothing.
func (t *Tree) Root() ([sha256.Size]byte, error) {
	if len(t.rows) == 0 {
		return sha256.Sum256(nil), nil
	}
	h, err := tlog.TreeHash(int64(len(t.rows)), t.hashes)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("reward: root: %w", err)
	}
	return h, nil
}

// Prove makes the proof of row i.
func (t *Tree) Prove(i int) (Proof, error) {
	if i < 0 || i >= len(t.rows) {
		return Proof{}, fmt.Errorf("reward: prove row %d of %d: no such row", i, len(t.rows))
	}
	hashes, err := tlog.ProveRecord(int64(len(t.rows)), int64(i), t.hashes)
	if err != nil {
		return Proof{}, fmt.Errorf("reward: prove row %d: %w", i, err)
	}
	p := Proof{Row: t.rows[i], Index: int64(i), Size: int64(len(t.rows)), Hashes: make([][sha256.Size]byte, len(hashes))}
	for j, h := range hashes {
		p.Hashes[j] = h
	}
	return p, nil
}

// Root is the root of the tree over rows.
func Root(rows []Row) ([sha256.Size]byte, error) {
	t, err := NewTree(rows)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return t.Root()
}

// Prove makes the proof of row i. For more than one proof make a [Tree].
func Prove(rows []Row, i int) (Proof, error) {
	t, err := NewTree(rows)
	if err != nil {
		return Proof{}, err
	}
	return t.Prove(i)
}

// CheckProof says whether the proof's row belongs to the root.
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
