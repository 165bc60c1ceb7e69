// Package claim makes the Merkle tree over an epoch's list of payouts, in the format
// of the JTO merkle distributor program. Its root is the payout root of the commit
// memo, whether the oracle sends the payouts or wallets claim them. It is pure; the
// instructions are in package settle/solana/distributor.
//
// A leaf is H(0x00 | H(wallet | unlocked u64 | locked u64)), a node
// H(0x01 | lower | higher) of the two hashes below it in the order of their bytes;
// H is SHA-256, integers are little-endian. A level with an odd number of nodes
// takes the last one twice, as the tools around that program do, so that they come
// to the same root. Leaves are in the order of the published list, by wallet.
// Everything is unlocked: nothing is vested.
package claim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"heliograph/oracle/ledger"
	"heliograph/oracle/reward"
	"heliograph/poc"
)

// Hash is a node of the tree.
type Hash = [sha256.Size]byte

// MaxProof is the most nodes of a proof that fit a claim's transaction: a tree of
// 2^24 leaves.
const MaxProof = 24

// ErrProof: a proof does not lead to the root.
var ErrProof = errors.New("claim: proof does not fit the root")

// Prefixes that keep leaves and nodes apart.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// Leaf is the leaf of a payout.
func Leaf(p reward.Payout) Hash {
	var inner [48]byte
	copy(inner[:], p.Wallet[:])
	binary.LittleEndian.PutUint64(inner[32:], uint64(p.Amount)) // unlocked; locked stays 0
	h := sha256.Sum256(inner[:])
	var outer [33]byte
	outer[0] = leafPrefix
	copy(outer[1:], h[:])
	return sha256.Sum256(outer[:])
}

func node(a, b Hash) Hash {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	var buf [65]byte
	buf[0] = nodePrefix
	copy(buf[1:], a[:])
	copy(buf[33:], b[:])
	return sha256.Sum256(buf[:])
}

// Tree is the tree over a list of payouts. It is immutable and safe for concurrent
// use; it keeps two hashes a payout.
type Tree struct {
	list   []reward.Payout
	total  ledger.Amount
	levels [][]Hash
}

// New makes the tree. The list must be that of an epoch: sorted by wallet, each
// once, no empty amount. It must not be changed afterwards.
func New(list []reward.Payout) (*Tree, error) {
	if len(list) == 0 {
		return nil, errors.New("claim: nobody is paid: there is nothing to claim")
	}
	leaves, total, err := leavesOf(list)
	if err != nil {
		return nil, err
	}
	t := &Tree{list: list, total: total}
	t.levels = append(t.levels, leaves)
	for below := leaves; len(below) > 1; below = t.levels[len(t.levels)-1] {
		t.levels = append(t.levels, above(make([]Hash, (len(below)+1)/2), below))
	}
	return t, nil
}

// Root is the root of the tree over a list, without keeping the tree. That of an
// empty list is the hash of nothing.
func Root(list []reward.Payout) (Hash, error) {
	if len(list) == 0 {
		return sha256.Sum256(nil), nil
	}
	level, _, err := leavesOf(list)
	for err == nil && len(level) > 1 {
		level = above(level[:(len(level)+1)/2], level)
	}
	if err != nil {
		return Hash{}, err
	}
	return level[0], nil
}

// above fills a level from the one below; both may share their beginning.
func above(level, below []Hash) []Hash {
	for i := range level {
		level[i] = node(below[2*i], below[min(2*i+1, len(below)-1)])
	}
	return level
}

// leavesOf checks a list and hashes its payouts.
func leavesOf(list []reward.Payout) (leaves []Hash, total ledger.Amount, err error) {
	if len(list) > 1<<MaxProof {
		return nil, 0, fmt.Errorf("claim: %d payouts, at most %d", len(list), 1<<MaxProof)
	}
	leaves = make([]Hash, len(list))
	for i, p := range list {
		if p.Amount == 0 || i > 0 && bytes.Compare(list[i-1].Wallet[:], p.Wallet[:]) >= 0 {
			return nil, 0, fmt.Errorf("claim: payout %d is zero, or not in the order of wallets", i)
		}
		if total, err = total.Add(p.Amount); err != nil {
			return nil, 0, fmt.Errorf("claim: payout %d: %w", i, err)
		}
		leaves[i] = Leaf(p)
	}
	return leaves, total, nil
}

// Root is what the program is told.
func (t *Tree) Root() Hash { return t.levels[len(t.levels)-1][0] }

// Total is the most that can be claimed, Count the number of claims.
func (t *Tree) Total() ledger.Amount { return t.total }

// Count is the number of wallets that can claim.
func (t *Tree) Count() int { return len(t.list) }

// Proof is what a wallet claims with.
type Proof struct {
	Payout reward.Payout
	Nodes  []Hash
}

// Prove makes the proof of a wallet; false when the wallet is not on the list.
func (t *Tree) Prove(w poc.Wallet) (Proof, bool) {
	i, found := slices.BinarySearchFunc(t.list, w, func(p reward.Payout, w poc.Wallet) int { return bytes.Compare(p.Wallet[:], w[:]) })
	if !found {
		return Proof{}, false
	}
	p := Proof{Payout: t.list[i]}
	for _, level := range t.levels[:len(t.levels)-1] {
		p.Nodes = append(p.Nodes, level[min(i^1, len(level)-1)])
		i /= 2
	}
	return p, true
}

// Check says whether the proof leads to a root, as the program does.
func (p Proof) Check(root Hash) error {
	if len(p.Nodes) > MaxProof {
		return fmt.Errorf("%w: %d nodes, at most %d", ErrProof, len(p.Nodes), MaxProof)
	}
	h := Leaf(p.Payout)
	for _, n := range p.Nodes {
		h = node(h, n)
	}
	if h != root {
		return ErrProof
	}
	return nil
}
